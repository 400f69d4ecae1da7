"""Bytes to read: blocks of public chains, and transactions put together by hand (never by the parser under test)."""

from __future__ import annotations

import gzip
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

BLOCKS = Path(__file__).parent / "blocks"

# A busy machine is no fault of what is tried: no clock judges an example.
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

# The first transaction of Bitcoin, in its first block.
GENESIS_HEADER = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61"
    "7fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
GENESIS_COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d6573"
    "2030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b"
    "73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f355"
    "04e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
GENESIS = GENESIS_HEADER + b"\1" + GENESIS_COINBASE


def read_block(name: str) -> bytes:
    """A block of `blocks/`."""
    return gzip.decompress((BLOCKS / f"{name}.gz").read_bytes())


def compact_size(number: int) -> bytes:
    if number < 0xFD:
        return number.to_bytes(1, "little")
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "little")
    return b"\xfe" + number.to_bytes(4, "little")


def with_length(data: bytes) -> bytes:
    return compact_size(len(data)) + data


def transaction(
    inputs: list[tuple], outputs: list[tuple], witness: list[list[bytes]] | None = None, version: int = 2, locktime: int = 0
) -> bytes:
    """A transaction from inputs (txid, vout, script, sequence) and outputs (value, script)."""
    body = compact_size(len(inputs)) + b"".join(
        txid[::-1] + vout.to_bytes(4, "little") + with_length(script) + sequence.to_bytes(4, "little")
        for txid, vout, script, sequence in inputs
    )
    body += compact_size(len(outputs)) + b"".join(value.to_bytes(8, "little") + with_length(script) for value, script in outputs)
    if witness is not None:
        body = b"\0\1" + body + b"".join(compact_size(len(stack)) + b"".join(map(with_length, stack)) for stack in witness)
    return version.to_bytes(4, "little") + body + locktime.to_bytes(4, "little")


_words = st.integers(0, 2**32 - 1)
_scripts = st.one_of(st.binary(max_size=60), st.sampled_from([252, 253, 254, 0xFFFF, 0x10000]).map(lambda size: b"\x6a" * size))


@st.composite
def transactions(draw: st.DrawFn) -> tuple[bytes, dict]:
    """A transaction's bytes, and what they say."""
    inputs = draw(st.lists(st.tuples(st.binary(min_size=32, max_size=32), _words, st.binary(max_size=80), _words), min_size=1, max_size=4))
    outputs = draw(st.lists(st.tuples(st.integers(0, 2**63 - 1), _scripts), max_size=5))
    stacks = st.lists(st.lists(st.binary(max_size=60) | st.just(bytes(300)), max_size=3), min_size=len(inputs), max_size=len(inputs))
    witness = draw(st.none() | stacks.filter(any))
    parts = {"inputs": inputs, "outputs": outputs, "witness": witness, "version": draw(_words), "locktime": draw(_words)}
    return transaction(**parts), parts
