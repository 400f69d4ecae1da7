"""Find, in a block's bytes as they came, whether a watched script may stand among its outputs. Nothing is parsed.

Enters: the watched scripts; then serialised outputs (a block, or what it spends). Leaves: yes or no. Yes may be wrong
(only the first bytes of long scripts are compared, and a witness may hold the same bytes): whoever asks then reads the
block exactly. No is never wrong.

An output is a value of 8 bytes, a length, a script. Up to `FEW` scripts are looked for one by one. More are compared as
sets: all places where an output of a watched shape could begin are taken by one regular expression a shape (a shape is a
length and the script's first byte), so the cost does not grow with the number of scripts. Shapes are looked for through a
lookahead, so that no match can swallow the next one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

FEW = 4
"""Up to so many scripts a find for each is faster than a regular expression for their shape."""
_HEAD = 18
"""Bytes compared after the length: enough to be distinctive, and no standard script but the anchor is shorter."""


class ScriptSearch:
    """Whether any of the scripts may occur as an output."""

    __slots__ = ("_shapes", "_whole")

    def __init__(self, scripts: Iterable[bytes]) -> None:
        shapes: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._whole: list[bytes] = []
        for script in scripts:
            sized = _sized(script)
            if len(script) < _HEAD or len(script) >= 0xFD:
                self._whole.append(sized)
            else:
                shapes[sized[:2]].add(sized)
        self._shapes: list[tuple[re.Pattern[bytes], frozenset[bytes]]] = []
        for shape, found in sorted(shapes.items()):
            if len(found) <= FEW:
                self._whole += sorted(found)
                continue
            heads = frozenset(sized[1 : _HEAD + 1] for sized in found)
            start = _common_start(heads)
            # A literal of one byte before the lookahead lets the expression's engine skip by memchr.
            length = re.escape(shape[:1])
            rest = re.escape(start) + b".{%d}" % (_HEAD - len(start))
            self._shapes.append((re.compile(length + b"(?=(" + rest + b"))", re.DOTALL), heads))
        self._whole.sort()

    def may_contain(self, raw: bytes) -> bool:
        """Whether one of the scripts may be an output in `raw`."""
        if any(sized in raw for sized in self._whole):
            return True
        return any(not heads.isdisjoint(pattern.findall(raw)) for pattern, heads in self._shapes)


def _sized(script: bytes) -> bytes:
    """The script after its length, as it stands in an output."""
    size = len(script)
    if size < 0xFD:
        return bytes([size]) + script
    return b"\xfd" + size.to_bytes(2, "little") + script


def _common_start(heads: frozenset[bytes]) -> bytes:
    """What all of them begin with, at most 3 bytes: more would not narrow the search."""
    first, last = min(heads), max(heads)
    length = 0
    while length < 3 and first[length] == last[length]:
        length += 1
    return first[:length]
