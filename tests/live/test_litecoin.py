"""The connector against a real relative of Bitcoin Core: Litecoin 0.21, which gives no prevouts and has extension blocks.

The truth here is the node's own `getblock 2` and `getrawtransaction`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.bitcoin import BitcoinConnector, Reorganised
from connectors.bitcoin.errors import NotOffered
from connectors.bitcoin.try_network import try_network
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.follow.connector import NodeLogin
from pipeline.log.events.chain import WatchedWallet, Witnessed

from ..integration.test_bitcoin_follow import connector as connector_of
from ..integration.test_bitcoin_follow import events_of, main_chain, step_until_idle
from .regtest_node import Coin, RegtestNode, coinbase_of, find_program, lock, private_key, spend

LITECOIND = find_program("litecoind", "ESEP_LITECOIND")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(LITECOIND is None, reason="no litecoind on PATH, and ESEP_LITECOIND does not name one"),
]

REGTEST = network("litecoin_regtest")
POOL, MINER, STRANGER = private_key("pool"), private_key("miner"), private_key("stranger")
KINDS = ("pkh", "sh-wpkh", "wpkh", "wsh-multi", "multi")
OURS = {lock(kind, POOL).hex() for kind in KINDS}
WALLETS = [WatchedWallet(name="pool", descriptors=[f"raw({script})" for script in sorted(OURS)])]
COIN = 10**8
FIRST_MWEB_HEIGHT = 432
"""From here on regtest's blocks carry an extension block; their last transaction ties it in. The first needs a peg-in."""


def address(kind: str, key: object) -> str:
    return address_of(lock(kind, key), REGTEST)


def connector(node: RegtestNode, log: MemoryLog, **changes: object) -> BitcoinConnector:
    return connector_of(node, log, **({"chain": "litecoin", "asset": "LTC", "network": "litecoin_regtest", "wallets": WALLETS} | changes))


@pytest.fixture(scope="module")
def node() -> Iterator[RegtestNode]:
    with RegtestNode(LITECOIND, "-txindex", "-rest") as node:
        stranger = address("wpkh", STRANGER)
        funds = [coinbase_of(node, h, "wpkh", STRANGER) for h in node.mine(stranger, 8)]
        rewards = [coinbase_of(node, h, "pkh", POOL) for h in node.mine(address("pkh", POOL), 2)]
        node.mine(stranger, 110)
        value = funds[0].value // 10
        raw, funding = spend([funds[0]], [(lock(kind, POOL), value) for kind in KINDS] + [(b"\x6a\x02hi", 0)])
        node.mine_with(stranger, [raw])
        coins = [Coin(funding, n, value, kind, POOL) for n, kind in enumerate(KINDS)]
        batch, mixed = [], None
        for coin in coins[:-1]:
            raw, txid = spend([coin], [(lock("wpkh", MINER), 12_345), (lock("wpkh", POOL), value - 50_000)])
            mixed = Coin(txid, 1, value - 50_000, "wpkh", POOL)
            batch.append(raw)
        raw, _ = spend([mixed, funds[1], coins[-1]], [(lock("pkh", MINER), funds[1].value), (lock("sh-wpkh", POOL), value)])
        node.mine_with(stranger, [*batch, raw])
        raw, _ = spend(rewards, [(lock("sh-wpkh", MINER), rewards[0].value), (lock("wpkh", POOL), rewards[1].value - 300)])
        node.mine_with(address("wpkh", POOL), [raw])
        node.rpc.call("createwallet", "stranger")
        node.mine(node.rpc.call("getnewaddress"), 5)
        node.mine(stranger, FIRST_MWEB_HEIGHT - 1 - node.rpc.call("getblockcount"))
        node.rpc.call("sendtoaddress", node.rpc.call("getnewaddress", "", "mweb"), 1)
        node.mine(stranger, 2)
        node.rpc.call("sendtoaddress", address("wpkh", POOL), 0.5)  # may leave the extension block: a peg-out
        raw, _ = spend([funds[2]], [(lock("wpkh", POOL), funds[2].value - 400)])
        node.rpc.call("sendrawtransaction", raw)
        node.mine(stranger, 9)
        node.wait_for_indexes()
        yield node


def told_by_node(node: RegtestNode) -> dict[int, list[tuple]]:
    found: dict[int, list[tuple]] = {}
    outputs: dict[tuple[str, int], tuple[str, int]] = {}
    for height in range(1, node.rpc.call("getblockcount") + 1):
        for tx in node.rpc.call("getblock", node.rpc.call("getblockhash", height), 2)["tx"]:
            paid = [(o["scriptPubKey"]["hex"], int(o["value"] * COIN)) for o in tx["vout"]]
            outputs.update({(tx["txid"], o["n"]): p for o, p in zip(tx["vout"], paid, strict=True)})
            spent = [outputs[vin["txid"], vin["vout"]] for vin in tx["vin"] if "txid" in vin]
            if not any(script in OURS for script, _ in spent + paid):
                continue
            addresses = [
                (o["scriptPubKey"].get("addresses") or [None])[0] if o["scriptPubKey"]["type"] != "multisig" else None for o in tx["vout"]
            ]
            fee = sum(value for _, value in spent) - sum(value for _, value in paid) if spent else 0
            mine = sum(value for script, value in spent if script in OURS)
            others = [value for script, value in spent if script not in OURS]
            if not mine:  # strangers pay: what they spend is not asked for, and the fee is not the pool's
                fee, others = 0, [0] * len(others)
            found.setdefault(height, []).append((tx["txid"], mine, len(others), sum(others), paid_values(paid), addresses, fee))
    return found


