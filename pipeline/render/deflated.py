"""A member of a ZIP archive of which a part was deflated beforehand, once for several archives (layout 3, ADR 26).

What enters: the part's bytes; later an archive, and what stands before and behind the part in the member. What leaves: a member like any other: one stream of DEFLATE
(RFC 1951), in which the part refers to nothing outside itself and ends, as what stands before it does, at a whole byte.
"""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from typing import IO, Final

_POLYNOMIAL: Final = 0xEDB88320
"""Of the CRC-32 of ZIP, its bits reversed."""
_ONE: Final = 1 << 31
"""The polynomial 1 in that order."""


class Deflated:
    """A part of a member, deflated."""

    def __init__(self, file: IO[bytes], pieces: Iterable[bytes], level: int = zlib.Z_DEFAULT_COMPRESSION) -> None:
        """`file`: where it lies; the caller closes it. `level`: how hard zlib tries, from 1 to 9."""
        self.file, self.size, self.crc = file, 0, 0
        packing = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
        for piece in pieces:
            self.size += len(piece)
            self.crc = zlib.crc32(piece, self.crc)
            file.write(packing.compress(piece))
        file.write(packing.flush(zlib.Z_FULL_FLUSH))


def add_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, head: bytes, part: Deflated, tail: bytes) -> None:
    """Write `head`, the part and `tail` as one member, which says its name, date and mode. The archive's file must be seekable."""
    before, behind = Deflated(io.BytesIO(), [head]), zlib.compressobj(wbits=-zlib.MAX_WBITS)
    last = behind.compress(tail) + behind.flush()
    size = len(head) + part.size + len(tail)
    packed = sum(one.file.seek(0, io.SEEK_END) for one in (before, part)) + len(last)
    is_large = max(size, packed) > zipfile.ZIP64_LIMIT
    member.compress_type = zipfile.ZIP_STORED  # as far as the archive knows while it is written
    with archive.open(member, "w", force_zip64=is_large) as stored:
        for one in (before, part):
            one.file.seek(0)
            shutil.copyfileobj(one.file, stored, 1 << 16)
        stored.write(last)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.file_size = size
    member.CRC = crc_of_both(crc_of_both(before.crc, part.crc, part.size), zlib.crc32(tail), len(tail))
    file = archive.fp
    assert file is not None
    end = file.tell()
    file.seek(member.header_offset)
    file.write(member.FileHeader(is_large))
    file.seek(end)


def crc_of_both(first: int, second: int, length: int) -> int:
    """The CRC-32 of two texts one after the other, from that of each and the second's length in bytes, as zlib's `crc32_combine` has it.

    >>> crc_of_both(zlib.crc32(b"one, "), zlib.crc32(b"two"), 3) == zlib.crc32(b"one, two")
    True
    """
    power, shift = _ONE >> 8, _ONE  # x to the 8th: a byte more
    while length:
        if length & 1:
            shift = _product(power, shift)
        power = _product(power, power)
        length >>= 1
    return _product(shift, first) ^ second


def _product(one: int, other: int) -> int:
    """Of two polynomials, modulo the CRC's."""
    product, bit = 0, _ONE
    while bit:
        if one & bit:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
        bit >>= 1
    return product
