"""The connector against a real Bitcoin Core: every script type, reorganisations, troubles of the node, every way of reading.

The truth here is the node's own `getblock 3`, read by code that shares nothing with the connector.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.bitcoin import BitcoinConnector, Connected, Idle, Reorganised, Waiting
from connectors.bitcoin.errors import AccessRefused, BlockPruned, NodeUnreachable, NotOffered, RpcError, WrongChain
from connectors.bitcoin.rpc import Credentials
from connectors.bitcoin.strategies import NAMES
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.log.events.chain import Connect, Disconnect, WatchedWallet

from ..integration.test_bitcoin_follow import connector as connector_of
from ..integration.test_bitcoin_follow import events_of, main_chain, step_until_idle
from .bitcoind import find_bitcoind, why_not
from .regtest_node import KINDS, Coin, RegtestNode, coinbase_of, lock, private_key, spend

BITCOIND = find_bitcoind()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(BITCOIND is None, reason=why_not()),
]

REGTEST = network("regtest")
POOL, MINER, STRANGER = private_key("pool"), private_key("miner"), private_key("stranger")
POOL_KINDS = [kind for kind in KINDS if kind != "anchor"]
WALLETS = [
    WatchedWallet(
        name="pool",
        addresses=[address_of(lock(kind, POOL), REGTEST) for kind in ("pkh", "sh-wpkh", "wpkh", "wsh-multi")],
        descriptors=[f"raw({lock('tr', POOL).hex()})", f"multi(1,{POOL.get_public_key().sec().hex()})"],
    ),
    WatchedWallet(name="odd", descriptors=[f"raw({lock('unknown', POOL).hex()})"]),
]
ANYBODY = [WatchedWallet(name="w", descriptors=["raw(51)"])]
OURS = {lock(kind, POOL).hex(): "odd" if kind == "unknown" else "pool" for kind in POOL_KINDS}
ANCHOR = lock("anchor", POOL).hex()
COIN = 10**8
OPTIONS = ("-rest", "-txindex", "-blockfilterindex=1", "-minrelaytxfee=0.000001", "-acceptnonstdtxn=1")


def address(kind: str, key: object) -> str:
    return address_of(lock(kind, key), REGTEST)


def connector(node: RegtestNode, log: MemoryLog, **changes: object) -> BitcoinConnector:
    return connector_of(node, log, **({"wallets": WALLETS} | changes))


@pytest.fixture(scope="module")
def node() -> Iterator[RegtestNode]:
    """A node with a chain in which everything happens that can happen to a pool."""
    with RegtestNode(BITCOIND, *OPTIONS) as node:
        _write_history(node)
        node.wait_for_indexes()
        yield node


def _write_history(node: RegtestNode) -> None:
    strangers_address = address("wpkh", STRANGER)
    funds = [coinbase_of(node, h, "wpkh", STRANGER) for h in node.mine(strangers_address, 20)]
    ours = [coinbase_of(node, h, "tr", POOL) for h in node.mine(address("tr", POOL), 3)]
    node.mine(strangers_address, 110)

    # A stranger pays the pool in every kind of script, and in others besides.
    value = funds[0].value // 20
    outputs = [(lock(kind, POOL), value) for kind in KINDS] + [
        (b"\x6a\x04esep", 0),
        (b"\x6a\x4c\x02", 0),
        (b"", 1000),
        (b"\x51\x01\x00", 7),
    ]
    outputs += [(lock(kind, MINER), 5000 + n) for n, kind in enumerate(KINDS)]
    raw, funding = spend([funds[0]], outputs)
    node.mine_with(strangers_address, [raw])
    coins = [Coin(funding, n, value, kind, POOL) for n, kind in enumerate(KINDS)]

    # The pool spends each kind, pays miners, keeps change; three in a chain within one block.
    batch = []
    for coin in coins[:-2]:
        raw, txid = spend([coin], [(lock("wpkh", MINER), 10_000), (lock("tr", MINER), 20_000), (lock("wpkh", POOL), value - 31_000)])
        batch.append(raw)
    change = Coin(txid, 2, value - 31_000, "wpkh", POOL)
    for _ in range(2):
        raw, txid = spend([change], [(lock("pkh", MINER), 777), (lock("wpkh", POOL), change.value - 1000)])
        batch.append(raw)
        change = Coin(txid, 1, change.value - 1000, "wpkh", POOL)
    node.mine_with(strangers_address, batch)

    # Mixed inputs: a stranger's beside the pool's. An odd script and an anchor, spent by anyone.
    raw, _ = spend([funds[1], change, coins[-2]], [(lock("wpkh", MINER), funds[1].value), (lock("sh-wpkh", POOL), change.value)])
    node.mine_with(strangers_address, [raw])
    raw, _ = spend([coins[-1], funds[2]], [(lock("wpkh", STRANGER), funds[2].value)])
    node.mine_with(strangers_address, [raw])

    # A replaced payment, and one by coinbase: the pool's reward, and its spending.
    first, replaced = spend([ours[0]], [(lock("wpkh", MINER), ours[0].value - 1000)])
    second, _ = spend([ours[0]], [(lock("wpkh", MINER), ours[0].value - 9000)])
    assert node.rpc.call("sendrawtransaction", first) == replaced
    node.rpc.call("sendrawtransaction", second)
    node.mine(strangers_address)
    raw, _ = spend(ours[1:], [(lock("tr", POOL), ours[1].value), (lock("wsh-multi", MINER), ours[2].value - 500)])
    node.mine_with(address("wpkh", POOL), [raw])
    node.mine(strangers_address, 30)


def kind_of(script: dict) -> str:
    """As Bitcoin Core 28 and later names it: before, an anchor is a witness program like any other."""
    return "anchor" if script["hex"] == ANCHOR and script["type"] == "witness_unknown" else str(script["type"])


def told_by_node(node: RegtestNode) -> dict[int, list[dict]]:
    """What the pool did, from `getblock 3` alone."""
    found: dict[int, list[dict]] = {}
    for height in range(1, node.rpc.call("getblockcount") + 1):
        block = node.rpc.call("getblock", node.rpc.call("getblockhash", height), 3)
        for position, tx in enumerate(block["tx"]):
            is_coinbase = "coinbase" in tx["vin"][0]
            prevouts = [] if is_coinbase else [(vin["txid"], vin["vout"], vin["prevout"]) for vin in tx["vin"]]
            scripts = [p["scriptPubKey"]["hex"] for _, _, p in prevouts] + [o["scriptPubKey"]["hex"] for o in tx["vout"]]
            if not any(script in OURS for script in scripts):
                continue
            mine = [(t, v, int(p["value"] * COIN), p["scriptPubKey"].get("address"), OURS[p["scriptPubKey"]["hex"]])
                    for t, v, p in prevouts if p["scriptPubKey"]["hex"] in OURS]  # fmt: skip
            others = [p for _, _, p in prevouts if p["scriptPubKey"]["hex"] not in OURS]
            found.setdefault(height, []).append({
                "txid": tx["txid"], "position": position, "is_coinbase": is_coinbase, "inputs": mine,
                "other_inputs": len(others), "other_inputs_value": sum(int(p["value"] * COIN) for p in others) if mine else 0,
                "outputs": [(o["n"], int(o["value"] * COIN), o["scriptPubKey"].get("address"), OURS.get(o["scriptPubKey"]["hex"]), kind_of(o["scriptPubKey"]))
                            for o in tx["vout"]],
                "fee": int(tx["fee"] * COIN) if mine else 0,  # strangers' fees are not the pool's
            })  # fmt: skip
    return found


def told_by_log(log: MemoryLog) -> dict[int, list[dict]]:
    return {
        height: [
            {
                "txid": tx.txid, "position": tx.position, "is_coinbase": tx.is_coinbase,
                "inputs": [(i.txid, i.vout, int(i.value), i.address, i.wallet) for i in tx.inputs],
                "other_inputs": tx.other_inputs, "other_inputs_value": int(tx.other_inputs_value),
                "outputs": [(o.vout, int(o.value), o.address, o.wallet, o.script_type) for o in tx.outputs], "fee": int(tx.fee),
            }
            for tx in block[4]
        ]
        for height, block in main_chain(events_of(log)).items()
        if block[4]
    }  # fmt: skip


def test_everything_is_found_exactly_as_the_node_tells_it_by_every_strategy(node: RegtestNode):
    truth = told_by_node(node)
    assert sum(len(transactions) for transactions in truth.values()) == 3 + 1 + 8 + 2 + 1 + 2
    assert {kind for block in truth.values() for tx in block for *_, kind in tx["outputs"]} == {
        "pubkeyhash", "scripthash", "witness_v0_keyhash", "witness_v0_scripthash", "witness_v1_taproot", "multisig", "anchor",
        "witness_unknown", "nulldata", "nonstandard",
    }  # fmt: skip
    written = {}
    for name in offered(node):
        log = MemoryLog()
        with connector(node, log, strategy=name, blocks_a_step=1000) as following:
            step_until_idle(following)
        assert told_by_log(log) == truth, name
        written[name] = [(record.id, record.value) for record in log.read({})]
    assert all(content == written["rpc-raw"] for content in written.values())
    for height, block in main_chain(events_of(log)).items():
        assert block[3] == node.rpc.call("getblockheader", node.rpc.call("getblockhash", height))["mediantime"]


def test_the_fastest_strategy_is_chosen_and_said(node: RegtestNode):
    with connector(node, MemoryLog()) as following:
        following.step()
        assert following.describe().method == offered(node)[0]
    with connector(node, MemoryLog(), rest="off") as following:
        following.step()
        told = following.describe()
        assert told.method == "scanblocks-rpc"
        assert "REST is off" in (told.method_why or "")
    if not _has_spent(node):
        refused = pytest.raises(NotOffered, match=r"has no spenttxouts \(Core >= 30\)")
        with connector(node, MemoryLog(), strategy="rest") as following, refused:
            following.step()


def offered(node: RegtestNode) -> list[str]:
    """The ways of reading that this version has, the fastest first: `/rest/spenttxouts` came with Bitcoin Core 30."""
    return [name for name in NAMES if _has_spent(node) or name not in ("rest", "scanblocks-rest")]


def test_reorganisations_of_a_running_node(node: RegtestNode):
    log = MemoryLog()
    tip_before = node.rpc.call("getbestblockhash")
    with connector(node, log) as following:
        step_until_idle(following)
        before = main_chain(events_of(log))
        height = node.rpc.call("getblockcount")
        oldest = node.rpc.call("getblockhash", height - 32)
        node.rpc.call("invalidateblock", oldest)  # the tip is lower now, and the chain the same
        assert isinstance(following.step(), Waiting), "it lags, or so it seems"
        node.mine(address("wpkh", MINER), 5)
        assert following.step() == Reorganised(33, 5, height - 28)
        node.mine(address("pkh", POOL), 40)
        step_until_idle(following)
        assert told_by_log(log) == told_by_node(node)
        node.rpc.call("invalidateblock", node.rpc.call("getblockhash", height - 32))
        node.rpc.call("reconsiderblock", oldest)  # and back again
        assert node.rpc.call("getbestblockhash") == tip_before
        assert isinstance(following.step(), Reorganised)
        step_until_idle(following)
        assert main_chain(events_of(log)) == before
        gone = [event for event in events_of(log) if isinstance(event, Disconnect)]
        assert len(gone) == 33 + 45


def test_restart_cookie_and_a_stop_in_between():
    """One connector lives through: no node, a node, a node restarted with another cookie and without REST."""
    with RegtestNode(BITCOIND, *OPTIONS) as node:
        node.mine(address("wpkh", POOL), 30)
        log = MemoryLog()
        with connector(node, log) as following:
            step_until_idle(following)
            node.stop()
            with pytest.raises(NodeUnreachable, match=r"not running|closed the connection|not there"):
                following.step()
            node.start("-rest=0", "-blockfilterindex=0")
            node.mine(address("wpkh", POOL), 30)
            step_until_idle(following)
            assert following.describe().method == "rpc-raw"
            assert len(told_by_log(log)) == 60


def test_run_wakes_up_for_a_new_block_and_stops_when_told(node: RegtestNode):
    log, stop, seen = MemoryLog(), threading.Event(), threading.Event()
    height = node.rpc.call("getblockcount")

    def on_progress(step: object) -> None:
        if isinstance(step, Connected | Idle) and step.height > height:
            seen.set()

    with connector(node, log) as following:
        thread = threading.Thread(target=following.run, args=(stop, on_progress), kwargs={"poll_s": 3600.0}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 240
        while following.describe().lag_blocks != 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        # A block mined between a look at the tip and the wait for the next block wakes nobody: then another one is mined.
        assert any(node.mine(address("wpkh", STRANGER)) and seen.wait(5) for _ in range(12)), "a new block wakes it, not the poll"
        stop.set()
        for _ in range(12):
            node.mine(address("wpkh", STRANGER))
            thread.join(5)
            if not thread.is_alive():
                break
        assert not thread.is_alive()


def test_the_wrong_node_is_told_apart(node: RegtestNode):
    with (
        connector(node, MemoryLog(), network="signet", wallets=ANYBODY) as following,
        pytest.raises(WrongChain, match="'regtest', and signet needs 'signet'"),
    ):
        following.step()
    with (
        connector(node, MemoryLog(), network="litecoin_regtest", wallets=ANYBODY) as following,
        pytest.raises(WrongChain, match="first block 0f9188"),
    ):
        following.step()
    log = MemoryLog()
    with connector(node, log, start_height=100) as following:
        step_until_idle(following)
    with RegtestNode(BITCOIND) as other:
        other.mine(address("wpkh", STRANGER), 150)
        with (
            connector(other, log, start_height=100) as following,
            pytest.raises(WrongChain, match="at height 99, after which the log of pool/bitcoin begins"),
        ):
            following.step()


def test_access(node: RegtestNode, tmp_path: Path):
    with connector(node, MemoryLog(), cookie_path=None, user="who", password="knows") as following:
        with pytest.raises(AccessRefused, match="rpcauth") as refused:
            following.step()
        assert not refused.value.is_retryable
        assert "knows" not in str(refused.value)
    with connector(node, MemoryLog(), cookie_path=tmp_path / "none") as following, pytest.raises(NodeUnreachable, match="cookie file"):
        following.step()


def test_a_method_the_user_may_not_call_is_named():
    options = ("-rpcuser=esep", "-rpcpassword=secret", "-rpcwhitelist=esep:getblockchaininfo,getblockhash")
    with RegtestNode(BITCOIND, *options, credentials=Credentials(user="esep", password="secret")) as node:
        refused = pytest.raises(AccessRefused, match=r"forbids getnetworkinfo .*rpcwhitelist")
        with connector(node, MemoryLog(), cookie_path=None, user="esep", password="secret") as following, refused:
            following.step()


def test_a_pruned_node_says_what_is_missing():
    with RegtestNode(BITCOIND, "-prune=1", "-fastprune") as node:
        node.mine(address("wpkh", STRANGER), 800)
        log = MemoryLog()
        with connector(node, log, start_height=1) as following:
            step_until_idle(following)
            assert following.describe().method == "rpc-raw"
        pruned_to = node.rpc.call("pruneblockchain", 400)
        assert pruned_to > 100
        with connector(node, MemoryLog(), start_height=1) as following, pytest.raises(BlockPruned, match="has pruned its blocks below"):
            following.step()
        node.mine(address("wpkh", POOL), 3)
        with connector(node, log, start_height=1) as following:  # what was read already is not needed again
            step_until_idle(following)
        assert len(told_by_log(log)) == 3


def test_a_strategy_the_node_does_not_offer(node: RegtestNode):
    with RegtestNode(BITCOIND) as plain:
        plain.mine(address("wpkh", STRANGER), 5)
        for name in ("scanblocks-rest", "rest", "scanblocks-rpc", "txindex"):
            with connector(plain, MemoryLog(), strategy=name) as following, pytest.raises(NotOffered, match=r"rest=1|index"):
                following.step()
        with connector(plain, MemoryLog(), rest="on") as following, pytest.raises(NotOffered, match="rest=1"):
            following.step()
        with connector(plain, MemoryLog(), start_height=3) as following:
            step_until_idle(following)
            assert following.describe().method == "rpc-verbose"
        with connector(plain, MemoryLog(), start_height=50) as following:
            assert following.step() == Waiting(f"the node at {plain.rpc_url} is at height 5; reading starts at 50")


def test_a_header_ahead_of_its_blocks_is_waited_for(node: RegtestNode):
    """A node below the log's height that knows of more headers is synchronising: nothing is disconnected."""
    with RegtestNode(BITCOIND, "-rest") as behind:
        log = MemoryLog()
        hashes = [node.rpc.call("getblockhash", height) for height in range(1, 31)]
        for block_hash in hashes:
            assert behind.rpc.call("submitblock", node.rpc.call("getblock", block_hash, 0)) is None
        with connector(behind, log) as following:
            step_until_idle(following)
    with RegtestNode(BITCOIND, "-rest") as restored:
        for block_hash in hashes[:10]:
            restored.rpc.call("submitblock", node.rpc.call("getblock", block_hash, 0))
        for block_hash in hashes[10:]:
            restored.rpc.call("submitheader", node.rpc.call("getblockheader", block_hash, False))
        with connector(restored, log) as following:
            step = following.step()
            assert isinstance(step, Waiting)
            assert "at height 10, below the log's 30: it lags, synchronises" in step.reason
            for block_hash in hashes[10:]:
                restored.rpc.call("submitblock", node.rpc.call("getblock", block_hash, 0))
            assert isinstance(following.step(), Idle)
        assert not any(isinstance(event, Disconnect) for event in events_of(log))


