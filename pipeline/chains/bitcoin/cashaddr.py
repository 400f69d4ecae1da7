"""CashAddr, the addresses of Bitcoin Cash and eCash: a prefix, a colon, and base32 with a 40-bit checksum.

Enters: addresses with or without their prefix, hashes. Leaves: type and hash, or what is wrong. By the networks' own specification ("Address format for Bitcoin
Cash" 1.0, "Address format for eCash" 1.1; CHIP-2022-02 CashTokens for the token-aware types). Left out: correcting errors, which the specification warns of.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.model.message import message

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE_OF = {character: value for value, character in enumerate(_CHARSET)}
_GENERATORS = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
_SIZES = (20, 24, 28, 32, 40, 48, 56, 64)
"""Bytes of the hash, by the version's three lowest bits."""
KEY_HASH, SCRIPT_HASH, TOKEN_KEY_HASH, TOKEN_SCRIPT_HASH = 0, 1, 2, 3
"""Types; the token-aware ones stand for the same scripts as 0 and 1."""
_LEAST = 8


class CashAddress(NamedTuple):
    """What an address says."""

    kind: int
    hash: bytes


def looks_like_cashaddr(text: str, prefix: str) -> bool:
    """Whether the text is meant as an address of that prefix: it says so, or is in the alphabet alone and begins with a type that is in use."""
    before, colon, after = text.lower().rpartition(":")
    return before == prefix if colon else len(after) > 40 and after[0] in "qpzr" and set(after) <= set(_CHARSET)


def encode_cashaddr(prefix: str, kind: int, digest: bytes) -> str:
    """The address as nodes print it, with its prefix. Raises ValueError for a hash of a length that none has."""
    if len(digest) not in _SIZES:
        raise ValueError(message("no such address has a hash of {count} bytes", count=len(digest)))
    data = bytes([kind << 3 | _SIZES.index(len(digest))]) + digest
    width = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "big") << (width * 5 - len(data) * 8)
    values = [number >> 5 * place & 31 for place in range(width - 1, -1, -1)]
    checksum = _checksum(prefix, [*values, *[0] * 8])
    values += [checksum >> 5 * place & 31 for place in range(7, -1, -1)]
    return prefix + ":" + "".join(_CHARSET[value] for value in values)


def decode_cashaddr(text: str, prefix: str) -> CashAddress:
    """Type and hash of an address of that prefix, which it may leave out. Raises ValueError with what is wrong."""
    if text not in (text.lower(), text.upper()):
        raise ValueError(message("{text} mixes capital and small letters", text=repr(text)))
    before, colon, payload = text.lower().rpartition(":")
    if colon and before != prefix:
        raise ValueError(
            message("{text} begins with {before}:, an address here with {prefix}:", text=repr(text), before=before, prefix=prefix)
        )
    if unknown := sorted(set(payload) - set(_CHARSET)):
        raise ValueError(message("{text} has characters that no such address has: {unknown}", text=repr(text), unknown=" ".join(unknown)))
    values = [_VALUE_OF[character] for character in payload]
    if len(values) <= _LEAST:
        raise ValueError(message("{text} has a wrong length", text=repr(text)))
    if _checksum(prefix, values):
        raise ValueError(
            message(
                "{text} has a wrong checksum: a character is mistyped, missing or swapped, or it is another network's than {prefix}:",
                text=repr(text),
                prefix=prefix,
            )
        )
    number = 0
    for value in values[:-8]:
        number = number << 5 | value
    length, spare = divmod((len(values) - 8) * 5, 8)
    if spare > 4 or number & ((1 << spare) - 1):
        raise ValueError(message("{text} has wrong padding at its end", text=repr(text)))
    data = (number >> spare).to_bytes(length, "big")
    if not data or data[0] & 0x80 or len(data) - 1 != _SIZES[data[0] & 7]:
        raise ValueError(message("{text} has a wrong length: its first character says another one", text=repr(text)))
    return CashAddress(data[0] >> 3, data[1:])


def _checksum(prefix: str, values: list[int]) -> int:
    """The checksum to append where eight zeros end the values; 0 for an address whose checksum is right."""
    state = 1
    for value in (*(ord(character) & 31 for character in prefix), 0, *values):
        top = state >> 35
        state = (state & 0x07FFFFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                state ^= generator
    return state ^ 1
