"""The workbook: what goes in comes out, typed, never a formula, the same bytes every time."""

import io
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.errors import EsepError
from pipeline.render import NEWEST_LAYOUT, Document, xlsx_typed
from pipeline.render.deflated import Deflated
from pipeline.render.form import COLUMNS, LANGUAGES, Language, form
from pipeline.render.xlsx import Workbooks
from pipeline.render.xlsx_cells import exact_decimals
from pipeline.render.xlsx_look import look_of
from pipeline.render.xlsx_rows import BulkRows, WrittenOtherwise
from pipeline.render.xlsx_typed import TypedRows

from .documents import HARD_ROWS, ROW, CountedRows, document, example, hard, of_rows
from .workbook import numbers_row, opened, read_rows, workbook_bytes


def column(name: str) -> int:
    return COLUMNS.index(name) + 1


def test_the_example_month_comes_back_exactly() -> None:
    made = example()
    assert read_rows(opened(workbook_bytes(made)).worksheets[0]) == made.rows.rows()


def test_hard_rows_come_back_exactly() -> None:
    made = hard()
    assert read_rows(opened(workbook_bytes(made)).worksheets[0]) == made.rows.rows()


def test_nothing_is_a_formula_or_a_link() -> None:
    content = workbook_bytes(hard())
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if "worksheets/sheet" in name]
    assert len(sheets) == 2
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    sheet = opened(content).worksheets[0]
    first = numbers_row(sheet) + 1
    for offset, name in ((0, "miner_name"), (0, "miner_id"), (1, "wallet"), (1, "licence_number"), (1, "miner_name")):
        cell = sheet.cell(first + offset, column(name))
        assert (cell.data_type, cell.quotePrefix, cell.number_format) == ("s", True, "@")
        assert cell.value == HARD_ROWS[offset][name]


def test_cells_are_typed_where_nothing_is_lost_and_text_elsewhere() -> None:
    sheet = opened(workbook_bytes(hard())).worksheets[0]
    first = numbers_row(sheet) + 1

    def cell(row: int, name: str) -> tuple[object, str]:
        found = sheet.cell(first + row, column(name))
        return found.value, found.number_format

    assert cell(0, "n") == (1, "0")
    assert cell(0, "allocation_date") == (datetime(2026, 10, 1), "dd.mm.yyyy")  # noqa: DTZ001 - dates of files have no zone
    assert cell(0, "amount") == (0.00237505, "0.00000000")
    assert cell(6, "miner_id") == ("180141952211", "@")
    assert cell(8, "amount") == ("9" * 38, "@")
    assert cell(9, "amount") == ("12.012345678901234567", "@")
    assert cell(9, "commission_asset_amount") == (1e-18, "0." + "0" * 18)
    assert cell(10, "amount") == (1234567.123456, "0.000000")
    assert cell(11, "amount") == (0, "0")
    assert cell(12, "commission_currency_amount") == ("1 000,50", "@")
    assert cell(13, "commission_currency_amount") == ("007.10", "@")
    assert cell(13, "licence_issue_date") == ("1899-12-31", "@")
    assert cell(14, "licence_issue_date") == ("2026-02-30", "@")
    assert cell(14, "amount") == (123456789012345, "0")
    assert cell(15, "amount") == ("1234567.123456789", "@")
    assert cell(15, "transfer_amount") == ("0." + "0" * 36 + "1", "@")


