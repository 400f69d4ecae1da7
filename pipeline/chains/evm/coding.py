"""Hashing and RLP (Yellow Paper, appendix B). Pure.

Hashing and decoding are libraries', with their failures as ValueErrors, and imported at first use: no command without an account chain should wait for them. Hashing is
the binding in C that Ethereum's own `eth-hash` knows as `pysha3`, called directly (ADR 2). Encoding is done here, in less time than the library takes: a block has some hundred
items to encode, and every one's hash is compared with what a header says. Tests compare both with Ethereum's own libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from .fields import Nested, shortest

_LONGEST_SHORT = 55
"""Bytes whose number is in one byte with what they are."""
_SHORT_BYTES = [bytes([0x80 + length]) for length in range(_LONGEST_SHORT + 1)]
_SHORT_LIST = [bytes([0xC0 + length]) for length in range(_LONGEST_SHORT + 1)]


def keccak256(raw: bytes) -> bytes:
    """Ethereum's hash of the bytes, 32 bytes."""
    found: bytes = _sponge()(raw).digest()
    return found


@cache
def _sponge() -> Callable[[bytes], Any]:
    from sha3 import keccak_256

    return cast(Callable[[bytes], Any], keccak_256)


def encode(value: Nested) -> bytes:
    """RLP of bytes and lists of them."""
    if isinstance(value, bytes):
        return encode_bytes(value)
    return list_of(b"".join([encode_bytes(part) if isinstance(part, bytes) else encode(part) for part in value]))


def encode_bytes(value: bytes) -> bytes:
    """RLP of bytes."""
    length = len(value)
    if length > _LONGEST_SHORT:
        return _long(length, 0xB7) + value
    return value if length == 1 and value < b"\x80" else _SHORT_BYTES[length] + value


def list_of(body: bytes) -> bytes:
    """RLP of a list whose items are encoded already, one after the other."""
    length = len(body)
    return (_SHORT_LIST[length] if length <= _LONGEST_SHORT else _long(length, 0xF7)) + body


def _long(length: int, base: int) -> bytes:
    size = shortest(length)
    return bytes([base + len(size)]) + size


def decode(raw: bytes) -> Nested:
    """The bytes and lists that `raw` is the RLP of. Raises ValueError for anything else, trailing bytes too."""
    import rlp

    try:
        return _lists(rlp.decode(raw))
    except rlp.exceptions.RLPException as error:
        raise ValueError(f"is not RLP: {error}") from None


def _lists(value: object) -> Nested:
    return bytes(value) if isinstance(value, bytes) else [_lists(part) for part in cast(list[object], value)]
