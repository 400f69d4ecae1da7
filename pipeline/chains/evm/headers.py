"""Block headers of account chains: from the bytes whose hash is the block's to what they say.

A header grew with the forks, always at its end, so its length says which it is: 15 fields (before London, and Ethereum Classic
always), 16 (London: base fee), 17 (Shanghai: withdrawals), 20 (Cancun: blobs, beacon root), 21 (Prague: requests). Left out: proof
of work and of stake, which no header shows by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from .coding import decode, keccak256
from .fields import as_bytes, as_list, as_number

_FIRST = (
    ("parentHash", 32), ("sha3Uncles", 32), ("miner", 20), ("stateRoot", 32), ("transactionsRoot", 32), ("receiptsRoot", 32),
    ("logsBloom", 256), ("difficulty", None), ("number", None), ("gasLimit", None), ("gasUsed", None), ("timestamp", None),
    ("extraData", -1), ("mixHash", 32), ("nonce", 8),
)  # fmt: skip
"""Name and length in bytes; None for a quantity, -1 for data of any length."""
_FORKS = (
    (("baseFeePerGas", None),),
    (("withdrawalsRoot", 32),),
    (("blobGasUsed", None), ("excessBlobGas", None), ("parentBeaconBlockRoot", 32)),
    (("requestsHash", 32),),
)
"""What London, Shanghai, Cancun and Prague added."""
_FIELDS = _FIRST + tuple(field for fork in _FORKS for field in fork)
_LENGTHS = frozenset(len(_FIRST) + sum(map(len, _FORKS[:count])) for count in range(len(_FORKS) + 1))


@dataclass(frozen=True)
class Header:
    """What a header says; hashes are hex without 0x, as events carry them."""

    hash: str
    prev: str
    number: int
    time: int
    """Unix seconds."""
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    miner: bytes
    difficulty: int


def header_hash(raw: bytes) -> str:
    """The block's hash, hex without 0x, of its header's RLP."""
    return keccak256(raw).hex()


def parse_header(raw: bytes) -> Header:
    """What the header's RLP says. Raises ValueError for bytes that are no header."""
    values = as_list(decode(raw), "header")
    if len(values) not in _LENGTHS:
        raise ValueError(f"a header has {', '.join(map(str, sorted(_LENGTHS)))} fields, this one has {len(values)}")
    found: dict[str, bytes] = {}
    for (name, length), value in zip(_FIELDS, values, strict=False):
        found[name] = as_bytes(value, name) if length is None or length < 0 else as_bytes(value, name, length)
    return Header(
        hash=header_hash(raw),
        prev=found["parentHash"].hex(),
        number=as_number(found["number"], "number"),
        time=as_number(found["timestamp"], "timestamp"),
        state_root=found["stateRoot"],
        transactions_root=found["transactionsRoot"],
        receipts_root=found["receiptsRoot"],
        logs_bloom=found["logsBloom"],
        miner=found["miner"],
        difficulty=as_number(found["difficulty"], "difficulty"),
    )
