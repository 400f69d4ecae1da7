"""The workbook: what goes in comes out, typed, never a formula, the same bytes every time."""

import io
import zipfile
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import EsepError
from pipeline.render.form import COLUMNS, LANGUAGES, Language, form
from pipeline.render.xlsx_cells import exact_decimals

from .documents import HARD_ROWS, document, example, hard, of_rows
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
    assert made.digest in sheet.oddFooter.center.text
    assert sheet.oddFooter.right.text == text.page.format(page="&P", pages="&N")


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
    sheet = opened(workbook_bytes(document([{}, {"miner_name": "ұзын атау " * 12}, {"wallet": "a\nb\nc\nd"}]))).worksheets[0]
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
