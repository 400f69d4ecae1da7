"""Decodes fetched record batches into the log's records, a batch at a time.

Enters: batches that kafka-python fetched and split. Leaves: `Record`s, in order; a `ForeignRecord` for what is not an event of this log.
kafka-python calls a function for every number and builds two objects for each record, one of thirteen fields: about twice the time
(`docs/benchmarks.md`), where at 80,000 one-row events a second each has 12 µs from the cluster into a committed store. So only the
records within a batch (message format 2, KIP-98) are decoded here: sessions, leaders, errors, positions, checksums and aborted
transactions stay with kafka-python. Left out: message formats before 2, which have no headers and so no event ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kafka import errors as kafka_errors
from kafka.consumer.fetcher import Fetcher

from pipeline.log.protocol import Record, Topic

from .decompress import decompress

ID = "id"
"""The header with an event's id, UTF-8."""
SIGNATURE = "signature"
"""The header that the first event of an append carries where appends are signed (ADR 14)."""
PROBE = "esep-probe"
"""The header of an empty record that a writer sends, in an aborted transaction, to learn whether it is fenced."""

_NO_KEY = b"\x01"
"""The length of a key that is absent: -1."""
_ONE_ID = b"\x02\x04" + ID.encode()
"""A header count of one and the header's name: how the headers of an event begin."""


_NO_TEXT = "not UTF-8"
"""Marker for bytes that are not UTF-8; compared by identity."""


class ForeignRecord(NamedTuple):
    """The offset of a record that is not an event of this log: its key, value or id is missing or not UTF-8."""

    offset: int


Wanted = Callable[[bytes], bool]


def partition_records_class(topic_names: dict[str, Topic], is_wanted: Wanted) -> type[Any]:
    """The class that a consumer's fetcher uses as its `PartitionRecords`. Records whose key `is_wanted` refuses are skipped."""
    names: dict[bytes, str | None] = {}

    class Unpacked(Fetcher.PartitionRecords):  # type: ignore[misc]
        """kafka-python's iteration over batches, with our own decoding of the records.

        The consumer's `max_poll_records` must not split a batch: `next_fetch_offset` advances by whole batches.
        """

        def _unpack_records(
            self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any
        ) -> Iterator[Record | ForeignRecord]:
            topic, partition = topic_names[tp.topic], int(tp.partition)
            while (batch := records.next_batch()) is not None:
                if self.check_crcs and not batch.validate_crc():
                    # Drained first: otherwise kafka-python keeps calling the failed iterator.
                    self.drain()
                    raise kafka_errors.CorruptRecordError(f"{tp.topic}/{partition}@{batch.base_offset}: wrong check sum")
                if batch.magic != 2:
                    yield ForeignRecord(batch.base_offset)
                    continue
                if not self._is_passed_over(batch):
                    found = unpack_batch(batch, topic, partition, names, is_wanted)
                    self.records_read += batch.records_count
                    self.bytes_read += batch.size_in_bytes
                    yield from found
                self.leader_epoch = batch.leader_epoch
                self.next_fetch_offset = batch.next_offset
            self.drain()

        def _is_passed_over(self, batch: Any) -> bool:
            """Whether the batch is a commit or abort marker, or belongs to an aborted transaction (read_committed, as in kafka-python)."""
            if batch.has_producer_id():
                self._consume_aborted_transactions_up_to(batch.last_offset)
                if self._contains_abort_marker(batch):
                    self.aborted_producer_ids.discard(batch.producer_id)
                elif self._is_batch_aborted(batch):
                    return True
            return bool(batch.is_control_batch)

    return Unpacked


def unpack_batch(
    batch: Any, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted
) -> list[Record | ForeignRecord]:
    """The records of one batch. `names` caches decoded keys by their bytes with the length prefix, None for unwanted ones.

    Raises CorruptRecordError for malformed bytes.
    """
    decompress(batch)
    data = bytes(batch._buffer)
    try:
        found, at = _unpack(data, batch._pos, batch.records_count, batch.base_offset, topic, partition, names, is_wanted)
    except (IndexError, ValueError) as error:
        raise kafka_errors.CorruptRecordError(f"{topic}/{partition}@{batch.base_offset}: no records: {error}") from error
    if at != len(data):
        raise kafka_errors.CorruptRecordError(f"{topic}/{partition}@{batch.base_offset}: {len(data) - at} bytes after the last record")
    return found


