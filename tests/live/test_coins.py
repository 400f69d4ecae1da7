"""A bundle's coins against a real node (ADR 15): October 2026 of a small pool on the regtest of Bitcoin Core and of Litecoin Core, honest, and with transactions left out whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector
from connectors.bitcoin.coins import NodeOfCoins
from connectors.standins.log_memory import MemoryLog
from pipeline.app.audit import verify_with_node
from pipeline.app.filters import lay_filters
from pipeline.app.months import month_state
from pipeline.assess.month import assess_month
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.freeze.bundle import Content, Version, write_bundle, write_report
from pipeline.freeze.freeze import transactions_to_prove
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules
from pipeline.store import Store
from pipeline.store.evidence import read_evidence
from pipeline.store.facts import write_enriched
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month
from pipeline.verify.filters import check_filters, filter_spans
from pipeline.verify.finding import Check
from pipeline.verify.opened import OpenBundle

from ..forgery.forger import own_copy, rewritten
from ..forgery.test_coins import without
from ..integration.example_month import esep
from ..integration.test_bitcoin_follow import step_until_idle
from .bitcoind import find_bitcoind, why_not
from .regtest_node import Coin, RegtestNode, coinbase_of, find_program, lock, private_key, spend

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Side:
    """A daemon, and the chain that it is of."""

    program: str | None
    absent: str
    """Why its tests are not run, where it is not there."""
    chain: str
    network: str
    asset: str
    options: tuple[str, ...]


SIDES = {
    "Bitcoin Core": Side(find_bitcoind(), why_not(), "bitcoin", "regtest", "BTC", ("-blockfilterindex=1",)),
    "Litecoin Core": Side(
        find_program("litecoind", "ESEP_LITECOIND"), "no litecoind on PATH, and ESEP_LITECOIND does not name one", "litecoin", "litecoin_regtest", "LTC", ()
    ),
}  # fmt: skip
OCTOBER = Month(2026, 10)
POOL, MINER, STRANGER = private_key("pool"), private_key("miner"), private_key("stranger")
HEADER = dict.fromkeys(("bin", "name", "address", "telephone", "email", "executor_name", "executor_telephone", "head_name"), "x")


def rules_of(side: Side) -> Rules:
    return Rules(
        assets={side.asset: Asset(side.asset, side.chain, 8)}, finality={side.chain: 6}, payout_unit={side.asset: 1}, has_payments_ledger=False,
        network={side.chain: side.network},
    )  # fmt: skip


def at(text: str) -> int:
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("Asia/Almaty")).timestamp())


class Pool:
    """A node with the pool's month on it, and the names of its transactions."""

    def __init__(self, node: RegtestNode, side: Side) -> None:
        self.node, self.side = node, side
        self.stranger = self.address("wpkh", STRANGER)
        self.named: dict[str, str] = {}

    def address(self, kind: str, key: object) -> str:
        return str(address_of(lock(kind, key), network(self.side.network)))

    def block(
        self, when: str, name: str = "", coins: list[Coin] | None = None, outputs: list[tuple[str, object, int]] | None = None
    ) -> None:
        """A block of that time, with one transaction of that name."""
        self.node.rpc.call("setmocktime", at(when))
        if not coins:
            self.node.mine(self.stranger)
            return
        raw, self.named[name] = spend(coins, [(lock(kind, key), value) for kind, key, value in outputs or []])
        self.node.mine_with(self.stranger, [raw])

    def play(self) -> None:
        node = self.node
        node.rpc.call("setmocktime", at("09-01 00:00"))
        funds = [coinbase_of(node, block, "wpkh", STRANGER) for block in node.mine(self.stranger, 2)]
        rewards = [coinbase_of(node, block, "pkh", POOL) for block in node.mine(self.address("pkh", POOL), 4)]
        node.mine(self.stranger, 105)
        value = rewards[0].value
        self.block("10-05 12:00", "first", [rewards[0]], [("wpkh", MINER, 1000), ("wpkh", POOL, value - 2000)])
        change = Coin(self.named["first"], 1, value - 2000, "wpkh", POOL)
        self.block("10-08 12:00", "second", [change], [("wpkh", MINER, 5000), ("wpkh", POOL, value - 8000)])
        self.block("10-10 12:00", "whole", [rewards[1]], [("wpkh", MINER, value - 500)])
        self.block("10-12 12:00", "kept", [funds[0]], [("wpkh", POOL, 7_000), ("wpkh", STRANGER, funds[0].value - 8_000)])
        self.block("10-15 12:00", "came", [funds[1]], [("wpkh", POOL, 9_000), ("wpkh", STRANGER, funds[1].value - 10_000)])
        self.block("10-16 12:00", "went", [Coin(self.named["came"], 0, 9_000, "wpkh", POOL)], [("wpkh", MINER, 8_500)])
        self.block("10-31 23:00")
        for n in range(12):
            self.block(f"11-01 {n:02}:30")
        self.rewards = rewards

    def play_on(self) -> None:
        """What happens after the month was frozen: a coin of its closing set is spent."""
        self.block("11-05 12:00", "later", [self.rewards[2]], [("wpkh", MINER, self.rewards[2].value - 500)])
        self.block("11-05 13:00")


