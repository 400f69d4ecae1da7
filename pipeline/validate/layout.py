"""The format of a table where it differs from the program's own: the settings of `[ledger.files.…]`, `[registry.files.…]`.

In: a column of texts and a `Layout`. Out: the same texts as the program writes them (`as_amounts`, `as_days`), null where an amount has another
form than the layout says. Nothing is guessed: a comma is a decimal comma only where the layout says so. Left out: rows (`arrange`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import polars as pl

from pipeline.model.message import message

Rounding = Literal["none", "down", "half-up", "half-even"]
DAY_FORMATS: Mapping[str, str] = {
    "yyyy-mm-dd": r"(?<y>[0-9]{4})-(?<m>[0-9]{2})-(?<d>[0-9]{2})",
    "dd.mm.yyyy": r"(?<d>[0-9]{1,2})\.(?<m>[0-9]{1,2})\.(?<y>[0-9]{4})",
    "dd/mm/yyyy": r"(?<d>[0-9]{1,2})/(?<m>[0-9]{1,2})/(?<y>[0-9]{4})",
    "mm/dd/yyyy": r"(?<m>[0-9]{1,2})/(?<d>[0-9]{1,2})/(?<y>[0-9]{4})",
    "yyyy/mm/dd": r"(?<y>[0-9]{4})/(?<m>[0-9]{1,2})/(?<d>[0-9]{1,2})",
}
"""The formats of a day by their name in the settings: a pattern of year, month and day."""
_CLOCK = r"(?:,? +|T)(?<h>[0-9]{1,2}):(?<i>[0-9]{2})(?::(?<s>[0-9]{2}(?:\.[0-9]+)?))?"
_TAIL = r"(?<tail> ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?$"
_SPACES = r"[ \u00a0\u202f\u2009]"


IdScope = Literal["ledger", "month", "source"]
"""The scope in which an id is unique: the whole ledger, a month (Almaty), or files of one name."""


@dataclass(frozen=True)
class Net:
    """Rows that are subtracted from other rows, so that their amounts become net (rule 6.3)."""

    column: str
    """The heading of the column with a row's kind."""
    of: Mapping[str, str]
    """The kind of a subtracted row, and the kind of the row that it is subtracted from."""
    same: tuple[str, ...]
    """Headings whose texts both rows share; the first one identifies the owner."""
    order: str
    """A heading of whole numbers: where a cell of `same` is empty, a row is subtracted from the nearest one before it of the same owner."""
    commission: tuple[str, ...] = ()
    """The kinds of subtracted rows that are the pool's commission (columns 12 and 13)."""

    @property
    def headings(self) -> set[str]:
        return {self.column, *self.same, self.order}


@dataclass(frozen=True)
class Layout:
    """The format of a table's cells; the defaults are the program's own format."""

    place: str = message("the table's settings")
    """The name of its section in the settings, for messages: `[ledger.files.allocations]`."""
    encoding: str = "utf-8"
    delimiter: str = ""
    """Between the fields of a CSV file; "" finds it by the headings."""
    decimal: Literal[".", ",", "either"] = "."
    """What stands before the decimals; "either" takes a dot or a comma in each amount, where it can't be a group of thousands."""
    grouping: str = ""
    """What stands between groups of three digits: a space (of any width), a dot, a comma, an apostrophe; "" for nothing."""
    days: tuple[str, ...] = ()
    """Names of `DAY_FORMATS` that days and instants may have beside ISO 8601."""
    epoch: Literal["", "s", "ms"] = ""
    """Instants are numbers: seconds, or milliseconds, since 1970-01-01T00:00:00Z."""
    zone: str | None = None
    """The time zone of this table's instants without one; None: the heading's, or the common one in the settings."""
    rows_above: int = 0
    rows_below: int = 0
    constants: Mapping[str, str] = field(default_factory=dict)
    """The text of a column that is the same in every row, by column."""
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The headings whose texts make a column, joined by `join_by`."""
    join_by: str = ":"
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Only rows with one of these texts under the heading are read."""
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Texts under a heading for which the file is refused, because this layout can't read such rows correctly."""
    net: Net | None = None
    warning: str = ""
    """What an export of this kind lacks; shown at each import."""
    is_in_base_units: bool = False
    factor: Decimal | None = None
    rounding: Rounding = "none"
    ids: IdScope = "ledger"

    @property
    def headings(self) -> set[str]:
        """The headings that the layout itself reads."""
        joined = (heading for headings in self.joined.values() for heading in headings)
        return {*self.only, *self.refused, *joined, *(self.net.headings if self.net else ())}