@given(st.decimals(min_value=0, max_value=10**38, allow_nan=False, allow_infinity=False, places=8) | st.decimals(0, 10**6, places=18))
def test_a_number_is_used_only_where_it_shows_the_same_digits(value: Decimal) -> None:
    text = f"{value:f}"
    decimals = exact_decimals(text)
    digits = text.replace(".", "").lstrip("0")
    assert (decimals is not None) == (len(digits) <= 15)
    if decimals is not None:
        # What the file holds is 16 significant digits of the float; a reader shows `decimals` of them.
        assert f"{float(f'{float(text):.16G}'):.{decimals}f}" == text


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", "01", "1.", ".5", "1,5", " 1", "١", "0x10", "nan", "1" * 16, "0." + "0" * 30 + "1"]
)
def test_what_is_not_plainly_an_amount_stays_text(text: str) -> None:
    assert exact_decimals(text) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sheet_reads_and_prints_as_a_form(language: Language) -> None:
    made = of_rows(example().rows.head(40))
    sheet = opened(workbook_bytes(made, language=language)).worksheets[0]
    text, numbers = form().text[language], numbers_row(sheet)
    top = {cell.value for row in sheet.iter_rows(max_row=numbers) for cell in row if cell.value}
    assert {text.title, "ЦМПМ1", text.reporting_period(made.month), made.digest, *made.header.values()} - top == {
        made.header[name] for name in ("executor_name", "executor_telephone", "head_name")
    }
    bottom = {cell.value for row in sheet.iter_rows(min_row=numbers + made.rows.height) for cell in row if cell.value}
    assert {text.executor, text.head, text.note, made.header["executor_name"], made.header["head_name"]} <= bottom
    headings = [cell.value for cell in sheet[numbers - 1]][:15]
    assert headings == [one.heading(language) for one in form().column]
    assert sheet.title == "ЦМПМ1"
    assert sheet.freeze_panes == f"A{numbers + 1}"
    assert sheet.auto_filter.ref == f"A{numbers}:O{numbers + made.rows.height}"
    assert sheet.print_title_rows == f"${numbers - 1}:${numbers}"
    assert (sheet.page_setup.orientation, str(sheet.page_setup.paperSize), sheet.page_setup.fitToHeight) == ("landscape", "9", 0)
    assert printed_pt(sheet) >= 7
    assert made.digest in sheet.oddFooter.center.text
    assert sheet.oddFooter.right.text == text.page.format(page="&P", pages="&N")


def printed_pt(sheet: Any) -> float:
    """The size in points at which the sheet's smallest text comes out, shrunk to the paper's width."""
    sides = {"8": 1190.6, "9": 841.9}
    room = sides[str(sheet.page_setup.paperSize)] - 72 * (sheet.page_margins.left + sheet.page_margins.right)
    wide = sum(sheet.column_dimensions[letter].width * 7 * 0.75 for letter in widths_of(sheet))
    smallest = min(cell.font.sz for row in sheet.iter_rows() for cell in row if cell.value is not None)
    return float(smallest * min(1.0, room / wide))


def widths_of(sheet: Any) -> list[str]:
    """The letter under which each of the form's columns has its width: columns alike have one between them."""
    spans = [(one.min, one.max, letter) for letter, one in sheet.column_dimensions.items()]
    return [letter for number in range(1, 16) for first, last, letter in spans if first <= number <= last]


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_amounts_and_names_print_readably_on_larger_paper(language: Language) -> None:
    sheet = opened(workbook_bytes(hard(), language=language)).worksheets[0]
    assert str(sheet.page_setup.paperSize) == "8" and len(widths_of(sheet)) == 15
    assert printed_pt(sheet) >= 7
    assert sheet.HeaderFooter.scaleWithDoc is False


def test_a_heading_that_is_too_wide_for_its_column_stands_upright() -> None:
    sheet = opened(workbook_bytes(document([{}]), language="ru")).worksheets[0]
    turned = {cell.column for cell in sheet[numbers_row(sheet) - 1][:15] if cell.alignment.textRotation == 90}
    assert {2, 5, 7, 8} <= turned and not {3, 4, 6} & turned
    assert sheet.row_dimensions[numbers_row(sheet) - 1].height < 180


def test_totals_stand_below_the_rows_of_the_last_sheet_and_are_no_rows() -> None:
    made = hard()
    book = opened(workbook_bytes(made, rows_per_sheet=7, language="ru"))
    text = form().text["ru"]
    totals = [any(cell.value == text.totals for row in sheet.iter_rows() for cell in row) for sheet in book.worksheets[:3]]
    assert totals == [False, False, True]
    sheet = book.worksheets[2]
    below = [(row[0].value, row[6].value, row[8].value) for row in sheet.iter_rows(min_row=numbers_row(sheet) + 3)]
    assert below.index((text.totals, None, None)) < below.index((text.rows, "", made.rows.height))
    assert ("Распределено в отчетном месяце", "BTC", 13.07542702) in below
    assert ("Распределено в отчетном месяце", "ETH", "123.000000000000000001") in below
    assert [row for one in book.worksheets[:3] for row in read_rows(one)] == made.rows.rows()


def test_the_former_layout_stays_as_it_was() -> None:
    sheet = opened(workbook_bytes(of_rows(example().rows.head(40), layout=1))).worksheets[0]
    assert sheet.column_dimensions["F"].width > 40
    assert not any(cell.value == form().text["kk"].totals for row in sheet.iter_rows() for cell in row)
    with pytest.raises(ValueError, match=f"layout {NEWEST_LAYOUT + 1} of the documents"):
        of_rows(example().rows, layout=NEWEST_LAYOUT + 1)


