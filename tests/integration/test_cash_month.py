"""A month of eCash from a node to a verified bundle: CashAddr addresses, two decimals, what the network takes of a coinbase, facts on record (ADR 21)."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector
from connectors.standins.bitcoin_node import ReplayNode
from connectors.standins.log_memory import MemoryLog
from pipeline.app.months import month_state
from pipeline.assess.month import assess_month
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.networks import networks_over
from pipeline.freeze.bundle import Content, Version
from pipeline.freeze.freeze import begin_freeze, freeze_month, transactions_to_prove
from pipeline.log.events import encode
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.events.ledger import AllocationColumns, Allocations, Complete
from pipeline.log.events.registry import AccountRow, LicenceRow, MinerRow, Registry, WalletRow
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules
from pipeline.store import Store
from pipeline.store.evidence import read_evidence
from pipeline.store.facts import write_enriched
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month
from pipeline.verify.bundle import verify_bundle

from ..unit.chains.bitcoin.chains import transaction
from .recordings import Chain, double
from .test_bitcoin_follow import step_until_idle

MONTH = Month(2026, 10)
SATS = 5_000_000_000
"""Base units that a block of regtest creates: 50,000,000 XEC."""
POOL, ANNA, FUND, STAKER = (b"\x76\xa9\x14" + bytes([n]) * 20 + b"\x88\xac" for n in (1, 2, 3, 4))
PAID, FEE = 1_234_567, 300
HEADER = dict.fromkeys(("bin", "name", "address", "telephone", "email", "executor_name", "executor_telephone", "head_name"), "x")


def at(text: str) -> int:
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("Asia/Almaty")).timestamp())


def known() -> Network:
    """eCash's regtest, with the shares that its main network takes."""
    shares = [{"name": "miner fund", "part": [32, 100], "address": address(FUND)}, {"name": "staking reward", "part": [10, 100]}]
    return own(shares=shares)


def own(**keys: object) -> Network:
    found, faults = networks_over({"ecash_regtest": keys}, "own")
    network = found.of("ecash_regtest")
    assert faults == [] and isinstance(network, Network)
    return network


def address(script: bytes) -> str:
    text = address_of(script, own())
    assert text is not None and text.startswith("ecregtest:q")
    return text


