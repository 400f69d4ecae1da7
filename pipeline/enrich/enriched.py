"""The result of enrichment: a month's frames, its report and its totals, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from pipeline.model.totals import Totals

from .frames import DEBTS
from .line import Line, Open
from .opening import Beginning
from .report import Report


@dataclass(frozen=True)
class Enriched:
    """The result of enriching a month's facts."""

    outflows: pl.DataFrame
    """Dated in the month."""
    transfers: pl.DataFrame
    """Of the whole chain, because matching looks beyond the month; from an `Opening` only those that it leaves."""
    balances: pl.DataFrame
    reported: Report
    """The report's rows, iterated slice by slice: a large month is never whole in memory."""
    issues: pl.DataFrame
    """Those that belong to the month (rule 9.2)."""
    totals: Totals
    """The month's separate totals (rule 7.4), in whole base units."""
    debts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DEBTS))
    """As DEBTS: every miner with a debt, an allocation or a settlement."""

    opening: Beginning | None = None
    """What the month was enriched from, instead of the whole history (ADR 25)."""
    starts_at: int = 0
    """The instant before which transfers settle nothing (rule 6.4), microseconds."""
    begins: Open | None = None
    ends: Open | None = None

    @property
    def opening_line(self) -> Line:
        """What was open when the month began. Made anew at each call: a large month's rows stay in memory no longer than they are used."""
        return self._line(self.begins)

    @property
    def closing_line(self) -> Line:
        """What is open at its end: what the next month begins with. Made anew, as the other."""
        return self._line(self.ends)

    def _line(self, places: Open | None) -> Line:
        assert places is not None, "enrichment leaves what is open"
        # No allocation yet: the first one comes after every credit that there is, and none of them will settle it (rule 6.4).
        if self.starts_at == 0:
            places = Open(places.allocations.clear(), places.credits.clear())
        return places.line(self.reported.allocations, self.reported.transfers, self.opening.line if self.opening else None)

    @cached_property
    def report(self) -> pl.DataFrame:
        """All rows of the report at once, as REPORT; cached, so only for small months."""
        return self.reported.whole()
