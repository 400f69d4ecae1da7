"""Frames put together from parts are the parts, row by row, whatever columns say one thing throughout."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.enrich import combine as module
from pipeline.enrich.combine import FEW_ROWS, combine

TEXT = st.sampled_from(["", "a", "vendor", None])
FEW = st.sampled_from([0, FEW_ROWS])
"""From how many rows on constant columns are looked for: always, and not in frames as small as these."""
ROWS = st.lists(st.tuples(TEXT, TEXT), max_size=4)
TEXTS_ONLY = {"address": pl.String, "outflow_class": pl.String}
WITH_NUMBER = {"address": pl.String, "amount": pl.Int128, "outflow_class": pl.String}


@given(parts=st.lists(ROWS, max_size=4), few=FEW)
def test_no_row_is_lost_where_all_columns_are_texts(parts: list[list[tuple[str | None, str | None]]], few: int) -> None:
    frames = [pl.DataFrame(rows, schema=TEXTS_ONLY, orient="row") for rows in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW_ROWS", few)
        assert combine(frames, TEXTS_ONLY).rows() == [row for rows in parts for row in rows]


@given(parts=st.lists(ROWS, max_size=4), few=FEW)
def test_numbers_stand_beside_their_texts(parts: list[list[tuple[str | None, str | None]]], few: int) -> None:
    told = [[(first, number, second) for number, (first, second) in enumerate(rows)] for rows in parts]
    frames = [pl.DataFrame(rows, schema=WITH_NUMBER, orient="row") for rows in told]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW_ROWS", few)
        combined = combine(frames, WITH_NUMBER)
    assert combined.schema == pl.Schema(WITH_NUMBER)
    assert combined.rows() == [row for rows in told for row in rows]
