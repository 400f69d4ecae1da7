"""Rows of issues, made from frames of any shape."""

from __future__ import annotations

import polars as pl

from pipeline.enrich.issue_rows import make_issues
from pipeline.model.issues import IssueCode


def test_a_frame_whose_first_piece_is_empty() -> None:
    """Two frames joined, a column computed of the whole, and the first one's rows filtered out: `pl.format` alone panics on it."""
    part = pl.DataFrame({"txid": ["ab" * 32] * 3, "amount": [5] * 3})
    joined = pl.concat([part, part], rechunk=False).with_row_index("row").with_columns(left=pl.Series(range(6))).filter(pl.col("row") > 2)
    assert [len(piece) for piece in joined["txid"].get_chunks()] == [0, 3], "the shape that this is about"
    detail = pl.format("{} in {}", pl.col("amount").cast(pl.String), "txid")
    made = make_issues(IssueCode.UNKNOWN_OUTFLOW, joined, ref=pl.col("txid"), detail=detail)
    assert made["detail"].to_list() == ["5 in " + "ab" * 32] * 3
