"""Cells and files that look sound and are not, or are not and look so: what a spreadsheet shows otherwise, hides or cuts; what other programs write; names that are no text."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from connectors.files import ReadOptions, import_ledger, read_ledger
from connectors.standins.log_memory import MemoryLog
from pipeline.cli.commands import build
from pipeline.cli.frame import run
from pipeline.log.events.ledger import Allocations
from pipeline.log.read import events_of
from pipeline.model.errors import InputRefused
from pipeline.model.plain import plain_name
from pipeline.model.rules import Asset
from pipeline.validate.check import Checked
from pipeline.validate.review import Consent

LIBREOFFICE = Path(__file__).parent / "files" / "libreoffice"
READING = ReadOptions(
    {"BTC": Asset("BTC", "bitcoin", 8), "ETH": Asset("ETH", "ethereum", 18)},
    {"bitcoin": "regtest", "ethereum": "ethereum"},
    timezone="Asia/Almaty",
)
CONSENT = Consent(to_oddities=True, to_moves=True)
HEADINGS = ["allocation_id", "account", "asset", "allocated_at", "amount"]
ROW = ["A1", "acct", "ETH", "2026-10-01T00:30:00+05:00", "0.5"]
IIN = "901231300123"


def read(path: Path) -> Checked:
    return read_ledger(path, "allocations", READING)


def faults(path: Path) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        read(path)
    return refused.value.faults


def workbook(path: Path, *rows: list[object], code: str = "") -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("allocations")
        sheet.write_row(0, 0, HEADINGS)
        for line, row in enumerate(rows, 1):
            sheet.write_row(line, 0, row, book.add_format({"num_format": code}) if code else None)
    return path


def rewritten(source: Path, path: Path, part: str, old: str, new: str) -> Path:
    """The archive with a text replaced in one of its parts."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            if name == part:
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode(), 1)
            other.writestr(name, data)
    return path


def parquet(path: Path, column: str, values: pa.Array) -> Path:
    table = pa.table({name: pa.array([text]) for name, text in zip(HEADINGS, ROW, strict=True)} | {column: values})
    pq.write_table(table, path)
    return path


def test_what_libreoffice_shows_otherwise_is_refused_with_its_cell() -> None:
    assert faults(LIBREOFFICE / "odd_cells.ods") == [
        "odd_cells.ods:2: amount: the cell E2 holds 1234.5 and shows it as thousands of it: give it a plain number format, and look at its value",
        "odd_cells.ods:3: amount: 'TRUE' is a truth value: format the column as text, and write the value itself",
        "odd_cells.ods:4: allocated_at: '10:20:00' is no text, number or date: format the column as text, and write the value itself",
        "odd_cells.ods:5: allocated_at: '46296.5' is a number, and no date: format the cells as a date and time, or write it as text",
    ]


@pytest.mark.parametrize("name", ["hidden_sheet.ods", "hidden_sheet.xlsx"])
def test_a_hidden_sheet_and_numbers_that_may_be_cut_are_asked_about(name: str) -> None:
    """0.012345678901234567 was written into the cell; LibreOffice saved 0.0123456789012346."""
    found = read(LIBREOFFICE / name)
    assert found.rows["amount"].to_list() == [12345678901234600, 12345678900000000, 123456789012345000000000]
    assert found.notes.odd == [
        "the sheet 'allocations' is hidden, and is the one that is read; those to be seen: 'Октябрь'",
        (
            "2 number(s) of 'amount' have 15 digits, all that a workbook keeps of a number, and the asset has more decimals: "
            "they may have been cut (line 2, '0.0123456789012346'); format the column as text and fill it from the source anew"
        ),
    ]
    asked = read_ledger(LIBREOFFICE / name, "allocations", ReadOptions(READING.assets, READING.networks, sheet="allocations"))
    assert len(asked.notes.odd) == 1, "who asks for the sheet by its name knows that it is hidden"


@pytest.mark.parametrize("name", ["struck.ods", "struck.xlsx"])
def test_rows_that_are_struck_out_are_asked_about(name: str) -> None:
    found = read(LIBREOFFICE / name)
    assert len(found.rows) == 3
    assert found.notes.odd == ["1 row(s) have cells that are struck out, and are read like the others: 3"]


def test_fifteen_digits_that_fill_the_asset_are_not_cut(tmp_path: Path) -> None:
    row = [*ROW[:2], "BTC", ROW[3], 1234567.12345678]
    assert read(workbook(tmp_path / "f.xlsx", row)).notes.odd == []


