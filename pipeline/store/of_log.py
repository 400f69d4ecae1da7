"""Whether a store was filled from this log: a log that was restored from an older copy and has grown since, or a topic that was made again, gives other events at the same positions.

Enters: a store, a log. Leaves: yes or no, or a LogError that names the place. One record of each topic is read.
"""

from __future__ import annotations

import hashlib

from pipeline.log.protocol import EventLog
from pipeline.model.errors import LogError
from pipeline.model.message import message

from .queries import LastRead, last_read
from .store import Store


def is_of_log(store: Store, log: EventLog) -> bool:
    """Whether the store's positions are within the log, and the last event that it read of each topic is at the same offset."""
    positions, end = store.positions(), log.end()
    if any(offset > end.get(place, 0) for place, offset in positions.items()):
        return False
    is_same = _first_missing(store, log) is None
    store.compared_with = log if is_same else None
    return is_same


def require_of_log(store: Store, log: EventLog) -> None:
    """Raises LogError where the log has not the event that the store read last of a topic: reading on would mix two logs, and tell nobody (law 2). Compared once for a store that stays open, and again after an error of the log."""
    if store.compared_with is log:
        return
    missing = _first_missing(store, log)
    if missing is not None:
        raise LogError(
            message(
                "the log of topic {topic} has not event {id} of {key} at offset {offset}, which the store has read there: it is another log, or was restored from an older copy or made again since. Bring back the newest copy of it; if this one is right, delete the store (esep.toml: store.path), it is rebuilt from the log",
                topic=missing.topic,
                id=repr(missing.id),
                key=missing.key,
                offset=missing.offset,
            )
        )
    store.compared_with = log


def _first_missing(store: Store, log: EventLog) -> LastRead | None:
    """The last event read of the first topic whose log has it not."""
    positions = store.positions()
    for event in last_read(store.connection):
        places = [place for place in positions if place.partition("/")[0] == event.topic]
        until = dict.fromkeys(places, event.offset + 1)
        records = log.read(dict.fromkeys(places, event.offset), topics=[event.topic], until=until, limit_bytes=1)
        if not any(
            (record.key, record.id, hashlib.sha256(record.value).hexdigest()) == (event.key, event.id, event.digest) for record in records
        ):
            return event
    return None
