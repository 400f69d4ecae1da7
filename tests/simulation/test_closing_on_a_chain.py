"""Months closed on a simulated chain: a month with nothing in it, debts carried over, and a reorganisation after filing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest

from connectors.standins.filing_service import Faults, ReceivedSubmissions, SandboxServer
from pipeline.closing.notices import Notice
from pipeline.closing.steps import Act
from pipeline.closing.submission import State
from pipeline.model.errors import MonthError
from pipeline.model.months import Month
from pipeline.verify.bundle import verify_bundle

from ..integration.test_signing import write_p12
from .bitcoin_world import OURS
from .pool_world import BIN, MINER, MINER_ID, Pool, ScriptedWorld, at

pytestmark = pytest.mark.timeout(900)
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)


@pytest.fixture
def service() -> Iterator[SandboxServer]:
    with SandboxServer(ReceivedSubmissions(), Faults(), lambda: at("2026-12-01 00:00")) as server:
        yield server


class Told:
    """A way to people that remembers."""

    name = "told"

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        self.notices.append(notice)


def manifest(bundle: Path) -> dict:
    return json.loads((bundle / "manifest.json").read_bytes())


def faults(bundle: Path) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify_bundle(bundle) if not check.holds]


def two_payouts(world: ScriptedWorld) -> tuple[str, str]:
    """October: the pool's reward, a payout on the 12th and one on the 25th; then quiet. The txids of the payouts."""
    world.quiet(at("2026-09-25 00:00"), at("2026-10-01 00:00"))
    reward = world.mine(at("2026-10-01 12:00"), reward=OURS[0]).txs[0]
    first = world.pay((reward.txid, 0, 5_000_000_000), [(150_000_000, MINER)])
    world.quiet(at("2026-10-02 00:00"), at("2026-10-12 00:00"))
    world.mine(at("2026-10-12 12:00"), first)
    second = world.pay((first.txid, 1, first.pays[1][0]), [(50_000_000, MINER)])
    world.quiet(at("2026-10-13 00:00"), at("2026-10-25 00:00"))
    world.mine(at("2026-10-25 12:00"), second)
    return first.txid, second.txid


def in_october(pool: Pool, first: str, second: str) -> None:
    pool.register()
    pool.allocate(("A1", "2026-10-10 00:30", "1.50000000"), ("A2", "2026-10-20 00:30", "0.70000000"))
    pool.book(("P1", "2026-10-12 11:00", "1.50000000", first), ("P2", "2026-10-25 11:00", "0.50000000", second))


def test_a_month_with_nothing_in_it_is_frozen_signed_and_filed(tmp_path: Path, service: SandboxServer) -> None:
    world = ScriptedWorld()
    world.quiet(at("2026-09-28 00:00"), at("2026-11-08 00:00"))
    write_p12(tmp_path / "key.p12", unit=f"BIN{BIN}", password=None, begins=-3000, ends=36500)
    with Pool(tmp_path / "var", world, service, more='[signing]\nway = "pkcs12"\npkcs12_file = "../key.p12"\n') as pool:
        pool.register()
        pool.follow()
        pool.app.imports.declare_complete(OCTOBER.last)
        status = pool.look("2026-11-08 10:00")["2026-10"]
        assert status.step.act is Act.PERSON and "the ledger has no row" in status.step.why
        assert not service.submissions.entries, "an empty ledger is no empty month"
        pool.allocate(("A0", "2026-09-28 01:00", "0.00000000"))
        status = pool.look("2026-11-08 10:15")["2026-10"]
        assert status.life.state() is State.ACCEPTED, (status.trouble, status.step, status.unmet)
        bundle = pool.bundle("2026-10")
    assert (bundle / "report.csv").read_text().count("\n") == 1, "the header alone"
    assert manifest(bundle)["rows"] == 0 and manifest(bundle)["debts"]["totals"] == {}
    assert faults(bundle) == []
    (entry,) = service.submissions.entries.values()
    assert json.loads((bundle / "submissions" / entry.submission_id / "body").read_bytes())["signature"]
    assert (bundle / "report.pdf").read_bytes().startswith(b"%PDF")


