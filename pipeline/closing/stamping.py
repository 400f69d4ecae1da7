"""Public time: each frozen version's manifest and, once a day, the log's head are stamped by calendars of OpenTimestamps (ADR 17).

Enters: the pool's events, calendars behind a protocol, `now`. Leaves: `stamped` events, first with a calendar's promise and later with the way to a Bitcoin block; and beside each
bundle's own files `manifest.json.ots`, made from the events. What was frozen is not touched. A calendar that fails stops nothing: it is asked again at a later look.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.log.events.months import Frozen, Stamped
from pipeline.log.head import Head
from pipeline.model.errors import SigningError
from pipeline.model.journal import Journal
from pipeline.model.message import message, text_of
from pipeline.model.months import Month
from pipeline.signing.public_time import InBlock, ProofUnreadable, Timestamp, read_proof, write_proof

from .diary import Diary, StepAlreadyTaken
from .steps import SCHEDULE

PROOF = "manifest.json.ots"
ASK_AGAIN_S = 3600
"""Between two questions to a calendar that has not stamped yet: Bitcoin's blocks, and a calendar's own round, take hours."""

_journal = Journal("esep.closing")


class Calendar(Protocol):
    """Both methods raise SigningError."""

    name: str

    def stamp(self, digest: bytes) -> Timestamp: ...
    def upgrade(self, stamp: Timestamp) -> bool:
        """Whether the timestamp now leads to a block by what this calendar answered."""
        ...


class Bundles(Protocol):
    """Where the bundles lie."""

    def renew(self, month: Month, version: int, name: str, content: bytes) -> None: ...


@dataclass(frozen=True)
class _Subject:
    """What is stamped."""

    what: Literal["manifest", "log"]
    digest: str
    month: str | None = None
    version: int | None = None
    events: dict[str, int] = field(default_factory=dict)


class Stamping:
    """One pool's public time; one look after another."""

    def __init__(
        self, diary: Diary, bundles: Bundles, calendars: Sequence[Calendar], head: Callable[[], Head], *, log_every_s: int
    ) -> None:
        self._diary, self._bundles, self._calendars, self._head, self._log_every_s = diary, bundles, calendars, head, log_every_s
        self._asked_at: dict[tuple[str, str], int] = {}
        self._kept: dict[tuple[str, int], bytes] = {}

    def look(self, now: int) -> None:
        """Stamp what is new, ask for what was promised, write what is known into the bundles. Raises what the log raises, OSError."""
        self._diary.refresh()
        head: Head | None = None
        for calendar in self._calendars:
            try:
                for frozen in self._frozen():
                    if (frozen.manifest_digest, calendar.name) not in self._diary.stamps:
                        self._stamp(calendar, now, _Subject("manifest", frozen.manifest_digest, frozen.month, frozen.version))
                if self._is_log_due(calendar, now):
                    head = head or self._head()
                    self._stamp(calendar, now, _Subject("log", head.digest, events=head.events))
                for stamp in [stamp for stamp in self._diary.stamps.values() if stamp.calendar == calendar.name and not stamp.heights]:
                    self._upgrade(calendar, stamp, now)
            except StepAlreadyTaken:
                continue
            except SigningError as error:
                _journal.warning("calendar-trouble", calendar=calendar.name, error=str(error))
        self._keep()

    def _frozen(self) -> list[Frozen]:
        return [event for life in self._diary.lives.values() for event in life.frozen.values()]

    def _is_log_due(self, calendar: Calendar, now: int) -> bool:
        """By the first stamp of each head: an upgrade says nothing new of the log."""
        last = [stamp for stamp in self._diary.stamps.values() if stamp.calendar == calendar.name and stamp.what == "log"]
        return all(now - self._first_at(stamp) >= self._log_every_s for stamp in last)

    def _first_at(self, stamp: Stamped) -> int:
        return self._diary.stamped_at.get((stamp.digest, stamp.calendar), stamp.at)

    def _stamp(self, calendar: Calendar, now: int, subject: _Subject) -> None:
        self._append(calendar, now, subject, calendar.stamp(bytes.fromhex(subject.digest)), 1)

    def _upgrade(self, calendar: Calendar, stamp: Stamped, now: int) -> None:
        key = (stamp.digest, stamp.calendar)
        if now - self._asked_at.get(key, stamp.at) < ASK_AGAIN_S:
            return
        self._asked_at[key] = now
        known = proof_of(stamp)
        if calendar.upgrade(known):
            subject = _Subject(stamp.what, stamp.digest, stamp.month, stamp.version, stamp.events)
            self._append(calendar, now, subject, known, stamp.number + 1)

    def _append(self, calendar: Calendar, now: int, subject: _Subject, made: Timestamp, number: int) -> None:
        heights = sorted({end.height for _, end in made.ends() if isinstance(end, InBlock)})
        reason = (
            message("in Bitcoin block {heights}", heights=heights[0])
            if heights
            else message("{name} promises to stamp it", name=calendar.name)
        )
        named = hashlib.sha256(calendar.name.encode()).hexdigest()[:16]
        event = Stamped(
            id=f"stamped:{subject.digest}:{named}:{number}",
            what=subject.what,
            month=subject.month,
            version=subject.version,
            digest=subject.digest,
            events=subject.events,
            calendar=calendar.name,
            number=number,
            proof=base64.b64encode(write_proof(made)).decode(),
            heights=heights,
            by=SCHEDULE,
            reason=reason,
            at=now,
        )
        self._diary.append(event)
        _journal.info("stamped", what=subject.what, month=subject.month, calendar=calendar.name, heights=heights)

    def _keep(self) -> None:
        """One proof for each frozen version, of all calendars together, where it is not there yet as the log has it (law 1)."""
        for frozen in self._frozen():
            stamps = sorted(
                (stamp for stamp in self._diary.stamps.values() if stamp.digest == frozen.manifest_digest), key=lambda stamp: stamp.calendar
            )
            joined: Timestamp | None = None
            for stamp in stamps:
                try:
                    one = proof_of(stamp)
                except SigningError as error:
                    _journal.warning("stamp-unreadable", month=frozen.month, error=str(error))
                    continue
                if joined is None:
                    joined = one
                else:
                    joined.join(one)
            if joined is None:
                continue
            content = write_proof(joined)
            if self._kept.get((frozen.month, frozen.version)) != content:
                self._bundles.renew(Month.parse(frozen.month), frozen.version, PROOF, content)
                self._kept[frozen.month, frozen.version] = content


def proof_of(stamp: Stamped) -> Timestamp:
    """The event's proof. Raises SigningError for one that can't be read, or is of another digest."""
    try:
        proof = read_proof(base64.b64decode(stamp.proof, validate=True))
    except (binascii.Error, ProofUnreadable) as error:
        raise SigningError(message("event {id}: its proof can't be read: {error}", id=repr(stamp.id), error=text_of(error))) from error
    if proof.message.hex() != stamp.digest:
        raise SigningError(message("event {id}: its proof is of another digest", id=repr(stamp.id)))
    return proof
