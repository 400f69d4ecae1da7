"""Lengths as Bitcoin's wire format writes them, and the tokens that stand before a script on Bitcoin Cash.

Enters: bytes and an offset. Leaves: a number and the offset after it; a script without its tokens. IndexError where the bytes end first, ValueError for a length
that is not in its shortest form.
"""

from __future__ import annotations

_TOKENS = b"\xef"
"""Begins the tokens that an output carries before its script (CHIP-2022-02 CashTokens)."""


def bare_script(script: bytes) -> bytes:
    """The script without the tokens that stand before it (CashTokens); as it is where what stands there are no tokens."""
    if script[:1] != _TOKENS or len(script) < 35:
        return script
    bits, position = script[33], 34
    try:
        if bits & 0x40:
            length, position = compact_size(script, position)
            position += length
        if bits & 0x10:
            _, position = compact_size(script, position)
    except (IndexError, ValueError):
        return script
    return script if bits & 0x80 or not bits & 0x30 or position > len(script) else script[position:]


def counted(raw: bytes, position: int, least_size: int, what: str) -> tuple[int, int]:
    """A count of things that take at least `least_size` bytes each, and where they begin."""
    count, after = compact_size(raw, position)
    if count * least_size > len(raw) - after:
        raise ValueError(f"{count} {what} are announced at offset {position}, but only {len(raw) - after} bytes follow")
    return count, after


def compact_size(raw: bytes, position: int) -> tuple[int, int]:
    first = raw[position]
    if first < 0xFD:
        return first, position + 1
    width, least = ((2, 0xFD), (4, 0x10000), (8, 0x100000000))[first - 0xFD]
    end = position + 1 + width
    if end > len(raw):
        raise IndexError
    value = int.from_bytes(raw[position + 1 : end], "little")
    if value < least:
        raise ValueError(f"a length is not in its shortest form, at offset {position}")
    return value, end
