"""How many bytes blocks take in a node's block and undo files: what `size_on_disk` adds up.

By Bitcoin Core's storage format: a block is preceded by 8 bytes (network magic, length); its undo record, written when it
first joins the main chain, has 8 bytes before it and a checksum of 32 after it, with spent outputs compressed.
"""

from __future__ import annotations

from pipeline.chains.bitcoin.script import script_type

from .printing import is_on_curve
from .recording import Coin, RecordedBlock

_STORAGE_HEADER = 8
_CHECKSUM = 32
_SPECIAL_SCRIPTS = 6  # kinds of scripts with a short form


def block_bytes(block: RecordedBlock) -> int:
    """Of the block itself."""
    return len(block.block.raw) + _STORAGE_HEADER


def undo_bytes(block: RecordedBlock) -> int:
    """Of its undo record; the genesis block has none."""
    if block.parent is None:
        return 0
    records = sum(_compact_length(len(coins)) + sum(map(_coin_length, coins)) for coins in block.spent[1:])
    return _STORAGE_HEADER + _compact_length(len(block.transactions) - 1) + records + _CHECKSUM


def _coin_length(coin: Coin) -> int:
    # Where it was created, a byte that stands for an old field, then the output.
    return (
        _varint_length(2 * coin.height + coin.is_coinbase)
        + 1
        + _varint_length(_compressed_amount(coin.value))
        + _script_length(coin.script)
    )


def _script_length(script: bytes) -> int:
    kind = script_type(script)
    if kind in ("pubkeyhash", "scripthash"):
        return 21
    is_short = kind == "pubkey" and (script[1] in (2, 3) or (script[1] == 4 and _is_key(script[2:66])))
    return 33 if is_short else _varint_length(len(script) + _SPECIAL_SCRIPTS) + len(script)


def _is_key(point: bytes) -> bool:
    """Whether 64 bytes are a point of the curve: only such an uncompressed key has a short form."""
    return is_on_curve(point[:32], point[32:])


def _compressed_amount(value: int) -> int:
    """An amount with its trailing zeros counted instead of written."""
    if value == 0:
        return 0
    zeros = 0
    while zeros < 9 and value % 10 == 0:
        value //= 10
        zeros += 1
    if zeros == 9:
        return 1 + (value - 1) * 10 + 9
    value, digit = divmod(value, 10)
    return 1 + (value * 9 + digit - 1) * 10 + zeros


def _varint_length(number: int) -> int:
    """Bytes of a number in base 128, every longer form beginning where the shorter one ends."""
    length = 1
    while number > 0x7F:
        number = (number >> 7) - 1
        length += 1
    return length


def _compact_length(number: int) -> int:
    return 1 if number < 0xFD else 3 if number <= 0xFFFF else 5
