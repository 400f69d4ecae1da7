"""What a month's report comes to at one moment of the log, and whether what a person was shown is still so.

Enters: an assessed month. Leaves: `Preview`, and what differs between two of them, in words. Compared are the report's digest, the header and the conditions, never the log's positions alone: blocks come all the time, and most
change no report. Left out: freezing (`acts`), pages (`web`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.assess.month import Assessment
from pipeline.closing.row_changes import RowAssets, RowChange, row_change
from pipeline.log.events import content_digest
from pipeline.log.events.months import Drafted, DraftedRow
from pipeline.log.protocol import Positions
from pipeline.model.message import Amount, joined, message
from pipeline.model.months import Month
from pipeline.render.totals import printed_totals
from pipeline.store.queries import allocation_assets

from .app import App
from .months import report_digest


@dataclass(frozen=True)
class Preview:
    """Exactly what a freeze would make at one moment."""

    month: Month
    digest: str
    """SHA-256 of `report.csv`, hex (rule 8.2)."""
    rows: int
    totals: dict[str, Any]
    header: dict[str, str]
    unmet: list[str]
    """Conditions for closing that do not hold, in words."""
    unmet_kinds: list[str]
    at: int
    positions: Positions
    """How far of the log it comes from."""

    @property
    def header_digest(self) -> str:
        return header_digest(self.header)


@dataclass(frozen=True)
class Amendment:
    """What a further version of a frozen month would change, of one moment."""

    month: Month
    drafted: Drafted | None
    """None: the report comes out as it was frozen."""
    digest: str
    """Of the report as it would come out, SHA-256, hex."""
    at: int
    positions: Positions
    """How far the log was read at least."""
    rows: list[RowChange]
    """The rows of `drafted`."""


def drafted_rows(app: App, rows: Sequence[DraftedRow]) -> list[RowChange]:
    """Rows of a draft for people; what an amount is in stands in the ledger where the row does not say it."""
    with app.stores.current() as store:
        of = allocation_assets(store.connection, [row.allocation_id for row in rows if row.change == "changed"])
    return [row_change(row, RowAssets(*of[row.allocation_id]) if row.change == "changed" else None, app.rules.assets) for row in rows]


def header_digest(header: Mapping[str, str]) -> str:
    """SHA-256, hex, of the form's header (rule 7.6), which is not in the report's digest."""
    return content_digest(dict(header))


def preview_of(app: App, month: Month, assessed: Assessment, positions: Positions) -> Preview:
    """The month as it was assessed at these positions. Takes about as long as writing the report does."""
    return Preview(
        month=month, digest=report_digest(assessed, app.rules), rows=assessed.enriched.reported.height,
        totals=printed_totals(assessed.enriched.totals, app.rules.assets), header=app.settings.header(),
        unmet=[message("{name}: {detail}", name=one.name, detail=one.detail) for one in assessed.unmet],
        unmet_kinds=sorted(one.kind for one in assessed.unmet), at=app.now(), positions=positions,
    )  # fmt: skip


def is_later(positions: Positions, shown: Positions) -> bool:
    """Whether all that `shown` rests on was read by `positions`, too, and something more."""
    return positions != shown and all(positions.get(place, 0) >= offset for place, offset in shown.items())


def changes_since(shown: Preview, now: Preview | None) -> list[str]:
    """What is different now from what was shown, in words; empty where nothing is, or where nothing later is known."""
    if now is None or not is_later(now.positions, shown.positions):
        return []
    return changes_between(shown, now)


def changes_between(was: Preview, now: Preview) -> list[str]:
    """What differs between two previews of a month, in words."""
    found = _figures_that_differ(was, now) if was.digest != now.digest else []
    if was.digest != now.digest and not found:
        found.append(message("rows and sums are the same, but the rows themselves differ"))
    if was.header != now.header:
        names = ", ".join(name for name in now.header if now.header[name] != was.header.get(name))
        found.append(message("the form's header ({names})", names=names))
    if was.unmet_kinds != now.unmet_kinds:
        found.append(_change(message("conditions that do not hold"), str(len(was.unmet_kinds)), str(len(now.unmet_kinds))))
    return found


def _figures_that_differ(was: Preview, now: Preview) -> list[str]:
    found = [_change(message("rows"), str(was.rows), str(now.rows))] if was.rows != now.rows else []
    for name, words in (
        ("allocated_in_month", "Allocated, {asset}"), ("distinct_transfers", "Transferred, {asset}"), ("left_unsettled", "Unsettled, {asset}"),
    ):  # fmt: skip
        before, after = was.totals[name], now.totals[name]
        for asset in sorted(before | after):
            if before.get(asset) != after.get(asset):
                found.append(_change(message(words, asset=asset), before.get(asset, "0"), after.get(asset, "0")))
    return found


def _change(what: str, before: str, after: str) -> str:
    return message("{what}: {before} → {after}", what=what, before=Amount(before), after=Amount(after))


def told_changes(changes: list[str]) -> str:
    """The changes in one line."""
    return message("What differs: {changes}", changes=joined("; ", changes))