def _unpack(  # noqa: C901, PLR0912, PLR0915 - numbers are read in place, for speed
    data: bytes, at: int, count: int, base: int, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted
) -> tuple[list[Record | ForeignRecord], int]:
    """`count` records from byte `at` on, and where they end.

    Numbers are zigzag varints, seven bits a byte (`n >> 1` for those that are never negative; 1, that is -1, means "absent"). For speed,
    those of one or two bytes are decoded inline, and a key equal to the previous one is not looked up again.
    """
    found: list[Record | ForeignRecord] = []
    add, new, starts_with = found.append, tuple.__new__, data.startswith
    key, name = _NO_KEY, None
    for _ in range(count):
        size, at = data[at], at + 1
        if size > 127:
            size, at = size & 127 | data[at] << 7, at + 1
            if size > 16_383:
                size, at = _rest(data, at, size)
        end = at + (size >> 1)
        at += 1  # attributes: none are defined
        while data[at] > 127:  # the timestamp delta
            at += 1
        delta, at = data[at + 1], at + 2
        if delta > 127:
            delta, at = delta & 127 | data[at] << 7, at + 1
            if delta > 16_383:
                delta, at = _rest(data, at, delta)
        offset = base + (delta >> 1)
        if not starts_with(key, at):
            key = data[at : at + 1 + (data[at] >> 1)]  # a key of up to 63 bytes
            if key in names:
                name = names[key]
            else:
                key, name = _key(data, at, names, is_wanted)
        at += len(key)
        if name is None:
            if key == _NO_KEY and not _is_probe(data, at, end):
                add(ForeignRecord(offset))
            at = end
            continue
        size, at = data[at], at + 1
        if size > 127:
            size, at = size & 127 | data[at] << 7, at + 1
            if size > 16_383:
                size, at = _rest(data, at, size)
        value_at, at = at, at + (size >> 1)
        value = data[value_at:at]
        if starts_with(_ONE_ID, at) and not (length := data[at + 4]) & 129:  # a length of one byte, and not "absent"
            id_at, at = at + 5, at + 5 + (length >> 1)
            id_: bytes | None = data[id_at:at]
            signature = None
        else:
            headers, at = _headers(data, at)
            id_, signature = headers.get(ID), headers.get(SIGNATURE)
        if at != end:
            raise ValueError(f"record {offset} ends at byte {at}, not at {end}")
        try:
            id_text = _NO_TEXT if id_ is None else id_.decode()
        except UnicodeDecodeError:
            id_text = _NO_TEXT
        if size & 1 or id_text is _NO_TEXT or name is _NO_TEXT:
            add(ForeignRecord(offset))
        else:
            add(new(Record, (topic, partition, offset, name, id_text, value, signature)))
    return found, at


def _key(data: bytes, at: int, names: dict[bytes, str | None], is_wanted: Wanted) -> tuple[bytes, str | None]:
    """The key at `at`: its bytes with the length prefix, and its text (None for an unwanted or absent key)."""
    size, begun = _number(data, at)
    if size < 0:
        return _NO_KEY, None
    end = begun + size
    key, prefixed = data[begun:end], data[at:end]
    if prefixed not in names:
        names[prefixed] = _text(key) if is_wanted(key) else None
    return prefixed, names[prefixed]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _NO_TEXT


def _rest(data: bytes, at: int, begun: int) -> tuple[int, int]:
    """The rest of a varint of more than two bytes, whose first two were combined into `begun`; its zigzag value, and where it ends."""
    number, shift = begun & 16_383, 14
    while (byte := data[at]) > 127:
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")
    return number | byte << shift, at + 1


def _number(data: bytes, at: int) -> tuple[int, int]:
    number, at = data[at], at + 1
    if number > 127:
        number, at = number & 127 | data[at] << 7, at + 1
        if number > 16_383:
            number, at = _rest(data, at, number)
    return (number >> 1) ^ -(number & 1), at


def _headers(data: bytes, at: int) -> tuple[dict[str, bytes | None], int]:
    """Every header by its name; and where they end."""
    found: dict[str, bytes | None] = {}
    count, at = _number(data, at)
    for _ in range(count):
        size, at = _number(data, at)
        name, at = data[at : at + size].decode(), at + size
        size, at = _number(data, at)
        found[name] = None if size < 0 else data[at : at + size]
        at += max(0, size)
    return found, at


def _is_probe(data: bytes, at: int, end: int) -> bool:
    """Whether the record whose value begins at `at` is a writer's probe."""
    size, at = _number(data, at)
    headers, at = _headers(data, at + max(0, size))
    if at != end:
        raise ValueError(f"a record ends at byte {at}, not at {end}")
    return PROBE in headers
