"""The insides of record batches as `connectors/log_kafka/unpack.py` reads them, beside kafka-python's own reading of the same bytes."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors as kafka_errors
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from connectors.log_kafka.decompress import decompress
from connectors.log_kafka.unpack import ID, PROBE, unpack_batch
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


def expected(content: bytes) -> list[tuple]:
    """By kafka-python: the offset, key, id and value of each event, and the offsets of what is none."""
    found: list[tuple] = []
    for raw in DefaultRecordBatch(content):
        headers = dict(raw.headers)
        if raw.key is not None and raw.value is not None and headers.get(ID):
            found.append((raw.offset, raw.key.decode(), headers[ID].decode(), raw.value))
        elif raw.key is not None or PROBE not in headers:
            found.append((raw.offset,))
    return found


def unpacked(content: bytes, is_wanted=lambda key: True) -> list[Record]:
    return unpack_batch(DefaultRecordBatch(content), "ledger", 3, {}, is_wanted)


def told(records: list[Record]) -> list[tuple]:
    """As `expected`."""
    assert all((record.topic, record.partition) == ("ledger", 3) for record in records)
    return [(record.offset,) if record.fault else (record.offset, record.key, record.id, record.value) for record in records]


@given(st.lists(st.tuples(KEYS, VALUES, HEADERS, TIMES), min_size=1, max_size=20), st.sampled_from([0, 1]))
def test_every_record_is_read_as_kafka_python_reads_it(records: list[tuple], compression: int):
    content = batch_of(records, compression=compression)
    assert told(unpacked(content)) == expected(content)


def test_offsets_and_sizes_of_every_length_are_read():
    records = [(b"pool", b"v" * size, [(ID, b"i" * (size % 300))], size * 977) for size in (*range(200), 8191, 8192, 70_000, 2_200_000)]
    content = batch_of(records * 3)
    assert told(unpacked(content)) == expected(content)


@pytest.mark.parametrize(("key", "id_"), [(b"\xff", b"e"), (b"pool", b"\xff")])
def test_a_key_or_an_id_that_is_no_text_is_no_event(key: bytes, id_: bytes):
    content = batch_of([(b"pool", b"{}", [(ID, b"e1")], 0), (key, b"{}", [(ID, id_)], 0), (b"pool", b"{}", [(ID, b"e3")], 0)])
    first, second, third = unpacked(content)
    assert (first.id, third.id) == ("e1", "e3")
    assert not first.fault and "is not UTF-8" in second.fault and not third.fault


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_keys_that_nobody_wants_are_passed_over(keys: list[bytes | None]):
    content = batch_of([(key, b"{}", [(ID, b"e")], 0) for key in keys])
    wanted = [record for record in expected(content) if len(record) == 1 or record[1].startswith("pool")]
    assert told(unpacked(content, lambda key: key.startswith(b"pool"))) == wanted


@given(st.data())
def test_bytes_that_are_no_records_are_no_events_and_do_not_stop_reading(data: st.DataObject):
    """What a producer can write under a right checksum: each offset comes once at most, none beyond the batch, and records before the first damaged byte are read."""
    whole = batch_of([(b"pool", b"x" * 40, [(ID, b"e%d" % n)], n) for n in range(4)])
    content, first = bytearray(whole), len(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(61, len(content) - 1))
        content[place], first = data.draw(st.integers(0, 255)), min(first, place)
    found = unpacked(bytes(content))
    offsets = [record.offset for record in found]
    assert offsets == sorted(set(offsets)) and all(BASE <= offset < BASE + 4 for offset in offsets)
    size_bytes = (len(whole) - 61) // 4
    before = (first - 61) // size_bytes
    if len(found) > 1 or not found[0].fault:
        assert found[:before] == unpacked(whole)[:before]


def test_a_batch_that_ends_early_gives_what_is_whole():
    content = batch_of([(b"pool", b"x" * 40, [(ID, b"e%d" % n)], n) for n in range(4)])
    size_bytes = (len(content) - 61) // 4
    for size in range(61, len(content)):
        whole = (size - 61) // size_bytes
        found = unpacked(content[:size])
        assert [record.id for record in found[:whole]] == [f"e{n}" for n in range(whole)]
        assert [record.offset for record in found[whole:]] == [BASE + whole], "one record tells of the rest"
        assert "up to offset 4000000003" in found[-1].fault


def test_bytes_after_the_last_record_make_the_whole_batch_none_of_ours():
    content = batch_of([(b"pool", b"{}", [(ID, b"e1")], 0)])
    (found,) = unpacked(content + b"more")
    assert "4 bytes follow the last record" in found.fault


def test_a_header_whose_name_is_no_text_is_passed_over():
    content = batch_of([(b"pool", b"{}", [("other", b"x"), (ID, b"e1")], 0)])
    (found,) = unpacked(content.replace(b"other", b"\xff\xfe\xff\xfe\xff"))
    assert (found.id, found.fault) == ("e1", "")


@pytest.mark.parametrize("codec", [2, 5, 6, 7])
def test_a_batch_in_a_codec_that_is_never_ours_does_not_stop_reading(codec: int):
    content = bytearray(batch_of([(b"pool", b"{}", [(ID, b"e1")], 0), (b"pool", b"{}", [(ID, b"e2")], 0)]))
    content[22] = content[22] & 0xF8 | codec
    (found,) = unpacked(bytes(content))
    assert (found.offset, found.key) == (BASE, "") and "up to offset 4000000001" in found.fault


def test_a_batch_of_more_records_than_any_of_ours_is_not_looked_into():
    content = bytearray(batch_of([(b"pool", b"{}", [(ID, b"e1")], 0)]))
    content[57:61] = (1 << 20).to_bytes(4, "big")
    (found,) = unpacked(bytes(content))
    assert "1,048,576 records" in found.fault


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
        (found,) = unpacked(damaged)
        assert found.fault