def test_totals_stand_on_their_own_sheet() -> None:
    made = hard()
    sheet = opened(workbook_bytes(made)).worksheets[1]
    cells = [tuple(cell.value for cell in row[:3]) for row in sheet.iter_rows()]
    assert ("Есепті айда бөлінгені", "BTC", 13.07542702) in cells
    assert ("Есепті айда бөлінгені", "ETH", "123.000000000000000001") in cells
    assert ("Есепті айда бөлінгені", "WEI", "9" * 38) in cells
    assert ("of_another_kind", "X", 1) in cells
    assert (form().text["kk"].digest, None, made.digest) in cells


def test_lines_of_a_text_are_never_hidden_by_the_height_of_their_row() -> None:
    sheet = opened(
        workbook_bytes(
            document([{"wallet": "a", "miner_name": "А"}, {"miner_name": "ұзын атау " * 12, "wallet": "a"}, {"wallet": "a\nb\nc\nd"}])
        )
    ).worksheets[0]
    first = numbers_row(sheet) + 1
    heights = [sheet.row_dimensions[first + row].height for row in range(3)]
    assert heights[0] is None or heights[0] <= 15
    assert heights[1] > 50
    assert 40 < heights[2] < 50


def test_no_number_is_wider_than_its_column() -> None:
    amount = "0." + "0" * 29 + "1"
    sheet = opened(workbook_bytes(document([{"amount": amount, "commission_currency_amount": "1234567890123.45"}]))).worksheets[0]
    assert sheet.column_dimensions["I"].width * 7 > len(amount) * 6
    assert sheet.column_dimensions["O"].width * 7 > 16 * 6
    assert sheet.column_dimensions["J"].width < 12


def test_rows_beyond_a_sheet_go_on_to_the_next_and_only_the_last_is_signed() -> None:
    made = hard()
    book = opened(workbook_bytes(made, rows_per_sheet=7))
    assert book.sheetnames == ["ЦМПМ1", "ЦМПМ1 (2)", "ЦМПМ1 (3)", "Жиынтық"]
    assert [row for sheet in book.worksheets[:3] for row in read_rows(sheet)] == made.rows.rows()
    signed = [any(cell.value == "Орындушы" for row in sheet.iter_rows() for cell in row) for sheet in book.worksheets]
    assert signed == [False, False, True, False]