@pytest.mark.parametrize("code", ["[$mBTC] 0.00", "0.00 [$sat-43F]"])
def test_a_small_unit_in_place_of_a_currency_is_seen(tmp_path: Path, code: str) -> None:
    assert "and shows it as " in faults(workbook(tmp_path / "f.xlsx", [*ROW[:4], 1.5], code=code))[0]


def test_a_date_in_an_amount_is_told_with_what_to_do(tmp_path: Path) -> None:
    found = faults(workbook(tmp_path / "f.xlsx", [*ROW[:4], 1234.5], code="dd.mm.yyyy"))
    assert found == ["f.xlsx:2: amount: '1903-05-18T12:00:00' is a date: give the cell a plain number format, and look at its value"]


def test_an_empty_cell_of_shared_texts_is_empty_and_a_number_of_python_is_none(tmp_path: Path) -> None:
    sound = workbook(tmp_path / "f.xlsx", [*ROW[:4], 10])
    part = "xl/worksheets/sheet1.xml"
    empty = rewritten(sound, tmp_path / "empty.xlsx", part, '<c r="E2"><v>10</v></c>', '<c r="E2"><v>10</v></c><c r="F2" t="s"/>')
    assert read(empty).rows["amount"].to_list() == [10 * 10**18]
    odd = rewritten(sound, tmp_path / "odd.xlsx", part, "<v>10</v>", "<v>1_0</v>")
    assert "is an error" in faults(odd)[0]


def test_elements_nested_without_end_are_refused(tmp_path: Path) -> None:
    deep = rewritten(
        LIBREOFFICE / "hidden_sheet.ods", tmp_path / "deep.ods", "content.xml", "<text:p>acct</text:p>",
        f"<text:p>{'<text:span>' * 1500}acct{'</text:span>' * 1500}</text:p>",
    )  # fmt: skip
    assert faults(deep) == ["deep.ods: nests its elements too deep: no spreadsheet does; save it anew"]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63) + 1, 253402300800000000])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Almaty"])
def test_an_instant_beyond_the_calendar_is_refused_by_its_line(tmp_path: Path, number: int, zone: str | None) -> None:
    found = faults(parquet(tmp_path / "f.parquet", "allocated_at", pa.array([number], pa.timestamp("us", tz=zone))))
    assert found[0].startswith(f"f.parquet:1: allocated_at: 'timestamp {number}") and "is not an instant" in found[0]


@pytest.mark.parametrize("number", [2**31 - 1, -(2**31), 2_932_897, -719_163])
def test_a_day_beyond_the_calendar_is_refused_by_its_line(tmp_path: Path, number: int) -> None:
    days = pa.array([number], pa.int32()).cast(pa.date32())
    assert faults(parquet(tmp_path / "f.parquet", "allocated_at", days))[0].startswith(f"f.parquet:1: allocated_at: 'date {number}'")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Almaty", "+05:00", "-03:30", "Nowhere/Town"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_an_instant_of_any_zone_is_the_instant(tmp_path: Path, zone: str, unit: str) -> None:
    """A Parquet file holds instants in UTC; the zone says only how a program may show them."""
    number = 1_790_796_600 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    found = read(parquet(tmp_path / "f.parquet", "allocated_at", pa.array([number], pa.timestamp(unit, tz=zone))))
    assert found.rows["allocated_at"].to_list() == [1_790_796_600_000_000]