OWN = Layout()


BARE_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
"""A day without a time, as ISO 8601."""
COULD_BE_THOUSANDS = r"^[1-9][0-9]{0,2}[.,][0-9]{3}$"
"""One sign with three digits behind it: 1.234 is a thousand and more to one writer, and little more than one to another."""


def as_amounts(text: pl.Expr, layout: Layout) -> pl.Expr:
    """Amounts with a dot and without grouping; null where they are written otherwise than the layout says."""
    if layout.decimal == "." and not layout.grouping:
        return text
    is_either = layout.decimal == "either"
    group = _SPACES if layout.grouping == " " else re.escape(layout.grouping)
    fraction = rf"(?:{'[.,]' if is_either else re.escape(layout.decimal)}[0-9]+)?$"
    grouped = rf"|^[0-9]{{1,3}}(?:{group}[0-9]{{3}})+{fraction}" if layout.grouping else ""
    bare = text.str.replace_all(group, "") if layout.grouping else text
    is_good = text.str.contains(rf"^[0-9]+{fraction}{grouped}")
    if is_either:
        is_good &= ~text.str.contains(COULD_BE_THOUSANDS)
    return pl.when(is_good).then(bare.str.replace("," if is_either else layout.decimal, ".", literal=True))


def scaled(texts: pl.Series, factor: Decimal) -> pl.Series:
    """Plain amounts times `factor`, exactly; null stays, and what is no plain amount becomes null."""
    seen = texts.unique().drop_nulls()
    products = [format(Decimal(text) * factor, "f") if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else None for text in seen]
    return texts.replace_strict(seen, pl.Series(products, dtype=pl.String), default=None, return_dtype=pl.String)


def as_days(texts: pl.Series, layout: Layout) -> pl.Series:
    """Days and instants of the layout's formats as ISO 8601; other texts unchanged, for the later check."""
    if not layout.days:
        return texts
    frame = pl.DataFrame({"text": texts})
    text = pl.col("text")
    found: pl.Expr = text
    for name in reversed(layout.days):
        day = DAY_FORMATS[name]
        taken = text.str.extract_groups(rf"^{day}(?:{_CLOCK}{_TAIL}|$)")

        def part(key: str, taken: pl.Expr = taken) -> pl.Expr:
            return taken.struct.field(key)

        date = pl.concat_str([part("y"), part("m").str.zfill(2), part("d").str.zfill(2)], separator="-")
        clock = pl.concat_str(
            [
                pl.lit("T"),
                part("h").str.zfill(2),
                pl.lit(":"),
                part("i"),
                pl.lit(":"),
                part("s").fill_null("00"),
                part("tail").fill_null(""),
            ]
        )
        found = pl.when(part("y").is_null()).then(found).otherwise(pl.concat_str([date, clock.fill_null("")]))
    return frame.select(found.alias(texts.name)).to_series()


def with_midnight(texts: pl.Series, is_day: pl.Series) -> pl.Series:
    """Instants with 00:00:00 where only a day is given, of the cells that may be days alone."""
    text = pl.col("text")
    frame = pl.DataFrame({"text": texts, "is_day": is_day})
    is_bare = pl.col("is_day") & text.str.contains(BARE_DAY)
    return frame.select(pl.when(is_bare).then(text + "T00:00:00").otherwise(text).alias(texts.name)).to_series()
