"""Hashing and RLP through Ethereum's own libraries, with their failures as ValueErrors.

They are imported at first use: together they take a third of a second, which no command without an account chain should wait for.
"""

from __future__ import annotations

from typing import cast

from .fields import Nested


def keccak256(raw: bytes) -> bytes:
    """Ethereum's hash of the bytes, 32 bytes."""
    from eth_hash.auto import keccak

    return keccak(raw)


def encode(value: Nested) -> bytes:
    """RLP of bytes and lists of them."""
    import rlp

    return cast(bytes, rlp.encode(value))


def decode(raw: bytes) -> Nested:
    """The bytes and lists that `raw` is the RLP of. Raises ValueError for anything else, trailing bytes too."""
    import rlp

    try:
        return _lists(rlp.decode(raw))
    except rlp.exceptions.RLPException as error:
        raise ValueError(f"is not RLP: {error}") from None


def _lists(value: object) -> Nested:
    return bytes(value) if isinstance(value, bytes) else [_lists(part) for part in cast(list[object], value)]
