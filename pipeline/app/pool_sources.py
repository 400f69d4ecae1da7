"""A pool's sources of the ledger: their followers, how far they were read, and people's decisions about what waits (ADR 22)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.kinds.values import txid as parse_txid
from pipeline.capture.pushed import PushedRows
from pipeline.log.events import content_digest, encode
from pipeline.log.events.sources import SourceDecided
from pipeline.log.protocol import EventLog, append_shared
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.queries import OpenItem, source_items, sources

from .open_source import open_source, source_plan

OF_PAYMENTS = ("paid", "not-paid")


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
        """What waits at all sources, by day."""
        with store.lock:
            return source_items(store.connection)

    def decide(self, store: Store, source: str, item: str, outcome: str, *, txid: str | None, by: str, reason: str) -> None:
        """End an item in a person's name. Raises SettingsError for an item that does not wait, and for an outcome that does not fit it."""
        waiting = next((one for one in self.items(store) if (one.source, one.item) == (source, item)), None)
        faults: list[str] = [
            message("{name}: is empty: say it", name=name) for name, value in (("--by", by), ("--reason", reason)) if not value.strip()
        ]
        if waiting is None:
            faults.append(
                message(
                    "ITEM: nothing named {item} waits at source {source}: `esep sources list` shows what does",
                    item=repr(item),
                    source=repr(source),
                )
            )
        elif item.startswith("payment:") != (outcome in OF_PAYMENTS):
            fitting = "paid or not-paid" if item.startswith("payment:") else "accept or refuse"
            faults.append(
                message("OUTCOME: {outcome} is nothing to say of {item}: say {fitting}", outcome=outcome, item=item, fitting=fitting)
            )
        if outcome == "paid" and parse_txid(txid) is None:
            faults.append(message("--txid: say under which transaction it was paid: 64 hexadecimal digits"))
        if outcome != "paid" and txid is not None:
            faults.append(message("--txid: goes with paid alone"))
        if faults:
            raise SettingsError(faults, source="esep sources decide")
        at = self._now()
        event = SourceDecided(
            id=f"source-decided:{content_digest([source, item, outcome, txid, by, at])}", source=source, item=item, outcome=outcome,  # type: ignore[arg-type]
            txid=parse_txid(txid), by=by, reason=reason, at=at,
        )  # fmt: skip
        append_shared(self._log, "months", self._settings.pool.key, [encode(event)])
