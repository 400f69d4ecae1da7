"""Python with another zlib, as far as it matters: the same bytes deflated to other ones, as zlib-ng does."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipeline.model.packed import zlib_here


@contextmanager
def another_zlib() -> Iterator[None]:
    """Within it, everything in this process is deflated at level 1, whatever level is asked for."""
    compress, compressobj = zlib.compress, zlib.compressobj

    def compress_otherwise(data: Any, /, level: int = -1, wbits: int = zlib.MAX_WBITS) -> bytes:
        return compress(data, 1, wbits)

    def compressobj_otherwise(level: int = -1, *how: int, **named: int) -> Any:
        return compressobj(1, *how, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zlib, "compress", compress_otherwise)
        patch.setattr(zlib, "compressobj", compressobj_otherwise)
        zlib_here.cache_clear()
        yield
    zlib_here.cache_clear()
