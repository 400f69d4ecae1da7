"""A pool's sources of the ledger: their followers, how far they were read, and people's decisions about what waits (ADR 22)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.capture.details import as_message
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.kinds.values import txid as parse_txid
from pipeline.capture.pushed import PushedRows
from pipeline.enrich.undated import doubt_of
from pipeline.log.events import content_digest, encode
from pipeline.log.events.sources import SourceDecided
from pipeline.log.protocol import EventLog, append_shared
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.reason import is_reason
from pipeline.settings import Settings
from pipeline.settings.sources import PushSettings, SqlSettings
from pipeline.store import Store
from pipeline.store.queries import OpenItem, source_items, sources

from .open_source import open_source, source_plan

OF_PAYMENTS = ("paid", "not-paid")
OF_OTHERS = ("accept", "refuse")
DATED = "dated"


@dataclass(frozen=True)
class SourceView:
    """One source as `esep sources list` and a console show it; instants in microseconds."""

    name: str
    kind: str
    last_look: int | None
    newest: int | None
    """The source's own time of its newest row."""
    rows: int
    open_items: int
    complete_through: date | None
    lost_at: int | None
    """From when on rows that were never seen may be gone; None where the source keeps them for good."""


class PoolSources:
    """The sources of one pool's settings."""

    def __init__(self, settings: Settings, log: EventLog, now: Callable[[], int]) -> None:
        self._settings, self._log, self._now = settings, log, now

    def follower(self, name: str) -> SourceFollower:
        """The follower of a configured source. Raises SettingsError, LogError."""
        return open_source(self._settings, self._log, name, lambda: self._now() * 1_000_000)

    def pushed(self, name: str) -> tuple[PushedRows, SourceFollower]:
        """The rows of a source that is pushed, and its follower, which takes what is put there."""
        rows = PushedRows()
        now_us = lambda: self._now() * 1_000_000  # noqa: E731 - as in `follower`
        return rows, SourceFollower(self._log, self._settings.pool.key, rows, source_plan(self._settings, name), now_us)

    def views(self, store: Store) -> list[SourceView]:
        """Each configured source, as far as the store has read the log."""
        with store.lock:
            held = {state.source: state for state in sources(store.connection)}
        found = []
        for name, ours in self._settings.sources.items():
            state, retention_s = held.get(name), getattr(ours, "retention_s", None)
            last = state.last_look if state else None
            found.append(
                SourceView(
                    name=name, kind=ours.kind, last_look=last, newest=state.newest if state else None, rows=state.rows if state else 0,
                    open_items=state.open_items if state else 0, complete_through=state.complete_through if state else None,
                    lost_at=last + retention_s * 1_000_000 if retention_s and last is not None else None,
                )
            )  # fmt: skip
        return found

    def items(self, store: Store) -> list[OpenItem]:
        """What waits at all sources, by day; the details as messages, for any language."""
        with store.lock:
            return [item._replace(detail=as_message(item.detail)) for item in source_items(store.connection)]

    def decide(
        self, items: Sequence[OpenItem], source: str, item: str, outcome: str, *, txid: str | None, day: date | None, by: str, reason: str
    ) -> None:
        """End one of the `items` that wait, in a person's name. `day`: of `dated`, in Almaty. Raises SettingsError for an item that does not wait, and for an outcome that does not fit it."""
        event = self.checked(items, source, item, outcome, txid=txid, day=day, by=by, reason=reason)
        append_shared(self._log, "months", self._settings.pool.key, [encode(event)])

    def checked(
        self, items: Sequence[OpenItem], source: str, item: str, outcome: str, *, txid: str | None, day: date | None, by: str, reason: str
    ) -> SourceDecided:
        """The event of a decision, which is not appended. Errors as `decide`."""
        waiting = next((one for one in items if (one.source, one.item) == (source, item)), None)
        faults: list[str] = [] if by.strip() else [message("{name}: is empty: say it", name="--by")]
        faults += [] if is_reason(reason) else [message("--reason: give a reason that an auditor can follow")]
        if waiting is None:
            faults.append(
                message(
                    "ITEM: nothing named {item} waits at source {source}: `esep sources list` shows what does",
                    item=repr(item),
                    source=repr(source),
                )
            )
        elif outcome not in (fitting := fitting_outcomes(item)):
            said = message("paid or not-paid") if fitting == OF_PAYMENTS else message("accept or refuse") if fitting == OF_OTHERS else DATED
            faults.append(
                message("OUTCOME: {outcome} is nothing to say of {item}: say {fitting}", outcome=outcome, item=item, fitting=said)
            )
        faults += _day_faults(item, outcome, day)
        named = self._named_payment(source, txid)
        if outcome == "paid" and named is None:
            faults.append(message("--txid: say under which transaction it was paid: 64 hexadecimal digits"))
        if outcome != "paid" and txid is not None:
            faults.append(message("--txid: goes with paid alone"))
        if faults:
            raise SettingsError(faults, source="esep sources decide")
        at = self._now()
        return SourceDecided(
            id=f"source-decided:{content_digest([source, item, outcome, txid, by, at, *([] if day is None else [day.isoformat()])])}", source=source, item=item, outcome=outcome,  # type: ignore[arg-type]
            txid=named, day=None if day is None else day.isoformat(), by=by, reason=reason, at=at,
        )  # fmt: skip

    def _named_payment(self, source: str, text: str | None) -> str | None:
        """A transaction id; where the source's payments may be an off-chain payer's, also such a payer's reference (rule 10.5). None for anything else."""
        is_off_chain = any(payer.way == "off-chain" for payer in self._settings.payers.values())
        if is_off_chain and isinstance(self._settings.sources.get(source), SqlSettings | PushSettings):
            return text.strip() if text and 1 <= len(text.strip()) <= 128 else None
        return parse_txid(text)


def fitting_outcomes(item: str) -> tuple[str, ...]:
    """What can be said of an item."""
    if item.startswith("payment:"):
        return OF_PAYMENTS
    return OF_OTHERS if doubt_of(item) is None else (DATED,)


def _day_faults(item: str, outcome: str, day: date | None) -> list[str]:
    doubt = doubt_of(item)
    if outcome != DATED:
        return [] if day is None else [message("--day: goes with dated alone")]
    if day is None:
        return [message("--day: say from which day on it counts, in Almaty: 2026-10-15")]
    if doubt is not None and not doubt.first <= day <= doubt.last:
        return [
            message(
                "--day: {day} is none of the days between the two looks, {first} to {last}", day=day, first=doubt.first, last=doubt.last
            )
        ]
    return []
