"""Which of the records that ingest takes are authentic, exactly once like everything else (ADR 14).

Enters: records in the log's order, the keys in force, the open transaction of a batch. Leaves: the records that count, the faults of the others, and in `raw_stream` the state of
each stream after the batch, committed with its positions; in `raw_signed` what proves people's decisions. A store that was filled before the root key was in
force gets its streams' state by one walk through the log up to its positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipeline.log.authenticity import Stream
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import EventLog, Record
from pipeline.log.read import Streams, batches
from pipeline.model.errors import StoreError
from pipeline.model.message import message

from . import Store

_STREAM = "INSERT INTO raw_stream VALUES ($topic, $key, $root, $is_in_force, $number, $digest, $before_keys, $refused, $state)"
_SIGNED = "INSERT INTO raw_signed VALUES ($topic, $key, $log_offset, $id, $type, $value, $signature)"


class Judge:
    """Judges the records of one batch within its transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, keys: LogKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._streams: dict[tuple[str, str], Stream] = {}
        self.faults: dict[Record, str] = {}
        """What is wrong with a record, or with what stands before it."""
        self._proofs: dict[Record, bytes] = {}

    def sift(self, records: Sequence[Record]) -> list[Record]:
        """The records that count, in order."""
        kept: list[Record] = []
        place: tuple[str, str] | None = None
        stream: Stream | None = None
        for record in records:
            if record.fault:
                self.faults[record] = record.fault
                continue
            if place != (record.topic, record.key):
                place = record.topic, record.key
                stream = self._stream(*place)
            if stream is None:
                self.faults[record] = f"it is in no stream of the pool {self._keys.pool!r}: {record.key!r}"
                continue
            counts, fault = stream.judge(record)
            if fault:
                self.faults[record] = fault
            if counts:
                kept.append(record)
                if record.topic == "months" and stream.proof is not None:
                    self._proofs[record] = stream.proof
        return kept

    def keep_proof(self, record: Record, kind: str) -> None:
        """Keep what proves a decision, or what the root key said, of topic `months`: the event, and the signature that covers it."""
        if record in self._proofs:
            self._connection.execute(
                _SIGNED,
                {"topic": record.topic, "key": record.key, "log_offset": record.offset, "id": record.id, "type": kind,
                 "value": record.value, "signature": self._proofs[record]},
            )  # fmt: skip

    def save(self) -> None:
        """Put the streams' states into the store."""
        for (topic, key), stream in self._streams.items():
            save_stream(self._connection, topic, key, stream)

    def _stream(self, topic: str, key: str) -> Stream | None:
        if not self._keys.is_ours(key):
            return None
        place = topic, key
        if place not in self._streams:
            query = "SELECT state FROM raw_stream WHERE topic = $topic AND key = $key"
            found = self._connection.execute(query, {"topic": topic, "key": key}).fetchone()
            self._streams[place] = self._keys.begin(topic, key, found[0] if found else None)
        return self._streams[place]


def save_stream(connection: duckdb.DuckDBPyConnection, topic: str, key: str, stream: Stream) -> None:
    """Put a stream's state into the store, in place of the one before."""
    content, state = stream.save(), stream.state
    connection.execute("DELETE FROM raw_stream WHERE topic = $topic AND key = $key", {"topic": topic, "key": key})
    connection.execute(
        _STREAM,
        {"topic": topic, "key": key, "root": state.root, "is_in_force": state.is_in_force, "number": state.number, "digest": state.digest.hex(),
         "before_keys": state.before_keys, "refused": state.refused, "state": content},
    )  # fmt: skip


def bring_under_keys(store: Store, log: EventLog, keys: LogKeys | None) -> None:
    """Make sure that what the store holds was read under these keys.

    A store that was filled before is taken over when nothing in it is refused by them. Raises StoreError when something is, and for a store filled under another root key.
    """
    with store.lock:
        roots = {root for (root,) in store.connection.execute("SELECT DISTINCT root FROM raw_stream").fetchall()}
        positions = store.positions()
    if roots == ({keys.root} if keys is not None and positions else set()):
        return
    rebuild = "delete the store (esep.toml: store.path), it is rebuilt from the log"
    if roots or keys is None:
        raise StoreError(
            message(
                "the store was filled under the root key {roots}…, which is not the one in [keys] root: {rebuild}",
                roots=min(roots)[:16],
                rebuild=rebuild,
            )
        )
    streams = Streams(keys)
    for records in batches(log, until=positions):
        for record in records:
            fault = streams.judge(record).fault
            if fault and not record.fault:  # what is no event is a bad event already
                raise StoreError(
                    message(
                        "the store holds {where}, read before [keys] root was set, and {fault}: {rebuild}",
                        where=record.where,
                        fault=fault,
                        rebuild=rebuild,
                    )
                )
    with store.transaction() as connection:
        for (topic, key), stream in streams.found.items():
            save_stream(connection, topic, key, stream)