@pytest.fixture(scope="module", params=SIDES)
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    side = SIDES[request.param]
    if side.program is None:
        pytest.skip(side.absent)
    with RegtestNode(side.program, "-txindex", "-rest", *side.options) as node:
        pool = Pool(node, side)
        pool.play()
        node.wait_for_indexes()
        yield pool


@pytest.fixture(scope="module")
def frozen(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The honest bundle, frozen before the last coin was spent. Nobody changes it: copy it."""
    log, node, side, rules = MemoryLog(), pool.node, pool.side, rules_of(pool.side)
    wallets = [WatchedWallet(name="hot", descriptors=[f"raw({lock(kind, POOL).hex()})" for kind in ("pkh", "wpkh")])]
    settings = BitcoinChain(
        pool_id="pool", chain=side.chain, asset=side.asset, network=side.network, rpc_url=node.rpc_url, cookie_path=node.cookie_path, wallets=wallets,
        start_height=1, blocks_a_step=500,
    )  # fmt: skip
    with BitcoinConnector(log, settings) as following:
        step_until_idle(following)
    folder = tmp_path_factory.mktemp("coins") / "months" / "2026-10" / "v1"
    with Store.open(folder.parents[2] / "store.duckdb") as store:
        Ingest(log, store).catch_up()
        state = month_state(store, OCTOBER)
        assessed = assess_month(state, OCTOBER, rules)
        write_enriched(store, str(OCTOBER), assessed.enriched)
        version = Version(OCTOBER, 1, rules, HEADER, ["kk"], at("11-02 10:00"), "A. Person", "test")
        evidence = read_evidence(store.connection, transactions_to_prove(assessed.enriched, rules, state.facts))
        report = write_report(assessed.enriched, rules, folder)
        write_bundle(
            Content(version, state, assessed, evidence), report, export=lambda path: export_month(store.connection, "2026-10", path)
        )
    pool.play_on()
    return folder


@pytest.fixture
def bundle(frozen: Path, tmp_path: Path) -> Path:
    return own_copy(frozen, tmp_path)


def asked(bundle: Path, node: RegtestNode, *, reads_blocks: bool = False) -> tuple[Check, Check]:
    """What the checks of coins and of the node come to."""
    checks = {check.name: check for check in verify_with_node(bundle, node.rpc_url, node.cookie_path, reads_blocks=reads_blocks)}
    return checks["coins"], checks["node"]


def test_an_honest_bundle_agrees_with_the_node(bundle: Path, pool: Pool) -> None:
    coins, node = asked(bundle, pool.node, reads_blocks=True)
    assert coins.holds and node.holds and not node.undecided, (coins.detail, node.detail, node.undecided)
    assert "1 were spent after block" in node.detail and "stands in the facts" in node.detail
    assert not any("--node" in word for word in coins.on_word) and not node.not_checked and not node.on_word


@pytest.mark.parametrize(
    ("hidden", "named"),
    [("whole", "is spent, but in no block after"), ("kept", "the closing set lacks it"), ("second", "is spent, but in no block after")],
)
def test_a_transaction_left_out_whole_is_found_by_the_node(bundle: Path, pool: Pool, hidden: str, named: str) -> None:
    """A payout without change, a deposit that still lies there, a payout with change: offline each agrees with itself."""
    coins, node = asked(rewritten(bundle, **without(pool.named[hidden])), pool.node)
    assert coins.holds and not node.holds and named in node.detail


def test_what_came_and_went_is_found_in_the_blocks(bundle: Path, pool: Pool) -> None:
    forged = rewritten(rewritten(bundle, **without(pool.named["came"])), **without(pool.named["went"]))
    coins, node = asked(forged, pool.node)
    assert coins.holds and node.holds and "--node-blocks" in node.not_checked
    _, node = asked(forged, pool.node, reads_blocks=True)
    assert not node.holds and pool.named["came"] in node.detail and pool.named["went"] in node.detail


def with_filters(bundle: Path, pool: Pool) -> Path:
    """The node's own filters beside the bundle, as `esep filters` lays them there."""
    if "-blockfilterindex=1" not in pool.side.options:
        pytest.skip("Litecoin Core is asked without filters here")
    (span,) = filter_spans(OpenBundle(bundle, ()))
    node = NodeOfCoins(pool.node.rpc_url, pool.node.cookie_path, [span.network])
    try:
        lay_filters(bundle, span, node)
    finally:
        node.close()
    return bundle


def test_the_node_s_filters_beside_the_bundle_are_proved_by_the_node(bundle: Path, pool: Pool) -> None:
    coins, node = asked(with_filters(bundle, pool), pool.node)
    assert coins.holds and node.holds and "the filters are the node's" in node.detail, (node.detail, node.on_word)
    assert not node.not_checked, "nothing is left for --node-blocks"


def test_what_came_and_went_is_found_by_the_filters_without_a_node(bundle: Path, pool: Pool) -> None:
    forged = rewritten(rewritten(bundle, **without(pool.named["came"])), **without(pool.named["went"]))
    check = check_filters(OpenBundle(with_filters(forged, pool), ()))
    assert all(any(pool.named[name] in fault for fault in check.faults) for name in ("came", "went")), check.faults


def test_another_chain_and_a_node_that_is_behind(bundle: Path, pool: Pool) -> None:
    with RegtestNode(str(pool.side.program)) as other:
        other.mine(pool.address("wpkh", MINER), 5)
        _, node = asked(bundle, other)
        assert node.holds and "ask again when it has caught up" in node.undecided
        other.mine(pool.address("wpkh", MINER), 200)
        _, node = asked(bundle, other)
        assert not node.holds and "the bundle's is another chain" in node.detail


def test_by_command_with_a_login_from_a_file(bundle: Path, pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = pool.node.cookie_path.read_text().strip()
    esep("verify", bundle, "--test-network", "--json", "--node", pool.node.rpc_url, "--node-login", pool.node.cookie_path, "--node-blocks")
    told = capsys.readouterr()
    found = {check["name"]: check for check in json.loads(told.out)["checks"]}
    assert found["node"]["holds"] and "is in the main chain" in found["node"]["detail"]
    wrong = tmp_path / "login"
    wrong.write_text("somebody:wrong-secret")
    assert esep("verify", bundle, "--node", pool.node.rpc_url, "--node-login", wrong) != 0
    assert esep("verify", bundle, "--node", pool.node.rpc_url.replace("//", "//somebody:wrong-secret@")) == 2
    assert esep("verify", bundle, "--node-login", wrong) == 2
    more = capsys.readouterr()
    assert not any(word in text for text in (*told, *more) for word in (secret.split(":")[1], "wrong-secret"))
