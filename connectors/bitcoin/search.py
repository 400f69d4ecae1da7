"""Searches the raw bytes of a block for watched scripts among its outputs, without parsing.

Enters: the watched scripts; then serialised outputs (a block, or the outputs it spends). Leaves: yes or no. There are false positives
(only the first bytes of long scripts are compared, and a witness may contain the same bytes), so the caller then parses the block.
There are no false negatives.

An output is a value of 8 bytes, a length, a script. Up to `FEW` scripts are searched one by one. More are grouped by shape (length and
first byte of the script): one regular expression per shape finds all candidates, which are looked up in a set, so the cost does not
grow with the number of scripts. The expressions use a lookahead, so that matches can overlap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

FEW = 4
"""Up to this number of scripts, searching for each is faster than a regular expression per shape."""
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
    """Their common prefix, at most 3 bytes: more would not narrow the search."""
    first, last = min(heads), max(heads)
    length = 0
    while length < 3 and first[length] == last[length]:
        length += 1
    return first[:length]
