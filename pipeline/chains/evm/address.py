"""Addresses of account chains: 20 bytes in hex, their letters' case a checksum (EIP-55).

Enters: text from settings, files, nodes. Leaves: the canonical spelling used in events and reports. A mixed-case address with a
wrong checksum is left unchanged, because the intended address is unknown; enrichment raises `bad-address`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pipeline.model.message import message

_SHAPE = re.compile(r"0x[0-9a-fA-F]{40}")


def is_account_address(text: str) -> bool:
    """Whether the text has an address's shape: 0x and 40 hexadecimal digits, whatever their case."""
    return _SHAPE.fullmatch(text) is not None


@lru_cache(maxsize=1 << 17)
def to_checksum(text: str) -> str:
    """The address in EIP-55, whatever case it came in. Raises ValueError for what has not an address's shape."""
    if not is_account_address(text):
        raise ValueError(message("{text} is not an address: 0x and 40 hexadecimal digits", text=repr(text)))
    # Takes a third of a second to be imported: commands that see no account chain shouldn't wait for it.
    from eth_utils.address import to_checksum_address

    return str(to_checksum_address(text))


def canonical(text: str) -> str:
    """In EIP-55, when it is written in one case or with the right checksum; anything else as it is."""
    if not is_account_address(text):
        return text
    digits = text[2:]
    right = to_checksum(text)
    return right if digits in (digits.lower(), digits.upper()) else text


def has_wrong_checksum(text: str) -> bool:
    """Whether it is an address in mixed case whose case is not its checksum."""
    return is_account_address(text) and canonical(text) != to_checksum(text)
