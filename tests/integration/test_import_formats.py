"""CSV, XLSX and Parquet as they lie on a disk: what each may look like, what lines it counts, and what is refused of it."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from connectors.files import ReadOptions, import_ledger, read_ledger
from connectors.files.tables import parse_table, read_table
from connectors.standins.log_memory import MemoryLog
from pipeline.model.errors import InputRefused
from pipeline.model.rules import Asset
from pipeline.validate.review import Consent

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8)}
CONSENT = Consent(to_oddities=True, to_moves=True)
NETWORKS = {"bitcoin": "regtest"}
READING = ReadOptions(ASSETS, NETWORKS)
HEADINGS = ["allocation_id", "account", "asset", "allocated_at", "amount"]
ROW = ["A1", "acct", "BTC", "2026-10-01T00:30:00+05:00", "0.5"]
HEADER = ",".join(HEADINGS)
LINE = ",".join(ROW)


def read(data: bytes, tmp_path: Path, **options: str) -> pl.DataFrame:
    path = tmp_path / "f"
    path.write_bytes(data)
    return read_ledger(path, "allocations", ReadOptions(assets=ASSETS, networks=NETWORKS, **options)).rows  # type: ignore[arg-type]


def faults(data: bytes, tmp_path: Path, **options: str) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        read(data, tmp_path, **options)
    return refused.value.faults


# --- CSV


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{LINE}\n",
        f"{HEADER}\n{LINE}",
        f"{HEADER}\r\n{LINE}\r\n",
        f"{HEADER}\r{LINE}\r",
        f"\ufeff{HEADER}\n{LINE}\n",
        f"\n \n{HEADER}\n\n{LINE}\n,,,,\n\n",
        f"{HEADER}\n{LINE}\n".replace(",", ";"),
        f"{HEADER}\n{LINE}\n".replace(",", "\t"),
        f"{HEADER}\n{LINE}\n".replace(",", " , "),
        "\n".join(",".join(f'"{cell}"' for cell in row) for row in (HEADINGS, ROW)),
        "\n \n" + "\n".join(",".join(f'"{cell}"' for cell in row) for row in (HEADINGS, ROW)),
        ";".join(HEADINGS) + "\n" + ";".join(f'" {cell}"' for cell in ROW),
        f"{HEADER}\n\u00a0{LINE}\u3000\n",
    ],
)
def test_csv_of_every_make_gives_the_same_row(text: str, tmp_path: Path) -> None:
    assert read(text.encode(), tmp_path).drop("line").row(0)[:5] == ("A1", "acct", "BTC", 1790796600000000, 50_000_000)


def test_lines_are_those_of_the_file_even_after_fields_that_run_over_lines(tmp_path: Path) -> None:
    bad = LINE.replace("0.5", "x")
    assert faults(f"\n{HEADER}\n\n{LINE}\n{bad}\n".encode(), tmp_path)[0].startswith("f:5: amount: ")
    quoted = f'{HEADER}\r\n{LINE}\r\n"A\r\n2",acct,BTC,2026-10-01T00:30:00+05:00,1\r\n\r\n{bad}\r\n'
    found = faults(quoted.encode(), tmp_path)
    assert [fault.split(": ")[:2] for fault in found] == [["f:3", "allocation_id"], ["f:6", "amount"], ["f:6", "allocation_id"]]


@pytest.mark.parametrize("quote", ["", '"'])
def test_rows_with_too_few_or_too_many_fields_are_refused_each(quote: str, tmp_path: Path) -> None:
    text = f"{HEADER}\n{quote}A1{quote},acct\n{LINE}\n{LINE},x\n"
    assert [fault[:22] for fault in faults(text.encode(), tmp_path)] == ["f:2: has 2 fields, the", "f:4: has 6 fields, the"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (
            f"{HEADER}\n{LINE.replace('acct', 'счёт')}\n".encode("cp1251"),
            "f:2: is not UTF-8; as Windows-1251 it reads 'счёт': save it as CSV UTF-8, or set encoding",
        ),
        (f"{HEADER}\n{LINE}\n".encode("utf-16"), "UTF-16"),
        (f"{HEADER}\n{LINE}\n\x00".encode(), "not text at all"),
        (f"{HEADER}\n{LINE}\rx\n".encode(), "f:2: has a carriage return inside the line"),
        (f'{HEADER}\n{LINE}\n"A2,acct\n{LINE}\n'.encode(), "f:3: has a stray or unclosed quote"),
        (f'{HEADER}\n{LINE}\n"A2"x,acct,BTC,,\n'.encode(), "f:3: has a stray or unclosed quote"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "old .xls"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(data: bytes, what: str, tmp_path: Path) -> None:
    assert any(what in fault for fault in faults(data, tmp_path))


def test_headings_alone_are_a_file_of_no_rows(tmp_path: Path) -> None:
    assert read(f"{HEADER}\n".encode(), tmp_path).is_empty()
    assert read(f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"'.encode(), tmp_path).is_empty()


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none.csv", "no such file"), (tmp_path, "not a plain file"), (tmp_path / "\0", "no such file")):
        with pytest.raises(InputRefused, match=what):
            read_ledger(path, "allocations", READING)


# --- XLSX


def workbook(fill: Callable[[xlsxwriter.Workbook], None]) -> bytes:
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data)
    fill(book)
    book.close()
    return data.getvalue()


def sheet(*rows: list[object], start: int = 0, **formats: str) -> bytes:
    def fill(book: xlsxwriter.Workbook) -> None:
        page = book.add_worksheet()
        shapes = {column: book.add_format({"num_format": shape}) for column, shape in formats.items()}
        for number, row in enumerate([HEADINGS, *rows], start):
            for column, value in enumerate(row):
                page.write(number, column, value, shapes.get(HEADINGS[column]) if number > start and column < len(HEADINGS) else None)

    return workbook(fill)


def test_texts_and_exact_numbers_of_a_workbook_are_kept(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["A1", "acct", "BTC", ROW[3], 0.00663198],
        ["A2", "017", "BTC", ROW[3], "0.00663198"],
        ["A3", "acct", "BTC", ROW[3], 1e-8],
        ["A4", "acct", "BTC", ROW[3], 123456.12345678],
        ["A5", "acct", "BTC", ROW[3], 21_000_000],
    ]
    found = read(sheet(*rows), tmp_path)
    assert found["amount"].to_list() == [663198, 663198, 1, 12345612345678, 2_100_000_000_000_000]
    assert found["account"].to_list()[1] == "017"
    assert found["line"].to_list() == [2, 3, 4, 5, 6]


def test_a_number_that_the_workbook_can_not_hold_exactly_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["", ""], HEADINGS, [*ROW[:4], 0.1234567890123456], [*ROW[:4], 12345678.90123456]):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    found = faults(data.getvalue(), tmp_path)
    assert found[0].startswith("f:3: amount: '0.1234567890123456' is a number of more than 15 digits")
    assert found[1].startswith("f:4: amount: '12345678.90123456' is a number of more than 15 digits")


def test_dates_of_a_workbook_need_a_timezone(tmp_path: Path) -> None:
    data = sheet(["A1", "acct", "BTC", datetime(2026, 10, 1, 0, 30, 0, 250_000), 1], allocated_at="dd.mm.yyyy hh:mm")  # noqa: DTZ001 - dates of files have no zone
    assert "has no offset from UTC" in faults(data, tmp_path)[0]
    assert read(data, tmp_path, timezone="Asia/Almaty")["allocated_at"].to_list() == [1790796600250000]


def test_a_number_shown_otherwise_is_no_date(tmp_path: Path) -> None:
    for shape in ("0.00000000", '#,##0.00 "день"', "[Red]0.00", "0.00E+00", "_-* #,##0.00_-", "General", "0.0\\d"):
        assert read(sheet([*ROW[:4], 0.25], amount=shape), tmp_path)["amount"].to_list() == [25_000_000], shape


def test_a_formula_gives_its_last_value_and_without_one_is_refused(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook, value: object = 0.5, *, asks: bool = False) -> None:
        book.calc_on_load = asks
        page = book.add_worksheet()
        page.write_row(0, 0, HEADINGS)
        page.write_row(1, 0, ROW[:4])
        page.write_formula(1, 4, "=1/2", None, value)

    assert read(workbook(fill), tmp_path)["amount"].to_list() == [50_000_000]
    (fault,) = faults(workbook(lambda book: fill(book, 0, asks=True)), tmp_path)
    assert fault.startswith("f:2: amount: the cell E2 is a formula, and the workbook asks to be calculated when it is opened")
    assert "'#DIV/0!' is an error" in faults(workbook(lambda book: fill(book, "#DIV/0!")), tmp_path)[0]
    book = openpyxl.Workbook()
    book.active.append(HEADINGS)
    book.active.append([*ROW[:4], "=1/2"])
    data = io.BytesIO()
    book.save(data)
    (fault,) = faults(data.getvalue(), tmp_path)
    assert "'formula in E2' is an error, or a formula without a value" in fault


def test_other_programs_workbooks_read_alike(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(HEADINGS)
    book.active.append([*ROW[:3], datetime(2026, 10, 1, 0, 30), 0.5])  # noqa: DTZ001 - dates of files have no zone
    book.active.append([None, " ", None, None, None])
    book.active.append(["A2", "ЖШС «Ертіс»\n2", *ROW[2:]])
    data = io.BytesIO()
    book.save(data)
    (fault,) = faults(data.getvalue(), tmp_path, timezone="Asia/Almaty")
    assert fault.startswith("f:4: account: has a line end in it, after 'ЖШС «Ертіс»'")
    book.active["B4"] = "ЖШС «Ертіс»"
    data = io.BytesIO()
    book.save(data)
    found = read(data.getvalue(), tmp_path, timezone="Asia/Almaty")
    assert found.select("line", "account", "allocated_at").rows() == [(2, "acct", 1790796600000000), (4, "ЖШС «Ертіс»", 1790796600000000)]


def test_the_sheet_is_the_named_one_or_the_only_one_to_be_seen(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook, names: list[str]) -> None:
        for name in names:
            page = book.add_worksheet(name)
            page.write_row(0, 0, HEADINGS)
            page.write_row(1, 0, [name, *ROW[1:]])

    assert read(workbook(lambda book: fill(book, ["x", "Allocations"])), tmp_path)["allocation_id"].to_list() == ["Allocations"]
    both = workbook(lambda book: fill(book, ["x", "y"]))
    assert read(both, tmp_path, sheet="y")["allocation_id"].to_list() == ["y"]
    assert faults(both, tmp_path)[0].startswith("f: which sheet? It has 'x', 'y'")


def test_values_beside_the_headings_are_refused(tmp_path: Path) -> None:
    assert faults(sheet([*ROW, "", "stray"]), tmp_path) == ["f:2: has a value in column G, which has no heading"]


def rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))
    return out.getvalue()


def test_entities_in_a_workbook_are_refused(tmp_path: Path) -> None:
    def laugh(name: str, xml: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return xml
        return xml.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>', 1)

    assert "has a document type" in faults(rezipped(sheet(list(ROW)), laugh), tmp_path)[0]


def test_a_workbook_may_write_its_names_with_a_prefix(tmp_path: Path) -> None:
    def prefixed(name: str, xml: bytes) -> bytes:
        if not name.endswith(("sheet1.xml", "sharedStrings.xml", "workbook.xml", "styles.xml")):
            return xml
        return re.sub(rb"<(/?)([A-Za-z])", rb"<\1x:\2", xml).replace(b'xmlns="', b'xmlns:x="')

    assert read(rezipped(sheet(list(ROW)), prefixed), tmp_path).equals(read(sheet(list(ROW)), tmp_path))


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.files.xlsx_parts.MAX_UNPACKED_BYTES", 1 << 20)
    bomb = rezipped(sheet(list(ROW)), lambda name, xml: xml + b" " * (2 << 20) if name.endswith("sheet1.xml") else xml)
    assert len(bomb) < 100_000
    assert "unpacks to more than 1 MiB" in faults(bomb, tmp_path)[0]


def test_a_workbook_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = sheet(list(ROW))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = data.replace(size.to_bytes(4, "little"), (size - 50).to_bytes(4, "little"))
    assert lying != data
    assert "is not a sound XLSX workbook" in faults(lying, tmp_path)[0]


def test_parts_are_never_looked_for_outside_of_the_workbook(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("<worksheet/>")
    outside = str(tmp_path / "secret.xml").encode()
    changed = rezipped(sheet(list(ROW)), lambda name, xml: xml.replace(b"worksheets/sheet1.xml", b"../../../../.." + outside))
    assert "it has no part" in faults(changed, tmp_path)[0]


# --- Parquet


def parquet(**columns: pl.Series | list[object]) -> bytes:
    data = io.BytesIO()
    plain: dict[str, object] = {name: [value] for name, value in zip(HEADINGS, ROW, strict=True)}
    pl.DataFrame(plain | columns).write_parquet(data)
    return data.getvalue()


@pytest.mark.parametrize(
    ("column", "series", "value"),
    [
        ("amount", pl.Series([Decimal("0.12345678")], dtype=pl.Decimal(38, 18)), 12345678),
        ("amount", pl.Series([3], dtype=pl.Int64), 300_000_000),
        ("account", pl.Series(["acct"], dtype=pl.Categorical), "acct"),
        ("account", pl.Series([7], dtype=pl.UInt16), "7"),
        ("allocated_at", pl.Series([datetime(2026, 9, 30, 19, 30, tzinfo=UTC)]), 1790796600000000),
        ("allocated_at", pl.Series([datetime(2026, 9, 30, 19, 30, tzinfo=UTC)], dtype=pl.Datetime("ns", "Asia/Almaty")), 1790796600000000),
    ],
)
def test_exact_columns_of_parquet_are_taken(column: str, series: pl.Series, value: object, tmp_path: Path) -> None:
    assert read(parquet(**{column: series}), tmp_path)[column].to_list() == [value]


@pytest.mark.parametrize(
    ("column", "series", "what"),
    [
        ("amount", pl.Series([0.5]), "f: amount: is a column of binary floating point numbers (double)"),
        ("amount", pl.Series([True]), "f: amount: is a column of truth values (bool)"),
        ("account", pl.Series([b"x"]), "f: account: is a column of "),
        ("account", pl.Series([["x"]]), "f: account: is a column of "),
        ("amount", pl.Series([None], dtype=pl.String), "f:1: amount: is missing"),
        ("amount", pl.Series([-1]), "f:1: amount: '-1' is negative"),
        ("allocated_at", pl.Series([datetime(2026, 9, 30, 19, 30)]), "f:1: allocated_at: '2026-09-30T19:30:00"),  # noqa: DTZ001 - dates of files have no zone
        ("allocated_at", pl.Series([1790796600000000001], dtype=pl.Datetime("ns", "UTC")), "finer than a microsecond"),
    ],
)
def test_other_columns_of_parquet_are_refused(column: str, series: pl.Series, what: str, tmp_path: Path) -> None:
    (fault,) = faults(parquet(**{column: series}), tmp_path)
    assert what in fault


def test_a_parquet_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    pl.DataFrame({"account": ["x" * 10_000] * 10_000}).write_parquet(data)
    assert len(data.getvalue()) < 20_000
    monkeypatch.setattr("connectors.files.parquet_table.MAX_UNPACKED_BYTES", 50 << 20)
    assert any("bytes of text and numbers: more than is read at once" in fault for fault in faults(data.getvalue(), tmp_path))
    monkeypatch.setattr("connectors.files.parquet_table.MAX_ROWS", 9_999)
    assert any("has 10000 rows" in fault for fault in faults(data.getvalue(), tmp_path))


def written(**columns: pa.Array) -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data, compression="zstd", use_dictionary=True)
    return data.getvalue()


BOUNDED = [
    (7, pa.int64()),
    (Decimal("1.5"), pa.decimal128(38, 10)),
    (0, pa.timestamp("us", "UTC")),
    (0, pa.date32()),
    (None, pa.int64()),
    ("x" * 1_000, pa.string()),
    ("x" * 1_000, pa.large_string()),
    ("x" * 1_000, pa.string_view()),
    ("x" * 1_000, pa.dictionary(pa.int32(), pa.string())),
    (7, pa.dictionary(pa.int32(), pa.int64())),
]


@pytest.mark.parametrize(("value", "kind"), BOUNDED, ids=[str(kind) for _, kind in BOUNDED])
def test_a_column_of_any_type_is_bounded_before_it_is_kept(
    value: object, kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes say it a hundred thousand times: by the width of its values, or as they would be written out."""
    data = written(amount=pa.array([value] * 100_000, kind))
    assert len(data) < 30_000
    monkeypatch.setattr("connectors.files.parquet_table.MAX_UNPACKED_BYTES", 300_000)
    assert any("more than is read at once" in fault for fault in faults(data, tmp_path))


