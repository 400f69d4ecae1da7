"""Compact block filters (BIP 158, basic) and the chain of their headers (BIP 157).

Enters: scripts, a block's hash, a filter's bytes. Leaves: whether the filter may hold a script, its header, the filter of some scripts. A filter never
misses a script that its block pays to or spends from; about once in 785,000 scripts it names one that the block does not have. It holds no
OP_RETURN scripts and no empty ones. Hashes are 32 bytes in the order in which they are printed. Pure: nothing is asked for here.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from .wire import double_sha256

FALSE_POSITIVE_IN = 784931
"""BIP 158's M: a script that is not in a block matches its filter once in so many."""
_P = 19  # bits of a remainder
_MASK = (1 << 64) - 1
MAX_ELEMENTS = 4_000_000
"""More scripts than bytes fit into a block: such a count is refused before anything is read."""


class BlockFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block's filter as a bundle carries it (ADR 19); bytes are Base64 in JSON."""

    height: int
    block_header: bytes
    """80 bytes."""
    filter: bytes
    filter_header: str
    """Hex, in the order in which it is printed."""
    before: str | None = None
    """The filter header of the block before, hex: with the first filter only."""
    block: bytes | None = None
    """The whole block, where its filter matches a script of the pool's."""


def filter_header(encoded: bytes, previous: bytes) -> bytes:
    """The header of a filter after the header `previous` (32 zero bytes before the first block)."""
    return double_sha256(double_sha256(encoded) + previous[::-1])[::-1]


def matches(encoded: bytes, block_hash: bytes, scripts: Collection[bytes]) -> bool:
    """Whether the filter may hold one of the scripts. Raises ValueError for bytes that are no filter, with what is wrong."""
    count, start = _read_count(encoded)
    wanted = set(_hashed(block_hash, _group_scripts(frozenset(scripts)), count)) if count else set[int]()
    found = False
    for value in _values(encoded, start, count):  # to the end, whatever is found: the whole filter must be well formed
        found = found or value in wanted
    return found


def encode(block_hash: bytes, scripts: Collection[bytes]) -> bytes:
    """The filter of the scripts, each told once."""
    distinct = list(set(scripts))
    count = len(distinct)
    bits: list[str] = []
    last = 0
    for value in sorted(_hashed(block_hash, _group(distinct), count)):
        quotient, remainder = divmod(value - last, 1 << _P)
        bits.append("1" * quotient + "0" + format(remainder, f"0{_P}b"))
        last = value
    text = "".join(bits)
    length = (len(text) + 7) // 8
    return _compact_size(count) + (int(text.ljust(8 * length, "0"), 2).to_bytes(length, "big") if length else b"")


def _hashed(block_hash: bytes, scripts: Sequence[_Group], count: int) -> Iterator[int]:
    """Each script's place in the range of a filter of `count` elements."""
    key = block_hash[::-1]
    key_0, key_1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")
    span = count * FALSE_POSITIVE_IN
    return (hashed * span >> 64 for hashed in _siphash(key_0, key_1, scripts))


def _values(encoded: bytes, start: int, count: int) -> Iterator[int]:
    """The set's values, rising: Golomb-Rice coded differences."""
    length = 8 * (len(encoded) - start)
    text = format(int.from_bytes(encoded[start:], "big"), f"0{length}b") if length else ""
    position = value = 0
    for number in range(count):
        end = text.find("0", position)
        if end < 0 or end + 1 + _P > length:
            raise ValueError(f"the filter ends early: element {number} of {count}")
        value += (end - position << _P) + int(text[end + 1 : end + 1 + _P], 2)
        position = end + 1 + _P
        yield value
    if length - position >= 8 or "1" in text[position:]:
        raise ValueError(f"{length - position} bits are left over after the filter's {count} elements")


def siphash(key_0: int, key_1: int, messages: Sequence[bytes]) -> list[int]:
    """SipHash-2-4 of each message, 64 bits.

    Messages of one length are hashed side by side, each in 128 bits of one long number, of which the upper half takes what a sum or a rotation carries:
    a tenth of the time of one after another.
    """
    return _siphash(key_0, key_1, _group(messages))


