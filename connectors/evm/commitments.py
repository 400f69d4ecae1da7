"""What a header commits to besides its transactions and receipts: uncles, withdrawals, and with the signed transactions what each paid for gas. Pure.

Besides, what its receipts' bloom filters and gas add up to. Enters: a header's fields, and what the node gives. Leaves: nothing or a price; ValueError where the answer is not what the header's hash covers. The roots of
transactions and receipts are compared where a block is read whole (`read_block.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.chains.evm.coding import encode, keccak256, list_of
from pipeline.chains.evm.fields import number as number_in
from pipeline.chains.evm.fields import shortest
from pipeline.chains.evm.receipts import Receipt

from .answers import HeaderFields, RawHeader, Withdrawal, data_of, number
from .block_trie import BlockTrie

GAS_A_BLOB = 131_072
_EMPTY_ROOT = "0x" + BlockTrie([]).root.hex()
"""The root of a list of nothing, as nodes write it."""


def check_withdrawals(header: HeaderFields, withdrawals: Sequence[Withdrawal] | None) -> None:
    """The list of withdrawals is the one whose root the header holds (EIP-4895). Raises ValueError otherwise."""
    given = withdrawals or []
    if header.withdrawals_root is None:
        if given:
            raise ValueError(f"it is given {len(given)} withdrawals, and its header commits to none")
        return
    if not given and header.withdrawals_root == _EMPTY_ROOT:
        return
    if BlockTrie([_withdrawal_rlp(one) for one in given]).root != data_of(header.withdrawals_root):
        raise ValueError(f"its header commits to withdrawals of root {header.withdrawals_root}, the {len(given)} given have another")


def _withdrawal_rlp(one: Withdrawal) -> bytes:
    address = data_of(one.address)
    if len(address) != 20:
        raise ValueError(f"a withdrawal goes to {one.address!r}, which is no address")
    return encode([shortest(number(one.index)), shortest(number(one.validator_index)), address, shortest(number(one.amount))])


def check_uncles(header: HeaderFields, uncles: Sequence[RawHeader]) -> None:
    """The uncles are those whose hash the header holds (Yellow Paper, section 4.3). Raises ValueError otherwise."""
    body = b"".join(uncle.raw for uncle in uncles)
    if keccak256(list_of(body)) != data_of(header.sha3_uncles):
        raise ValueError(f"its header commits to uncles of hash {header.sha3_uncles}, the {len(uncles)} given have another")


def gas_price_wei(transaction: Mapping[str, Any], receipt: Mapping[str, Any], base_fee_wei: int | None) -> int:
    """What the transaction paid for a unit of gas, from its signed fields and the header's base fee (EIP-1559); the receipt must say the same.

    Raises ValueError where it does not, or where a field is malformed.
    """
    if transaction.get("maxFeePerGas") is not None:
        price = min(number_in(transaction, "maxFeePerGas"), (base_fee_wei or 0) + number_in(transaction, "maxPriorityFeePerGas"))
    else:
        price = number_in(transaction, "gasPrice")
    if receipt.get("effectiveGasPrice") is not None and (told := number_in(receipt, "effectiveGasPrice")) != price:
        raise ValueError(f"transaction {transaction.get('hash')} is said to have paid {told} for gas, and by its own fields paid {price}")
    return price


def blob_fee_wei(transaction: Mapping[str, Any], receipt: Mapping[str, Any]) -> int:
    """What the transaction paid for its blobs (EIP-4844): their number and the most that it pays are signed. Raises ValueError where the receipt contradicts."""
    hashes = transaction.get("blobVersionedHashes")
    if not hashes:
        return 0
    used, price = number_in(receipt, "blobGasUsed"), number_in(receipt, "blobGasPrice")
    if used != GAS_A_BLOB * len(hashes) or price > number_in(transaction, "maxFeePerBlobGas"):
        raise ValueError(
            f"transaction {transaction.get('hash')} with {len(hashes)} blobs is said to have paid {price} for {used} units of blob gas"
        )
    return used * price


def check_bloom(receipts: Sequence[Receipt], bloom: str) -> None:
    """The header's bloom filter is that of the receipts. Raises ValueError otherwise."""
    found = 0
    for receipt in receipts:
        found |= int.from_bytes(receipt.bloom, "big")
    if found != int(bloom, 16):
        raise ValueError("the receipts' blooms are not the header's")


def gas_used(receipts: Sequence[Receipt], answers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The gas that each transaction used, from the cumulative sums that the receipts root covers; the node's `gasUsed` must agree."""
    found, before = [], 0
    for receipt, answer in zip(receipts, answers, strict=True):
        used, before = receipt.cumulative_gas_used - before, receipt.cumulative_gas_used
        if used != number_in(answer, "gasUsed"):
            raise ValueError(
                f"transaction {answer.get('transactionHash')} is said to have used {number_in(answer, 'gasUsed')} gas, and by the running sum used {used}"
            )
        found.append(used)
    return found
