"""The opening line in a bundle: forged in the file or in the facts, left out, and against the closing line of the month before (ADR 25)."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.assess.opening_line import OPENING_LINE_CSV

from .forger import check_of, frame, manifest_of, own_copy, resealed, rewritten
from .test_coins import OCTOBER, two_months

pytestmark = pytest.mark.usefixtures("no_forms")
OTHER = "comes out different from the facts, first on line"


def rows_of(bundle: Path) -> pl.DataFrame:
    return pl.read_csv(bundle / OPENING_LINE_CSV, infer_schema=False)


def with_rows(bundle: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """The file changed, and every digest of it made anew."""
    (bundle / OPENING_LINE_CSV).write_text(change(rows_of(bundle)).write_csv(line_terminator="\n"))
    digest = hashlib.sha256((bundle / OPENING_LINE_CSV).read_bytes()).hexdigest()
    resealed(bundle, lambda manifest: manifest["debts"].update(opening_line_digest=digest))


def an_allocation_left_out(bundle: Path) -> None:
    with_rows(bundle, lambda rows: rows.filter(pl.col("id") != "A000114"))


def another_id(bundle: Path) -> None:
    with_rows(bundle, lambda rows: rows.with_columns(pl.col("id").str.replace("A000114", "A000115")))


def another_amount(bundle: Path) -> None:
    with_rows(bundle, lambda rows: rows.with_columns(amount_units=pl.col("amount_units").str.replace("405213", "405214")))


def another_rest(bundle: Path) -> None:
    with_rows(bundle, lambda rows: rows.with_columns(left_units=pl.col("left_units").str.replace("405213", "405212")))


def no_line_at_all(bundle: Path) -> None:
    with_rows(bundle, lambda rows: rows.clear())


def the_file_alone_left_out(bundle: Path) -> None:
    (bundle / OPENING_LINE_CSV).unlink()
    resealed(bundle)


def a_digest_alone_left_out(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["debts"].pop("closing_line_digest") and None)


def another_closing_line(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["debts"].update(closing_line_digest="ab" * 32))


LINES = [
    (an_allocation_left_out, f"{OTHER} 3"),
    (another_id, f"{OTHER} 3"),
    (another_amount, f"{OTHER} 3"),
    (another_rest, f"{OTHER} 3"),
    (no_line_at_all, f"{OTHER} 1"),
    (the_file_alone_left_out, "and the digests of both lines, or none of them"),
    (a_digest_alone_left_out, "and the digests of both lines, or none of them"),
    (another_closing_line, "the manifest's debts come out different"),
]
"""What the catalogue takes: each is caught by the check of debts, in these words."""


@pytest.mark.parametrize(("forge", "named"), LINES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_forged_line_is_caught(bundle: Path, forge: Callable[[Path], None], named: str) -> None:
    forge(bundle)
    told = check_of(bundle, "debts")
    assert not told.holds and named in told.detail, told.detail


def test_a_bundle_without_any_of_it_says_what_is_then_on_the_signers_word(bundle: Path) -> None:
    (bundle / OPENING_LINE_CSV).unlink()
    resealed(bundle, _without_digests)
    told = check_of(bundle, "debts")
    assert told.holds and any(f"the bundle has no {OPENING_LINE_CSV}" in word for word in told.on_word)


def _without_digests(manifest: dict[str, Any]) -> None:
    for name in ("opening_line_digest", "closing_line_digest", "line_format"):
        del manifest["debts"][name]


@pytest.fixture(scope="module")
def months(honest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Honest September and October beside each other; October's bundle. Nobody changes it: copy it."""
    return two_months(own_copy(honest, tmp_path_factory.mktemp("months")), {}, OCTOBER)


