"""Decodes fetched record batches into the log's records, a batch at a time.

Enters: batches that kafka-python fetched and split. Leaves: `Record`s, in order. Any producer on the cluster can write to a topic; what is no event of this log
is a `Record` with a `fault`, so that reading goes on (law 8): a record without key, value or id, or one whose bytes make no sense, or a whole batch that can't be
unpacked though its checksum is right. A wrong checksum is damage, not a producer's doing, and stops reading.
kafka-python calls a function for every number and builds two objects for each record, one of thirteen fields: about twice the time
(`docs/benchmarks.md`), where at 80,000 one-row events a second each has 12 µs from the cluster into a committed store. So only the
records within a batch (message format 2, KIP-98) are decoded here: sessions, leaders, errors, positions, checksums and aborted
transactions stay with kafka-python. Left out: message formats before 2, which have no headers and so no event ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

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
_FOREIGN = "another program wrote it; write rights on the topics are for Esep alone"
_SNAPPY_OR_UNKNOWN = frozenset(range(8)) - {0, 1, 3, 4}
"""Codecs that this program never writes, by their numbers."""
_OFFSET = attrgetter("offset")
_MOST_RECORDS = 256 << 10
"""In a batch: more than the bytes of a batch that this program's writer fills."""
_MOST_NAMES = 100_000
"""Keys kept decoded, before all are dropped."""


Wanted = Callable[[bytes], bool]


def partition_records_class(topic_names: dict[str, Topic], is_wanted: Wanted) -> type[Any]:
    """The class that a consumer's fetcher uses as its `PartitionRecords`. Records whose key `is_wanted` refuses are skipped."""
    names: dict[bytes, str | None] = {}

    class Unpacked(Fetcher.PartitionRecords):  # type: ignore[misc]
        """kafka-python's iteration over batches, with our own decoding of the records.

        The consumer's `max_poll_records` must not split a batch: `next_fetch_offset` advances by whole batches.
        """

        def _unpack_records(self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any) -> Iterator[Record]:
            topic, partition = topic_names[tp.topic], int(tp.partition)
            while (batch := records.next_batch()) is not None:
                if self.check_crcs and not batch.validate_crc():
                    # Drained first: otherwise kafka-python keeps calling the failed iterator.
                    self.drain()
                    raise kafka_errors.CorruptRecordError(f"{tp.topic}/{partition}@{batch.base_offset}: wrong check sum")
                if batch.magic != 2:
                    yield _no_event(topic, partition, batch.base_offset, "it is in a message format before 2, which has no ids")
                    self.next_fetch_offset = batch.base_offset + 1  # that of its last message, where it is compressed
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


def unpack_batch(batch: Any, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted) -> list[Record]:
    """The records of one batch whose checksum is right. `names` caches decoded keys by their bytes with the length prefix, None for unwanted ones.

    Raises UnsupportedCodecError where the Python package of a codec that this program writes is missing: the batch may be ours.
    """
    base = batch.base_offset
    if batch.records_count > _MOST_RECORDS:
        return [
            _no_event(topic, partition, base, f"its batch has {batch.records_count:,} records, and this program writes no such batches")
        ]
    if batch.compression_type in _SNAPPY_OR_UNKNOWN:
        return [
            _no_event(topic, partition, base, f"its batch, up to offset {batch.last_offset}, is compressed by what this program never uses")
        ]
    try:
        decompress(batch)
    except kafka_errors.CorruptRecordError as error:
        return [_no_event(topic, partition, base, f"its batch, up to offset {batch.last_offset}, can't be unpacked: {error}")]
    data = bytes(batch._buffer)
    try:
        found, at = _unpack(data, batch._pos, batch.records_count, base, topic, partition, names, is_wanted)
    except (IndexError, ValueError):
        found, at = [], -1
    offsets = list(map(_OFFSET, found))
    if at != len(data) or (offsets and (min(offsets) < base or max(offsets) > batch.last_offset or offsets != sorted(set(offsets)))):
        return _unpack_one_by_one(data, batch, topic, partition, names, is_wanted)
    return found


def _unpack_one_by_one(
    data: bytes, batch: Any, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted
) -> list[Record]:
    """The records of a batch in which bytes make no sense: those that are sound, and one without an event for each that is not.

    Brokers count the records of a batch from its base offset on, so a record's place in the batch tells its offset.
    """
    found: list[Record] = []
    at, base = batch._pos, batch.base_offset
    for number in range(min(batch.records_count, batch.last_offset - base + 1)):
        try:
            size, begun = _number(data, at)
            end = begun + size
            if size < 0 or end > len(data):
                raise ValueError("a record is longer than its batch")
        except (IndexError, ValueError) as error:
            found.append(
                _no_event(topic, partition, base + number, f"it and the rest of its batch, up to offset {batch.last_offset}: {error}")
            )
            return found
        try:
            records, ended = _unpack(data, at, 1, base, topic, partition, names, is_wanted)
            if ended != end or any(record.offset != base + number for record in records):
                raise ValueError("its length or its offset is wrong")
            found += records
        except (IndexError, ValueError) as error:
            found.append(_no_event(topic, partition, base + number, f"its bytes make no sense: {error}"))
        at = end
    if at != len(data):
        why = f"in its batch, up to offset {batch.last_offset}, {len(data) - at} bytes follow the last record"
        return [_no_event(topic, partition, base, why)]
    return found


def _no_event(topic: Topic, partition: int, offset: int, why: str, key: str = "", id_: str = "", value: bytes = b"") -> Record:
    return Record(topic, partition, offset, key, id_, value, None, f"no event of this log: {why}; {_FOREIGN}")


def _unpack(  # noqa: C901, PLR0912, PLR0915 - numbers are read in place, for speed
    data: bytes, at: int, count: int, base: int, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted
) -> tuple[list[Record], int]:
    """`count` records from byte `at` on, and where they end.

    Numbers are zigzag varints, seven bits a byte (`n >> 1` for those that are never negative; 1, that is -1, means "absent"). For speed,
    those of one or two bytes are decoded inline, and a key equal to the previous one is not looked up again.
    """
    found: list[Record] = []
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
                add(_no_event(topic, partition, offset, "it has no key"))
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
        if size & 1 or not id_text or id_text is _NO_TEXT or name is _NO_TEXT:
            add(_strange(topic, partition, offset, name, id_, id_text, None if size & 1 else value))
        else:
            add(new(Record, (topic, partition, offset, name, id_text, value, signature, "")))
    return found, at


def _strange(topic: Topic, partition: int, offset: int, key: str, id_: bytes | None, id_text: str, value: bytes | None) -> Record:
    """A record with a key that is no event, and why."""
    if key is _NO_TEXT:
        return _no_event(topic, partition, offset, "its key is not UTF-8")
    if not id_:
        return _no_event(topic, partition, offset, "it has no id", key, "", value or b"")
    if id_text is _NO_TEXT:
        return _no_event(topic, partition, offset, "its id is not UTF-8", key, "", value or b"")
    return _no_event(topic, partition, offset, "it has no value (a tombstone)", key, id_text)


def _key(data: bytes, at: int, names: dict[bytes, str | None], is_wanted: Wanted) -> tuple[bytes, str | None]:
    """The key at `at`: its bytes with the length prefix, and its text (None for an unwanted or absent key)."""
    size, begun = _number(data, at)
    if size < 0:
        return _NO_KEY, None
    end = begun + size
    key, prefixed = data[begun:end], data[at:end]
    if prefixed not in names:
        if len(names) >= _MOST_NAMES:
            names.clear()
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
        name, at = data[at : at + size].decode(errors="replace"), at + size
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
