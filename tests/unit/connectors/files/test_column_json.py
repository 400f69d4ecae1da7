"""Columns written as JSON by polars are the bytes that msgspec writes for the same lists."""

from __future__ import annotations

import msgspec
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.files.column_json import columns_json

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
ROW = st.tuples(TEXT, st.none() | TEXT, st.integers(1, 9), st.none() | st.integers(-(2**60), 2**60), st.none())
SHAPE = {"id": pl.String, "name": pl.String, "version": pl.Int32, "at": pl.Int64, "nothing": pl.String}


@settings(max_examples=100, deadline=None)
@given(st.lists(ROW, max_size=9), st.integers(1, 4))
@example([("a", "b", 1, 5, None), ("a", None, 1, 5, None), ("a", "b", 1, 5, None)], 2)
@example([("a\n", None, 1, 5, None), ("b", None, 1, None, None), ("c", "\n", 1, 5, None)], 2)
@example([('a"b\\c\n\x00\x7f', "Әліп\u2028", 1, 0, None), ("b", None, 1, None, None), ("", "", 2, -1, None)], 2)
def test_they_are_the_bytes_of_the_lists(rows: list[tuple[str, str | None, int, int | None, None]], rows_at_once: int) -> None:
    frame = pl.DataFrame(rows, schema=SHAPE, orient="row")
    expected = [msgspec.json.encode(part.to_dict(as_series=False)) for part in frame.iter_slices(rows_at_once) if part.height]
    assert [bytes(part) for part in columns_json(frame, rows_at_once)] == expected
