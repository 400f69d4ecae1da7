"""Looks at a whole column at once where that settles every cell of it, so that nearly all files need no look at each cell.

Enters: the trimmed texts of a column. Leaves: their values by their distinct texts; whether all are sound ids. What is not settled so is left
to the look at each cell (`cells`), which alone says what is wrong with one.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from .texts import NOT_AN_ID

PLAIN_DIGITS = 38
SAMPLE_ROWS = 16_384
"""How many rows tell whether a column repeats its texts; shorter columns are read cell by cell."""
_NOT_PLAIN_IDS = rf"(?m)[\x00-\x09\x0b-\x1f\x7f]|{NOT_AN_ID}"
"""Within lines of ASCII, one an id: a control character, or a line that is no id."""


def by_distinct(texts: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`read(texts)`, where a text's value depends on it alone: each distinct text is read once when they repeat, as days and instants do."""
    if not _repeat(texts):
        return read(texts)
    numbers = texts.cast(pl.Categorical(pl.Categories.random())).to_physical()
    firsts = numbers.arg_unique()
    values = read(texts.gather(firsts))
    by_number = pl.DataFrame({"number": numbers.gather(firsts), "value": values}).drop_nulls("number").sort("number")
    if by_number["number"].max() != by_number.height - 1:
        return read(texts)
    return by_number["value"].gather(numbers).alias(texts.name)


def _repeat(texts: pl.Series) -> bool:
    """Whether most texts of a long column stand in it more than once, by a sample."""
    if len(texts) < SAMPLE_ROWS:
        return False
    sample = texts.gather_every(len(texts) // SAMPLE_ROWS + 1)
    return sample.n_unique() * 2 <= len(sample)


def are_plain_ids(texts: pl.Series, most_characters: int) -> bool:
    """Whether all texts are ids of ASCII that hold nothing invisible, are no placeholder, and are not too long; False says nothing of any."""
    longest = texts.str.len_bytes().max()
    if longest is None or int(longest) > most_characters:  # type: ignore[arg-type]
        return longest is None
    if _repeat(texts):
        texts = texts.unique()
    return all(_are_plain_ids(part.to_series()) for part in texts.to_frame().iter_slices(SAMPLE_ROWS))


def _are_plain_ids(texts: pl.Series) -> bool:
    ids = texts.drop_nulls()
    lines = ids.str.join("\n")
    joined: str = lines.item()
    return joined.isascii() and joined.count("\n") == max(len(ids) - 1, 0) and not lines.str.contains(_NOT_PLAIN_IDS).item()


def only_text(texts: pl.Series) -> str | None:
    """The one text that stands in every cell; None where there is another, or an empty cell."""
    if texts.is_empty() or texts.null_count():
        return None
    first: str = texts[0]
    return first if (texts == first).all() else None


def only_end(texts: pl.Series, start: int) -> str | None:
    """What every text has from the character `start` on; None where that differs, or a cell is empty."""
    if texts.is_empty() or texts.null_count() or not texts[0].isascii():
        return None
    end: str = texts[0][start:]
    is_so = (texts.str.len_bytes() == len(texts[0])).all() and texts.str.ends_with(end).all()
    return end if is_so and (texts.str.len_chars() == len(texts[0])).all() else None


def has_offset(texts: pl.Series) -> pl.Series:
    """Which texts of instants name their offset from UTC."""
    end = only_end(texts, 19)
    ends = texts.str.slice(19) if end is None else pl.Series(texts.name, [end])
    found = ends.str.contains(r"(?:Z|UTC|GMT|[+-][0-9:]+)$").fill_null(False)
    return found if end is None else found.new_from_index(0, len(texts))


def plain_decimals(places: int) -> str:
    """The pattern of plain decimals that fit an amount with so many decimals."""
    return rf"^[0-9]{{1,{PLAIN_DIGITS - places}}}(?:\.[0-9]{{1,{places}}})?$" if places else rf"^[0-9]{{1,{PLAIN_DIGITS}}}$"
