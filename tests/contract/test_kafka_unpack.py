"""The insides of record batches as `connectors/log_kafka/unpack.py` reads them, beside kafka-python's own reading of the same bytes."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors as kafka_errors
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from connectors.log_kafka.decompress import decompress
from connectors.log_kafka.unpack import ID, PROBE, ForeignRecord, unpack_batch
from pipeline.log.protocol import Record

BASE = 4_000_000_000
NAMES = st.sampled_from([ID, "other", PROBE, "іd"])
HEADERS = st.one_of(
    st.binary(max_size=200).map(lambda name: [(ID, name.hex().encode())]),
    st.lists(st.tuples(NAMES, st.one_of(st.none(), st.text(max_size=80).map(str.encode))), max_size=3, unique_by=lambda header: header[0]),
)
KEYS = st.one_of(st.none(), st.sampled_from([b"", b"pool", b"pool/bitcoin", "қазақ/𝒳".encode(), b"k" * 70]))
VALUES = st.one_of(st.none(), st.binary(max_size=300), st.integers(0, 70_000).map(bytes))
TIMES = st.integers(0, 2**40)


def batch_of(records: list[tuple], *, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=compression, is_transactional=True, producer_id=7, producer_epoch=0, base_sequence=0, batch_size=1 << 30
    )
    for number, (key, value, headers, at) in enumerate(records):
        assert builder.append(number, at, key, value, headers) is not None
    content = bytearray(builder.build())
    content[:8] = BASE.to_bytes(8, "big")  # the broker gives the offset; the check sum does not cover it
    return bytes(content)


def expected(content: bytes) -> list[Record | ForeignRecord]:
    """By kafka-python: what is an event, and what is none."""
    found: list[Record | ForeignRecord] = []
    for raw in DefaultRecordBatch(content):
        headers = dict(raw.headers)
        if raw.key is not None and raw.value is not None and headers.get(ID) is not None:
            found.append(Record("ledger", 3, raw.offset, raw.key.decode(), headers[ID].decode(), raw.value))
        elif raw.key is not None or PROBE not in headers:
            found.append(ForeignRecord(raw.offset))
    return found


def unpacked(content: bytes, is_wanted=lambda key: True) -> list[Record | ForeignRecord]:
    return unpack_batch(DefaultRecordBatch(content), "ledger", 3, {}, is_wanted)


@given(st.lists(st.tuples(KEYS, VALUES, HEADERS, TIMES), min_size=1, max_size=20), st.sampled_from([0, 1]))
def test_every_record_is_read_as_kafka_python_reads_it(records: list[tuple], compression: int):
    content = batch_of(records, compression=compression)
    assert unpacked(content) == expected(content)


def test_offsets_and_sizes_of_every_length_are_read():
    records = [(b"pool", b"v" * size, [(ID, b"i" * (size % 300))], size * 977) for size in (*range(200), 8191, 8192, 70_000, 2_200_000)]
    content = batch_of(records * 3)
    assert unpacked(content) == expected(content)


@pytest.mark.parametrize(("key", "id_"), [(b"\xff", b"e"), (b"pool", b"\xff")])
def test_a_key_or_an_id_that_is_no_text_is_no_event(key: bytes, id_: bytes):
    content = batch_of([(b"pool", b"{}", [(ID, b"e1")], 0), (key, b"{}", [(ID, id_)], 0), (b"pool", b"{}", [(ID, b"e3")], 0)])
    assert [getattr(record, "id", None) for record in unpacked(content)] == ["e1", None, "e3"]


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_keys_that_nobody_wants_are_passed_over(keys: list[bytes | None]):
    content = batch_of([(key, b"{}", [(ID, b"e")], 0) for key in keys])
    wanted = [record for record in expected(content) if isinstance(record, ForeignRecord) or record.key.startswith("pool")]
    assert unpacked(content, lambda key: key.startswith(b"pool")) == wanted


@given(st.data())
def test_bytes_that_are_no_records_are_an_error_and_never_an_event_beyond_the_batch(data: st.DataObject):
    """Damage that the check sum would have caught: it ends, and it ends in an error or in as many records at most."""
    content = bytearray(batch_of([(b"pool", b"x" * 40, [(ID, b"e%d" % n)], n) for n in range(4)]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(61, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = unpacked(bytes(content))
    except kafka_errors.CorruptRecordError:
        return
    assert len(found) <= 4


def test_a_batch_that_ends_early_is_an_error():
    content = batch_of([(b"pool", b"x" * 40, [(ID, b"e%d" % n)], n) for n in range(4)])
    for size in range(62, len(content)):
        with pytest.raises(kafka_errors.CorruptRecordError):
            unpacked(content[:size])


def packed(codec: int, content: bytes) -> bytes:
    """A batch whose records are `content`, packed as a writer that means harm would."""
    if codec == 1:
        inner = gzip.compress(content)
    elif codec == 3:
        inner = pytest.importorskip("lz4.frame", reason="the optional package lz4 is not installed").compress(content)
    else:
        inner = pytest.importorskip("zstandard", reason="the optional package zstandard is not installed").compress(content)
    head = bytearray(batch_of([(b"pool", b"{}", [(ID, b"e")], 0)])[:61])
    head[21:23] = codec.to_bytes(2, "big")
    return bytes(head) + inner


@pytest.mark.parametrize("codec", [1, 3, 4], ids=["gzip", "lz4", "zstd"])
def test_a_batch_unpacks_within_its_limit_or_not_at_all(codec: int):
    bomb = packed(codec, bytes(4 << 20))
    assert len(bomb) < 20_000
    with pytest.raises(kafka_errors.CorruptRecordError, match="unpack to more than 4194303"):
        decompress(DefaultRecordBatch(bomb), (4 << 20) - 1)
    batch = DefaultRecordBatch(bomb)
    decompress(batch, 4 << 20)
    assert batch._buffer == bytearray(4 << 20) and batch._pos == 0
    for damaged in (bomb[:-9], bomb[:70] + b"\xff" * 20 + bomb[90:]):
        with pytest.raises(kafka_errors.CorruptRecordError):
            unpacked(damaged)
