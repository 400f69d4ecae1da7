"""A row's story, from the month's own file: amounts that come together, proofs that are checked, drafts that say the same as the frozen month."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipeline.app.app import App
from pipeline.app.books import Book
from pipeline.app.explain import explain_row
from pipeline.app.story import BookFacts, Story
from pipeline.model.amounts import to_units
from pipeline.model.errors import MonthError
from pipeline.model.months import Month
from pipeline.settings import load_settings
from pipeline.store.form_index import SORTS, FormIndex, FormPage, FormQuery
from pipeline.store.month_rows import MonthFile

from .example_month import DIGEST, closing_at, esep

MONTH = Month(2026, 10)


def app_of(var: Path) -> App:
    return App(load_settings(var / "esep.toml", {}), closing_at)


@pytest.fixture(scope="module")
def book(frozen: Path) -> Iterator[Book]:
    with app_of(frozen) as app, app.books.open(MONTH) as found:
        yield found


def story_of(book: Book, n: int) -> Story:
    return explain_row(
        book.rows, BookFacts(book.month, book.version, book.digest, book.rules, {"bitcoin": "https://explorer.example/tx/{txid}"}), n
    )


def path_of(book: Book) -> Path:
    assert isinstance(book.rows, MonthFile)
    return book.rows.path


def connection_of(book: Book) -> duckdb.DuckDBPyConnection:
    assert isinstance(book.rows, MonthFile)
    return book.rows._connection


def form_of(book: Book, query: FormQuery, *, limit: int, offset: int) -> FormPage:
    return FormIndex(book.rows.form_slices()).page(query, limit=limit, offset=offset)


def fact(story: Story, step: str, name: str) -> list[str]:
    return [fact.value for one in story.steps if one.name == step for part in one.parts for fact in part.facts if fact.name == name]


def test_every_row_of_the_month_has_a_story_whose_amounts_come_together(book: Book) -> None:
    proved = 0
    for n in range(1, 1438, 7):
        story = story_of(book, n)
        names = [step.name for step in story.steps]
        assert names[:4] == ["allocation", "holder", "licence", "settlement"] and len(set(names)) == len(names)
        (allocated,) = fact(story, "allocation", "amount")
        settled = sum(to_units(amount, 8) for amount in fact(story, "settlement", "amount"))
        # An allocation of an earlier month has a part that was reported then.
        assert settled == to_units(allocated, 8) or (story.row["is_carried"] and settled < to_units(allocated, 8))
        if story.row["txid"] is None:
            assert names == names[:4]
            continue
        assert names[4:] == ["payment", "transfer", "transaction", "block", "proof"]
        assert story.steps[-1].is_proved is True
        assert (
            fact(story, "proof", "pays the address, by its own bytes")
            == fact(story, "transfer", "amount")
            == [story.printed["transfer_amount"]]
        )
        assert story.steps[6].link == f"https://explorer.example/tx/{story.row['txid']}"
        proved += 1
    assert proved > 180


def test_payments_are_those_that_the_month_was_matched_with(book: Book) -> None:
    for explanation, words in (
        ("rounding", "rounded"),
        ("subtracted-fee", "fee was taken"),
        ("replaced+exact", "replaced it"),
        ("none", "no payment"),
    ):
        ((txid, wallet),) = (
            connection_of(book)
            .execute(
                "SELECT txid, address FROM out_transfer WHERE explanation = ? AND txid || address IN (SELECT txid || wallet FROM out_report) LIMIT 1",
                [explanation],
            )
            .fetchall()
        )
        ((n,),) = connection_of(book).execute("SELECT n FROM out_report WHERE txid = ? AND wallet = ? LIMIT 1", [txid, wallet]).fetchall()
        payment = story_of(book, n).steps[4]
        assert words in payment.says, explanation
        assert bool(payment.parts) == (explanation != "none")
        if explanation == "replaced+exact":
            assert [f.value for f in payment.parts[0].facts if f.kind == "txid"] != [txid]


def test_a_carried_row_and_one_without_licence_say_so(book: Book, frozen: Path) -> None:
    carried = form_of(book, FormQuery(state="carried"), limit=1, offset=0).rows[0]["n"]
    story = story_of(book, carried)
    assert "earlier month" in story.steps[0].says and "7.4" in story.steps[0].rules
    issues = [row for row in book.rows.rows("issues") if row["code"] == "licence-not-in-force"]
    miner, _, day = issues[0]["ref"].rpartition(":")
    unlicensed = form_of(
        book, FormQuery(miner_id=miner, first=date.fromisoformat(day), last=date.fromisoformat(day)), limit=1, offset=0
    ).rows[0]
    assert "no licence was in force" in story_of(book, unlicensed["n"]).steps[2].says


def test_a_proof_whose_bytes_were_changed_does_not_hold(frozen: Path, book: Book, tmp_path: Path) -> None:
    path = tmp_path / "month.duckdb"
    shutil.copyfile(path_of(book), path)
    path.chmod(0o600)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE raw_transaction SET raw = left(raw, length(raw) - 2) || 'ff'")
    with MonthFile(path, MONTH) as file:
        proof = explain_row(file, BookFacts(MONTH, 1, DIGEST, book.rules, {}), 807).steps[-1]
    assert proof.is_proved is False and "does not hold" in proof.says and proof.link == ""


def test_a_draft_says_what_the_frozen_month_says(blocked: Path, book: Book, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    with app_of(var) as app:
        assert app.books.frozen(MONTH) is None
        with app.books.open(MONTH) as draft:
            assert draft.version is None and [one.kind for one in draft.conditions if not one.is_met] == ["issues-resolved"]
            for n in (1, 807, 1437):
                told = explain_row(draft.rows, app.books.facts_of(draft), n)
                assert told.steps == explain_row(book.rows, app.books.facts_of(book), n).steps
            assert draft.debts.sort("miner_id").equals(book.debts.sort("miner_id"))
            query = FormQuery(search="павлодар", sort="amount", is_descending=True)
            assert form_of(draft, query, limit=50, offset=0) == form_of(book, query, limit=50, offset=0)


def test_the_form_is_filtered_and_sorted_as_the_report_is(book: Book, frozen: Path) -> None:
    report = pl.read_csv(frozen / "months" / "2026-10" / "v1" / "report.csv", infer_schema=False)
    rows = pl.read_csv(frozen / "months" / "2026-10" / "v1" / "rows.csv", infer_schema=False)
    whole = report.with_columns(
        rows["txid"], rows["is_carried"], amounts=pl.col("amount").str.replace(".", "", literal=True).cast(pl.Int64)
    )
    miner = report["miner_id"][700]
    for query, expected in (
        (FormQuery(), whole),
        (FormQuery(miner_id=miner), whole.filter(pl.col("miner_id") == miner)),
        (FormQuery(state="unsettled"), whole.filter(pl.col("txid").is_null())),
        (
            FormQuery(state="settled", last=date(2026, 10, 9)),
            whole.filter(pl.col("txid").is_not_null() & (pl.col("allocation_date") <= "2026-10-09")),
        ),
        (FormQuery(search="ПАВЛОДАР"), whole.filter(pl.col("miner_name").str.contains("Павлодар"))),
        (FormQuery(search="nothing of the kind"), whole.clear()),
    ):
        found = form_of(book, query, limit=2000, offset=0)
        assert found.count == expected.height and [row["n"] for row in found.rows] == [int(n) for n in expected["n"]]
        assert sum(one["amount"] for one in found.sums) == expected["amounts"].sum()
        again = form_of(book, query, limit=3, offset=5)
        assert [row["n"] for row in again.rows] == [int(n) for n in expected["n"]][5:8] and again.count == found.count
    for sort in SORTS:
        for is_descending in (False, True):
            values = [row[sort] for row in form_of(book, FormQuery(sort=sort, is_descending=is_descending), limit=2000, offset=0).rows]
            known = [value for value in values if value is not None]
            assert known == sorted(known, reverse=is_descending) and len(values) == 1437 and values[: len(known)] == known


def test_explain_prints_and_gives_json(frozen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = frozen / "esep.toml"
    assert esep("explain", "2026-10", 807, "--config", config) == 0
    shown = capsys.readouterr().out
    assert (
        "A001262" in shown
        and "KZ70RAA15326409" in shown
        and "chains.bitcoin.finality = 6" in shown
        and "(esep rule 6.1, 7.2, 7.3)" in shown
    )
    assert esep("explain", "2026-10", 807, "--json", "--config", config) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["digest"] == DIGEST and told["steps"][8]["is_proved"] is True and told["row"]["amount"] == 1874805
    assert esep("explain", "2026-10", 1438, "--config", config) == MonthError.exit_code
    assert esep("explain", "2026-10", 1, "--version", 2, "--config", config) == MonthError.exit_code
