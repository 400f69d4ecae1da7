"""Bytes as gzip + base64 text in events, decompressed with a size limit; and which zlib there is, as what it makes of the same bytes is its own affair.

Enters: bytes, or the text (gzip, base64) of an event's field. Leaves: the other. Decompression stops at the limit of `max_unpacked`.
Raises ValueError for invalid text; the caller adds whose it is.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from functools import cache

MAX_UNPACKED_BYTES = 1 << 30
"""The limit for any packed field of an event."""
FREE_UNPACKED_BYTES = 64 << 20
"""Up to this size any ratio is accepted; beyond it MAX_RATIO applies."""
MAX_RATIO = 200
"""The greatest ratio of unpacked to packed size above FREE_UNPACKED_BYTES: the same limits as for workbooks."""
_GZIP = 16 + zlib.MAX_WBITS


def max_unpacked(packed_bytes: int) -> int:
    """The unpacked size allowed for a packed size, both in bytes."""
    return min(MAX_UNPACKED_BYTES, max(FREE_UNPACKED_BYTES, MAX_RATIO * packed_bytes))


def pack(content: bytes) -> str:
    """The bytes as gzip (without a timestamp, so deterministic) in base64. Raises ValueError for more than `unpack` accepts."""
    packed = gzip.compress(content, mtime=0)
    if len(content) > max_unpacked(len(packed)):
        raise ValueError(f"{len(content)} bytes are more than can be read again: at most {max_unpacked(len(packed))}")
    return base64.b64encode(packed).decode()


def unpack(text: str) -> bytes:
    """The inverse of `pack`. Raises ValueError for invalid base64 or gzip, truncated data, trailing data, or a result beyond the limit."""
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"no base64: {error}") from error
    return inflate(packed, _GZIP, max_unpacked(len(packed)))


@cache
def zlib_here() -> str:
    """Python's zlib by its version and by what it makes of some bytes (CRC-32), since libraries that deflate otherwise may state the same version: `1.2.13 0a1b2c3d`."""
    sample = b"".join(b"%d;" % (number * number % 9_973) for number in range(20_000))
    return f"{zlib.ZLIB_RUNTIME_VERSION} {zlib.crc32(b''.join(zlib.compress(sample, level) for level in range(1, 10))):08x}"


def inflate(packed: bytes, window_bits: int, most_bytes: int) -> bytes:
    """Decompress one zlib stream, to at most `most_bytes`. `window_bits`: 31 for gzip, 15 for zlib, -15 for raw deflate.

    Raises ValueError for a stream that is damaged, truncated, followed by other data, or too long.
    """
    inflating = zlib.decompressobj(window_bits)
    try:
        content = inflating.decompress(packed, most_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if len(content) > most_bytes:
        raise ValueError(f"{len(packed)} bytes that unpack to more than {most_bytes}")
    if not inflating.eof:
        raise ValueError("cut short")
    if inflating.unused_data:
        raise ValueError(f"{len(inflating.unused_data)} bytes follow its end")
    return content