def paid_values(paid: list[tuple[str, int]]) -> list[int]:
    return [value for _, value in paid]


def told_by_log(log: MemoryLog) -> dict[int, list[tuple]]:
    return {
        height: [
            (
                tx.txid,
                sum(int(i.value) for i in tx.inputs),
                tx.other_inputs,
                int(tx.other_inputs_value),
                [int(o.value) for o in tx.outputs],
                [o.address for o in tx.outputs],
                int(tx.fee),
            )
            for tx in block[4]
        ]
        for height, block in main_chain(events_of(log)).items()
        if block[4]
    }


def test_both_ways_of_reading_tell_what_the_node_tells(node: RegtestNode):
    truth = told_by_node(node)
    assert sum(map(len, truth.values())) == 2 + 1 + 5 + 2 + 2
    assert max(truth) > FIRST_MWEB_HEIGHT
    written = []
    for strategy in ("auto", "own-outputs", "txindex"):
        log = MemoryLog()
        with connector(node, log, strategy=strategy, blocks_a_step=500) as following:
            step_until_idle(following)
            assert following.describe().method == ("own-outputs" if strategy == "auto" else strategy)
        assert told_by_log(log) == truth
        written.append([(record.id, record.value) for record in log.read({})])
    assert written[0] == written[1] == written[2]


def test_it_walks_back_over_a_reorganisation(node: RegtestNode):
    log = MemoryLog()
    with connector(node, log) as following:
        step_until_idle(following)
        before = main_chain(events_of(log))
        height = node.rpc.call("getblockcount")
        oldest = node.rpc.call("getblockhash", height - 5)
        node.rpc.call("invalidateblock", oldest)
        node.mine(address("pkh", POOL), 8)
        assert following.step() == Reorganised(6, 8, height + 2)
        assert told_by_log(log) == told_by_node(node)
        node.rpc.call("invalidateblock", node.rpc.call("getblockhash", height - 5))
        node.rpc.call("reconsiderblock", oldest)
        step_until_idle(following)
        assert main_chain(events_of(log)) == before


def test_without_an_index_of_transactions_strangers_dust_is_followed_and_a_shared_transaction_says_what_it_needs():
    with RegtestNode(LITECOIND) as plain:
        funds = [coinbase_of(plain, h, "wpkh", STRANGER) for h in plain.mine(address("wpkh", STRANGER), 102)]
        raw, txid = spend(funds[:1], [(lock("wpkh", POOL), 1_000), (lock("wpkh", STRANGER), funds[0].value - 1_100)])
        plain.mine_with(address("wpkh", STRANGER), [raw])
        log = MemoryLog()
        with connector(plain, log) as following:
            step_until_idle(following)
        assert [told for block in told_by_log(log).values() for told in block] == told_by_node(plain)[103]
        raw, _ = spend([Coin(txid, 0, 1_000, "wpkh", POOL), funds[1]], [(lock("wpkh", STRANGER), funds[1].value)])
        plain.mine_with(address("wpkh", STRANGER), [raw])
        with connector(plain, MemoryLog()) as following, pytest.raises(NotOffered, match="start it with txindex=1"):
            step_until_idle(following)
        with connector(plain, MemoryLog(), start_height=50) as following, pytest.raises(NotOffered, match="offers no exact way"):
            following.step()


def test_what_is_known_of_the_network_holds_against_the_node(node: RegtestNode) -> None:
    found = {tried.what: tried for tried in try_network(REGTEST, node.rpc_url, node.cookie_path)}
    assert [tried for tried in found.values() if tried.holds is False] == []
    for what in ("genesis", "address P2PKH", "address P2SH", "address P2WPKH", "address P2TR", "work", "block", "reward"):
        assert found[what].holds, found[what]


def test_two_nodes_one_killed_and_one_on_a_stale_branch(tmp_path: Path) -> None:
    """Final blocks are read from both; the killed one is left; a node on a branch with less work writes nothing (ADR 20)."""
    with RegtestNode(LITECOIND, "-txindex") as first, RegtestNode(LITECOIND, "-txindex", "-rest") as second:

        def copy_blocks() -> None:
            for height in range(second.rpc.call("getblockcount") + 1, first.rpc.call("getblockcount") + 1):
                assert second.rpc.call("submitblock", first.rpc.call("getblock", first.rpc.call("getblockhash", height), 0)) is None

        stranger = address("wpkh", STRANGER)
        first.mine(address("pkh", POOL), 3)
        first.mine(stranger, 27)
        copy_blocks()
        log = MemoryLog()
        login = NodeLogin(rpc_url=second.rpc_url, cookie_path=second.cookie_path)
        with connector(first, log, start_height=1, further_nodes=[login], witnesses=2) as both:
            step_until_idle(both)
            found = [event for event in events_of(log) if isinstance(event, Witnessed)]
            assert found[0].height == 1 and found[-1].last == 25
            assert all(event.nodes == [first.rpc_url, second.rpc_url] for event in found)
            blocks = main_chain(events_of(log))
            stale = first.rpc.call("getblockhash", 29)
            first.rpc.call("invalidateblock", stale)
            n_events = len(events_of(log))
            step_until_idle(both)
            assert [report.is_followed for report in both.describe().nodes] == [False, True]
            assert len(events_of(log)) == n_events and main_chain(events_of(log)) == blocks, "the second node has the longer chain"
            first.stop()
            second.mine(address("pkh", POOL), 2)
            step_until_idle(both)
            assert max(main_chain(events_of(log))) == 32
            reports = both.look_at_nodes()
            assert [report.is_in_trouble for report in reports] == [True, False] and reports[0].trouble is not None
