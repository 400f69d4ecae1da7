"""The connector follows the recorded node, and what it writes is what an independent program says happened."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Protocol

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle, Rescanned, Rescanning, Waiting
from connectors.bitcoin.rpc import NodeConnection
from connectors.bitcoin.strategies import NAMES
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.bitcoin_node import ReplayNode
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.merkle import root_of_branch
from pipeline.chains.bitcoin.wire import double_sha256, parse_header
from pipeline.log.events import decode
from pipeline.log.events.chain import (
    Connect,
    Disconnect,
    Stretch,
    Watch,
    WatchedWallet,
)
from pipeline.log.protocol import EventLog
from pipeline.model.errors import LogError, SettingsError
from pipeline.model.months import almaty_date

from .scripted_node import unwired

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
POOL = json.loads((EXAMPLE / "pool.json").read_text())


def wallets(*, addresses: bool = True, descriptors: bool = True, length: int = 60) -> list[WatchedWallet]:
    return [
        WatchedWallet(
            name=wallet["name"],
            addresses=wallet["addresses"] if addresses else [],
            descriptors=wallet["descriptors"] if descriptors else [],
            descriptor_range=length,
        )
        for wallet in POOL["wallets"]
    ]


class HasAddress(Protocol):
    """A node as a process or a stand-in."""

    rpc_url: str
    cookie_path: Path


def connector(node: HasAddress, log: EventLog, *, connection: NodeConnection | None = None, **changes: object) -> BitcoinConnector:
    """One that follows the node from block 1; `changes` are settings that differ from a regtest chain of bitcoin. `connection`: to the node, instead of one over HTTP."""
    settings = {
        "pool_id": "pool",
        "chain": "bitcoin",
        "asset": "BTC",
        "network": "regtest",
        "rpc_url": node.rpc_url,
        "cookie_path": node.cookie_path,
        "wallets": wallets(descriptors=False),
        "start_height": 1,
    }
    return BitcoinConnector(log, BitcoinChain(**(settings | changes)), connection=connection)  # type: ignore[arg-type]


def step_until_idle(following: BitcoinConnector) -> list[object]:
    steps: list[object] = []
    while not isinstance(step := following.step(), Idle):
        assert not isinstance(step, Waiting), step
        steps.append(step)
        assert len(steps) < 20_000
    return steps


def events_of(log: EventLog) -> list[object]:
    return [decode(record.value) for record in log.read({}, limit_bytes=1 << 30)]


def main_chain(events: list[object]) -> dict[int, tuple[str, str, int, int, list]]:
    """By height what the log says of the main chain: hash, prev, time, mediantime, transactions. Independent of `ChainState`."""
    chain: dict[int, tuple[str, str, int, int, list]] = {}
    for event in events:
        if isinstance(event, Connect):
            assert event.height not in chain
            chain[event.height] = (event.hash, event.prev, event.time, event.mediantime, event.transactions)
        elif isinstance(event, Stretch):
            prev = event.prev
            for n, block_hash in enumerate(event.hash):
                assert event.height + n not in chain
                chain[event.height + n] = (block_hash, prev, event.time[n], event.mediantime[n], [])
                prev = block_hash
        elif isinstance(event, Disconnect):
            assert chain.pop(event.height)[0] == event.hash
    return chain


@pytest.fixture(scope="module")
def node():
    """The recorded node, at the end of its sequence."""
    with ReplayNode(EXAMPLE, events_per_poll=0) as node:
        node.play_all()
        yield node


@pytest.fixture(scope="module")
def followed(node: ReplayNode) -> MemoryLog:
    log = MemoryLog()
    with connector(node, log) as following:
        step_until_idle(following)
    return log


def test_every_block_is_there_with_the_node_s_own_median_time(followed: MemoryLog):
    chain = main_chain(events_of(followed))
    recorded = {}
    with gzip.open(EXAMPLE / "chain.jsonl.gz", "rt") as lines:
        for line in lines:
            block = json.loads(line)
            recorded[block["hash"]] = block
    assert sorted(chain) == list(range(1, 5114))
    for height, (block_hash, prev, time, mediantime, _) in chain.items():
        block = recorded[block_hash]
        assert (block["height"], block["prev"], block["time"], block["mediantime"]) == (height, prev, time, mediantime)


def test_outflows_are_those_an_independent_program_found(followed: MemoryLog):
    found = set()
    for height, (_, _, time, _, transactions) in main_chain(events_of(followed)).items():
        day = almaty_date(time)
        if (day.year, day.month) != (2026, 10):
            continue
        for tx in transactions:
            if tx.inputs or (tx.is_coinbase and any(output.wallet for output in tx.outputs)):
                found |= {(tx.txid, output.vout, output.address or "", int(output.value), height, day) for output in tx.outputs}
                if not tx.is_coinbase:
                    found.add((tx.txid, -1, "", int(tx.fee), height, day))
    with (EXAMPLE / "expected" / "outflows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        (row["txid"], int(row["vout"]), row["address"], int(row["amount_sat"]), int(row["block_height"]), date.fromisoformat(row["date"]))
        for row in rows
    }
    assert found == expected
    assert len(rows) == len(expected)


def test_balances_are_those_an_independent_program_found(followed: MemoryLog):
    summary = json.loads((EXAMPLE / "expected" / "summary.json").read_text())
    last = summary["closable"]["last_block_height"]
    chain = main_chain(events_of(followed))
    first = 1 + max(height for height, block in chain.items() if almaty_date(block[2]) < date(2026, 10, 1))
    sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for height, (_, _, _, _, transactions) in chain.items():
        for tx in transactions:
            for output in tx.outputs:
                if output.wallet and height <= last:
                    sums[output.wallet]["closing_sat"] += int(output.value)
                    sums[output.wallet]["opening_sat"] += int(output.value) if height < first else 0
            for source in tx.inputs:
                if height <= last:
                    sums[source.wallet]["closing_sat"] -= int(source.value)
                    sums[source.wallet]["opening_sat"] -= int(source.value) if height < first else 0
    with (EXAMPLE / "expected" / "balances.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert sums[row["wallet"]]["closing_sat"] == int(row["closing_sat"]) == int(row["unspent_sat"])
            assert sums[row["wallet"]]["opening_sat"] == int(row["opening_sat"])


def test_what_the_script_meant_to_do_is_what_was_found(followed: MemoryLog):
    truth = json.loads((EXAMPLE / "truth.json").read_text())
    found = {tx.txid: tx for block in main_chain(events_of(followed)).values() for tx in block[4]}
    assert truth["traps"]["replaced"]["old"] not in {
        tx.txid for event in events_of(followed) if isinstance(event, Connect) for tx in event.transactions
    }
    n_checked = 0
    for meant in truth["transactions"]:
        if meant["txid"] in found:  # the amounts may differ: fees subtracted, the change
            assert set(meant["outputs"]) <= {output.address for output in found[meant["txid"]].outputs}
            n_checked += 1
    assert n_checked > 40
    for trap in ("op_return", "paid_before_wallet_change", "unknown_outflow"):
        assert truth["traps"][trap] in found
    assert truth["traps"]["replaced"]["new"] in found


def test_every_transaction_proves_itself_against_its_header(followed: MemoryLog):
    n_proven = 0
    for event in events_of(followed):
        headers = event.header if isinstance(event, Stretch) else [event.header] if isinstance(event, Connect) else []
        hashes = event.hash if isinstance(event, Stretch) else [event.hash] if isinstance(event, Connect) else []
        assert [parse_header(bytes.fromhex(header)).hash.hex() for header in headers] == hashes
        for tx in event.transactions if isinstance(event, Connect) else []:
            assert double_sha256(bytes.fromhex(tx.raw))[::-1].hex() == tx.txid
            branch = [bytes.fromhex(neighbour) for neighbour in tx.branch]
            assert root_of_branch(bytes.fromhex(tx.txid), tx.position, branch) == parse_header(bytes.fromhex(event.header)).merkle_root
            n_proven += 1
    assert n_proven > 400


@pytest.fixture(scope="module")
def young_node():
    """The recorded node when the month was a third old."""
    with ReplayNode(EXAMPLE, events_per_poll=0) as node:
        node.play(1500)
        yield node


def _bytes_written(node: ReplayNode, strategy: str) -> list[tuple[str, bytes]]:
    """What a strategy writes. Asked without HTTP, through which the other tests go, in every strategy."""
    log = MemoryLog()
    with connector(node, log, connection=unwired(node), strategy=strategy, blocks_a_step=2000) as following:
        step_until_idle(following)
        assert following.describe().method == strategy
        assert following.describe().lag_blocks == 0
    return [(record.id, record.value) for record in log.read({})]


def test_every_strategy_writes_the_same_bytes(young_node: ReplayNode):
    written = {name: _bytes_written(young_node, name) for name in NAMES}
    assert len(written["rest"]) > 100
    for name in NAMES:
        assert written[name] == written["rest"], name


@pytest.mark.parametrize("strategy", ["scanblocks-rest", "rest", "own-outputs"])
def test_over_the_whole_month_too(node: ReplayNode, followed: MemoryLog, strategy: str):
    assert _bytes_written(node, strategy) == [(record.id, record.value) for record in followed.read({})]


def test_followed_live_it_ends_with_the_same_facts_through_all_reorganisations(followed: MemoryLog, tmp_path: Path):
    with ReplayNode(EXAMPLE, events_per_poll=0) as node, SqliteLog(tmp_path / "log") as log:
        with connector(node, log) as following:
            node.play(4800)
            step_until_idle(following)
            while node.play(1):  # between a block that leaves and the one in its place the node lags: it is waited for
                while not isinstance(following.step(), Idle | Waiting):
                    continue
        live = events_of(log)
    assert main_chain(live) == main_chain(events_of(followed))
    gone = [event for event in live if isinstance(event, Disconnect)]
    truth = json.loads((EXAMPLE / "truth.json").read_text())
    assert {event.hash for event in gone} >= set(truth["traps"]["reorged_over_month_end"]["dropped"])
    assert [event.seq for event in live] == list(range(len(live)))
    assert [event.id for event in live] == [f"bitcoin:{n}" for n in range(len(live))]


def test_a_range_too_short_grows_and_what_was_read_is_read_again(node: ReplayNode, followed: MemoryLog):
    log = MemoryLog()
    with connector(node, log, wallets=wallets(addresses=False, length=2)) as following:
        steps = step_until_idle(following)
    assert any(isinstance(step, Rescanned) and step.n_disconnected for step in steps)
    assert any(isinstance(step, Rescanning) for step in steps)
    assert main_chain(events_of(log)) == main_chain(events_of(followed))
    newest = [event for event in events_of(log) if isinstance(event, Watch)][-1]
    assert newest.wallets[0].descriptor_range > 2


def test_a_wallet_configured_later_is_found_from_its_first_block_on(node: ReplayNode, followed: MemoryLog):
    log = MemoryLog()
    pool, treasury = wallets(descriptors=False)
    with connector(node, log, wallets=[pool]) as following:
        step_until_idle(following)
    assert not any(output.wallet == "treasury" for block in main_chain(events_of(log)).values() for tx in block[4] for output in tx.outputs)
    with connector(node, log, wallets=[pool, treasury]) as following:
        step_until_idle(following)
    assert main_chain(events_of(log)) == main_chain(events_of(followed))
    n_events = len(events_of(log))
    with connector(node, log, wallets=[treasury]) as following:  # what is no longer configured stays watched
        assert isinstance(following.step(), Idle)
    assert len(events_of(log)) == n_events


def test_a_wallet_s_new_name_is_stated_again(node: ReplayNode):
    log = MemoryLog()
    for name in ("treasury", "savings"):
        only = [WatchedWallet(name=name, addresses=POOL["wallets"][1]["addresses"])]
        with connector(node, log, wallets=only) as following:
            step_until_idle(following)
    names = {output.wallet for block in main_chain(events_of(log)).values() for tx in block[4] for output in tx.outputs}
    assert names == {"savings", None}


def test_reading_may_begin_anywhere(node: ReplayNode, followed: MemoryLog):
    for strategy, start in (("rest", 4000), ("rpc-verbose", 4705), ("scanblocks-rpc", 5000)):
        log = MemoryLog()
        with connector(node, log, start_height=start, strategy=strategy) as following:
            step_until_idle(following)
        everything = main_chain(events_of(followed))
        assert main_chain(events_of(log)) == {height: block for height, block in everything.items() if height >= start}


def test_spends_known_from_the_log_alone_need_all_of_history(node: ReplayNode):
    from connectors.bitcoin.errors import NotOffered

    with (
        connector(node, MemoryLog(), start_height=4000, strategy="rpc-raw") as following,
        pytest.raises(NotOffered, match="start_height is above 1"),
    ):
        following.step()


def test_from_the_genesis_block_on(node: ReplayNode):
    for strategy in NAMES:
        log = MemoryLog()
        with connector(node, log, start_height=0, strategy=strategy, blocks_a_step=40) as following:
            following.step()
        chain = main_chain(events_of(log))
        assert chain[0][:2] == ("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206", "0" * 64)
        assert max(chain) == 39


def test_a_log_that_begins_later_or_elsewhere_is_refused(node: ReplayNode):
    log = MemoryLog()
    with connector(node, log, start_height=5000) as following:
        step_until_idle(following)
    with connector(node, log, start_height=1) as following, pytest.raises(SettingsError, match="start a new log"):
        following.step()
    with (
        connector(node, log, start_height=5000, network="signet", wallets=[WatchedWallet(name="w", descriptors=["raw(51)"])]) as following,
        pytest.raises(SettingsError, match="is of network regtest"),
    ):
        following.step()


def test_a_damaged_log_is_not_followed_on_from(node: ReplayNode):
    log = MemoryLog()
    with connector(node, log, start_height=5100) as following:
        step_until_idle(following)
    last = events_of(log)[-1]
    assert isinstance(last, Stretch | Connect)
    from pipeline.log.events import encode

    with log.writer("chain", "pool/bitcoin") as writer:
        writer.append([encode(Disconnect(id="bitcoin:99", seq=99, chain="bitcoin", height=1, hash="a" * 64, prev="b" * 64))])
    with connector(node, log, start_height=5100) as following, pytest.raises(LogError, match="chain/0@"):
        following.step()
