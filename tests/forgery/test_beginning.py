"""A bundle whose allocations begin with its opening line: what may stand in the line and beside it, and what the month before proves of it (ADR 27)."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipeline.assess.opening_line import OPENING_LINE_CSV, digest_of_line, line_of, printed_line
from pipeline.enrich.frames import ALLOCATIONS, OPENINGS
from pipeline.enrich.line import OPEN_ALLOCATIONS, OPEN_CREDITS, Line
from pipeline.enrich.opening import Beginning
from pipeline.model.months import Month
from pipeline.render.csv_parts import read_text
from pipeline.verify.files import read_facts
from pipeline.verify.opened import OpenBundle
from pipeline.verify.opening_line import _beginning_faults

from .forger import check_of, frame, manifest_of, own_copy, resealed, rewritten, verified

pytestmark = pytest.mark.usefixtures("no_forms")
DAY_US = 86_400_000_000


@pytest.fixture
def alone(honest_line: Path, tmp_path: Path) -> Path:
    """October's bundle alone, to spoil."""
    return own_copy(honest_line, tmp_path)


@pytest.fixture
def october(honest_line: Path, tmp_path: Path) -> Path:
    """October's bundle beside September's, to spoil both."""
    copy = tmp_path / "months"
    shutil.copytree(honest_line.parent.parent, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy / "2026-10" / "v1"


def with_line(**changes: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], object]:
    """Allocations or credits of the line changed, and all the rest made anew."""

    def line(honest: Line) -> Line:
        return dataclasses.replace(honest, **{name: change(getattr(honest, name)) for name, change in changes.items()})

    return lambda bundle: rewritten(bundle, line=line)


def an_invented_credit(credits: pl.DataFrame) -> pl.DataFrame:
    """A transfer of 28 September that no block has, to a miner who was never paid ahead."""
    row: dict[str, Any] = {
        "chain": "bitcoin", "txid": "ab" * 32, "address": "bcrt1qnobody", "asset": "BTC", "via": "", "instant": 1_790_600_000_000_000,
        "date": date(2026, 9, 28), "payment_id": "P-invented", "miner_id": "990140000019", "amount": 5, "whole": 5, "transfer_amount": 5, "payer": None,
    }  # fmt: skip
    return pl.concat([credits, pl.DataFrame([row], schema=OPEN_CREDITS)])


