"""A statement's files: everything in them as it was printed, typed where nothing is lost, in each language, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import openpyxl
import polars as pl
import pytest
from pypdf import PdfReader

from pipeline.model.errors import EsepError
from pipeline.model.months import Month
from pipeline.render.pdf_page import BOTTOM
from pipeline.render.pdf_text import printable
from pipeline.render.statement import BALANCES, ROWS, Statement
from pipeline.render.statement_csv import COLUMNS, statement_csv
from pipeline.render.statement_formats import statement_file
from pipeline.render.statement_pdf import write_statement_pdf
from pipeline.render.statement_xlsx import write_statement_xlsx
from pipeline.texts import LANGUAGES, Language, texts

FIRST = {
    "allocation_date": "2026-10-05", "allocation_id": "=A1", "is_carried": "false", "asset": "BTC", "amount": "0.00237505", "transfer_date": "2026-10-06",
    "txid": "07b94bdf3a2ef134b24cbc651bd0c44f091a3d479e93daf221dd6b3bf218f4fa", "wallet": "mhAYoutZ87zm5FN1tFwwL4bmyWrabuYPpe", "transfer_amount": "0.01294317",
    "commission_asset": "BTC", "commission_asset_amount": "0.00002399",
}  # fmt: skip
CARRIED = {
    "allocation_date": "2026-09-30",
    "allocation_id": "A0",
    "is_carried": "true",
    "asset": "ETH",
    "amount": "12345.012345678901234567",
}
CURRENCY = {"allocation_id": "B7", "is_carried": "false", "asset": "BTC", "amount": "1", "commission_currency": "KZT", "commission_currency_amount": "1234567.50"}  # fmt: skip


def statement(rows: Iterable[dict[str, str]] = (FIRST, CARRIED, CURRENCY), *, version: int | None = 2) -> Statement:
    debts = [("BTC", "0.00000000", "1.00237505", "0.00237505", "1.00000000", "0.00000000"), ("ETH", *["9" * 20 + "." + "1" * 18] * 5)]
    listed = [{"n": str(number), **row} for number, row in enumerate(rows, 1)]
    names = [column.name for column in ROWS]
    return Statement(
        month=Month(2026, 10),
        version=version,
        digest="ab" * 32 if version else "",
        at=1_793_850_000,
        pool={"name": "ЖШС «Мысал пул»", "bin": "201040000023", "address": "Алматы"},
        miner_id="180141952211",
        miner_name="АҚ «Павлодар ДЦ 39»",
        debts=pl.DataFrame(debts, schema=dict.fromkeys((column.name for column in BALANCES), pl.String), orient="row"),
        rows=pl.DataFrame([{name: row.get(name) for name in names} for row in listed], schema=dict.fromkeys(names, pl.String)),
    )


@pytest.mark.parametrize(
    ("language", "node", "ledger"),
    [
        ("en", "rests on the word of the pool's node", "rest on the word of the pool's ledger alone"),
        ("ru", "основана на ответе узла пула", "основаны только на учёте пула"),
        ("kk", "пул түйінінің сөзіне негізделеді", "тек пул есебінің сөзіне негізделеді"),
    ],
)
def test_it_says_which_sums_rest_on_whose_word(language: Language, node: str, ledger: str) -> None:
    """What nothing proves is said where the miner reads it (rules 10.2, 10.5); a statement without such rows says nothing of it."""
    plain = statement()
    for has_node, has_ledger in ((False, False), (True, False), (False, True), (True, True)):
        read = pdf_text(replace(plain, is_on_nodes_word=has_node, is_on_ledgers_word=has_ledger), language)
        assert (bare(node) in read, bare(ledger) in read) == (has_node, has_ledger)


def pdf_bytes(made: Statement, language: Language) -> bytes:
    file = io.BytesIO()
    write_statement_pdf(made, texts(language), file)
    return file.getvalue()


def xlsx_bytes(made: Statement, language: Language) -> bytes:
    file = io.BytesIO()
    write_statement_xlsx(made, texts(language), file)
    return file.getvalue()


def pdf_text(made: Statement, language: Language) -> str:
    return bare("".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf_bytes(made, language))).pages))


def bare(text: str) -> str:
    return "".join(text.split())


def test_the_csv_holds_every_amount_as_it_was_printed() -> None:
    lines = pl.read_csv(statement_csv(statement()), infer_schema=False)
    assert tuple(lines.columns) == COLUMNS
    assert lines.select("record", "asset", "amount").rows() == [
        ("opening", "BTC", "0.00000000"),
        ("opening", "ETH", "9" * 20 + "." + "1" * 18),
        ("row", "BTC", "0.00237505"),
        ("row", "ETH", "12345.012345678901234567"),
        ("row", "BTC", "1"),
        *((record, asset, made) for record, amounts in AFTER.items() for asset, made in amounts.items()),
    ]
    assert lines["version"].unique().to_list() == ["2"] and lines["miner_id"].unique().to_list() == ["180141952211"]
    assert lines.filter(pl.col("record") == "row")["is_carried"].to_list() == ["false", "true", "false"]
    assert pl.read_csv(statement_csv(statement(version=None)), infer_schema=False)["version"].unique().to_list() == ["draft"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_the_pdf_is_too_small_to_read(language: Language) -> None:
    """Seven points and more, but for the footer, which the form's pages share."""
    small: list[str] = []

    def look(text: str, _cm: object, matrix: list[float], _font: object, size: float) -> None:
        if text.strip() and matrix[5] > BOTTOM and size < 7:
            small.append(f"{size}: {text}")

    for page in PdfReader(io.BytesIO(pdf_bytes(statement(), language))).pages:
        page.extract_text(visitor_text=look)
    assert not small


