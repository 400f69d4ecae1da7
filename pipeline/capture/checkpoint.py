"""A checkpoint of what follows from a source's events, so that a start costs what is new since (laws 1 and 4).

Enters: the state after some positions of the log. Leaves: bytes, and the state again. Derived: with a checkpoint or without one, the same events follow. It counts only for the log that it was made
of (by the newest record before its positions), for the same program, and for the same way of reading; else it is passed over, and the log is read from its beginning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any, Protocol

import msgspec

from pipeline.log.events import content_digest
from pipeline.log.protocol import EventLog, Topic
from pipeline.model.typed import msgpack_decoder

EDITION = 1
"""Of the checkpoint's form, and of the readings: raised when a reading gives something else from the same rows."""
TOPIC: Topic = "ledger"


class Keeps(Protocol):
    """Where a checkpoint is kept. Nothing depends on it: it may be lost at any time."""

    def load(self) -> bytes | None:
        """What was saved last; None where nothing is there."""

    def save(self, content: bytes) -> None:
        """Keep a checkpoint in place of the one before, whole or not at all."""


class Checkpoint(msgspec.Struct, array_like=True):
    """The state after `positions`."""

    made_for: str
    """Names the program and the way of reading."""
    positions: dict[str, int]
    newest_record: str
    """Names the newest record before `positions`."""
    stream: bytes | None
    """The state of the log's signatures there (ADR 14)."""
    configured: Any
    completes: dict[str, str]
    complete: str | None
    seen: Any
    tables: dict[str, dict[str, msgspec.Raw]]
    projection: dict[str, dict[str, msgspec.Raw]]
    items: list[Any]
    group_of: dict[str, str]
    touched: list[str]
    rows: dict[str, msgspec.Raw]
    versions: dict[str, msgspec.Raw]
    open_items: list[Any]
    waiting: list[Any]
    registry: Any


_decoder = msgpack_decoder(Checkpoint)


def pack(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as bytes; they begin with their digest."""
    content = msgspec.msgpack.encode(checkpoint)
    return hashlib.sha256(content).digest() + content


def unpack(found: bytes | None, made_for: str, log: EventLog) -> Checkpoint | None:
    """The checkpoint, where it is whole and of this log, program and way of reading; else None."""
    if found is None or hashlib.sha256(found[32:]).digest() != found[:32]:
        return None
    try:
        checkpoint = _decoder.decode(found[32:])
    except msgspec.MsgspecError:
        return None
    if checkpoint.made_for != made_for or not checkpoint.positions or (checkpoint.stream is None) != (log.keys is None):
        return None
    return checkpoint if newest_record(log, checkpoint.positions) == checkpoint.newest_record else None


def newest_record(log: EventLog, positions: Mapping[str, int]) -> str:
    """Names the last record before each position."""
    found = []
    for place, position in sorted(positions.items()):
        before = log.read({place: position - 1}, topics=[TOPIC], until={place: position}) if position else []
        found.append([place, position, *([record.offset, record.id, hashlib.sha256(record.value).hexdigest()] for record in before)])
    return content_digest(found)


def reads_as(value: object) -> Any:
    """A reading's parameters as plain values, always in the same order."""
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *([each.name, reads_as(getattr(value, each.name))] for each in fields(value))]
    if isinstance(value, Mapping):
        return sorted([str(key), reads_as(one)] for key, one in value.items())
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [reads_as(one) for one in value]
    return str(value) if isinstance(value, Fraction) or not isinstance(value, int | str | bool | None) else value