@pytest.fixture
def october(months: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "months"
    shutil.copytree(months.parent.parent, copy)
    return copy / "2026-10" / "v1"


def test_the_month_before_proves_it_else_the_signers_word(october: Path) -> None:
    september = october.parent.parent / "2026-09" / "v1"
    told, closing = check_of(october, "debts"), manifest_of(september)["debts"]["closing_line_digest"]
    assert (
        told.holds and "the opening line is the closing line of 2026-09 v1, one by one, as its bundle beside this one says" in told.detail
    )
    assert told.on_word == () and rows_of(october).height == 4
    assert hashlib.sha256((october / OPENING_LINE_CSV).read_bytes()).hexdigest() == closing
    shutil.rmtree(september)
    told = check_of(october, "debts")
    assert told.holds and "closing line" not in told.detail
    assert any(
        "the opening line is the closing line of 2026-09 v1, one by one: its bundle does not lie beside" in word for word in told.on_word
    )


def _renamed(bundle: Path, before: Path) -> None:
    """An allocation of September under another id in the facts, and all the rest made anew: no sum is another one."""
    named = pl.col("allocation_id").replace({"A000114": "A000114X"})
    rewritten(bundle, facts=frame("allocations", lambda rows: rows.with_columns(named)), before=before)


def test_another_allocation_of_the_same_sum_shows_in_the_line_alone(october: Path) -> None:
    september = october.parent.parent / "2026-09" / "v1"
    _renamed(october, september)
    told = check_of(october, "debts")
    assert manifest_of(october)["debts"]["restated"] is None and "the opening is the closing of 2026-09 v1, miner by miner" in told.detail
    assert told.holds and "the opening line is not the closing line of 2026-09 v1" in told.detail
    assert "changed since: 1 gone (A000114), 1 new (A000114X), as its bundle" in told.detail
    own = manifest_of(october)["debts"]["opening_line_digest"]
    resealed(october, lambda manifest: manifest["debts"]["previous"].update(closing_line_digest=own))
    told = check_of(october, "debts")
    assert not told.holds and "beside this one closes with another line of allocations and credits" in told.detail


def test_an_amount_restated_since_names_its_allocation(october: Path) -> None:
    amount = pl.when(pl.col("allocation_id") == "A000114").then(pl.col("amount") - 1).otherwise("amount")
    rewritten(october, facts=frame("allocations", lambda rows: rows.with_columns(amount)), before=october.parent.parent / "2026-09" / "v1")
    told = check_of(october, "debts")
    assert told.holds and "changed since: 1 with another amount, instant or rest (A000114), as its bundle" in told.detail, told.detail


def test_a_month_before_whose_facts_leave_another_line_than_it_states(october: Path) -> None:
    """Both bundles are forged alike: the digests that they state agree, and the facts of neither do."""
    september = october.parent.parent / "2026-09" / "v1"
    resealed(september, lambda manifest: manifest["debts"].update(closing_line_digest="ab" * 32))
    resealed(october, lambda manifest: manifest["debts"]["previous"].update(closing_line_digest="ab" * 32))
    told = check_of(october, "debts")
    assert not told.holds and "the facts of 2026-09 v1 beside this one leave another line open than it states" in told.detail


def test_a_month_before_that_states_no_line(october: Path) -> None:
    """Frozen by a program of before: the link rests on the signer's word, though its bundle lies there."""
    september = october.parent.parent / "2026-09" / "v1"
    (september / OPENING_LINE_CSV).unlink()
    resealed(september, _without_digests)
    told = check_of(october, "debts")
    assert not told.holds and "closes with another line" in told.detail, "this one says that it stated a digest"
    resealed(
        october, lambda manifest: [manifest["debts"]["previous"].pop(name) for name in ("closing_line_digest", "line_format")] and None
    )
    told = check_of(october, "debts")
    assert told.holds and any("that 2026-09 v1 closed with the same line" in word for word in told.on_word)


def test_an_older_edition_has_no_line(bundle: Path) -> None:
    rewritten(bundle, rules=lambda rules: dataclasses.replace(rules, edition=2))
    told = check_of(bundle, "debts")
    assert told.holds and not (bundle / OPENING_LINE_CSV).exists() and "opening line" not in "".join((told.detail, *told.on_word))