def test_a_sheet_larger_than_the_old_archives_hold_is_written_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gigabytes, brought down to a thousand bytes here: a million rows with long texts pass them."""
    made = hard()
    plain = workbook_bytes(made)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1_000)
    content = workbook_bytes(made)
    assert content != plain, "the limit was met"
    assert read_rows(opened(content).worksheets[0]) == made.rows.rows()


def test_no_rows_say_so() -> None:
    sheet = opened(workbook_bytes(document([]))).worksheets[0]
    assert sheet.cell(numbers_row(sheet) + 1, 1).value == form().text["kk"].no_rows


def test_a_text_that_no_cell_holds_is_refused_by_its_place() -> None:
    assert read_rows(opened(workbook_bytes(document([{"miner_name": "ә" * 32_767}]))).worksheets[0])[0][2] == "ә" * 32_767
    with pytest.raises(EsepError, match=r"column 3: a text of 32768 characters.*32767"):
        workbook_bytes(document([{"miner_name": "ә" * 32_768}]))


_TEXTS = st.text(max_size=12) | st.sampled_from(["<r>a</r>", "_x0041_", " a", "a ", "=1", "-1", "A&B <c>", "007", "1.50", "0." + "1" * 31])
_AMOUNTS = st.decimals(0, 10**20, places=8).map(lambda value: f"{value:f}") | _TEXTS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_TEXTS, _AMOUNTS, _AMOUNTS, st.none() | st.dates().map(str)), max_size=40),
    st.sampled_from([1, 7, 100]),
    st.sampled_from([3, 1000]),
    st.sampled_from([1, 2, 3, 4]),
)
def test_rows_made_by_columns_are_the_librarys_own_bytes(
    values: list[tuple[str, str, str, str | None]], rows_per_sheet: int, chunk: int, layout: int
) -> None:
    """Of the whole workbook until layout 2; since then its rows are deflated by themselves, whatever the chunks."""
    rows = [dict(zip(("miner_name", "amount", "n", "transfer_date"), one, strict=True)) for one in values]
    made = of_rows(pl.DataFrame([{**ROW, **row} for row in rows], dict.fromkeys(COLUMNS, pl.String)), layout=layout)
    whole = io.BytesIO()
    with closing(Workbooks(made, rows_per_sheet=rows_per_sheet)) as books:
        books.write_book(whole, "kk", is_whole=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xlsx_typed, "CHUNK", chunk)
        by_columns = workbook_bytes(made, rows_per_sheet=rows_per_sheet)
    assert members(by_columns) == members(whole.getvalue())
    assert by_columns == (workbook_bytes(made, rows_per_sheet=rows_per_sheet) if layout > 2 else whole.getvalue())


def members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        return [(name, parts.read(name)) for name in parts.namelist()]


def test_most_rows_are_made_by_columns() -> None:
    some = example().rows
    with closing(Workbooks(of_rows(pl.concat([some] * 20)))) as books:
        (bulk,) = books.write_book(io.BytesIO(), "kk")
        assert len(list(bulk.landmarks())) < 20 < some.height


@pytest.mark.parametrize(
    ("layout", "rows_per_sheet", "made_anew"), [(2, 1_000, 2), (2, 7, 9), (3, 1_000, 1), (3, 7, 3), (4, 1_000, 1), (4, 7, 3)]
)
def test_further_languages_are_the_same_bytes_and_type_no_row_again(
    monkeypatch: pytest.MonkeyPatch, layout: int, rows_per_sheet: int, made_anew: int
) -> None:
    """Until layout 2 Russian and English have the same rows in the same places, Kazakh has no note above them; of several sheets, the last is kept."""
    made = replace(hard(), layout=layout)
    expected = {language: workbook_bytes(made, language=language, rows_per_sheet=rows_per_sheet) for language in LANGUAGES}
    called: list[str] = []

    def watch(kind: type, name: str) -> None:
        method = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *of: (called.append(name), method(*of))[1])

    watch(TypedRows, "_typed")
    watch(BulkRows, "_made")
    with closing(Workbooks(made, rows_per_sheet=rows_per_sheet)) as books:
        for language, content in expected.items():
            file = io.BytesIO()
            books.write(file, language=language)
            assert file.getvalue() == content
    assert called.count("_typed") == -(-hard().rows.height // rows_per_sheet)
    assert called.count("_made") == made_anew


@pytest.mark.parametrize("made", [hard(), example()], ids=["hard rows", "the example month"])
def test_a_further_language_reads_no_row_and_deflates_none(made: Document) -> None:
    """The rows are the same deflated bytes in all of them, and each sheet is one sound member of the archive."""
    rows = CountedRows(made.rows)
    files = []
    with closing(Workbooks(replace(made, rows=rows))) as books:
        for language in LANGUAGES:
            file = io.BytesIO()
            books.write(file, language=language)
            files.append(file.getvalue())
            if language == LANGUAGES[0]:
                read, rows.read = rows.read, 0
    assert read > 0 and rows.read == 0
    parts = [dict(members(content))["xl/worksheets/sheet1.xml"] for content in files]
    first = numbers_row(opened(files[0]).worksheets[0]) + 1
    begin, end = b'<row r="%d"' % first, b'<row r="%d"' % (first + made.rows.height + 1)
    (xml,) = {part[part.index(begin) : part.index(end)] for part in parts}
    alone = Deflated(io.BytesIO(), [xml], look_of(NEWEST_LAYOUT).level)
    assert all(content.count(alone.file.getvalue()) == 1 for content in files)
    assert [read_rows(opened(content).worksheets[0]) for content in files] == [made.rows.rows()] * 3


def test_a_workbook_after_one_that_failed_is_whole() -> None:
    made = document([{"miner_name": "ә"}] * 3)
    with closing(Workbooks(made)) as books:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="full"):
            patch.setattr(BulkRows, "_chunk", lambda *_: (_ for _ in ()).throw(OSError("full")))
            books.write(io.BytesIO(), language="ru")
        file = io.BytesIO()
        books.write(file, language="ru")
    assert file.getvalue() == workbook_bytes(made, language="ru")


def test_a_library_that_writes_otherwise_writes_every_row_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, former = workbook_bytes(hard()), workbook_bytes(replace(hard(), layout=2))
    monkeypatch.setattr(BulkRows, "_xml", lambda *_: pl.col("place").cast(pl.String))
    assert members(workbook_bytes(hard())) == members(expected)
    assert workbook_bytes(replace(hard(), layout=2)) == former
    monkeypatch.setattr("pipeline.render.xlsx.WrittenOtherwise", KeyError)  # so that it is seen to be raised
    with pytest.raises(WrittenOtherwise):
        workbook_bytes(hard())
