"""What a look at a whole column tells is what a look at each of its cells tells, on cells of every odd make."""

from __future__ import annotations

from unittest.mock import patch

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.validate import whole
from pipeline.validate.cells import ID_CHARACTERS, Kind, column_units, instants, units, value_of
from pipeline.validate.ledger import _ascend
from pipeline.validate.whole import are_plain_ids, by_distinct, has_offset, only_end

ODD_IDS = [
    "nan", "NULL", "none", "1e5", "1E+05", "12.0", "1,0", "1.0x", "#REF!", "#N/A", "##", "#", "A#1", "Err:502", "Err:50", "=A1", '="x"', '="x', 'x"', "'x",
    "TRUE", "true", "ИСТИНА", "a\u200bb", "x\u00a0y", "a b", "a\tb", "a\nb", "nan\nx", "x\n12.0", "a\rb", "А1", "worкer", "\ufffdx", "x" * 200, "x" * 201, "\x7f",
    "\x1f", "a\u0085", "-", "№5", "", "é" * 150, "1e5\n",
]  # fmt: skip
IDS = st.none() | st.sampled_from(["A1", "w-2", "a.b", "Ivan P"]) | st.sampled_from(ODD_IDS) | st.text(max_size=4)
INSTANTS = st.none() | st.sampled_from([
    "2026-10-01T00:30:00+05:00", "2026-10-01 00:30:00+05:00", "2026-10-01T00:30:00Z", "2026-10-01T00:30:00", "2026-10-01T00:30:00.5Z", "2026-10-01T00:30:00.1234567Z",
    "2026-10-01T24:00:00Z", "2026-02-30T00:00:00Z", "2026-10-01T23:59:60Z", "2008-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2026-03-29T02:30:00", "2026-10-25T02:30:00",
    "2024-02-29T23:30:00", "2026-10-01", "1790000000", "2026- 1-01T00:00:00+05:00", "2026-10-01T00:00:00+15:00", "+026-10-01T00:00:00Z", "ж026-10-01T00:30:00+05:00", "",
])  # fmt: skip
AMOUNTS = st.none() | st.sampled_from([
    "0", "1", "00.5", "0.5", "1.", ".5", "1.5.2", "-1", "+1", "1e5", "1,5", "1 0", " 1", "0.12345678", "0.123456789", "0.123456780", "9" * 30, "9" * 31, "9" * 38, "9" * 39,
    "9" * 30 + ".99999999", "٣", "1_0", "", "0x1", "NaN", "inf", "0" * 40 + "1", "1\n",
])  # fmt: skip


@given(st.lists(IDS, max_size=6), st.integers(1, 3))
@example(["A1", "nan\nx"], 1)
@example([None, None, "A1"], 2)
@example([None, "12.0"], 1)
def test_ids_that_a_column_tells_to_be_plain_are_their_own_values(given_ids: list[str | None], rows: int) -> None:
    ids = pl.Series("id", given_ids, dtype=pl.String)
    with patch.object(whole, "SAMPLE_ROWS", rows):
        are_plain = are_plain_ids(ids, ID_CHARACTERS)
    if are_plain:
        assert ids.to_frame().select(value_of(Kind.ID, "id"))["id"].to_list() == given_ids
        assert all(one is None or (one.isascii() and one.isprintable()) for one in given_ids)


def test_ids_as_pools_write_them_are_plain() -> None:
    """What the property is about does happen."""
    assert are_plain_ids(pl.Series(["A1", None, "worker-2", "5f0c.x/Ivan P:3"]), ID_CHARACTERS)
    assert not are_plain_ids(pl.Series(["A1", "12.0"]), ID_CHARACTERS)
    assert not are_plain_ids(pl.Series(["A1", "nan\nx"]), ID_CHARACTERS)


@given(st.lists(INSTANTS, min_size=1, max_size=3), st.sampled_from([None, "Asia/Almaty", "Europe/Berlin"]))
def test_instants_read_once_each_are_those_read_row_by_row(some: list[str | None], zone: str | None) -> None:
    texts = pl.Series("at", some * 3, dtype=pl.String)
    each = [instants(pl.Series("at", [text], dtype=pl.String), zone).item() for text in texts]
    with patch.object(whole, "SAMPLE_ROWS", 4):
        assert instants(texts, zone).to_list() == each
        assert by_distinct(texts, lambda distinct: distinct).to_list() == texts.to_list()


def test_repeated_texts_are_read_once() -> None:
    read: list[int] = []

    def lengths(texts: pl.Series) -> pl.Series:
        read.append(len(texts))
        return texts.str.len_bytes()

    texts = pl.Series("t", ["a", "bb", None, "a"] * 8)
    with patch.object(whole, "SAMPLE_ROWS", 16):
        assert by_distinct(texts, lengths).to_list() == [1, 2, None, 1] * 8
    assert read == [3]


@given(st.lists(INSTANTS, max_size=3), st.booleans())
def test_offsets_of_a_column_are_those_of_its_cells(some: list[str | None], is_one: bool) -> None:
    texts = pl.Series("at", some[:1] * 3 if is_one else some, dtype=pl.String)
    each = [has_offset(pl.Series("at", [text, "x" * 30], dtype=pl.String))[0] for text in texts]
    assert has_offset(texts).to_list() == each
    end = only_end(texts, 19)
    assert end is None or {text[19:] for text in texts} == {end}


@given(st.lists(AMOUNTS, min_size=1, max_size=4), st.sampled_from([0, 1, 8, 18, 37, 38]), st.booleans())
def test_amounts_of_one_asset_are_those_that_each_cell_gives(some: list[str | None], places: int, is_plain: bool) -> None:
    texts = pl.Series("amount", [text for text in some if text is None or text in ("0", "1", "0.5")] if is_plain else some, dtype=pl.String)
    decimals = pl.Series([places], dtype=pl.UInt32).new_from_index(0, len(texts))
    each = pl.DataFrame({"text": texts, "decimals": decimals}).select(units(pl.col("text"), pl.col("decimals"))).to_series()
    found = column_units(texts, decimals)
    assert (found.name, found.dtype, found.to_list()) == ("amount", pl.Int128, each.to_list())


@given(st.lists(st.sampled_from(["A1", "A2", "A10", "B1", "", "é", "zz"]) | st.none(), max_size=5))
def test_ids_that_ascend_have_no_repeats(some: list[str | None]) -> None:
    if _ascend(pl.Series(some, dtype=pl.String)):
        assert len(set(some)) == len(some)


def test_running_numbers_ascend() -> None:
    assert _ascend(pl.Series([f"A{number}" for number in range(1200)]))
    assert not _ascend(pl.Series(["A1", "A1"]))
    assert not _ascend(pl.Series(["A2", "A1"]))
