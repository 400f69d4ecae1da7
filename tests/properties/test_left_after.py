"""What stays open of a line that another settles whole, against the portions of settlement (rules 6.1, 6.2)."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.enrich.frames import UNITS
from pipeline.enrich.settle import left_after, settle, with_left

SIDE = {"miner_id": pl.String, "asset": pl.String, "amount": UNITS}
ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["BTC", "LTC"]), st.integers(-1, 5) | st.just(10**30)), max_size=12)


@settings(deadline=None, max_examples=200)
@given(ROWS, ROWS)
def test_what_is_left_is_what_the_portions_leave(allocations: list[tuple[str, str, int]], credits: list[tuple[str, str, int]]) -> None:
    owed, paid = (pl.DataFrame(side, schema=SIDE, orient="row").with_row_index("row") for side in (allocations, credits))
    portions = settle(owed, paid)
    for side, other, named in ((owed, paid, "allocation"), (paid, owed, "credit")):
        assert left_after(side, other).equals(with_left(side, portions, named))
