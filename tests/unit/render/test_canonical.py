"""Canonical CSV: the same bytes as the standard library's writer, field for field, and never a float."""

import csv
import errno
import hashlib
import io
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.render import canonical
from pipeline.render.canonical import table_csv, write_report_csv, write_table_parts
from pipeline.render.form import COLUMNS
from tests.reports import read_report_csv, report_csv

from .documents import EXPECTED, document, example

FIELDS = st.none() | st.text() | st.text(alphabet=' ",\r\n«»=;\t\\#ә0', max_size=8)


def rfc4180(rows: list[tuple[str | None, ...]]) -> bytes:
    """The standard library's minimal quoting. Its line end CR LF makes it quote a lone CR in every version (RFC 4180, 2.6)."""
    lines = []
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\r\n").writerow(row)
        lines.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode()


def test_the_expected_report_read_and_written_again_is_the_same_bytes() -> None:
    content = (EXPECTED / "report.csv").read_bytes()
    assert report_csv(read_report_csv(content)) == content


@pytest.mark.parametrize("cuts", [(0, 3), (1, 2), (0, 0, 3), (3, 0)])
def test_a_table_written_in_parts_is_the_same_bytes(cuts: tuple[int, ...]) -> None:
    frame = pl.DataFrame({"n": [1, 2, 3], "txid": ["a", None, "c,d"]})
    starts = [sum(cuts[:number]) for number in range(len(cuts))]
    file = io.BytesIO()
    digest = write_table_parts((frame.slice(start, rows) for start, rows in zip(starts, cuts, strict=True)), file)
    assert file.getvalue() == table_csv(frame)
    assert digest == hashlib.sha256(table_csv(frame)).hexdigest()


@given(st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=6))
def test_quoting_is_the_standard_librarys(rows: list[tuple[str | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")
    assert table_csv(frame) == rfc4180([("a", "b", "c"), *rows])


@given(st.lists(st.tuples(*[FIELDS] * 15), max_size=3))
def test_a_report_reads_back_as_written(rows: list[tuple[str | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    # An empty string and null are one and the same here.
    assert read_report_csv(report_csv(frame)).rows() == [tuple(value or None for value in row) for row in rows]


def test_slices_make_the_same_bytes_and_the_digest_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = example().rows
    whole = report_csv(rows)
    monkeypatch.setattr(canonical, "ROWS_AT_ONCE", 100)
    assert table_csv(rows) == whole
    file = io.BytesIO()
    assert write_report_csv(rows.iter_slices(100), file) == hashlib.sha256(whole).hexdigest()
    assert file.getvalue() == whole


def test_other_tables_print_days_and_whole_numbers_of_38_digits() -> None:
    frame = pl.DataFrame(
        {"amount": [10**38 - 1, None, -1], "date": [date(2026, 10, 1), None, date(999, 1, 1)], "is_final": [True, None, False]},
        schema={"amount": pl.Int128, "date": pl.Date, "is_final": pl.Boolean},
    )
    assert table_csv(frame) == b"amount,date,is_final\n" + b"9" * 38 + b",2026-10-01,true\n,,\n-1,0999-01-01,false\n"


def test_no_rows_is_the_header_line() -> None:
    assert report_csv(document([]).rows) == (",".join(COLUMNS) + "\n").encode()


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Decimal(38, 8), pl.Datetime, pl.List(pl.String)])
def test_a_column_without_exact_text_is_refused(dtype: pl.DataType) -> None:
    with pytest.raises(ValueError, match="'amount' is"):
        table_csv(pl.DataFrame({"a": [], "amount": []}, schema={"a": pl.String, "amount": dtype}))


def test_a_table_of_one_column_is_refused() -> None:
    with pytest.raises(ValueError, match="one column 'a'"):
        table_csv(pl.DataFrame({"a": [None]}, schema={"a": pl.String}))


def test_other_columns_than_the_forms_are_refused() -> None:
    rows = document([{}]).rows
    for wrong in (rows.drop("n"), rows.select(reversed(rows.columns)), rows.with_columns(n=pl.lit(1))):
        with pytest.raises(ValueError, match="report's columns"):
            report_csv(wrong)


class Full(io.BytesIO):
    """A disk that is full after so many bytes."""

    def write(self, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "report.csv")


def test_a_full_disk_is_told_as_the_file_tells_it() -> None:
    with pytest.raises(OSError, match="No space left") as told:
        canonical.write_table_csv(pl.DataFrame({"a": ["1"], "b": ["2"]}), Full())
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, "report.csv")