class CashChain(Chain):
    """Blocks with work; a coinbase of the pool's pays the fund and a staker, too."""

    def coinbase(self, height: int, script: bytes, value: int, salt: int = 0) -> bytes:  # type: ignore[override]
        mark = b"\x03" + height.to_bytes(3, "little") + b"\x04" + salt.to_bytes(4, "little")
        taken = [(value * 32 // 100, FUND), (value * 10 // 100, STAKER)] if script == POOL else []
        own = value - sum(share for share, _ in taken)
        return transaction([(bytes(32), 0xFFFFFFFF, mark, 0xFFFFFFFF)], [(own, script), *taken])

    def joined(self, when: str, *payments: bytes, script: bytes = b"\x51") -> str:
        """A block at that time, joined to the main chain; its time moves until its hash meets the target."""
        self.clock = at(when)
        for second in range(60):
            made = self.mine(*payments, script=script, time=self.clock + second)
            if made[0] in "01234567":
                return self.connect(made)
            del self.blocks[made]
        raise AssertionError("no work found")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ecash")
    chain = CashChain()
    mined = chain.joined("10-02 10:00", script=POOL)
    raw = bytes.fromhex(chain.blocks[mined]["raw"])
    coinbase = double(raw[81:])[::-1]
    kept = SATS - SATS * 42 // 100 - PAID - FEE
    chain.joined("10-05 10:00", transaction([(coinbase, 0, b"\x00", 0xFFFFFFFF)], [(PAID, ANNA), (kept, POOL)]))
    for when in ("10-06 10:00", *(f"11-01 {hour:02}:00" for hour in range(8, 20))):
        chain.joined(when)
    rules = Rules(
        assets={"XEC": Asset("XEC", "ecash", 2)}, finality={"ecash": 2}, payout_unit={"XEC": 1}, has_payments_ledger=False,
        network={"ecash": "ecash_regtest"}, network_facts={"ecash_regtest": known().facts.to_json()},
    )  # fmt: skip
    log = MemoryLog()
    with ReplayNode(chain.write(folder / "recorded"), events_per_poll=0) as node:
        node.play_all()
        settings = BitcoinChain(
            pool_id="pool", chain="ecash", asset="XEC", network="ecash_regtest", known=known(), rpc_url=node.rpc_url, cookie_path=node.cookie_path,
            wallets=[WatchedWallet(name="hot", addresses=[address(POOL)])], start_height=1,
        )  # fmt: skip
        with BitcoinConnector(log, settings) as following:
            step_until_idle(following)
    none = [None]
    rows = AllocationColumns(
        allocation_id=["A1"], version=[1], account=["anna"], asset=["XEC"], allocated_at=[at("10-04 10:00") * 1_000_000], amount=[str(PAID)],
        commission_asset=none, commission_amount=none, commission_currency=none, commission_currency_amount=none,
    )  # fmt: skip
    miner = "900101300017"
    registry = Registry(
        id="registry:1", version=1, digest="ab" * 32, part=0, parts=1, miners=[MinerRow(miner_id=miner, name="Anna")],
        licences=[LicenceRow(miner_id=miner, licence_number="KZ1", issue_date="2026-01-01", valid_from="2026-01-01")],
        accounts=[AccountRow(account="anna", miner_id=miner, valid_from="2026-01-01")],
        wallets=[WalletRow(address=address(ANNA), chain="ecash", miner_id=miner, valid_from="2026-01-01")],
    )  # fmt: skip
    with log.writer("ledger", "pool") as writer:
        writer.append([encode(Allocations(id="a:1", source="a.csv", rows=rows)), encode(Complete(id="c:1", through="2026-10-31"))])
    with log.writer("registry", "pool") as writer:
        writer.append([encode(registry)])
    with Store.memory() as store:
        Ingest(log, store).catch_up()
        state = month_state(store, MONTH)
        assessed = assess_month(state, MONTH, rules)
        write_enriched(store, str(MONTH), assessed.enriched)
        version = Version(MONTH, 1, rules, HEADER, ["en"], at("11-02 10:00"), "A. Person", "test")
        evidence = read_evidence(store.connection, transactions_to_prove(assessed.enriched, rules, state.facts))
        made, _ = freeze_month(
            Content(version, state, assessed, evidence), begin_freeze(version, assessed, folder / "months"), folder / "months",
            export=lambda path: export_month(store.connection, str(MONTH), path), append=[].append,
        )  # fmt: skip
    return made.folder


def test_the_report_has_the_payout_in_coins_of_two_decimals_to_a_cash_address(bundle: Path) -> None:
    (row,) = csv.DictReader((bundle / "report.csv").read_text(encoding="utf-8").splitlines())
    assert "12345.67" in row.values() and address(ANNA) in ",".join(row.values())


def test_what_the_network_takes_of_the_coinbase_blocks_nothing(bundle: Path) -> None:
    outflows = list(csv.DictReader((bundle / "outflows.csv").read_text(encoding="utf-8").splitlines()))
    found = {row["address"]: row["class"] for row in outflows}
    assert (found[address(FUND)], found[address(STAKER)], found[address(ANNA)]) == ("network-share", "network-share", "payout")


def test_the_bundle_holds_and_names_the_facts_that_differ_from_ours(bundle: Path) -> None:
    checks = verify_bundle(bundle)
    assert {check.name: check.detail for check in checks if not check.holds} == {}
    words = [word for check in checks for word in check.on_word]
    assert any("what differs of ecash_regtest from what this program knows" in word and "shares" in word for word in words)
    assert json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["rules"]["network_facts"]["ecash_regtest"]["decimals"] == 2