def in_the_file(**changes: pl.Expr) -> Callable[[Path], object]:
    """The line's file changed, and the digests of it."""

    def forge(bundle: Path) -> None:
        path = bundle / OPENING_LINE_CSV
        path.write_text(read_text(path).with_columns(**changes).write_csv(line_terminator="\n"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        resealed(bundle, lambda manifest: manifest["debts"].update(opening_line_digest=digest))

    return forge


def later(column: str, by: int) -> pl.Expr:
    return (pl.col(column).cast(pl.Int64) + by).cast(pl.String)


def an_allocation_of_before_beside_the_line(bundle: Path) -> None:
    """Of the month, told to be of September in the facts: the line does not have it."""
    first = read_facts(bundle / "evidence" / "facts").allocations["allocation_id"][0]
    earlier = pl.when(pl.col("allocation_id") == first).then(pl.col("allocated_at") - 20 * DAY_US).otherwise("allocated_at")
    rewritten(bundle, facts=frame("allocations", lambda rows: rows.with_columns(allocated_at=earlier)))


def another_start(bundle: Path) -> None:
    rewritten(bundle, starts_at=lambda at: at + 60 * DAY_US)


def no_line(bundle: Path) -> None:
    (bundle / OPENING_LINE_CSV).unlink()
    resealed(bundle)


def a_line_of_the_first_format(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["debts"].pop("line_format") and None)


BEGINNINGS = [
    (in_the_file(instant_us=later("instant_us", 30 * DAY_US)), "4 line(s) dated in the month or after it"),
    (an_allocation_of_before_beside_the_line, "1 allocation(s) of other months beside the opening line"),
    (with_line(credits=an_invented_credit), "credits of 1 transfer(s) that the chain and the payments do not give"),
    (another_start, "settlement can't have begun at the instant that the manifest says"),
    (no_line, f"and it has no {OPENING_LINE_CSV} of format 2"),
    (a_line_of_the_first_format, f"and it has no {OPENING_LINE_CSV} of format 2"),
    (in_the_file(left_units=later("amount_units", 1)), "can't be read"),
]
"""What the catalogue takes: each is caught by the check of debts, in these words."""


@pytest.mark.parametrize(("forge", "named"), BEGINNINGS, ids=[named for _, named in BEGINNINGS])
def test_a_forged_beginning_is_caught(alone: Path, forge: Callable[[Path], object], named: str) -> None:
    forge(alone)
    told = check_of(alone, "debts")
    assert not told.holds and named in told.detail, told.detail


def test_the_month_before_proves_the_line_else_the_signers_word(october: Path) -> None:
    checks = {check.name: check for check in verified(october, left_out=["documents"])}
    assert [(check.name, check.detail) for check in checks.values() if not check.holds] == []
    assert "the allocations begin with the opening line, 4 unsettled allocation(s)" in checks["debts"].detail
    assert "the opening line is the closing line of 2026-09 v1, one by one, as its bundle beside this one says" in checks["debts"].detail
    assert checks["debts"].on_word == ()
    shutil.rmtree(october.parent.parent / "2026-09")
    told = check_of(october, "debts")
    assert told.holds and any(word.startswith("which allocations were unsettled when the month began") for word in told.on_word)


def test_a_line_forged_with_all_the_rest_is_not_the_one_that_the_month_before_closed_with(october: Path) -> None:
    """Another commission of an unsettled allocation is in no sum: the line's digest has it."""
    dearer = pl.when(pl.col("allocation_id") == "A000105").then(pl.col("commission_amount") + 1).otherwise("commission_amount")
    with_line(allocations=lambda rows: rows.with_columns(commission_amount=dearer))(october)
    told = check_of(october, "debts")
    assert told.holds and "changed since: 1 with another amount, instant or rest (A000105), as its bundle" in told.detail, told.detail
    with_line(allocations=lambda rows: rows.filter(pl.col("allocation_id") != "A000105"))(october)
    assert "changed since: 1 gone (A000105)" in check_of(october, "debts").detail


def test_a_month_before_that_states_its_line_in_the_first_format(october: Path) -> None:
    """As a program of before stated it: the line that its facts leave is compared, row by row."""
    september = october.parent.parent / "2026-09" / "v1"
    digest = digest_of_line(printed_line(OpenBundle(september, []).enriched.closing_line, 1))

    def stated(section: dict[str, Any]) -> None:
        section.update(closing_line_digest=digest)
        del section["line_format"]

    resealed(september, lambda manifest: stated(manifest["debts"]))
    resealed(october, lambda manifest: stated(manifest["debts"]["previous"]))
    told = check_of(october, "debts")
    assert told.holds and "the opening line is what the facts of 2026-09 v1 leave open, one by one" in told.detail, told.detail
    with_line(allocations=lambda rows: rows.filter(pl.col("allocation_id") != "A000105"))(october)
    assert (
        "the opening line is not the closing line of 2026-09 v1: allocations or credits of before the month changed since: 1 gone"
        in check_of(october, "debts").detail
    )
    shutil.rmtree(september)
    assert any("its digest is of another format" in word for word in check_of(october, "debts").on_word)


def test_the_file_is_the_line_and_the_facts_have_the_month_alone(alone: Path) -> None:
    manifest, facts = manifest_of(alone), read_facts(alone / "evidence" / "facts")
    assert line_of(read_text(alone / OPENING_LINE_CSV)).allocations.height == 4
    assert manifest["starts_at"] < facts.allocations["allocated_at"].min()


def test_an_unused_payment_off_chain_is_as_exact_as_its_instant() -> None:
    """Its `paid_at` has microseconds, where the tables of transfers have seconds."""
    instant = 1_790_600_000_250_000
    credits = an_invented_credit(pl.DataFrame(schema=OPEN_CREDITS)).with_columns(
        instant=pl.lit(instant), via=pl.lit("shop"), payer=pl.lit("shop")
    )
    transfers = credits.select("txid", "address", "asset", "payer", "amount", credited="whole", at=pl.col("instant") // 1_000_000)
    facts = SimpleNamespace(allocations=pl.DataFrame(schema=ALLOCATIONS), openings=pl.DataFrame(schema=OPENINGS))
    bundle: Any = SimpleNamespace(facts=facts, enriched=SimpleNamespace(transfers=transfers))
    line = Line(pl.DataFrame(schema=OPEN_ALLOCATIONS), credits)
    assert _beginning_faults(bundle, Beginning(Month(2026, 10), instant - DAY_US, line)) == []
    bundle.enriched.transfers = transfers.with_columns(pl.col("at") + 1)
    assert len(_beginning_faults(bundle, Beginning(Month(2026, 10), instant - DAY_US, line))) == 1