AFTER = {
    name: {"BTC": amount, "ETH": "9" * 20 + "." + "1" * 18}
    for name, amount in (("allocated", "1.00237505"), ("settled", "0.00237505"), ("closing", "1.00000000"), ("advance", "0.00000000"))
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_says_everything_as_the_language_writes_it(language: Language) -> None:
    made, words = statement(), texts(language)
    text = pdf_text(made, language)
    for row in made.rows.iter_rows(named=True):
        for column in ROWS:
            value = row[column.name]
            if value and column.name != "is_carried":
                shown = words.day(value) if column.kind == "date" else words.amount(value) if column.kind == "amount" else value
                assert bare(printable(shown)) in text, (column.name, shown)
    for column in (*ROWS, *BALANCES):
        assert bare(words.gettext(column.message)) in text
    for said in ("9" * 3, "АҚ«ПавлодарДЦ39»", "180141952211", "ЖШС«Мысалпул»", "201040000023", "ab" * 32):
        assert said in text
    assert bare(words.gettext("Statement for {month} {year}", month=words.month(made.month), year=2026)) in text
    assert bare({"kk": "3 жол; оның 1 жолы", "ru": "3 строки; из них 1", "en": "3 rows; 1 of them"}[language]) in text
    assert {"kk": "1234567,50", "ru": "1234567,50", "en": "1,234,567.50"}[language] in text


@pytest.mark.parametrize(("language", "draft"), [("kk", "ЖОБА"), ("ru", "ПРОЕКТ"), ("en", "DRAFT")])
def test_a_draft_says_so_and_names_no_digest(language: Language, draft: str) -> None:
    text = pdf_text(statement(version=None), language)
    assert draft in text and "SHA-256" not in text
    assert draft not in pdf_text(statement(), language)
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx_bytes(statement(version=None), language))).worksheets[0]
    assert any(str(cell.value).startswith(draft) for row in sheet.iter_rows() for cell in row)


def test_no_page_has_signatures_alone_and_each_says_which_of_how_many() -> None:
    for count in (0, 1, 14, 15, 16, 17, 18, 40):
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf_bytes(statement([FIRST] * count), "en"))).pages]
        for number, page in enumerate(pages, 1):
            assert f"Page {number} of {len(pages)}" in page
            assert "180141952211" in page
        assert "For the miner" in pages[-1]
        assert count < 5 or "07b94bdf" in pages[-1]
        assert sum(page.count("07b94bdf") for page in pages) == count


@pytest.mark.parametrize("language", LANGUAGES)
def test_cells_are_typed_as_the_form_s(language: Language) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx_bytes(statement(), language))).worksheets[0]
    headings = [texts(language).gettext(column.message) for column in ROWS]
    (at,) = (row[0].row for row in sheet.iter_rows(max_col=len(ROWS)) if [cell.value for cell in row] == headings)
    column = {one.name: number for number, one in enumerate(ROWS, 1)}

    def cell(row: int, name: str) -> tuple[object, str]:
        found = sheet.cell(at + row, column[name])
        return found.value, found.number_format

    assert cell(1, "n") == (1, "0")
    assert cell(1, "allocation_date") == (datetime(2026, 10, 5), "dd.mm.yyyy")  # noqa: DTZ001 - dates of files have no zone
    assert cell(1, "amount") == (0.00237505, "0.00000000")
    assert cell(1, "allocation_id") == ("=A1", "@")
    assert sheet.cell(at + 1, column["allocation_id"]).data_type == "s"
    assert cell(1, "is_carried") == (None, "General")
    assert cell(2, "amount") == ("12345.012345678901234567", "@")
    assert cell(2, "is_carried")[0] == texts(language).gettext("yes")
    assert cell(3, "commission_currency_amount") == (1234567.5, "0.00")
    assert any(cell.value == "9" * 20 + "." + "1" * 18 for row in sheet.iter_rows() for cell in row)


def test_nothing_to_show_is_said() -> None:
    made = statement([])
    assert bare("Nothing was allocated or transferred in the month.") in pdf_text(made, "en")
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx_bytes(made, "ru"))).worksheets[0]
    assert any(
        cell.value == texts("ru").gettext("Nothing was allocated or transferred in the month.") for row in sheet.iter_rows() for cell in row
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_statement_gives_the_same_bytes(language: Language) -> None:
    assert pdf_bytes(statement(), language) == pdf_bytes(statement(), language)
    assert xlsx_bytes(statement(), language) == xlsx_bytes(statement(), language)


def test_a_text_that_no_cell_holds_is_refused_with_its_place() -> None:
    with pytest.raises(EsepError, match="a text of 40000 characters"):
        xlsx_bytes(statement([{**FIRST, "wallet": "x" * 40_000}]), "kk")


def test_files_are_named_by_number_version_and_language_and_stay_in_their_folder() -> None:
    made = statement()
    assert [statement_file(made, "pdf", language) for language in LANGUAGES] == [
        "180141952211-v2.pdf",
        "180141952211-v2.ru.pdf",
        "180141952211-v2.en.pdf",
    ]
    assert [statement_file(made, "csv", language) for language in LANGUAGES] == ["180141952211-v2.csv"] * 3
    assert statement_file(statement(version=None), "xlsx", "kk") == "180141952211-draft.xlsx"
    odd = Statement(**{**{name: getattr(made, name) for name in made.__dataclass_fields__}, "miner_id": "../../etc/x"})
    assert "/" not in statement_file(odd, "csv", "kk")
