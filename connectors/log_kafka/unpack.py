"""Record batches as they lie in a fetch's answer, turned into the log's records, a batch at a time.

Enters: batches that kafka-python fetched and cut apart. Leaves: `Record`s, in order; a `ForeignRecord` for what no writer of ours wrote.
kafka-python decodes every number by a call and builds two objects for each record, one of them of thirteen fields: about twice the time
(`docs/benchmarks.md`), where at 80,000 one-row events a second each has 12 µs from the cluster into a committed store. So the insides of a batch (message format 2, KIP-98) are
read here, and nothing else: sessions, leaders, errors, positions, check sums and which transactions were given up
stay kafka-python's. Left out: formats before 2, which have no headers and so no events.
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
PROBE = "esep-probe"
"""A record with this header carries nothing: a writer asks by it whether it still may write."""

_NO_KEY = b"\x01"
"""The length of a key that is absent: -1."""
_ONE_ID = b"\x02\x04" + ID.encode()
"""One header, and its name: how the headers of every event of ours begin."""


_NO_TEXT = "not UTF-8"
"""This very object stands for bytes that are no text."""


class ForeignRecord(NamedTuple):
    """The place of a record that is no event: it lacks a key, a value or an id, or they are no text."""

    offset: int


Wanted = Callable[[bytes], bool]


def partition_records_class(topic_names: dict[str, Topic], is_wanted: Wanted) -> type[Any]:
    """What a consumer's fetcher is to use as its `PartitionRecords`. Keys that `is_wanted` refuses are passed over."""
    names: dict[bytes, str | None] = {}

    class Unpacked(Fetcher.PartitionRecords):  # type: ignore[misc]
        """kafka-python's own walk over batches, but for what is inside them.

        A consumer must not ask for a part of it (`max_poll_records`): `next_fetch_offset` goes from batch to batch.
        """

        def _unpack_records(
            self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any
        ) -> Iterator[Record | ForeignRecord]:
            topic, partition = topic_names[tp.topic], int(tp.partition)
            while (batch := records.next_batch()) is not None:
                if self.check_crcs and not batch.validate_crc():
                    # Drained first: kafka-python would ask an iterator that has failed again and again.
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
            """Whether the batch is a transaction's end, or belongs to one that was given up (read_committed, as kafka-python has it)."""
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
    """The records of one batch. `names` keeps the keys met so far as text, None for those nobody wants.

    Raises CorruptRecordError for bytes that are no records.
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


def _unpack(  # noqa: C901, PLR0912 - numbers are read in place, for speed
    data: bytes, at: int, count: int, base: int, topic: Topic, partition: int, names: dict[bytes, str | None], is_wanted: Wanted
) -> tuple[list[Record | ForeignRecord], int]:
    """`count` records from byte `at` on, and where they end.

    Numbers are varints: seven bits a byte, zigzag (`n >> 1` for those that are never negative; 1, that is -1, stands for "absent"). For speed,
    those of one or two bytes are read in place, and a key like the one before it, its length included, is not looked up again.
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
        while data[at] > 127:  # the time that its writer says
            at += 1
        delta, at = data[at + 1], at + 2
        if delta > 127:
            delta, at = delta & 127 | data[at] << 7, at + 1
            if delta > 16_383:
                delta, at = _rest(data, at, delta)
        offset = base + (delta >> 1)
        if not starts_with(key, at):
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
        if starts_with(_ONE_ID, at) and not (length := data[at + 4]) & 129:  # neither longer than one byte can say, nor absent
            id_at, at = at + 5, at + 5 + (length >> 1)
            id_: bytes | None = data[id_at:at]
        else:
            headers, at = _headers(data, at)
            id_ = headers.get(ID)
        if at != end:
            raise ValueError(f"record {offset} ends at byte {at}, not at {end}")
        try:
            id_text = _NO_TEXT if id_ is None else id_.decode()
        except UnicodeDecodeError:
            id_text = _NO_TEXT
        if size & 1 or id_text is _NO_TEXT or name is _NO_TEXT:
            add(ForeignRecord(offset))
        else:
            add(new(Record, (topic, partition, offset, name, id_text, value)))
    return found, at


def _key(data: bytes, at: int, names: dict[bytes, str | None], is_wanted: Wanted) -> tuple[bytes, str | None]:
    """The key at `at` with its length before it, as it lies there, and as text: None for one that nobody wants, and for none at all."""
    size, begun = _number(data, at)
    if size < 0:
        return _NO_KEY, None
    end = begun + size
    key = data[begun:end]
    if key not in names:
        names[key] = _text(key) if is_wanted(key) else None
    return data[at:end], names[key]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _NO_TEXT


def _rest(data: bytes, at: int, begun: int) -> tuple[int, int]:
    """A varint whose first two bytes, taken together as `begun`, say that more follow; still in zigzag, and where it ends."""
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
    """Whether the record whose value begins at `at` is a writer's question."""
    size, at = _number(data, at)
    headers, at = _headers(data, at + max(0, size))
    if at != end:
        raise ValueError(f"a record ends at byte {at}, not at {end}")
    return PROBE in headers
