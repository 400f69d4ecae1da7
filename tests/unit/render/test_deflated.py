"""A part deflated once stands in several archives, each as another library reads it."""

from __future__ import annotations

import io
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.render.deflated import Deflated, add_member, crc_of_both
from pipeline.render.xlsx_look import look_of


@given(st.binary(), st.binary(max_size=3_000))
def test_the_crc_of_both_is_worked_out(first: bytes, second: bytes) -> None:
    assert crc_of_both(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


def archive(heads: list[bytes], part: Deflated, tail: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("first", b"before it", zipfile.ZIP_STORED)
        for number, head in enumerate(heads):
            add_member(target, zipfile.ZipInfo(f"{number}"), head, part, tail)
        target.writestr("last", b"behind it", zipfile.ZIP_STORED)
    return file.getvalue()


@pytest.mark.parametrize("limit", [zipfile.ZIP64_LIMIT, 10])
@given(heads=st.lists(st.binary(max_size=50), max_size=3), pieces=st.lists(st.binary(max_size=500)), tail=st.binary(max_size=50))
def test_the_member_is_one_stream(limit: int, heads: list[bytes], pieces: list[bytes], tail: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", limit)
        content = archive(heads, Deflated(io.BytesIO(), pieces), tail)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        assert {info.compress_type for info in opened.infolist()[1:-1]} <= {zipfile.ZIP_DEFLATED}
        read = {name: opened.read(name) for name in opened.namelist()}
    middle = {f"{number}": head + b"".join(pieces) + tail for number, head in enumerate(heads)}
    assert read == {"first": b"before it", **middle, "last": b"behind it"}


@pytest.mark.parametrize("level", [look_of(3).level, look_of(4).level])
def test_pieces_of_any_size_are_the_same_bytes(level: int) -> None:
    text = b"".join(b'<row r="%d"><c r="A%d"/></row>' % (number, number * number) for number in range(20_000))
    whole = Deflated(io.BytesIO(), [text], level).file.getvalue()
    for size in (1_000, 4_097, 300_000):
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        assert Deflated(io.BytesIO(), pieces, level).file.getvalue() == whole
