"""Sorting a million rows by numbers and then by a text, without comparing texts where that is not needed."""

from __future__ import annotations

import polars as pl


def sort_by_number_then_text(frame: pl.DataFrame, number: pl.Expr, text: str) -> pl.DataFrame:
    """The rows by a whole number, and by `text` where it is equal.

    Ids mostly grow with time, so rows often come in the order of `text`: then sorting by the number, stable, is enough, and that it was
    enough is checked. Comparing texts costs several times as much; so does sorting by two columns instead of by one number.
    """
    frame = frame.with_columns(_number=number).sort("_number", maintain_order=True)
    is_tied = pl.col("_number") == pl.col("_number").shift(1)
    if frame.select((is_tied & (pl.col(text) < pl.col(text).shift(1))).any()).item():
        frame = frame.sort("_number", text)
    return frame.drop("_number")
