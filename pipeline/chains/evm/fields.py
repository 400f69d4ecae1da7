"""Values of Ethereum's JSON-RPC as the bytes that RLP takes: quantities without leading zeros, data as it is.

Enters: "0x1f"-like text of a node's answer. Leaves: bytes. Raises ValueError naming the field that is missing or no hex.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
Nested = bytes | list["Nested"]
"""What RLP encodes: bytes, and lists of such."""


def data(answer: Mapping[str, Any], field: str, length: int | None = None) -> bytes:
    """A field of data; of `length` bytes where that is given."""
    value = answer.get(field)
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{field} is {_shown(value)}, not 0x and hexadecimal digits")
    try:
        found = bytes.fromhex(value[2:])
    except ValueError:
        raise ValueError(f"{field} is {value[:80]!r}, not 0x and hexadecimal digits") from None
    if length is not None and len(found) != length:
        raise ValueError(f"{field} has {len(found)} bytes, not {length}")
    return found


def number(answer: Mapping[str, Any], field: str) -> int:
    """A quantity."""
    value = answer.get(field)
    if not isinstance(value, str):
        raise ValueError(f"{field} is {_shown(value)}, not a quantity like 0x1f")
    return whole(value, field)


def whole(text: str, field: str) -> int:
    """The whole number that a quantity like 0x1f, of at most 32 bytes, stands for."""
    if _QUANTITY.fullmatch(text) is None:
        raise ValueError(f"{field} is {text[:80]!r}, not a quantity like 0x1f")
    return int(text, 16)


def entry(value: Any, field: str) -> Mapping[str, Any]:
    """An entry of a list that should have fields of its own."""
    if not isinstance(value, dict):
        raise ValueError(f"{field} has the entry {_shown(value)}, which has no fields")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:80]


def quantity(answer: Mapping[str, Any], field: str) -> bytes:
    """A quantity as RLP writes it: big-endian, no leading zeros, nothing for 0."""
    value = number(answer, field)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def shortest(value: int) -> bytes:
    """Big-endian without leading zeros; nothing for 0."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def recipient(answer: Mapping[str, Any], field: str = "to") -> bytes:
    """An address of 20 bytes, or nothing where the transaction makes a contract."""
    return b"" if answer.get(field) is None else data(answer, field, 20)


def as_number(raw: Nested, field: str) -> int:
    """The quantity that RLP bytes stand for. Raises ValueError for a list and for leading zeros."""
    found = as_bytes(raw, field)
    if found[:1] == b"\0":
        raise ValueError(f"{field} has leading zeros")
    return int.from_bytes(found, "big")


def as_bytes(raw: Nested, field: str, *lengths: int) -> bytes:
    """Bytes of RLP; of one of `lengths` where any is given. Raises ValueError otherwise."""
    if not isinstance(raw, bytes):
        raise ValueError(f"{field} is a list, not bytes")
    if lengths and len(raw) not in lengths:
        raise ValueError(f"{field} has {len(raw)} bytes, not {' or '.join(map(str, lengths))}")
    return raw


def as_list(raw: Nested, field: str) -> list[Nested]:
    """A list of RLP. Raises ValueError for bytes."""
    if isinstance(raw, bytes):
        raise ValueError(f"{field} is bytes, not a list")
    return raw
