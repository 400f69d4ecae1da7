"""The bytes that prove the synthetic month: addresses of real scripts, transactions, their places in their blocks, and headers with regtest's work.

Enters: what a transaction spends and pays; what a block follows and holds. Leaves: bytes whose hashes are the ids, as `chains.bitcoin` reads them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from pipeline.chains.bitcoin.merkle import MerkleTree, meets_target
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of, script_of
from pipeline.chains.bitcoin.wire import double_sha256

REGTEST = network("regtest")
_NOTHING = ("00" * 32, 0xFFFFFFFF)
_EASIEST = 0x207FFFFF


def address(*parts: object) -> str:
    """An address that nothing but these parts decides."""
    found = address_of(b"\x00\x14" + hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:20], REGTEST)
    assert found is not None
    return found


def transaction(spent: tuple[str, int] | None, addresses: Sequence[str], values: Sequence[int]) -> tuple[str, bytes]:
    """One input, no signature, up to 65,535 outputs: its id and its bytes. `spent`: None for a coinbase."""
    prev, vout = spent or _NOTHING
    raw = struct.pack("<iB", 2, 1) + bytes.fromhex(prev)[::-1] + struct.pack("<I", vout) + b"\x04esep" + b"\xff" * 4
    raw += b"\xfd" + struct.pack("<H", len(values)) if len(values) >= 0xFD else bytes([len(values)])
    for to, value in zip(addresses, values, strict=True):
        script = script_of(to, REGTEST)
        raw += struct.pack("<qB", value, len(script)) + script
    raw += bytes(4)
    return double_sha256(raw)[::-1].hex(), raw


def header(prev: str, txids: Sequence[str], time: int) -> tuple[str, bytes]:
    """A block's hash, and its header with the work that it claims."""
    root = MerkleTree([bytes.fromhex(txid) for txid in txids]).root[::-1]
    head = struct.pack("<i", 4) + bytes.fromhex(prev)[::-1] + root + struct.pack("<II", time, _EASIEST)
    for nonce in range(1 << 16):
        raw = head + struct.pack("<I", nonce)
        if meets_target(raw, REGTEST):
            return double_sha256(raw)[::-1].hex(), raw
    raise AssertionError("no nonce does")
