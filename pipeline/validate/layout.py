"""How a table is written, where it differs from the program's own way: the settings of `[ledger.files.…]`, `[registry.files.…]`.

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

Rounding = Literal["none", "down", "half-up", "half-even"]
DAY_FORMATS: Mapping[str, str] = {
    "yyyy-mm-dd": r"(?<y>[0-9]{4})-(?<m>[0-9]{2})-(?<d>[0-9]{2})",
    "dd.mm.yyyy": r"(?<d>[0-9]{1,2})\.(?<m>[0-9]{1,2})\.(?<y>[0-9]{4})",
    "dd/mm/yyyy": r"(?<d>[0-9]{1,2})/(?<m>[0-9]{1,2})/(?<y>[0-9]{4})",
    "mm/dd/yyyy": r"(?<m>[0-9]{1,2})/(?<d>[0-9]{1,2})/(?<y>[0-9]{4})",
    "yyyy/mm/dd": r"(?<y>[0-9]{4})/(?<m>[0-9]{1,2})/(?<d>[0-9]{1,2})",
}
"""How a day may be written, by the name that the settings give it: a pattern of year, month and day."""
_CLOCK = r"(?:,? +|T)(?<h>[0-9]{1,2}):(?<i>[0-9]{2})(?::(?<s>[0-9]{2}(?:\.[0-9]+)?))?"
_TAIL = r"(?<tail> ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?$"
_SPACES = r"[ \u00a0\u202f\u2009]"


IdScope = Literal["ledger", "month", "source"]
"""Where an id names one row: in the whole ledger, in a month (Almaty), or in files of one name."""


@dataclass(frozen=True)
class Net:
    """Rows that are taken off other rows, so that the amount of these is net (rule 6.3)."""

    column: str
    """The heading whose texts say what a row is."""
    of: Mapping[str, str]
    """The text of a row that is taken off, and the text of the row that it is taken off."""
    same: tuple[str, ...]
    """Headings whose texts both rows share; the first says whose they are."""
    order: str
    """A heading of whole numbers: where a heading of `same` is empty, a row is taken off the nearest before it, of the same owner."""
    commission: tuple[str, ...] = ()
    """Texts of the rows taken off that are the pool's commission (columns 12 and 13)."""

    @property
    def headings(self) -> set[str]:
        return {self.column, *self.same, self.order}


@dataclass(frozen=True)
class Layout:
    """How the cells of a table are written; the defaults are the program's own way."""

    place: str = "the table's settings"
    """Where its keys stand in the settings, for messages: `[ledger.files.allocations]`."""
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
    """The zone of this table's instants that name none; None takes the settings' common one, or the heading's."""
    rows_above: int = 0
    rows_below: int = 0
    constants: Mapping[str, str] = field(default_factory=dict)
    """A column's text in every row."""
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The headings whose texts make a column, joined by `join_by`."""
    join_by: str = ":"
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rows that count: those with one of these texts under the heading."""
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Texts under a heading that refuse the file: what this layout can't read rightly."""
    net: Net | None = None
    warning: str = ""
    """What an export of this kind doesn't tell: said at each import."""
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
    """Days and instants of the layout's formats as ISO 8601; others as they are, for the check to judge."""
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


def with_midnight(texts: pl.Series) -> pl.Series:
    """Instants with 00:00:00 where only a day is given."""
    text = pl.col("text")
    frame = pl.DataFrame({"text": texts})
    return frame.select(pl.when(text.str.contains(BARE_DAY)).then(text + "T00:00:00").otherwise(text).alias(texts.name)).to_series()
