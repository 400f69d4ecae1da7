"""Types of a node's answers; of a block only the fields needed to search it, so that decoding is fast.

Enters: JSON. Leaves: a header with its RLP, whose hash is computed here, and id, sender and recipient of each transaction. `read_block.py`
reads all fields of the blocks that touch the pool.
"""

from __future__ import annotations

import msgspec

from pipeline.chains.evm.coding import encode_bytes, keccak256, list_of
from pipeline.chains.evm.fields import whole

NO_LIST = msgspec.Raw(b"[]")
"""What stands for a list that the node did not write: this very object."""


class LightTransaction(msgspec.Struct, gc=False):
    """Id, sender and recipient; `to` is None where a contract is created."""

    hash: str
    sender: str = msgspec.field(name="from")
    to: str | None = None
    authorization_list: msgspec.Raw = msgspec.field(name="authorizationList", default=NO_LIST)
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


class RawHeader(msgspec.Struct, frozen=True):
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

    Its RLP is put together as hexadecimal digits, as the node wrote them, and decoded at once. Tests compare it with Ethereum's own library (`tests/evm_encoding.py`), which is slower.
    """
    b = block
    _require_lengths(b)
    parts = [
        f"a0{b.parent_hash[2:]}a0{b.sha3_uncles[2:]}94{b.miner[2:]}a0{b.state_root[2:]}a0{b.transactions_root[2:]}a0{b.receipts_root[2:]}b90100{b.logs_bloom[2:]}",
        _quantity(b.difficulty), _quantity(b.number), _quantity(b.gas_limit), _quantity(b.gas_used), _quantity(b.timestamp),
        _data(b.extra_data), _data(b.mix_hash), _data(b.nonce),
    ]  # fmt: skip
    if b.base_fee_per_gas is not None:
        parts.append(_quantity(b.base_fee_per_gas))
    if b.withdrawals_root is not None:
        parts.append(_data(b.withdrawals_root))
    if b.blob_gas_used is not None and b.excess_blob_gas is not None:
        parts += (_quantity(b.blob_gas_used), _quantity(b.excess_blob_gas))
    if b.parent_beacon_block_root is not None:
        parts.append(_data(b.parent_beacon_block_root))
    if b.requests_hash is not None:
        parts.append(_data(b.requests_hash))
    digits = "".join(parts)
    try:
        body = bytes.fromhex(digits)
    except ValueError:
        for text in (b.difficulty, b.number, b.gas_limit, b.gas_used, b.timestamp, b.base_fee_per_gas, b.blob_gas_used, b.excess_blob_gas):
            number(text or "0x0")  # says which of them is none
        raise
    if 2 * len(body) != len(digits):  # fromhex passes over spaces
        raise ValueError("a header's field has spaces among its digits")
    raw = list_of(body)
    height = int(b.number, 16)
    found = keccak256(raw).hex()
    if "0x" + found != b.hash.lower():
        raise ValueError(
            f"block {height} is said to have hash {b.hash}, and its header's is 0x{found}: the answer is wrong, or its header has fields unknown to this program"
        )
    return RawHeader(height, found, b.parent_hash[2:].lower(), int(b.timestamp, 16), raw, block)


_NUMBER_HEADS = ["80", *(f"{0x80 + (length + 1) // 2:02x}{'0' * (length % 2)}" for length in range(1, 65))]
"""What RLP writes before so many digits of a number, with the digit that makes their count even."""
_SHORTEST, _LONGEST = 3, 66
"""Characters of a quantity: 0x, and digits of at most 32 bytes."""


def _require_lengths(b: HeaderFields) -> None:
    """Five hashes, an address and the filter of 256 bytes: each is 0x, and two digits a byte. Raises ValueError otherwise."""
    hashes = b.parent_hash, b.sha3_uncles, b.state_root, b.transactions_root, b.receipts_root
    for text in hashes:
        if len(text) != 66 or text[:2] != "0x":
            raise ValueError(f"{text[:80]!r} is not 0x and 64 hexadecimal digits")
    for text, length in ((b.miner, 42), (b.logs_bloom, 514)):
        if len(text) != length or text[:2] != "0x":
            raise ValueError(f"{text[:80]!r} is not 0x and {length - 2} hexadecimal digits")


def _quantity(text: str) -> str:
    """RLP of a quantity, as digits: without leading zeros, a number below 128 as it is. Raises ValueError for what is not 0x and so many characters; the caller sees what they are."""
    if text[:2] != "0x" or not _SHORTEST <= len(text) <= _LONGEST:
        number(text)
    digits = text[2:].lstrip("0")
    if len(digits) == 1:
        return "0" + digits
    if len(digits) == 2 and digits < "8":
        return digits
    return _NUMBER_HEADS[len(digits)] + digits


def _data(text: str) -> str:
    """RLP of data of any length, as digits. Raises ValueError for what is not 0x and digits."""
    if text[:2] == "0x" and len(text) in (66, 18):
        return ("a0" if len(text) == 66 else "88") + text[2:]
    return encode_bytes(data_of(text)).hex()
