"""Who did what: every decision and answer in the log's topic `months`, with what stood there before, filtered, and as CSV.

Enters: the log. Leaves: `Deed`s, the newest first. What the schedule did by itself stands among them, in its own name. Read once and kept up to date. Left out: sign-ins and what was looked at (the topic `audit`).
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pipeline.log.events import AnyEvent
from pipeline.log.events.audit import AuditEvent
from pipeline.log.events.months import Labelled, Notified, Stamped
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader
from pipeline.model.message import counted, joined
from pipeline.model.months import almaty_date

from .deed_words import DETAIL_WORDS, detail_words, way_word

COLUMNS = ("at", "by", "what", "month", "about", "detail", "before", "reason", "event")
DETAILS = tuple(DETAIL_WORDS)
_ABOUT = ("address", "ref", "code", "user", "item", "source", "submission_id")


@dataclass(frozen=True)
class Deed:
    """One thing that somebody decided or did."""

    at: int
    by: str
    what: str
    """The event's type."""
    month: str
    about: str
    detail: str
    before: str
    """What stood there before; empty where nothing did, or that does not apply."""
    reason: str
    event: str
    """The event's id."""
    told: str
    """`detail` in words, to be translated."""


@dataclass(frozen=True)
class DeedFilter:
    """Which deeds."""

    by: str = ""
    what: str = ""
    month: str = ""
    first: date | None = None
    last: date | None = None
    search: str = ""

    def fits(self, deed: Deed) -> bool:
        """Whether a deed is asked for."""
        day, words = almaty_date(deed.at), self.search.strip().casefold()
        return (
            self.by in ("", deed.by)
            and self.what in ("", deed.what)
            and self.month in ("", deed.month)
            and (self.first is None or day >= self.first)
            and (self.last is None or day <= self.last)
            and (not words or any(words in part.casefold() for part in (deed.by, deed.about, deed.detail, deed.reason)))
        )


class Deeds:
    """One pool's deeds. Thread-safe."""

    def __init__(self, log: EventLog, pool: str) -> None:
        self._events: KeyReader[AnyEvent] = KeyReader(log, "months", pool, None)
        self._lock = threading.Lock()
        self._deeds: list[Deed] = []
        self._labels: dict[tuple[str, str], str] = {}

    def found(self, wanted: DeedFilter) -> list[Deed]:
        """Those that fit, the newest first."""
        return [deed for deed in reversed(self._read()) if wanted.fits(deed)]

    def people(self) -> list[str]:
        """Everybody who ever did something."""
        return sorted({deed.by for deed in self._read()})

    def kinds(self) -> list[str]:
        """Every kind of deed that there was."""
        return sorted({deed.what for deed in self._read()})

    def _read(self) -> list[Deed]:
        with self._lock:
            for _, event in self._events.new():
                if not isinstance(event, Notified | Stamped) and getattr(event, "by", None) is not None:
                    self._deeds.append(self._deed(event))
            return self._deeds

    def _deed(self, event: Any) -> Deed:
        before = ""
        if isinstance(event, Labelled):
            place = event.chain, event.address
            before, self._labels[place] = self._labels.get(place, ""), f"{event.outflow_class} ({event.name})"
        values = {name: value for name in DETAILS if (value := getattr(event, name, None)) not in (None, "", [], ())}
        detail = "; ".join(f"{name} {_text(value)}" for name, value in values.items())
        told = joined("; ", [detail_words(name, value) for name, value in values.items()])
        about = " ".join(str(value) for name in _ABOUT if (value := getattr(event, name, None)))
        return Deed(
            at=event.at, by=event.by, what=type(event).__struct_config__.tag, month=getattr(event, "month", None) or "", about=about, detail=detail,
            before=before, reason=getattr(event, "reason", "") or "", event=event.id, told=told,
        )  # fmt: skip


def deeds_of_audit(entries: Iterable[AuditEvent]) -> list[Deed]:
    """Sign-ins, failures, and who saw how many numbers on which page; the numbers themselves stay in the topic."""
    found = []
    for entry in entries:
        event: Any = entry
        about = " ".join(str(value) for name in ("whose", "page", "address") if (value := getattr(event, name, "")))
        numbers = getattr(event, "numbers", None)
        way = getattr(event, "way", "")
        detail = way if numbers is None else f"{len(numbers)} IIN/BIN"
        told = way_word(way) if numbers is None else counted("{count} IIN or BIN", "{count} IINs or BINs", len(numbers))
        what = type(event).__struct_config__.tag
        found.append(Deed(event.at, event.by, str(what), "", about, detail, "", getattr(event, "reason", ""), event.id, told))
    return found


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def as_csv(deeds: list[Deed]) -> str:
    """The deeds as CSV; instants in UTC. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for deed in deeds:
        at = datetime.fromtimestamp(deed.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        writer.writerow([at, *(_cell(getattr(deed, name)) for name in COLUMNS[1:])])
    return text.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
