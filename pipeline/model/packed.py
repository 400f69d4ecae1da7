"""Bytes packed into a text, and unpacked again within a limit: nothing that is small is trusted to stay small.

Enters: bytes, or the text (gzip, base64) that an event carries. Leaves: the other. What would unpack to more than `max_unpacked` allows is
refused before it takes that memory. Raises ValueError for a text that is not sound; whose it is, the caller says.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib

MAX_UNPACKED_BYTES = 1 << 30
"""Of anything packed that an event carries."""
FREE_UNPACKED_BYTES = 64 << 20
"""So much may come out of however few bytes; beyond it the packing must be plausible."""
MAX_RATIO = 200
"""How many times its packed size something larger may unpack to: the same limits as for workbooks."""
_GZIP = 16 + zlib.MAX_WBITS


def max_unpacked(packed_bytes: int) -> int:
    """How many bytes may come out of so many packed ones."""
    return min(MAX_UNPACKED_BYTES, max(FREE_UNPACKED_BYTES, MAX_RATIO * packed_bytes))


def pack(content: bytes) -> str:
    """The bytes as gzip (without a time: the same bytes give the same text), base64. Raises ValueError for more than `unpack` takes."""
    packed = gzip.compress(content, mtime=0)
    if len(content) > max_unpacked(len(packed)):
        raise ValueError(f"{len(content)} bytes are more than can be read again: at most {max_unpacked(len(packed))}")
    return base64.b64encode(packed).decode()


def unpack(text: str) -> bytes:
    """The bytes that `pack` was given. Raises ValueError for what is no base64, no gzip, cut short, followed by more, or unpacks to too much."""
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"no base64: {error}") from error
    return inflate(packed, _GZIP, max_unpacked(len(packed)))


def inflate(packed: bytes, window_bits: int, most_bytes: int) -> bytes:
    """One whole stream of zlib's, at most `most_bytes` out of it. `window_bits` as zlib wants them: 31 for gzip, 15 for zlib, -15 for neither's head.

    Raises ValueError for a stream that is damaged, cut short, followed by something, or longer.
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
