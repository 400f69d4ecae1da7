"""Types of a node's answers; of a block only the fields needed to search it, so that decoding is fast.

Enters: JSON. Leaves: a header with its RLP, whose hash is computed here, and id, sender and recipient of each transaction. `read_block.py`
reads all fields of the blocks that touch the pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pipeline.chains.evm.coding import encode_bytes, keccak256, list_of
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

    Tests compare it with Ethereum's own library (`tests/evm_encoding.py`), which is slower.
    """
    b = block
    height, time_ = number(b.number), number(b.timestamp)
    parts = [
        _first_fields(b.parent_hash, b.sha3_uncles, b.miner, b.state_root, b.transactions_root, b.receipts_root, b.logs_bloom),
        encode_bytes(shortest(number(b.difficulty))), encode_bytes(shortest(height)), encode_bytes(shortest(number(b.gas_limit))),
        encode_bytes(shortest(number(b.gas_used))), encode_bytes(shortest(time_)),
        encode_bytes(data_of(b.extra_data)), encode_bytes(data_of(b.mix_hash)), encode_bytes(data_of(b.nonce)),
    ]  # fmt: skip
    if b.base_fee_per_gas is not None:
        parts.append(encode_bytes(shortest(number(b.base_fee_per_gas))))
    if b.withdrawals_root is not None:
        parts.append(encode_bytes(data_of(b.withdrawals_root)))
    if b.blob_gas_used is not None and b.excess_blob_gas is not None:
        parts += [encode_bytes(shortest(number(b.blob_gas_used))), encode_bytes(shortest(number(b.excess_blob_gas)))]
    if b.parent_beacon_block_root is not None:
        parts.append(encode_bytes(data_of(b.parent_beacon_block_root)))
    if b.requests_hash is not None:
        parts.append(encode_bytes(data_of(b.requests_hash)))
    raw = list_of(b"".join(parts))
    found = keccak256(raw).hex()
    if "0x" + found != b.hash.lower():
        raise ValueError(
            f"block {height} is said to have hash {b.hash}, and its header's is 0x{found}: the answer is wrong, or its header has fields unknown to this program"
        )
    return RawHeader(height, found, b.parent_hash[2:].lower(), time_, raw, block)


_HEADS = ("a0", "a0", "94", "a0", "a0", "a0", "b90100")
"""What RLP writes before each of a header's first fields: five hashes, an address after the second, the filter of 256 bytes."""
_LENGTHS = (32, 32, 20, 32, 32, 32, 256)
_FIRST_BYTES = sum(_LENGTHS) + sum(map(len, _HEADS)) // 2


def _first_fields(*texts: str) -> bytes:
    """RLP of a header's first fields, decoded all at once. Raises ValueError where one is not 0x and as many digits as it has."""
    for text, length in zip(texts, _LENGTHS, strict=True):
        if len(text) != 2 + 2 * length or not text.startswith("0x"):
            raise ValueError(f"{text[:80]!r} is not 0x and {2 * length} hexadecimal digits")
    found = bytes.fromhex("".join([part for head, text in zip(_HEADS, texts, strict=True) for part in (head, text[2:])]))
    if len(found) != _FIRST_BYTES:  # fromhex passes over spaces
        raise ValueError("a header's field has spaces among its digits")
    return found
