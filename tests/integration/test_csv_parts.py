"""A CSV read in parts is the CSV read whole, wherever the file is cut."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.render.canonical import table_csv
from pipeline.render.csv_parts import csv_parts, read_text, whole_lines

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