def test_a_file_whose_name_is_no_text_is_imported_under_a_name_that_is(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("окт\n.csv".encode("cp1251"))
    path.write_text(",".join(HEADINGS) + "\n" + ",".join(ROW) + "\n")
    log = MemoryLog()
    done = import_ledger(log, "pool", path, "allocations", READING, consent=CONSENT)
    assert done.source == r"\xee\xea\xf2\n.csv" == plain_name(path.name)
    assert [event.source for _, event in events_of(log, "ledger", "pool", [Allocations])] == [done.source]
    path.write_text("x")
    assert all(fault.startswith(done.source) for fault in faults(path))


def test_a_persons_number_is_in_no_restatement_and_in_no_heading(tmp_path: Path) -> None:
    """An account may be called by its owner's IIN; in a file without headings an IIN stands where they should."""
    log = MemoryLog()
    file = tmp_path / "f.csv"
    found = []
    for account in (IIN, "201040334324"):
        file.write_text(",".join(HEADINGS) + f"\n{IIN},{account},{','.join(ROW[2:])}\n")
        found.append(import_ledger(log, "pool", file, "allocations", READING, consent=CONSENT).review)
    assert found[1].restatements == ["[12 digits]: account [12 digits] to [12 digits]"]
    file.write_text(f'{IIN},acct,x\nA2, "b",x\n')
    told = faults(file)
    assert len(told) == 2 and not any(IIN in fault for fault in told)


def test_a_heading_over_two_lines_is_told_on_one(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(",".join(HEADINGS[:4]) + ',"Сумма,\nBTC"\n' + ",".join(ROW[:4]) + ",x\n")
    reading = ReadOptions(READING.assets, READING.networks, columns={"amount": "Сумма,\nBTC"})
    with pytest.raises(InputRefused) as refused:
        read_ledger(file, "allocations", reading)
    assert refused.value.faults[0].startswith("f.csv:3: Сумма, BTC: 'x' is not an amount")


def test_an_argument_that_is_no_text_is_refused_but_for_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Typed at a terminal in Windows-1251; the name of a file out of an archive of Windows is such, too."""
    odd = os.fsdecode("Айгуль".encode("cp1251"))
    assert run(build(), ["waive", "2026-10", "unknown-outflow", "x:0", "--by", odd, "--reason", "r"]) == 2
    assert capsys.readouterr().err == (
        "esep: '\\xc0\\xe9\\xe3\\xf3\\xeb\\xfc' is not UTF-8 text: set the terminal's character set to UTF-8\n"
    )
    assert run(build(), ["waive", "2026-10", "unknown-outflow", "x:0", f"--by={odd}", "--reason", "r"]) == 2
    (tmp_path / odd).write_text("x")
    config = tmp_path / "none.toml"
    capsys.readouterr()
    assert run(build(), ["import", "allocations", str(tmp_path / odd), "--config", str(config)]) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_persons_number_shown_in_thousands_is_masked(tmp_path: Path, kind: str) -> None:
    path = workbook(tmp_path / "f.xlsx", [ROW[0], int(IIN), *ROW[2:]], code="#,##0,")
    if kind == "ods":
        path = rewritten(LIBREOFFICE / "odd_cells.ods", tmp_path / "f.ods", "content.xml", 'office:value="1234.5"', f'office:value="{IIN}"')
    told = faults(path)
    assert "holds [12 digits] and shows it as thousands of it" in told[0] and not any(IIN in fault for fault in told)


@pytest.mark.parametrize("rows", [1, 6_000])
def test_parquet_of_version_2_is_read_as_duckdb_writes_it(tmp_path: Path, rows: int) -> None:
    """Ids that don't repeat are stored one by one, and of the accounts each group of rows decides for itself."""
    path = tmp_path / "f.parquet"
    account = "CASE WHEN i < 4096 THEN 'a' || i % 3 ELSE 'account of a length of its own ' || i END"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'A' || i AS allocation_id, {account} AS account, 'ETH' AS asset, TIMESTAMPTZ '2026-10-01 00:30:00+05' AS allocated_at,"
            f" i::DECIMAL(38, 18) AS amount FROM range({rows}) AS t(i))"
            f" TO '{path}' (FORMAT parquet, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048)"
        )
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    assert {encoding for group in groups for encoding in group.column(0).encodings} == {"DELTA_LENGTH_BYTE_ARRAY"}
    assert rows == 1 or len({group.column(1).encodings for group in groups}) > 1
    found = read(path).rows
    assert found["allocation_id"].to_list() == [f"A{i}" for i in range(rows)]
    assert found["account"].to_list() == [f"a{i % 3}" if i < 4096 else f"account of a length of its own {i}" for i in range(rows)]
    assert found["amount"].to_list() == [i * 10**18 for i in range(rows)] and set(found["allocated_at"]) == {1_790_796_600_000_000}


def test_an_encoding_that_tells_no_size_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    table = pa.table({name: [text] for name, text in zip(HEADINGS, ROW, strict=True)})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"account": "DELTA_BYTE_ARRAY"})
    assert faults(path) == [
        "f.parquet: the column 'account' is written in an encoding that is not read (DELTA_BYTE_ARRAY): write the file anew, as Parquet version 1"
    ]


def test_whole_numbers_of_128_bits_are_told_as_such(tmp_path: Path) -> None:
    """As polars writes them; the library that reads Parquet here knows 64."""
    path = tmp_path / "f.parquet"
    row = pl.DataFrame({name: [text] for name, text in zip(HEADINGS, ROW, strict=True)})
    row.with_columns(amount=pl.lit(5, pl.Int128)).write_parquet(path)
    assert faults(path)[0].startswith(
        "f.parquet: has a column of a type that is not read (Integers with more than 64 bits not implemented)"
    )


@pytest.mark.parametrize(
    "data", [b"SQLite format 3\0\x10\0\1\1\0\x40\x20\x20" + bytes(80), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0"]
)
def test_what_is_no_text_is_not_called_utf_16(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    assert faults(path) == ["f.csv: is not UTF-8, or not text at all: save it as CSV UTF-8"]