NOT_TAKEN = [
    (b"x" * 1_000, pa.binary()),
    (["x"] * 10, pa.list_(pa.string())),
    ({"a": "x" * 100}, pa.struct({"a": pa.string()})),
    (0.5, pa.float64()),
    (b"x" * 16, pa.binary(16)),
]


@pytest.mark.parametrize(("value", "kind"), NOT_TAKEN, ids=[str(kind) for _, kind in NOT_TAKEN])
def test_a_column_of_a_type_that_is_not_taken_is_never_read(
    value: object, kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.files.parquet_table._column", lambda *_: pytest.fail("its values were read"))
    column = pa.array([value] * 100_000, kind)
    (tmp_path / "f.parquet").write_bytes(written(amount=column))
    (found,) = read_table(tmp_path / "f.parquet", ["amount"]).columns
    assert found.declared.split("<")[0] == str(column.type).split("<")[0] and found.values.null_count() == len(column)


# --- all of them


def test_formats_and_orders_are_one_content(tmp_path: Path) -> None:
    rows = [[f"A{number}", f"acct{number % 3}", "BTC", ROW[3], f"0.{number:08}"] for number in range(30)]
    frame = pl.DataFrame(rows, schema=HEADINGS, orient="row")
    frame.write_csv(tmp_path / "a.csv")
    frame.reverse().write_csv(tmp_path / "quoted.csv", quote_style="always", separator=";", line_terminator="\r\n", include_bom=True)
    frame.sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.xlsx").write_bytes(sheet(*rows[::-1]))
    log = MemoryLog()
    for name, new in (("a.csv", 30), ("quoted.csv", 0), ("b.parquet", 0), ("c.xlsx", 0)):
        found = import_ledger(log, "pool", tmp_path / name, "allocations", READING, consent=CONSENT)
        assert (found.new, found.unchanged, found.events) == (new, 30 - new, 1 if new else 0), name


def test_the_format_is_told_by_content_not_by_name() -> None:
    assert [column.heading for column in parse_table(sheet(list(ROW)), "x.csv", HEADINGS).columns] == HEADINGS
