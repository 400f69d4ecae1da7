"""Documents of the same contents that another zlib deflated: the same versions of the program and its writers give other bytes where Python has another zlib.

Enters: two files of a format. Leaves: whether they differ in nothing but how their contents are deflated, which RFC 1951 leaves to the library (zlib-ng and zlib differ).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline.model.packed import zlib_here
from pipeline.render.file_names import Format

from .pdf_seen import MAX_PDF_BYTES, pdf_seen, same_pdf

_READ_AT_ONCE = 1 << 20


def is_repacked(ours: Path, theirs: Path, format: Format, software: Mapping[str, str]) -> bool | None:
    """Whether two files that differ have the same contents, theirs deflated by another zlib: of a workbook each part to the byte, of a PDF all that is drawn, and its fonts.

    `software`: what wrote theirs, as a manifest says it; False where its zlib is that of this machine. None for a PDF too large to be read here.
    Raises ValueError or zipfile.BadZipFile for a file that is no document of the format.
    """
    if format == "json" or software.get("zlib") == zlib_here():
        return False
    if format == "xlsx":
        return _same_archive(ours, theirs)
    if max(ours.stat().st_size, theirs.stat().st_size) > MAX_PDF_BYTES:
        return None
    return same_pdf(pdf_seen(ours), pdf_seen(theirs)) is True


def _same_archive(ours: Path, theirs: Path) -> bool:
    """Whether two ZIP archives have the same members with the same contents in the same order, and nothing besides."""
    with zipfile.ZipFile(ours) as mine, zipfile.ZipFile(theirs) as other:
        if _frame(mine, ours) != _frame(other, theirs):
            return False
        for one, another in zip(mine.infolist(), other.infolist(), strict=True):
            with mine.open(one) as first, other.open(another) as second:
                chunks = (iter(lambda file=file: file.read(_READ_AT_ONCE), b"") for file in (first, second))  # type: ignore[misc]
                if any(left != right for left, right in zip_longest(*chunks)):
                    return False
    return True


def _frame(archive: zipfile.ZipFile, path: Path) -> tuple[Any, ...]:
    """All of an archive but its packed contents: what is said of each member, the comments, and how many bytes there are besides."""
    members = [
        (one.filename, one.date_time, one.compress_type, one.flag_bits, one.extract_version, one.create_system, one.external_attr, one.extra, one.comment,
         one.file_size, one.CRC)
        for one in archive.infolist()
    ]  # fmt: skip
    return members, archive.comment, path.stat().st_size - sum(one.compress_size for one in archive.infolist())
