"""Reading a log: everything there is, batch by batch; or the events of one key, by their types, each with its place.

Enters: a log, a topic and a key, the types wanted. Leaves: events in the log's order, from the first or from where the last look ended.
An event that can't be read is handed to `on_unreadable`: passed over by default, because ingest reports it (law 8). It leaves out
exactly-once reading into a store: that is `store.ingest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pipeline.model.errors import LogError

from .events import decode
from .events.parts import Event
from .protocol import TOPICS, EventLog, Positions, Record, Topic, advance

KNOWN_SCHEMA = 1

E = TypeVar("E", bound=Event)
OnUnreadable = Callable[[Record, Exception], None]
"""What is done about an event that can't be read: nothing, or an exception of its own."""


class NewerSchema(ValueError):
    """The event has a type that is wanted, in a schema that this program does not know yet."""


class Located(NamedTuple, Generic[E]):
    """An event and the record it lies in: `record.where` is its place for a message."""

    record: Record
    event: E


class _Head(msgspec.Struct):
    """As much of an event as tells whether to read on."""

    type: str
    schema: int = 1


_head = msgspec.json.Decoder(_Head)


def batches(
    log: EventLog, positions: Positions | None = None, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None
) -> Iterator[list[Record]]:
    """Everything from `positions` (None: the beginning) to the end (or `until`), and what is added meanwhile; in order within each partition."""
    at = dict(positions or {})
    while records := log.read(at, topics=topics, until=until):
        at = advance(at, records)
        yield records


def skip_unreadable(record: Record, error: Exception) -> None:
    """Leave an unreadable event to ingest, which reports it as an issue (law 8)."""


def refuse_newer(record: Record, error: Exception) -> None:
    """Stop at an event of a newer schema, where what it says must not be missed. Raises LogError; what is damaged is passed over."""
    if isinstance(error, NewerSchema):
        raise LogError(f"{record.where}: {error}: upgrade it, then try again") from error


class KeyReader(Generic[E]):
    """The events of some types of one key, or (`kinds` None) all of it, kept up with the log: each look gives what came since the last one."""

    def __init__(
        self, log: EventLog, topic: Topic, key: str, kinds: Sequence[type[E]] | None, *, on_unreadable: OnUnreadable = skip_unreadable
    ) -> None:
        self._log = log
        self._topic: Topic = topic
        self._key = key
        self._tags = None if kinds is None else frozenset(_tag(kind) for kind in kinds)
        self._on_unreadable = on_unreadable
        self._positions: dict[str, int] = {}

    def new(self) -> Iterator[Located[E]]:
        """The events that came since the last look; to be read to their end. Raises what `on_unreadable` raises, and LogError of the log."""
        for records in batches(self._log, self._positions, topics=[self._topic]):
            for record in records:
                if record.key == self._key and (event := self._read(record)) is not None:
                    yield Located(record, event)
            self._positions = advance(self._positions, records)

    def _read(self, record: Record) -> E | None:
        try:
            if self._tags is not None:
                head = _head.decode(record.value)
                if head.type not in self._tags:
                    return None
                if head.schema > KNOWN_SCHEMA:
                    raise NewerSchema(f"schema {head.schema} of {head.type!r} is newer than this program knows ({KNOWN_SCHEMA})")
            event: Any = decode(record.value)
        except (ValueError, RecursionError) as error:
            self._on_unreadable(record, error)
            return None
        found: E = event
        return found


def events_of(
    log: EventLog, topic: Topic, key: str, kinds: Sequence[type[E]] | None, *, on_unreadable: OnUnreadable = skip_unreadable
) -> Iterator[Located[E]]:
    """The events of some types of one key, or (`kinds` None) all of it, from the log's first to its last."""
    return KeyReader(log, topic, key, kinds, on_unreadable=on_unreadable).new()


def _tag(kind: type[Event]) -> object:
    return kind.__struct_config__.tag