def test_debts_carry_over_from_month_to_month_and_a_restatement_is_named(tmp_path: Path, service: SandboxServer) -> None:
    world = ScriptedWorld()
    first, second = two_payouts(world)
    world.quiet(at("2026-10-26 00:00"), at("2026-12-08 00:00"))
    with Pool(tmp_path / "var", world, service) as pool:
        in_october(pool, first, second)
        pool.follow()
        pool.app.imports.declare_complete(OCTOBER.last)
        assert pool.look("2026-11-08 10:00")["2026-10"].life.is_filed
        debts = manifest(pool.bundle("2026-10"))["debts"]
        assert debts["totals"]["BTC"] == {
            "opening": "0.00000000", "allocated": "2.20000000", "settled": "2.00000000", "closing": "0.20000000", "advance": "0.00000000"
        }  # fmt: skip
        assert debts["previous"] is None
        pool.app.imports.declare_complete(NOVEMBER.last)
        assert pool.look("2026-12-08 10:00")["2026-11"].life.is_filed
        november = manifest(pool.bundle("2026-11"))
        assert november["debts"]["previous"]["closing"] == {"BTC": "0.20000000"} and november["debts"]["restated"] is None
        assert november["debts"]["opening_digest"] == debts["closing_digest"]
        assert november["files"]["evidence/opening_line.csv"] == november["debts"]["opening_line_digest"] == debts["closing_line_digest"]
        assert november["debts"]["previous"]["closing_line_digest"] == debts["closing_line_digest"]
        assert faults(pool.bundle("2026-11")) == []
        # October's ledger is restated; December opens with what is true, and says by how much November closed with another debt.
        pool.allocate(("A2", "2026-10-20 00:30", "0.80000000"))
        world.quiet(at("2026-12-08 12:00"), at("2027-01-08 00:00"))
        pool.follow()
        pool.app.imports.declare_complete(Month(2026, 12).last)
        assert pool.look("2027-01-08 10:00")["2026-12"].life.is_filed
        december = pool.bundle("2026-12")
        assert manifest(december)["debts"]["restated"] == {"BTC": "+0.10000000"}
        (check,) = [check for check in verify_bundle(december) if check.name == "debts"]
        assert check.holds and "restated since 2026-11 v1: +0.10000000 BTC; 1 debt(s), in debts.csv on line(s) 1" in check.detail
    debts_csv = pl.read_csv(december / "debts.csv", infer_schema=False).to_dicts()
    assert debts_csv == [
        {"miner_id": MINER_ID, "asset": "BTC", "opening": "0.30000000", "allocated": "0.00000000", "settled": "0.00000000",
         "closing": "0.30000000", "advance": "0.00000000"}
    ]  # fmt: skip


def test_a_reorganisation_after_filing_is_told_drafted_amended_and_filed_anew(tmp_path: Path, service: SandboxServer) -> None:
    world, told = ScriptedWorld(), Told()
    first, second = two_payouts(world)
    paid = world.tip
    world.quiet(at("2026-10-26 00:00"), at("2026-11-08 00:00"))
    with Pool(tmp_path / "var", world, service) as pool:
        pool.desk.channels.append(told)
        in_october(pool, first, second)
        pool.follow()
        pool.app.imports.declare_complete(OCTOBER.last)
        assert pool.look("2026-11-08 10:00")["2026-10"].life.is_filed
        # Far below finality another branch wins: the payout of the 25th is in none of its blocks.
        assert paid.parent is not None
        world.quiet(at("2026-10-25 13:00"), at("2026-11-09 00:00"), parent=paid.parent)
        assert world.tip.height - paid.height > 6
        pool.follow()
        life = pool.look("2026-11-09 10:00")["2026-10"].life
        assert [(draft.version, draft.causes) for draft in life.drafts] == [(2, ["reorganisation"])]
        rows = {(row.change, row.allocation_id, row.txid): (row.cause, row.follows) for row in life.drafts[0].rows}
        assert rows == {("removed", "A2", second): ("reorganisation", ""), ("changed", "A2", ""): ("reorganisation", f"A2 {second}")}
        assert [notice.subject for notice in told.notices].count("2026-10: a reported transfer left the main chain") == 1
        pool.look("2026-11-09 10:15")
        assert len(life.drafts) == 1 and len(service.submissions.entries) == 1, "told and drafted once; nothing is filed by itself"
        # The ledger still says that it paid: a person waives that issue, then freezes the further version.
        pool.now = at("2026-11-09 11:00")
        with pytest.raises(MonthError, match="payment-not-on-chain"):
            pool.amend(OCTOBER, reason="the payout of 25 October left the chain")
        with pool.app.stores.current() as store:
            _, assessed = pool.app.months.assess(store, OCTOBER)
        issue = next(row for row in assessed.enriched.issues.to_dicts() if (row["code"], row["ref"]) == ("payment-not-on-chain", "P2"))
        pool.app.decisions.waive(month=OCTOBER, issue=issue, by="A. Person", reason="to be paid anew")
        assert pool.amend(OCTOBER, reason="the payout of 25 October left the chain").version == 2
        life = pool.look("2026-11-09 12:00")["2026-10"].life
        assert life.is_filed and life.version == 2
        old, new = service.submissions.entries.values()
        assert (new.version, new.amends, new.state) == ("2", old.submission_id, "accepted")
        reports = [msgspec.json.decode((pool.bundle("2026-10", version) / "report.json").read_bytes())["rows"] for version in (1, 2)]
        assert [sum(row["transfer_date"] is not None for row in rows) for rows in reports] == [2, 1]
        assert faults(pool.bundle("2026-10", 1)) == [] == faults(pool.bundle("2026-10", 2))
        assert manifest(pool.bundle("2026-10", 2))["debts"]["totals"]["BTC"]["closing"] == "0.70000000"
        assert pool.app.months.replay(pool.app.months.frozen(OCTOBER)[-1]).is_same
