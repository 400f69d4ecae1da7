"""A pool's events of some kinds, read from the log in order: what an import must know of what was imported before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from pipeline.log.events import AnyEvent, decode
from pipeline.log.protocol import EventLog, Record, Topic, advance
from pipeline.model.errors import LogError

_KNOWN_SCHEMA = 1


class _Head(msgspec.Struct):
    """As much of an event as tells whether to read on."""

    type: str
    schema: int = 1


_head = msgspec.json.Decoder(_Head)


def events_of_pool(log: EventLog, pool_id: str, topic: Topic, kinds: Sequence[str]) -> Iterator[AnyEvent]:
    """The pool's events whose `type` is in `kinds`, from the log's first to its last.

    An event that can't be read is passed over, as ingest passes it over. Raises `LogError` for one of a newer schema: its versions
    can't be counted, so importing must wait for the newer program.
    """
    positions: dict[str, int] = {}
    while records := log.read(positions, topics=[topic]):
        positions = advance(positions, records)
        for record in records:
            if record.key == pool_id:
                event = _event(record, kinds)
                if event is not None:
                    yield event


def _event(record: Record, kinds: Sequence[str]) -> AnyEvent | None:
    try:
        head = _head.decode(record.value)
        if head.type not in kinds:
            return None
        if head.schema > _KNOWN_SCHEMA:
            raise LogError(
                f"{record.where}: schema {head.schema} of {head.type!r} is newer than this program knows: upgrade it, then import"
            )
        return decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
