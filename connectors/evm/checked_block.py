"""A whole block with its receipts, checked against its header.

Enters: a block as the node gives it. Leaves: its transactions and receipts with their bytes, hashes and tries; what each transaction paid for gas. Every transaction is encoded and
hashed again, and both tries are rebuilt and compared with the header's roots. Where a transaction type is unknown, only the number of transactions, the hashes and
the bloom filter are compared, and there are no proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.fields import data, number
from pipeline.chains.evm.receipts import Receipt, read_receipt, receipt_as_told
from pipeline.chains.evm.transactions import bytes_of, transaction_rlp

from .answers import RawHeader
from .block_trie import BlockTrie
from .commitments import blob_fee_wei, check_bloom, gas_price_wei, gas_used
from .node import Node, ReadBlock

T = TypeVar("T")


@dataclass(frozen=True)
class CheckedBlock:
    """A block with all of its transactions and receipts, checked against its header."""

    header: RawHeader
    transactions: list[dict[str, Any]]
    txids: list[str]
    receipts: list[Receipt]
    gas_used: list[int]
    answers: list[dict[str, Any]]
    """The receipts as the node gives them."""
    raw_transactions: list[bytes] | None
    """None where a transaction type is unknown: then there are no proofs."""
    raw_receipts: list[bytes] | None
    transactions_trie: BlockTrie | None
    receipts_trie: BlockTrie | None


class HeaderMismatch(ValueError):
    """The answer contradicts the header."""


def check_block(node: Node, block: ReadBlock) -> CheckedBlock:
    """The block with its receipts. Raises HeaderMismatch where they contradict its header, ValueError for fields that can't be read, what `Node` raises."""
    header, fields = block.header, block.header.fields
    full = node.connection.read(block.raw, "eth_getBlockByNumber", _Full)
    transactions = full.transactions
    txids = [data(transaction, "hash", 32).hex() for transaction in transactions]
    transactions_trie = receipts_trie = None
    raw_transactions = _each(transaction_rlp, transactions)
    if raw_transactions is not None:
        for place, txid in enumerate(txids):
            found = bytes_of(transactions[place], raw_transactions[place], txid)
            if found is None:
                raise HeaderMismatch(f"transaction {txid} has another hash")
            raw_transactions[place] = found
        transactions_trie = _compare(raw_transactions, fields.transactions_root, "transactions")
    answers = node.receipts(header, txids)
    read = _each(read_receipt, answers)
    raw_receipts = None
    if read is not None:
        raw_receipts, receipts = [raw for raw, _ in read], [receipt for _, receipt in read]
        receipts_trie = _compare(raw_receipts, fields.receipts_root, "receipts")
    else:
        receipts = [receipt_as_told(answer) for answer in answers]
    check_bloom(receipts, fields.logs_bloom)
    return CheckedBlock(
        header,
        transactions,
        txids,
        receipts,
        gas_used(receipts, answers),
        answers,
        raw_transactions,
        raw_receipts,
        transactions_trie,
        receipts_trie,
    )


class _Full(msgspec.Struct):
    transactions: list[dict[str, Any]]


def _each(encode: Callable[[Mapping[str, Any]], T], answers: Sequence[Mapping[str, Any]]) -> list[T] | None:
    """Each answer encoded; None when one is of a type that this program does not know."""
    known = (None, "0x0", "0x1", "0x2", "0x3", "0x4")
    return [encode(answer) for answer in answers] if all(answer.get("type") in known for answer in answers) else None


def _compare(items: Sequence[bytes], root: str, what: str) -> BlockTrie:
    trie = BlockTrie(items)
    found = trie.root.hex()
    if found != root[2:].lower():
        raise HeaderMismatch(f"its header commits to {what} of root {root}, those given have root 0x{found}")
    return trie


def created(answer: Mapping[str, Any]) -> str | None:
    """The contract that a transaction made, by its receipt."""
    made = answer.get("contractAddress")
    return None if made is None else "0x" + data(answer, "contractAddress", 20).hex()


def fee_wei(whole: CheckedBlock, place: int) -> int:
    """The fee in wei that the sender of a transaction paid for gas and blobs."""
    return whole.gas_used[place] * _price_wei(whole, place) + blob_fee_wei(whole.transactions[place], whole.answers[place])


def fees(whole: CheckedBlock) -> Iterator[tuple[str, int | None]]:
    """Every transaction's sender and fee in wei; None where the receipt contradicts a stranger's transaction."""
    for place, transaction in enumerate(whole.transactions):
        try:
            yield to_checksum(transaction["from"]), fee_wei(whole, place)
        except ValueError:
            yield to_checksum(transaction["from"]), None


def _price_wei(whole: CheckedBlock, place: int) -> int:
    """The gas price paid, in wei. Raises where the receipt contradicts the transaction; of unknown types, where it is above the transaction's limit."""
    transaction, answer = whole.transactions[place], whole.answers[place]
    if whole.raw_transactions is not None:
        base_fee = whole.header.fields.base_fee_per_gas
        return gas_price_wei(transaction, answer, int(base_fee, 16) if base_fee is not None else None)
    price = number(answer, "effectiveGasPrice") if answer.get("effectiveGasPrice") is not None else number(transaction, "gasPrice")
    limit = number(transaction, "maxFeePerGas") if transaction.get("maxFeePerGas") is not None else number(transaction, "gasPrice")
    if price > limit:
        raise HeaderMismatch(f"transaction {answer.get('transactionHash')} is said to have paid {price} for gas, and allows {limit}")
    return price


def priority_fees_wei(whole: CheckedBlock, base_fee: str | None) -> int:
    """The part of the gas fees that goes to the block's miner, in wei: all that is not burnt."""
    burnt = int(base_fee, 16) if base_fee is not None else 0
    return sum((_price_wei(whole, place) - burnt) * used for place, used in enumerate(whole.gas_used))


def proofs(trie: BlockTrie | None, places: Sequence[int]) -> Sequence[list[str] | None]:
    if trie is None:
        return [None] * len(places)
    return [[node.hex() for node in trie.prove(place)] for place in places]
