"""Compact block filters (BIP 158, basic) and their chain of headers (BIP 157), and which blocks touch a script.

A filter is what a node with a filter index gives, to the bit. `Filters.touching` answers from the scripts themselves: a real
node's scan reads the filters and so names, about once in 785,000 scripts and blocks, a block that has none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pipeline.chains.bitcoin.wire import double_sha256

from .recording import RecordedBlock, Recording

_P = 19  # bits of a remainder
_M = 784931  # one false positive in so many
_MASK = (1 << 64) - 1
_OP_RETURN = 0x6A


class Filters:
    """Filters of all blocks of a recording, made when asked for."""

    def __init__(self, recording: Recording) -> None:
        self._headers: dict[str, bytes] = {}
        self._filters: dict[str, bytes] = {}
        self._touched: dict[bytes, list[RecordedBlock]] = defaultdict(list)
        blocks = {event.block.hash: event.block for event in recording.events}
        blocks[recording.genesis.hash] = recording.genesis
        for block in blocks.values():
            for script in elements(block):
                self._touched[script].append(block)

    def filter_of(self, block: RecordedBlock) -> bytes:
        """The encoded filter."""
        found = self._filters.get(block.hash)
        if found is None:
            found = self._filters[block.hash] = encode(bytes.fromhex(block.hash)[::-1], elements(block))
        return found

    def header_of(self, block: RecordedBlock) -> bytes:
        """The filter's header, in the wire's order: it commits to the filters of all blocks before it."""
        missing: list[RecordedBlock] = []
        place: RecordedBlock | None = block
        while place is not None and place.hash not in self._headers:
            missing.append(place)
            place = place.parent
        for each in reversed(missing):
            before = self._headers[each.parent.hash] if each.parent else bytes(32)
            self._headers[each.hash] = double_sha256(double_sha256(self.filter_of(each)) + before)
        return self._headers[block.hash]

    def touching(self, scripts: Iterable[bytes]) -> set[RecordedBlock]:
        """The blocks, on any branch, that pay to one of the scripts or spend from it."""
        return {block for script in scripts for block in self._touched.get(script, ())}


def elements(block: RecordedBlock) -> set[bytes]:
    """What a basic filter holds: scripts paid to, but for OP_RETURN ones, and scripts spent from; no empty ones."""
    found = {output.script for tx in block.transactions for output in tx.outputs if output.script[:1] != bytes([_OP_RETURN])}
    found.update(coin.script for coins in block.spent for coin in coins)
    found.discard(b"")
    return found


def encode(block_hash: bytes, scripts: set[bytes]) -> bytes:
    """The filter of `scripts`, keyed by the block's hash (in the wire's order)."""
    count = len(scripts)
    encoded = _compact_size(count)
    if not count:
        return encoded
    key_0, key_1 = int.from_bytes(block_hash[:8], "little"), int.from_bytes(block_hash[8:16], "little")
    hashes = sorted(siphash(key_0, key_1, script) * count * _M >> 64 for script in scripts)
    bits: list[str] = []
    last = 0
    for value in hashes:
        quotient, remainder = divmod(value - last, 1 << _P)
        bits.append("1" * quotient + "0" + format(remainder, f"0{_P}b"))
        last = value
    text = "".join(bits)
    length = (len(text) + 7) // 8
    return encoded + int(text.ljust(8 * length, "0"), 2).to_bytes(length, "big")


def siphash(key_0: int, key_1: int, data: bytes) -> int:
    """SipHash-2-4, 64 bits."""
    v0, v1 = key_0 ^ 0x736F6D6570736575, key_1 ^ 0x646F72616E646F6D
    v2, v3 = key_0 ^ 0x6C7967656E657261, key_1 ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v0, v1, v2, v3 = _sip_rounds(v0, v1, v2, v3 ^ word, 2)
        v0 ^= word
    v0, v1, v2, v3 = _sip_rounds(v0, v1, v2 ^ 0xFF, v3, 4)
    return v0 ^ v1 ^ v2 ^ v3


def _sip_rounds(v0: int, v1: int, v2: int, v3: int, rounds: int) -> tuple[int, int, int, int]:
    for _ in range(rounds):
        v0 = (v0 + v1) & _MASK
        v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _MASK
        v2 = (v2 + v3) & _MASK
        v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _MASK
    return v0, v1, v2, v3


def _compact_size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little") if number <= 0xFFFF else b"\xfe" + number.to_bytes(4, "little")
