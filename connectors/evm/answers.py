"""Types of a node's answers; of a block only the fields needed to search it, so that decoding is fast.

Enters: JSON. Leaves: a header with its RLP, whose hash is computed here, and id, sender and recipient of each transaction. `read_block.py`
reads all fields of the blocks that touch the pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from eth_hash.auto import keccak

from pipeline.chains.evm.fields import shortest, whole

_NO_LIST = msgspec.Raw(b"[]")


class LightTransaction(msgspec.Struct, gc=False):
    """Id, sender and recipient; `to` is None where a contract is created."""

    hash: str
    sender: str = msgspec.field(name="from")
    to: str | None = None
    authorization_list: msgspec.Raw = msgspec.field(name="authorizationList", default=_NO_LIST)
    """Of a transaction that carries authorizations of code (EIP-7702), as the node wrote it."""


class Withdrawal(msgspec.Struct, gc=False, rename="camel"):
    """A withdrawal from the beacon chain: `amount` in gwei."""

    index: str
    validator_index: str
    address: str
    amount: str


class HeaderFields(msgspec.Struct, rename="camel", kw_only=True):
    """A header as `eth_getBlockByNumber` gives it."""

    hash: str
    parent_hash: str
    sha3_uncles: str
    miner: str
    state_root: str
    transactions_root: str
    receipts_root: str
    logs_bloom: str
    difficulty: str
    number: str
    gas_limit: str
    gas_used: str
    timestamp: str
    extra_data: str
    mix_hash: str = "0x" + 64 * "0"
    nonce: str = "0x" + 16 * "0"
    base_fee_per_gas: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None


class LightBlock(HeaderFields, rename="camel", kw_only=True):
    """A block with its transactions."""

    transactions: list[LightTransaction]
    uncles: list[str] = []
    withdrawals: list[Withdrawal] | None = None


class Tip(msgspec.Struct, rename="camel"):
    """The node's newest block."""

    hash: str
    number: str
    difficulty: object = None
    total_difficulty: object = None

    def work(self) -> int | None:
        """The work of the whole chain; None where the node does not tell it in hexadecimal digits, or the block has none (proof of stake)."""
        try:
            if isinstance(self.difficulty, str) and isinstance(self.total_difficulty, str) and number(self.difficulty):
                return number(self.total_difficulty)
        except ValueError:
            pass
        return None


class Listed(msgspec.Struct):
    """A block with its transactions' ids."""

    hash: str
    number: str
    transactions: list[str] = []


class Syncing(msgspec.Struct, rename="camel"):
    """How far a synchronising node is."""

    current_block: str = "0x0"
    highest_block: str = "0x0"


class FoundLog(msgspec.Struct, rename="camel"):
    """The position of a log of `eth_getLogs`."""

    block_number: str | None
    block_hash: str | None
    transaction_index: str | None
    log_index: str | None
    removed: bool = False


class ProvedAccount(msgspec.Struct, rename="camel"):
    """What `eth_getProof` gives of an account: the nodes alone are read, since they prove the rest."""

    account_proof: list[str]


class Located(msgspec.Struct, rename="camel"):
    """The block of a trace of `trace_filter`."""

    block_number: int
    block_hash: str


@dataclass(frozen=True, slots=True)
class RawHeader:
    """A header, and its bytes, whose hash is `hash`; hashes are hex without 0x, as events carry them."""

    height: int
    hash: str
    prev: str
    time: int
    """Unix seconds."""
    raw: bytes
    fields: HeaderFields


def number(quantity: str) -> int:
    """The whole number that a quantity like 0x1f stands for. Raises ValueError for anything else."""
    return whole(quantity, "a number")


def data_of(text: str) -> bytes:
    """The bytes that 0x and hexadecimal digits stand for. Raises ValueError for anything else."""
    if not text.startswith("0x"):
        raise ValueError(f"{text[:80]!r} is not 0x and hexadecimal digits")
    return bytes.fromhex(text[2:])


def raw_header(block: HeaderFields) -> RawHeader:
    """The header of a block, hashed here. Raises ValueError when a field is malformed or the hash differs from the block's.

    Tests compare it with Ethereum's own library (`tests/evm_encoding.py`), which is ten times slower.
    """
    b = block
    values = [data_of(b.parent_hash), data_of(b.sha3_uncles), data_of(b.miner), data_of(b.state_root), data_of(b.transactions_root)]
    values += [data_of(b.receipts_root), data_of(b.logs_bloom)]
    height, time_ = number(b.number), number(b.timestamp)
    values += [
        shortest(number(b.difficulty)),
        shortest(height),
        shortest(number(b.gas_limit)),
        shortest(number(b.gas_used)),
        shortest(time_),
    ]
    values += [data_of(b.extra_data), data_of(b.mix_hash), data_of(b.nonce)]
    if b.base_fee_per_gas is not None:
        values.append(shortest(number(b.base_fee_per_gas)))
    if b.withdrawals_root is not None:
        values.append(data_of(b.withdrawals_root))
    if b.blob_gas_used is not None and b.excess_blob_gas is not None:
        values += [shortest(number(b.blob_gas_used)), shortest(number(b.excess_blob_gas))]
    if b.parent_beacon_block_root is not None:
        values.append(data_of(b.parent_beacon_block_root))
    if b.requests_hash is not None:
        values.append(data_of(b.requests_hash))
    raw = _rlp_list(values)
    found = keccak(raw).hex()
    if "0x" + found != b.hash.lower():
        raise ValueError(
            f"block {height} is said to have hash {b.hash}, and its header's is 0x{found}: the answer is wrong, or its header has fields unknown to this program"
        )
    return RawHeader(height, found, b.parent_hash[2:].lower(), time_, raw, block)


def _rlp_list(values: list[bytes]) -> bytes:
    """RLP of a flat list of byte strings."""
    parts = bytearray()
    for value in values:
        length = len(value)
        if length == 1 and value[0] < 0x80:
            parts += value
        elif length < 56:
            parts.append(0x80 + length)
            parts += value
        else:
            size = shortest(length)
            parts.append(0xB7 + len(size))
            parts += size + value
    if len(parts) < 56:
        return bytes([0xC0 + len(parts)]) + parts
    size = shortest(len(parts))
    return bytes([0xF7 + len(size)]) + size + parts
