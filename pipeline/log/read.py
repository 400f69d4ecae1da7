"""Reading a log: all records in batches, or the decoded events of one key, each with its record.

Enters: a log, a topic and a key, the event types wanted. Leaves: events in the log's order. An event that can't be decoded is handed
to `on_unreadable`; by default it is skipped, because ingest reports it (law 8). Where a root key is in force (`EventLog.keys`), an event that is not authentic is
skipped, too, and reported in `KeyReader.faults`. Left out: exactly-once reading into a store (`store.ingest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pipeline.model.errors import LogError
from pipeline.model.message import message
from pipeline.model.typed import decoder

from .authenticity import Stream, Verdict
from .events import KEY_EVENTS, decode
from .events.parts import Event
from .keys import LogKeys
from .protocol import TOPICS, EventLog, Positions, Record, Topic, advance

KNOWN_SCHEMA = 1

E = TypeVar("E", bound=Event)
OnUnreadable = Callable[[Record, Exception], None]
"""Called for each event that can't be decoded: returns to skip it, or raises."""


class NewerSchema(ValueError):
    """An event of a wanted type has a newer schema version than this program knows."""


class Located(NamedTuple, Generic[E]):
    """An event and its record: `record.where` is its position, for messages."""

    record: Record
    event: E


class _Head(msgspec.Struct):
    """The fields that decide whether to decode the rest."""

    type: str
    schema: int = 1


_head = decoder(_Head)


def batches(
    log: EventLog, positions: Positions | None = None, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None
) -> Iterator[list[Record]]:
    """All records from `positions` (None: the beginning) to `until` (None: the end, including what is appended meanwhile); in order within each partition."""
    at = dict(positions or {})
    while records := log.read(at, topics=topics, until=until):
        at = advance(at, records)
        yield records


def skip_unreadable(record: Record, error: Exception) -> None:
    """Skip the event; ingest reports it as an issue (law 8)."""


def refuse_newer(record: Record, error: Exception) -> None:
    """For readers that must not miss an event: raises LogError for a newer schema version. Damaged events are skipped."""
    if isinstance(error, NewerSchema):
        raise LogError(message("{where}: {error}: upgrade it, then try again", where=record.where, error=error)) from error


class Streams:
    """Every stream of a log, judged as its records come by, from the log's first on."""

    def __init__(self, keys: LogKeys | None) -> None:
        self._keys = keys
        self.found: dict[tuple[str, str], Stream] = {}
        """By (topic, key)."""

    def judge(self, record: Record) -> Verdict:
        """The verdict on the next record. Where no keys are in force every event counts."""
        if record.fault:
            return Verdict(False, record.fault)
        if self._keys is None:
            return Verdict(True)
        if not self._keys.is_ours(record.key):
            return Verdict(False, f"it is in no stream of the pool {self._keys.pool!r}: {record.key!r}")
        place = record.topic, record.key
        if (stream := self.found.get(place)) is None:
            stream = self.found[place] = self._keys.begin(*place)
        return stream.judge(record)


class KeyReader(Generic[E]):
    """Follows the events of one key, of some types or (`kinds` None) of all: each call of `new` gives those appended since the last one."""

    def __init__(
        self,
        log: EventLog,
        topic: Topic,
        key: str,
        kinds: Sequence[type[E]] | None,
        *,
        on_unreadable: OnUnreadable = skip_unreadable,
        begin: tuple[Positions, bytes | None] | None = None,
    ) -> None:
        """`begin`: what `place` of another reader of the same log gave: it goes on from there."""
        self._log = log
        self._topic: Topic = topic
        self._key = key
        self._tags = None if kinds is None else frozenset(_tag(kind) for kind in kinds)
        self._on_unreadable = on_unreadable
        self._positions: dict[str, int] = dict(begin[0]) if begin else {}
        self._stream = None if log.keys is None else log.keys.begin(topic, key, begin[1] if begin else None)
        self.faults: list[tuple[str, str]] = []
        """Place and fault of each event read that is not authentic, or before which something is missing."""

    @property
    def stream(self) -> Stream | None:
        """What is known of the stream after the last look: its keys among it. None where no keys are in force."""
        return self._stream

    def place(self) -> tuple[dict[str, int], bytes | None]:
        """How far it has read, and the state of the log's signatures there."""
        return dict(self._positions), None if self._stream is None else self._stream.save()

    def new(self) -> Iterator[Located[E]]:
        """The events appended since the last call; exhaust the iterator. Raises what `on_unreadable` raises, and LogError."""
        for records in batches(self._log, self._positions, topics=[self._topic]):
            for record in records:
                if record.key == self._key and self._is_authentic(record) and (event := self._read(record)) is not None:
                    yield Located(record, event)
            self._positions = advance(self._positions, records)

    def _is_authentic(self, record: Record) -> bool:
        if self._stream is None:
            return not record.fault
        verdict = Verdict(False, record.fault) if record.fault else self._stream.judge(record)
        if verdict.fault:
            self.faults.append((record.where, verdict.fault))
        return verdict.counts

    def _read(self, record: Record) -> E | None:
        try:
            if self._tags is not None:
                head = _head.decode(record.value)
                if head.type not in self._tags:
                    return None
                if head.schema > KNOWN_SCHEMA:
                    raise NewerSchema(
                        message(
                            "schema {schema} of {type} is newer than this program knows ({known_schema})",
                            schema=head.schema,
                            type=repr(head.type),
                            known_schema=KNOWN_SCHEMA,
                        )
                    )
            event: Any = decode(record.value)
        except (ValueError, RecursionError) as error:
            self._on_unreadable(record, error)
            return None
        if self._tags is None and isinstance(event, KEY_EVENTS):
            return None  # for `stream`, which has read them
        found: E = event
        return found


def events_of(
    log: EventLog, topic: Topic, key: str, kinds: Sequence[type[E]] | None, *, on_unreadable: OnUnreadable = skip_unreadable
) -> Iterator[Located[E]]:
    """All events of one key, of some types or (`kinds` None) of all, in the log's order."""
    return KeyReader(log, topic, key, kinds, on_unreadable=on_unreadable).new()


def _tag(kind: type[Event]) -> object:
    return kind.__struct_config__.tag
