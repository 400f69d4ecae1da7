"""Files written otherwise than ours, by the settings of a table: amounts, days, encodings, joined columns, what a workbook shows and hides."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from connectors.files import ReadOptions, read_ledger, read_registry
from pipeline.model.errors import InputRefused
from pipeline.model.rules import Asset
from pipeline.validate.check import Checked
from pipeline.validate.layout import Layout
from pipeline.validate.table import shown

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8)}
HEADINGS = ["allocation_id", "account", "asset", "allocated_at", "amount"]
AT = "2026-10-01T00:30:00+05:00"


def read(data: bytes, tmp_path: Path, *, sheet: str | None = None, **layout: Any) -> Checked:
    path = tmp_path / "f"
    path.write_bytes(data)
    return read_ledger(
        path, "allocations", ReadOptions(ASSETS, {"bitcoin": "regtest"}, sheet=sheet, timezone="Asia/Almaty", layout=Layout(**layout))
    )


def faults(data: bytes, tmp_path: Path, **options: Any) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        read(data, tmp_path, **options)
    return refused.value.faults


def csv(*amounts: str, at: str = AT, account: str = "acct") -> bytes:
    rows = [f"A{number};{account};BTC;{at};{amount}" for number, amount in enumerate(amounts, 1)]
    return "\n".join([";".join(HEADINGS), *rows]).encode() + b"\n"


def amounts(found: Checked) -> list[int]:
    return found.rows["amount"].to_list()


# --- amounts


def test_both_decimal_signs_are_read_where_they_can_not_be_thousands(tmp_path: Path) -> None:
    texts = ["1 234,56", "1\u00a0234.56", "1\u202f234,567", "0,123", "0.123", "1234.567", "12,5", "7"]
    assert amounts(read(csv(*texts), tmp_path, decimal="either", grouping=" ")) == [
        int(Decimal(text) * 10**8) for text in ("1234.56", "1234.56", "1234.567", "0.123", "0.123", "1234.567", "12.5", "7")
    ]


@pytest.mark.parametrize("text", ["1.234", "12,345", "999,999"])
def test_what_could_be_thousands_is_refused(tmp_path: Path, text: str) -> None:
    (fault,) = faults(csv("0.5", text), tmp_path, decimal="either", grouping=" ")
    assert fault.startswith("f:3: amount: ") and "could be thousands, or decimals" in fault


@pytest.mark.parametrize("text", ["1.234,56", "1,234.56", "1.234.567", "1 23,4", "1,2,3"])
def test_either_sign_is_no_grouping(tmp_path: Path, text: str) -> None:
    assert len(faults(csv(text), tmp_path, decimal="either", grouping=" ")) == 1


@pytest.mark.parametrize(
    ("texts", "cure"),
    [
        (["0,5", "0,25"], 'has a comma (1 more of the column is not plain, either): set decimal = "," in'),
        (["1 234.5", "0.5"], 'has thousands separators: set grouping = " " in'),
        (["1 234,5", "0,5"], 'set decimal = "," and grouping = " " in'),
        (["1.234,5", "0,5"], 'set decimal = "," and grouping = "." in'),
        (["1,234.5", "0.5"], 'set grouping = "," in'),
        (["1'234.5", "0.5"], 'set grouping = "\'" in'),
        (["1,234", "2,500"], 'set whichever it is, decimal = "," or grouping = "," in'),
        (["0,5", "0.5"], 'set decimal = "either" in'),
    ],
)
def test_a_column_in_another_form_is_one_sentence_with_settings_that_read_it(tmp_path: Path, texts: list[str], cure: str) -> None:
    (fault,) = faults(csv(*texts), tmp_path)
    assert cure in fault
    keys = dict(re.findall(r'(decimal|grouping) = "([^"]+)"', cure))
    if "whichever" not in cure:
        assert len(amounts(read(csv(*texts), tmp_path, **keys))) == len(texts)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("(0.5)", "is negative (brackets)"),
        ("\u22120.5", "is negative"),
        ("0.5-", "is negative"),
        ("50%", "is a percentage"),
        ("5 sat", "has a unit or a currency"),
        ("\u20bf0.5", "has a unit or a currency"),
        ("0.5 BTC", "has a unit or a currency"),
        ("\u20b8 100", "has a unit or a currency"),
        ("100 тг.", "has a unit or a currency"),
    ],
)
def test_what_stands_beside_the_digits_is_named(tmp_path: Path, text: str, what: str) -> None:
    (fault,) = faults(csv(text), tmp_path)
    assert fault.startswith("f:2: amount: ") and what in fault


@pytest.mark.parametrize(
    ("rounding", "units"),
    [
        ("down", [0, 0, 0, 1, 2]),
        ("half-up", [0, 1, 1, 2, 3]),
        ("half-even", [0, 0, 1, 2, 2]),
    ],
)
def test_amounts_finer_than_the_asset_are_rounded_by_the_named_rule_and_counted(tmp_path: Path, rounding: str, units: list[int]) -> None:
    texts = ["0.0000000049", "0.0000000050", "0.00000000500001", "0.000000015", "0.000000025"]
    found = read(csv(*texts), tmp_path, rounding=rounding)
    assert amounts(found) == units and found.notes.rounded == {"amount": 5}
    assert len(faults(csv(*texts), tmp_path)) == 5


def test_a_factor_multiplies_exactly(tmp_path: Path) -> None:
    assert amounts(read(csv("500.5", "0.00001", "12345678.12345"), tmp_path, factor=Decimal("0.001"))) == [50_050_000, 1, 1_234_567_812_345]
    (fault,) = faults(csv("0.000001"), tmp_path, factor=Decimal("0.001"))
    assert "f:2: amount: " in fault
    assert amounts(read(csv("1,5"), tmp_path, factor=Decimal(1000), decimal=",")) == [1500 * 10**8]


# --- instants


def test_a_day_without_a_time_is_midnight_and_told_where_the_settings_say_how_days_are_written(tmp_path: Path) -> None:
    found = read(csv("0.5", at="05.10.2026"), tmp_path, days=("dd.mm.yyyy",))
    assert found.rows["allocated_at"].to_list() == [1_791_140_400_000_000] and found.notes.days == 1  # 2026-10-05T00:00+05:00
    assert len(faults(csv("0.5", at="2026-10-05"), tmp_path)) == 1
    (fault,) = faults(csv("0.5", at="01.11.2026"), tmp_path, days=("dd.mm.yyyy",), zone="Etc/GMT-6")
    assert "has no time, and its 00:00 in Etc/GMT-6" in fault and "another day in Almaty" in fault


def test_a_day_with_slashes_is_never_guessed(tmp_path: Path) -> None:
    (fault,) = faults(csv("0.5", at="05/10/2026 00:30"), tmp_path)
    assert 'set days = ["dd/mm/yyyy"] or ["mm/dd/yyyy"], whichever it is' in fault
    for way, at in (("dd/mm/yyyy", 1_791_142_200_000_000), ("mm/dd/yyyy", 1_778_355_000_000_000)):
        assert read(csv("0.5", at="05/10/2026 00:30"), tmp_path, days=(way,)).rows["allocated_at"].to_list() == [at]


# --- joined columns, filters


def test_a_joined_id_is_refused_where_a_part_is_missing_or_holds_the_sign_between_or_is_no_id(tmp_path: Path) -> None:
    head = "block,worker,account,asset,allocated_at,amount\n"
    joined = {"joined": {"allocation_id": ("block", "worker")}}
    row = "{},{},acct,BTC," + AT + ",0.5\n"
    found = read((head + row.format(900, "w1")).encode(), tmp_path, **joined)
    assert found.rows["allocation_id"].to_list() == ["900:w1"]
    rows = [row.format("", "w1"), row.format("900:1", "w1"), row.format("9,1E+05".replace(",", "."), "w1"), row.format("#N/A", "w1")]
    found_faults = faults((head + "".join(rows)).encode(), tmp_path, **joined)
    assert [fault.split(": ")[0] + ": " + fault.split(": ")[1] for fault in found_faults] == [f"f:{line}: block" for line in (2, 3, 4, 5)]


def test_a_file_whose_every_row_is_passed_over_says_so(tmp_path: Path) -> None:
    data = ("type," + ",".join(HEADINGS) + f"\ncredit,A1,acct,BTC,{AT},0.5\n").encode()
    notes = read(data, tmp_path, only={"type": ("Credit",)}).notes
    assert notes.passed_over == 1 and "every row is passed over" in notes.warnings[0].what


# --- encodings


@pytest.mark.parametrize("encoding", ["windows-1251", "koi8-r", "cp866", "kz-1048"])
def test_another_encoding_than_the_one_set_is_named_and_read_when_set(tmp_path: Path, encoding: str) -> None:
    account = "Қарағанды-7" if encoding == "kz-1048" else "ТОО Караганда-7"
    data = csv("0.5", account=account).decode().encode(encoding)
    (fault,) = faults(data, tmp_path)
    assert f'set encoding = "{encoding}"' in fault and account.split()[0] in fault
    assert read(data, tmp_path, encoding=encoding).rows["account"].to_list() == [account]
    for other in {"windows-1251", "koi8-r", "cp866"} - {encoding}:
        (fault,) = faults(data, tmp_path, encoding=other)
        assert f'set encoding = "{encoding}"' in fault


@pytest.mark.parametrize("word", ["Б", "Щ", "Ю", "пул", "ЧП", "БТЦ", "Фуфа", "ТОО"])
def test_where_few_letters_fit_two_encodings_both_are_named_with_what_they_read(tmp_path: Path, word: str) -> None:
    data = csv("0.5", account=f"{word}-7").decode().encode("cp1251")
    (fault,) = faults(data, tmp_path)
    assert "too few letters to tell" in fault
    for encoding, name in (("windows-1251", "Windows-1251"), ("koi8-r", "KOI8-R")):
        assert f'{shown(f"{word}-7".encode("cp1251").decode(encoding))} as {name} (encoding = "{encoding}")' in fault
    assert read(data, tmp_path, encoding="windows-1251").rows["account"].to_list() == [f"{word}-7"]


@pytest.mark.parametrize(
    "word", ["Иванов", "Сидорова", "Ертис", "Алматы", "Шаймерденов", "ТОО Майнинг", "Қасымов", "Ғани", "Әлия", "Өмірбек", "Ұлпан"]
)
def test_names_are_told_for_certain(tmp_path: Path, word: str) -> None:
    encoding = "windows-1251" if all(letter not in "ҚҒӘӨҰі" for letter in word) else "kz-1048"
    (fault,) = faults(csv("0.5", account=f"{word}-7").decode().encode(encoding), tmp_path)
    assert f'set encoding = "{encoding}"' in fault and word.split()[0] in fault and "too few" not in fault


def test_a_word_in_every_row_counts_once_and_a_doubtful_encoding_asks(tmp_path: Path) -> None:
    """A file that is what the settings say was refused as KOI8-R: the same few seldom letters in each row added up."""
    rows = "".join(f"A{n},пул-{n},BTC,{AT},0.5\n" for n in range(40))
    data = (",".join(HEADINGS) + "\n" + rows).encode("cp1251")
    found = read(data, tmp_path, encoding="windows-1251")
    assert found.rows["account"].to_list()[:2] == ["пул-0", "пул-1"] and not found.notes.odd
    seldom = (",".join(HEADINGS) + f"\nA1,ЧП БТЦ пул,BTC,{AT},0.5\n").encode("cp1251")
    found = read(seldom, tmp_path, encoding="windows-1251")
    assert found.rows["account"].to_list() == ["ЧП БТЦ пул"]
    (asked,) = found.notes.odd
    assert "'ЧП' is read as Windows-1251" in asked and "as KOI8-R it would read 'во'" in asked and 'encoding = "koi8-r"' in asked


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_with_or_without_a_mark(tmp_path: Path, encoding: str) -> None:
    data = csv("0.5", account="счёт").decode().encode(encoding)
    for options in ({}, {"encoding": "windows-1251"}):
        (fault,) = faults(data, tmp_path, **options)
        assert "is UTF-16 text" in fault and 'set encoding = "utf-16"' in fault
    assert read(data, tmp_path, encoding="utf-16").rows["account"].to_list() == ["счёт"]


def test_garbled_and_lost_letters_are_refused(tmp_path: Path) -> None:
    garbled = "счёт-1".encode().decode("cp1251")
    (fault,) = faults(csv("0.5", account=garbled), tmp_path)
    assert "is UTF-8 that a program read in another encoding ('счёт-1')" in fault
    (fault,) = faults(csv("0.5", account="сч\ufffdт"), tmp_path)
    assert "the mark of a lost letter" in fault
    assert read(csv("0.5", account="Сіздің РІС"), tmp_path).rows["account"].to_list() == ["Сіздің РІС"]


# --- workbooks


def xlsx(fill: Callable[[xlsxwriter.Workbook, Any], None], name: str = "allocations", **options: Any) -> bytes:
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, options)
    sheet = book.add_worksheet(name)
    sheet.write_row(0, 0, HEADINGS)
    sheet.write_row(1, 0, ["A1", "acct", "BTC", AT])
    fill(book, sheet)
    book.close()
    return data.getvalue()


@pytest.mark.parametrize(
    ("code", "value", "what"),
    [
        ("0.00%", 0.5, "holds 0.5 and shows it as a percentage"),
        ("#,##0.0,", 5000, "holds 5000 and shows it as thousands of it"),
        ('0 "sat"', 5, "holds 5 and shows it as sat"),
    ],
)
def test_a_number_shown_as_another_is_refused_with_its_cell(tmp_path: Path, code: str, value: float, what: str) -> None:
    data = xlsx(lambda book, sheet: sheet.write_number(1, 4, value, book.add_format({"num_format": code})))
    (fault,) = faults(data, tmp_path)
    assert f"the cell E2 {what}" in fault
    if "sat" in code:
        assert amounts(read(data, tmp_path, is_in_base_units=True)) == [5]


@pytest.mark.parametrize("code", ['0.00000000 "BTC"', "#,##0.00", "[$₸-43F] 0.00", "0.0000"])
def test_a_number_shown_plainly_is_read(tmp_path: Path, code: str) -> None:
    assert amounts(read(xlsx(lambda book, sheet: sheet.write_number(1, 4, 0.5, book.add_format({"num_format": code}))), tmp_path)) == [
        50_000_000
    ]


def test_a_formula_of_value_0_counts_only_where_the_workbook_says_that_it_was_calculated(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx(lambda book, sheet: sheet.write_formula(1, 4, "=1/2", None, 0)))) as source:
        parts = {name: source.read(name) for name in source.namelist()}

    def with_calculation(element: bytes) -> bytes:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, re.sub(rb"<calcPr[^>]*/>", element, content) if name == "xl/workbook.xml" else content)
        return data.getvalue()

    (fault,) = faults(with_calculation(b""), tmp_path)
    assert "the cell E2 is a formula of value 0 in a workbook that was perhaps never calculated" in fault
    assert amounts(read(with_calculation(b'<calcPr calcId="191029"/>'), tmp_path)) == [0]


def test_rows_that_a_sheet_hides_are_read_and_asked_about(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write(1, 4, 0.5)
        sheet.write_row(2, 0, ["A2", "acct", "BTC", AT, 0.25])
        sheet.set_row(2, None, None, {"hidden": True})

    found = read(xlsx(fill), tmp_path)
    assert len(found.rows) == 2 and found.notes.odd == [
        "1 row(s) are hidden in the sheet (by hand or by a filter), and are read like the others: 3"
    ]


def test_a_sheet_that_was_asked_for_is_the_one_or_none(tmp_path: Path) -> None:
    data = xlsx(lambda book, sheet: sheet.write(1, 4, 0.5), "October")
    assert amounts(read(data, tmp_path)) == [50_000_000]
    assert faults(data, tmp_path, sheet="November") == ["f: has no sheet 'November'; it has 'October': say one of them with --sheet"]
    two = xlsx(lambda book, sheet: (sheet.write(1, 4, 0.5), book.add_worksheet("Notes"))[0], "October")
    (fault,) = faults(two, tmp_path)
    assert "which sheet? It has 'October', 'Notes': say one of them with --sheet" in fault


@pytest.mark.parametrize("cells", [[None, None, None, "Сверил:", 0.5], ["Бухгалтер Иванова"]])
def test_a_note_or_a_nameless_total_below_is_one_sentence(tmp_path: Path, cells: list[object]) -> None:
    def fill(book: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write(1, 4, 0.5)
        sheet.write_row(3, 0, cells)

    (fault,) = faults(xlsx(fill), tmp_path)
    assert fault.startswith("f:4: fills ") and "rows_below = 1" in fault
    assert amounts(read(xlsx(fill), tmp_path, rows_below=1)) == [50_000_000]


def test_headings_in_two_rows_are_one_sentence(tmp_path: Path) -> None:
    """As under a heading of several columns, merged over them."""

    data = io.BytesIO()
    book = xlsxwriter.Workbook(data)
    sheet = book.add_worksheet()
    sheet.merge_range("A1:A2", "allocation_id")
    sheet.merge_range("B1:B2", "account")
    sheet.merge_range("C1:E1", "Начислено")
    sheet.write_row(1, 2, HEADINGS[2:])
    sheet.write_row(2, 0, ["A1", "acct", "BTC", AT, "0.5"])
    book.close()
    told = "f: the headings stand in more than one row: 'account', 'allocation_id' in the first, 'allocated_at', 'amount', 'asset' in row 2: write them all in one row"
    assert faults(data.getvalue(), tmp_path) == [told]
    above = f"allocation_id;account;Начислено;;\n;;{';'.join(HEADINGS[2:])}\nA1;acct;BTC;{AT};0.5\n"
    assert faults(above.encode(), tmp_path) == [told.replace("f: ", "f:1: ", 1)]


def test_a_file_without_any_known_heading_is_one_sentence(tmp_path: Path) -> None:
    (fault,) = faults(csv("0.5").replace(b";", b"|"), tmp_path)
    assert fault.startswith("f:1: none of the headings is known") and fault.endswith("or set delimiter")


def test_a_file_without_its_line_of_headings_is_told_so(tmp_path: Path) -> None:
    headings, row = csv("0.5").split(b"\n", 1)
    (fault,) = faults(row, tmp_path)
    assert fault.startswith("f:1: none of the headings is known")
    assert fault.endswith("looks like a value: if the line of headings is missing, add it above")
    assert amounts(read(headings + b"\n" + row, tmp_path)) == [50_000_000]


def test_merged_cells_and_errors_in_a_column_that_rows_are_chosen_by_are_refused(tmp_path: Path) -> None:
    def book(fill: Callable[[Any], None]) -> bytes:
        def all_of_it(book: xlsxwriter.Workbook, sheet: Any) -> None:
            sheet.write(1, 4, 0.5)
            sheet.write_row(2, 0, ["A2", "acct", "BTC", AT, 0.25])
            sheet.write(0, 5, "type")
            fill(sheet)

        return xlsx(all_of_it)

    only = {"only": {"type": ("Credit",)}}
    (fault,) = faults(book(lambda sheet: sheet.merge_range("F2:F3", "Credit")), tmp_path, **only)
    assert "f:2: type: the cells F2:F3 are merged" in fault
    data = book(lambda sheet: (sheet.write("F2", "Credit"), sheet.write_formula("F3", "=VLOOKUP(1,A1:A2,1)", None, "#N/A")))  # type: ignore[arg-type, return-value]
    assert any("f:3: type: is an error" in fault for fault in faults(data, tmp_path, **only))


# --- ODS


def ods(*rows: list[Any]) -> bytes:
    """A spreadsheet of texts; a cell may be a `TableCell` of its own."""
    document = OpenDocumentSpreadsheet()
    table = Table(name="allocations")
    for row in [HEADINGS, *rows]:
        line = TableRow()
        for cell in row:
            if isinstance(cell, str):
                text, cell = cell, TableCell(valuetype="string")
                cell.addElement(P(text=text))
            line.addElement(cell)
        table.addElement(line)
    document.spreadsheet.addElement(table)
    data = io.BytesIO()
    document.write(data)
    return data.getvalue()


def changed(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The archive with other contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, change(name, source.read(name)))
    return out.getvalue()


ODS_ROW = ["A1", "acct", "BTC", AT, "0.5"]


def test_an_ods_bomb_is_refused_unread(tmp_path: Path) -> None:
    bomb = changed(ods(ODS_ROW), lambda name, xml: xml + b" " * (40 << 20) if name == "content.xml" else xml)
    assert len(bomb) < 200_000
    (fault,) = faults(bomb, tmp_path)
    assert "unpacks to 40 MiB: more than is read of an ODS file" in fault


def test_an_ods_file_that_repeats_a_row_beyond_reason_is_refused(tmp_path: Path) -> None:
    data = changed(
        ods(ODS_ROW, ["A2", *ODS_ROW[1:]]),
        lambda name, xml: (
            xml.replace(b"<table:table-row>", b'<table:table-row table:number-rows-repeated="1048576">') if name == "content.xml" else xml
        ),
    )
    (fault,) = faults(data, tmp_path)
    assert "repeats rows beyond the size of a sheet" in fault


def test_an_ods_file_with_a_document_type_is_refused(tmp_path: Path) -> None:
    doctype = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    data = changed(ods(ODS_ROW), lambda name, xml: xml.replace(b"?>", b"?>" + doctype, 1) if name == "content.xml" else xml)
    (fault,) = faults(data, tmp_path)
    assert "content.xml has a document type" in fault


def test_merged_cells_of_an_ods_file_are_refused_with_the_range(tmp_path: Path) -> None:
    merged = TableCell(valuetype="string", numberrowsspanned=2)
    merged.addElement(P(text="acct"))
    (fault, *rest) = faults(ods(["A1", merged, *ODS_ROW[2:]], ["A2", TableCell(), *ODS_ROW[2:]]), tmp_path)
    assert fault.startswith("f:2: account: the cells B2:B3 are merged") and rest == ["f:3: account: is missing"]


def test_a_percentage_a_unit_and_a_day_of_an_ods_file(tmp_path: Path) -> None:
    percent = TableCell(valuetype="percentage", value="0.5")
    percent.addElement(P(text="50%"))
    unit = TableCell(valuetype="float", value="5")
    unit.addElement(P(text="5 sat"))
    day = TableCell(valuetype="date", datevalue="2026-10-05")
    day.addElement(P(text="05.10.26"))
    (fault,) = faults(ods([*ODS_ROW[:4], percent]), tmp_path)
    assert "'50%' is a percentage" in fault
    (fault,) = faults(ods([*ODS_ROW[:4], unit]), tmp_path)
    assert "'5 sat' has a unit" in fault
    assert amounts(read(ods([*ODS_ROW[:4], unit]), tmp_path, is_in_base_units=True)) == [5]
    found = read(ods([*ODS_ROW[:3], day, "0.5"]), tmp_path)
    assert found.rows["allocated_at"].to_list() == [1_791_140_400_000_000] and found.notes.days == 1


def test_garbled_names_of_a_registry_are_refused_without_showing_a_persons_number(tmp_path: Path) -> None:
    garbled = "ТОО «Ертис»".encode().decode("cp1251", errors="replace")
    tables = {
        "miners": f"miner_id,name\n201040334324,{garbled}\n",
        "licences": "miner_id,licence_number,issue_date,valid_from\n",
        "accounts": "account,miner_id,valid_from\n",
        "wallets": "address,chain,miner_id,valid_from\n",
    }
    for kind, text in tables.items():
        (tmp_path / f"{kind}.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputRefused) as refused:
        read_registry(tmp_path, networks={"bitcoin": "regtest"})
    assert "201040334324" not in str(refused.value) and "miners.csv:2: name:" in str(refused.value)
