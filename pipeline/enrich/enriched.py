"""What leaves enrichment: a month's frames, its report and its totals, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from pipeline.model.totals import Totals

from .frames import DEBTS
from .report import Report


@dataclass(frozen=True)
class Enriched:
    """What enrichment makes of a month's facts."""

    outflows: pl.DataFrame
    """Dated in the month."""
    transfers: pl.DataFrame
    """Of the whole chain: matching looks past the month's ends."""
    balances: pl.DataFrame
    reported: Report
    """The report's rows, to be gone through a slice at a time: of a large month they are never whole in memory."""
    issues: pl.DataFrame
    """Those that belong to the month (rule 9.2)."""
    totals: Totals
    """The month's totals apart (rule 7.4), in whole base units."""
    debts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DEBTS))
    """Of every miner with a debt, an allocation or a settlement, as DEBTS."""

    @cached_property
    def report(self) -> pl.DataFrame:
        """All rows of the report at once, as REPORT; kept, so only for months of which that is small."""
        return self.reported.whole()