def test_a_full_queue_is_busy_not_broken():
    with RegtestNode(BITCOIND, "-rpcworkqueue=1", "-rpcthreads=1", "-rest") as node:
        node.mine(address("wpkh", POOL), 60)
        log = MemoryLog()
        with connector(node, log, strategy="rest" if _has_spent(node) else "auto", blocks_a_step=20) as following:
            stop, done = threading.Event(), []

            def on_progress(step: object) -> None:
                done.append(step)
                if isinstance(step, Idle):
                    stop.set()

            thread = threading.Thread(
                target=following.run, args=(stop, on_progress), kwargs={"poll_s": 0.1, "longest_wait_s": 0.5}, daemon=True
            )
            thread.start()
            thread.join(30)
            stop.set()
            assert not thread.is_alive()
        assert len(told_by_log(log)) == 60


def _has_spent(node: RegtestNode) -> bool:
    return node.rpc.get(f"/rest/spenttxouts/{node.rpc.call('getbestblockhash')}.bin")[0] == 200


def test_the_node_s_own_errors_keep_their_words(node: RegtestNode):
    with pytest.raises(RpcError, match=r"getblockhash at .*Block height out of range \(code -8\)"):
        node.rpc.call("getblockhash", 10**6)
    with pytest.raises(RpcError, match="has no method nosuchmethod"):
        node.rpc.call("nosuchmethod")
    assert json.dumps([event.height for event in events_of(MemoryLog()) if isinstance(event, Connect)]) == "[]"
