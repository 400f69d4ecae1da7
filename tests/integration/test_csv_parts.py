"""A CSV read in parts is the CSV read whole, wherever the file is cut."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.render import report_rows
from pipeline.render.canonical import table_csv
from pipeline.render.csv_parts import csv_parts, read_text, whole_lines
from pipeline.render.form import COLUMNS
from pipeline.render.report_rows import ReportFile, RowSpan

FIELD = st.none() | st.text('a,"\n\r é', max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.just("1"), FIELD, FIELD), max_size=12), st.integers(1, 40), st.integers(1, 7), st.sampled_from(["b", 'b"\n']))
def test_parts_are_the_whole(tmp_path: Path, rows: list[tuple[str | None, ...]], block: int, at_once: int, name: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(table_csv(pl.DataFrame(rows, schema=dict.fromkeys(("a", name, "c"), pl.String), orient="row")))
    parts = list(csv_parts(path, at_once, block=block))
    assert_frame_equal(pl.concat(parts), read_text(path))
    assert all(part.height == at_once for part in parts[:-1]) and (0 < parts[-1].height <= at_once or not rows)


def test_lines_are_whole_and_quoted_line_ends_are_none() -> None:
    content = b'a,b\n1,"x\ny"\n2,"""\n"\n3,z'
    for block in range(1, len(content) + 1):
        pieces = list(whole_lines(io.BytesIO(content), block))
        assert b"".join(pieces) == content
        assert all(piece.endswith(b"\n") and piece.count(b'"') % 2 == 0 for piece in pieces[:-1])


def test_an_open_quote_leaves_one_piece() -> None:
    content = b'a,b\n1,"' + b"x\n" * 50
    assert list(whole_lines(io.BytesIO(content), 10)) == [content[:4], content[4:]]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n", b'a,b\n1,"x', b"a,b\n1,\xff\n"])
def test_what_is_no_csv_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a CSV"):
        list(csv_parts(path))


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ReportFile, pl.DataFrame]:
    """A report of 40 rows in a file of blocks of 300 bytes, and the same as a frame."""
    monkeypatch.setattr(report_rows, "whole_lines", lambda file: whole_lines(file, 300))
    rows = pl.DataFrame({name: [f'{n}, "{name}"\n' if n % 3 else None for n in range(40)] for name in COLUMNS})
    (tmp_path / "report.csv").write_bytes(table_csv(rows))
    return ReportFile(tmp_path / "report.csv"), rows


def test_any_slice_of_the_file_is_that_of_the_frame(report: tuple[ReportFile, pl.DataFrame]) -> None:
    file, rows = report
    assert file.height == rows.height
    assert_frame_equal(file.slice(0), rows)
    for offset in range(42):
        for length in (0, 1, 2, 7, 50, None):
            assert_frame_equal(file.slice(offset, length), rows.slice(offset, length))
    for size in (1, 7, 50):
        assert_frame_equal(pl.concat(file.iter_slices(size)), rows)


def test_a_span_ends_where_it_is_said_to(report: tuple[ReportFile, pl.DataFrame]) -> None:
    file, rows = report
    span = RowSpan(file, 13, 20)
    assert span.height == 20 and RowSpan(file, 38, 20).height == 2 and RowSpan(file, 50, 20).height == 0
    assert_frame_equal(span.slice(18, 7), rows.slice(31, 2))
    assert_frame_equal(span.slice(4), rows.slice(17, 16))
    assert_frame_equal(pl.concat(span.iter_slices(3)), rows.slice(13, 20))


def test_a_report_without_rows_is_one(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(table_csv(pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))))
    file = ReportFile(tmp_path / "report.csv")
    assert file.height == 0 and file.slice(0).height == 0 and list(file.iter_slices()) == []
    with pytest.raises(ValueError, match="columns"):
        (tmp_path / "report.csv").write_bytes(b"n,asset\n1,BTC\n")
        ReportFile(tmp_path / "report.csv")
