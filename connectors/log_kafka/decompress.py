"""Decompresses record batches with a size limit, as protection against decompression bombs.

Enters: a batch of message format 2 as split by kafka-python. Leaves: the same batch decompressed, as kafka-python would have done. Raises
CorruptRecordError for one that is damaged or larger than `MAX_BATCH_BYTES`. Snappy is left to kafka-python: its ratio is at most 64 to 3.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from kafka import errors as kafka_errors

from pipeline.model.packed import inflate

MAX_BATCH_BYTES = 512 << 20
"""Twice the largest event; batches of this program's writer have a few megabytes."""
_GZIP, _LZ4, _ZSTD = 1, 3, 4
_GZIP_BITS = 16 + zlib.MAX_WBITS


def decompress(batch: Any, most_bytes: int = MAX_BATCH_BYTES) -> None:
    """Decompress the batch in place. Raises CorruptRecordError; UnsupportedCodecError where a Python package is missing."""
    codec = batch.compression_type
    if codec not in (_GZIP, _LZ4, _ZSTD) or batch._decompressed:
        iter(batch)  # left to kafka-python: uncompressed, snappy, or an unknown codec
        return
    batch._assert_has_codec(codec)
    damage: tuple[type[Exception], ...] = (ValueError, EOFError, RuntimeError)
    if codec == _ZSTD:
        damage += (importlib.import_module("zstandard").ZstdError,)
    try:
        content = _content(codec, bytes(batch._buffer[batch._pos :]), most_bytes)
    except damage as error:
        raise kafka_errors.CorruptRecordError(f"the batch at {batch.base_offset} can't be unpacked: {error}") from error
    batch._buffer, batch._pos, batch._decompressed = bytearray(content), 0, True


def _content(codec: int, packed: bytes, most_bytes: int) -> bytes:
    """Raises ValueError beyond the limit, and what each library raises for damage."""
    if codec == _GZIP:
        return inflate(packed, _GZIP_BITS, most_bytes)
    if codec == _LZ4:
        frame = importlib.import_module("lz4.frame").LZ4FrameDecompressor()
        content: bytes = frame.decompress(packed, max_length=most_bytes + 1)
        is_whole = bool(frame.eof)
    else:
        with importlib.import_module("zstandard").ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
            content, is_whole = reader.read(most_bytes + 1), True
    if len(content) > most_bytes:
        raise ValueError(f"{len(packed)} bytes that unpack to more than {most_bytes}")
    if not is_whole:
        raise ValueError("cut short")
    return content