class _Group(NamedTuple):
    """Messages of one length, side by side."""

    places: list[int]
    """Where each stands among the messages."""
    words: list[int]
    """What is hashed of all of them, eight bytes of each at a time, in 128 bits."""


def _group(messages: Sequence[bytes]) -> list[_Group]:
    """The messages as they are hashed under any key."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, data in enumerate(messages):
        places[len(data)].append(place)
    groups = []
    for length, group in places.items():
        padding = bytes(7 - length % 8) + bytes([length & 0xFF])
        padded = [messages[place] + padding for place in group]
        starts = range(0, len(padded[0]), 8)
        words = [int.from_bytes(b"".join([data[start : start + 8] + bytes(8) for data in padded]), "little") for start in starts]
        groups.append(_Group(group, words))
    return groups


@lru_cache(maxsize=4)
def _group_scripts(scripts: frozenset[bytes]) -> list[_Group]:
    """The scripts but empty ones: the same pool's are looked for in every block of a month."""
    return _group([script for script in scripts if script])


def _siphash(key_0: int, key_1: int, groups: Sequence[_Group]) -> list[int]:
    """SipHash-2-4 of the messages in the groups, each at its place."""
    found = [0] * sum(len(group.places) for group in groups)
    for places, words in groups:
        lanes = int.from_bytes((b"\1" + bytes(15)) * len(places), "little")
        low = lanes * _MASK
        v0, v1 = lanes * (key_0 ^ 0x736F6D6570736575), lanes * (key_1 ^ 0x646F72616E646F6D)
        v2, v3 = lanes * (key_0 ^ 0x6C7967656E657261), lanes * (key_1 ^ 0x7465646279746573)
        for word in words:
            v0, v1, v2, v3 = _sip_rounds(v0, v1, v2, v3 ^ word, 2, low)
            v0 ^= word
        v0, v1, v2, v3 = _sip_rounds(v0, v1, v2 ^ lanes * 0xFF, v3, 4, low)
        hashed = struct.unpack(f"<{2 * len(places)}Q", (v0 ^ v1 ^ v2 ^ v3).to_bytes(16 * len(places), "little"))
        for place, value in zip(places, hashed[::2], strict=True):
            found[place] = value
    return found


def _sip_rounds(v0: int, v1: int, v2: int, v3: int, rounds: int, low: int) -> tuple[int, int, int, int]:
    """Rounds of SipHash. A rotation by so many bits: (v << bits | v >> 64 - bits) & low, where v is below 2 ** 64 in each lane."""
    for _ in range(rounds):
        v0 = (v0 + v1) & low
        v1 = (v1 << 13 & low | v1 >> 51 & low) ^ v0
        v0 = v0 << 32 & low | v0 >> 32 & low
        v2 = (v2 + v3) & low
        v3 = (v3 << 16 & low | v3 >> 48 & low) ^ v2
        v0 = (v0 + v3) & low
        v3 = (v3 << 21 & low | v3 >> 43 & low) ^ v0
        v2 = (v2 + v1) & low
        v1 = (v1 << 17 & low | v1 >> 47 & low) ^ v2
        v2 = v2 << 32 & low | v2 >> 32 & low
    return v0, v1, v2, v3


def _compact_size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little") if number <= 0xFFFF else b"\xfe" + number.to_bytes(4, "little")


def _read_count(encoded: bytes) -> tuple[int, int]:
    """How many elements the filter says it has, and where they begin."""
    lead = encoded[:1]
    width = {b"\xfd": 2, b"\xfe": 4, b"\xff": 8}.get(lead, 0)
    if len(encoded) < 1 + width:
        raise ValueError(f"the filter ends early: {len(encoded)} bytes hold no count")
    count = int.from_bytes(encoded[1 : 1 + width], "little") if width else encoded[0]
    if count > MAX_ELEMENTS or _compact_size(count) != encoded[: 1 + width]:
        raise ValueError(f"the filter's count of elements, {count}, is none that a block has, or not in its shortest form")
    return count, 1 + width
