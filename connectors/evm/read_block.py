"""Reads a whole block that touches the pool, verifies it against its header, and extracts the pool's transactions.

Enters: a block by hash. Leaves: its transactions that touch a watched address, with their proofs; and the block's own credits (reward,
fees, withdrawals) as one coinbase transaction under the block's hash (ADR 7). Every transaction is encoded and hashed again, and both
tries are rebuilt and compared with the header's roots. Where a transaction type is unknown, only the number of transactions, the hashes and
the bloom filter are compared, and there are no proofs. Calls are not covered by any root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.fields import data, number
from pipeline.chains.evm.receipts import Receipt, parse_receipt, receipt_as_told, receipt_rlp, token_movement
from pipeline.chains.evm.transactions import INTRINSIC_GAS, bytes_of, transaction_rlp
from pipeline.log.events.chain import Transaction

from .answers import RawHeader
from .block_content import BlockContent, changes_of, recipients_of
from .block_trie import BlockTrie
from .chain_state import digest
from .commitments import blob_fee_wei, check_bloom, gas_price_wei, gas_used
from .errors import AnswerUnreadable, NotOffered
from .movements import Calls, Movement, movements_of
from .netting import NettedTransaction, net
from .node import Node, ReadBlock
from .read_traces import traced_calls
from .rewards import block_credits
from .rpc import RecordedAnswers
from .uncles import uncles_of
from .watching import Watching as Watching
from .wrapped import wrappings


@dataclass(frozen=True)
class _CheckedBlock:
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


class _Reading(NamedTuple):
    """The answers that a reading of a block was based on, and its result, as digests."""

    watching: Watching
    block: bytes
    """A digest of the block's JSON."""
    recorded: list[RecordedAnswers]
    transactions: bytes
    """A digest of the transactions."""


MAX_READINGS = 10_000
"""Readings kept for comparison with a second one; half a kilobyte each."""


class _HeaderMismatch(ValueError):
    """The answer contradicts the header."""


class BlockReader:
    """Reads whole blocks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._readings: dict[str, _Reading] = {}
        """The last reading of each block by its hash, oldest first."""

    def is_unchanged(self, block: ReadBlock, watching: Watching, transactions: bytes) -> bool:
        """Repeat the queries of the block's last reading; whether all answers are the same bytes, and its result had the digest `transactions`.

        The transactions follow from these answers alone, so the block need not be read again. False is not conclusive: the same data
        may be formatted differently, or no reading is kept.
        """
        before = self._readings.get(block.header.hash)
        return (
            before is not None
            and before.transactions == transactions
            and before.watching == watching
            and before.block == _digest(block)
            and all(self._node.connection.gives_same_answers(recorded) for recorded in before.recorded)
        )

    def read(self, block: ReadBlock, watching: Watching, *, deep: bool) -> BlockContent:
        """What the block has of the pool's. `deep`: read the calls of every transaction.

        Raises AnswerUnreadable when an answer contradicts the header, NotOffered when a pool wallet pays into a contract and calls
        can't be traced, and what `Node` raises.
        """
        with self._node.connection.record_answers() as recorded:
            content = self._read(block, watching, deep=deep)
        self._readings.pop(block.header.hash, None)
        if content.transactions:
            while len(self._readings) >= MAX_READINGS:
                del self._readings[next(iter(self._readings))]
            self._readings[block.header.hash] = _Reading(watching, _digest(block), recorded, digest(content.transactions))
        return content

    def was_read_by_other_way(self, block: ReadBlock) -> bool:
        """Whether the way of tracing in use did not show the block, so that the other one is no second witness."""
        return block.header.hash in self._node.traced_otherwise

    def read_beside(self, block: ReadBlock, watching: Watching) -> BlockContent:
        """As `read`, deep, without keeping it as the block's reading."""
        return self._read(block, watching, deep=True)

    def _read(self, block: ReadBlock, watching: Watching, *, deep: bool) -> BlockContent:
        try:
            whole = self._whole(block)
            places = self._visible_places(whole, watching)
            calls = self._calls(whole, places, watching, deep=deep)
            if calls is not None:
                places = list(range(len(whole.txids)))
            movements = _movements(whole, places, calls, watching)
            netted = self._build_transactions(whole, movements, watching)
            own = self._own_credits(block, whole, watching)
            credits = self._credits(block, whole, own, watching)
            transactions = [*netted, credits] if credits is not None else netted
            if calls is None:
                return BlockContent(transactions)
            ran = {whole.txids[place] for place in self._ran(whole, places)}
            traced = frozenset(told.txid for told in netted if told.txid in ran and recipients_of(told, watching.asset))
            moved = (movement for some in (*movements.values(), own) for movement in some if movement.asset == watching.asset)
            return BlockContent(transactions, traced, changes_of(moved, _fees(whole)))
        except ValueError as error:
            raise AnswerUnreadable(f"block {block.header.height} {block.header.hash} at {self._node.name}: {error}") from error

    # --- what the header commits to --------------------------------------------------------------------------------

    def _whole(self, block: ReadBlock) -> _CheckedBlock:
        header, fields = block.header, block.header.fields
        full = self._node.connection.read(block.raw, "eth_getBlockByNumber", _Full)
        transactions = full.transactions
        txids = [data(transaction, "hash", 32).hex() for transaction in transactions]
        transactions_trie = receipts_trie = None
        raw_transactions = _each(transaction_rlp, transactions)
        if raw_transactions is not None:
            for place, txid in enumerate(txids):
                found = bytes_of(transactions[place], raw_transactions[place], txid)
                if found is None:
                    raise _HeaderMismatch(f"transaction {txid} has another hash")
                raw_transactions[place] = found
            transactions_trie = _compare(raw_transactions, fields.transactions_root, "transactions")
        answers = self._node.receipts(header, txids)
        raw_receipts = _each(receipt_rlp, answers)
        if raw_receipts is not None:
            receipts_trie = _compare(raw_receipts, fields.receipts_root, "receipts")
        receipts = (
            [parse_receipt(raw) for raw in raw_receipts] if raw_receipts is not None else [receipt_as_told(answer) for answer in answers]
        )
        check_bloom(receipts, fields.logs_bloom)
        return _CheckedBlock(
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

    # --- what is the pool's ----------------------------------------------------------------------------------------

    def _visible_places(self, whole: _CheckedBlock, watching: Watching) -> list[int]:
        """Indexes of the transactions that touch the pool according to their own fields and logs."""
        spellings, addresses = watching.watch_list.spellings, watching.watch_list.addresses
        places = []
        for place, (transaction, receipt) in enumerate(zip(whole.transactions, whole.receipts, strict=True)):
            ends = (transaction["from"], transaction.get("to") or _created(whole.answers[place]))
            tokens = (token_movement(log) for log in receipt.logs)
            wraps = wrappings(receipt.logs, watching.wrapped).values()
            if (
                any(end in spellings for end in ends)
                or any(t is not None and (t.sender in addresses or t.receiver in addresses) for t in tokens)
                or any(wrap.party in addresses for wrap in wraps)
            ):
                places.append(place)
        return places

    def _calls(self, whole: _CheckedBlock, places: Sequence[int], watching: Watching, *, deep: bool) -> list[Calls] | None:
        """The calls of all of the block's transactions; None where they are not needed or not traced."""
        ran = self._ran(whole, places)
        if watching.traces is not None:
            return traced_calls(self._node, whole.header, whole.txids, watching, needed=frozenset(ran)) if ran or deep else None
        paid = [
            place
            for place in ran
            if number(whole.transactions[place], "value") and whole.transactions[place]["from"] in watching.watch_list.spellings
        ]
        if paid and not watching.is_untraced_accepted:
            raise NotOffered(
                f"transaction {whole.txids[paid[0]]} of block {whole.header.height} pays into a contract, and the node at {self._node.name} shows no calls inside "
                'transactions: use a node with trace_block or debug_traceBlockByHash, or accept not to see where it went (internal_calls = "ignore")'
            )
        return None

    def _ran(self, whole: _CheckedBlock, places: Sequence[int]) -> list[int]:
        """Those of the transactions in which code may have run, and that did not fail."""
        return [place for place in places if whole.receipts[place].status != 0 and whole.gas_used[place] > INTRINSIC_GAS]

    def _build_transactions(
        self, whole: _CheckedBlock, movements: Mapping[int, Sequence[Movement]], watching: Watching
    ) -> list[Transaction]:
        addresses = watching.watch_list.addresses
        found: list[tuple[int, NettedTransaction, int, str | None]] = []
        for place, moved in movements.items():
            payer = to_checksum(whole.transactions[place]["from"])
            fee = _fee_wei(whole, place) if payer in addresses else 0
            netted = net(
                whole.txids[place],
                moved,
                addresses,
                asset=watching.asset,
                known=watching.known,
                fee=fee,
                fee_payer=payer if payer in addresses else None,
                wrapped={contract: watching.tokens[contract] for contract in watching.wrapped},
            )
            if netted is not None:
                found.append((place, netted, fee, addresses.get(payer)))
        return self._with_proofs(whole, found, watching)

    def _with_proofs(
        self, whole: _CheckedBlock, found: Sequence[tuple[int, NettedTransaction, int, str | None]], watching: Watching
    ) -> list[Transaction]:
        if not found:
            return []
        places = [place for place, *_ in found]
        transaction_proofs = _proofs(whole.transactions_trie, places)
        receipt_proofs = _proofs(whole.receipts_trie, places)
        return [
            Transaction(
                txid=whole.txids[place],
                position=place,
                is_coinbase=False,
                inputs=netted.inputs,
                other_inputs=netted.other_inputs,
                other_inputs_value=str(netted.other_inputs_value),
                outputs=netted.outputs,
                fee=str(fee),
                fee_asset=watching.asset,
                raw=whole.raw_transactions[place].hex() if whole.raw_transactions is not None else None,
                fee_wallet=wallet,
                receipt=whole.raw_receipts[place].hex() if whole.raw_receipts is not None else None,
                transaction_proof=transaction_proof,
                receipt_proof=receipt_proof,
            )
            for (place, netted, fee, wallet), transaction_proof, receipt_proof in zip(
                found, transaction_proofs, receipt_proofs, strict=True
            )
        ]

    # --- the block's own credits -----------------------------------------------------------------------------------

    def _own_credits(self, block: ReadBlock, whole: _CheckedBlock, watching: Watching) -> list[Movement]:
        """What the block itself credits, to whomever."""
        fields = block.header.fields
        uncles = uncles_of(self._node, block) if watching.block_reward is not None and watching.block_reward.uncles is not None else []
        return block_credits(
            block.header.height, fields.miner, asset=watching.asset, schedule=watching.block_reward, uncles=uncles,
            priority_fees_wei=_priority_fees_wei(whole, fields.base_fee_per_gas) if fields.miner in watching.watch_list.spellings else 0,
            withdrawals=block.light.withdrawals or [],
        )  # fmt: skip

    def _credits(self, block: ReadBlock, whole: _CheckedBlock, own: Sequence[Movement], watching: Watching) -> Transaction | None:
        """The block's credits to pool wallets, as one coinbase transaction."""
        netted = net(block.header.hash, own, watching.watch_list.addresses, asset=watching.asset, known=watching.known)
        if netted is None:
            return None
        return Transaction(
            txid=block.header.hash, position=len(whole.txids), is_coinbase=True, inputs=[], other_inputs=0, other_inputs_value="0",
            outputs=netted.outputs, fee="0", fee_asset=watching.asset,
        )  # fmt: skip


def _movements(whole: _CheckedBlock, places: Sequence[int], calls: Sequence[Calls] | None, watching: Watching) -> dict[int, list[Movement]]:
    """What each of the transactions at `places` moved."""
    first_log, first_logs = 0, []
    for receipt in whole.receipts:
        first_logs.append(first_log)
        first_log += len(receipt.logs)
    return {
        place: movements_of(
            whole.transactions[place], whole.receipts[place], first_logs[place], calls[place] if calls is not None else None,
            created=_created(whole.answers[place]), asset=watching.asset, tokens=watching.tokens,
            wrapped=watching.wrapped,
        )
        for place in places
    }  # fmt: skip


def _digest(block: ReadBlock) -> bytes:
    return hashlib.blake2b(block.raw, digest_size=32).digest()


class _Full(msgspec.Struct):
    transactions: list[dict[str, Any]]


def _each(encode: Any, answers: Sequence[Mapping[str, Any]]) -> list[bytes] | None:
    """Each answer's bytes; None when one is of a type that this program does not know."""
    known = (None, "0x0", "0x1", "0x2", "0x3", "0x4")
    return [encode(answer) for answer in answers] if all(answer.get("type") in known for answer in answers) else None


def _compare(items: Sequence[bytes], root: str, what: str) -> BlockTrie:
    trie = BlockTrie(items)
    found = trie.root.hex()
    if found != root[2:].lower():
        raise _HeaderMismatch(f"its header commits to {what} of root {root}, those given have root 0x{found}")
    return trie


def _created(answer: Mapping[str, Any]) -> str | None:
    """The contract that a transaction made, by its receipt."""
    made = answer.get("contractAddress")
    return None if made is None else "0x" + data(answer, "contractAddress", 20).hex()


def _fee_wei(whole: _CheckedBlock, place: int) -> int:
    """The fee in wei that the sender of a transaction paid for gas and blobs."""
    return whole.gas_used[place] * _price_wei(whole, place) + blob_fee_wei(whole.transactions[place], whole.answers[place])


def _fees(whole: _CheckedBlock) -> Iterator[tuple[str, int | None]]:
    """Every transaction's sender and fee in wei; None where the receipt contradicts a stranger's transaction."""
    for place, transaction in enumerate(whole.transactions):
        try:
            yield to_checksum(transaction["from"]), _fee_wei(whole, place)
        except ValueError:
            yield to_checksum(transaction["from"]), None


def _price_wei(whole: _CheckedBlock, place: int) -> int:
    """The gas price paid, in wei. Raises where the receipt contradicts the transaction; of unknown types, where it is above the transaction's limit."""
    transaction, answer = whole.transactions[place], whole.answers[place]
    if whole.raw_transactions is not None:
        base_fee = whole.header.fields.base_fee_per_gas
        return gas_price_wei(transaction, answer, int(base_fee, 16) if base_fee is not None else None)
    price = number(answer, "effectiveGasPrice") if answer.get("effectiveGasPrice") is not None else number(transaction, "gasPrice")
    limit = number(transaction, "maxFeePerGas") if transaction.get("maxFeePerGas") is not None else number(transaction, "gasPrice")
    if price > limit:
        raise _HeaderMismatch(f"transaction {answer.get('transactionHash')} is said to have paid {price} for gas, and allows {limit}")
    return price


def _priority_fees_wei(whole: _CheckedBlock, base_fee: str | None) -> int:
    """The part of the gas fees that goes to the block's miner, in wei: all that is not burnt."""
    burnt = int(base_fee, 16) if base_fee is not None else 0
    return sum((_price_wei(whole, place) - burnt) * used for place, used in enumerate(whole.gas_used))


def _proofs(trie: BlockTrie | None, places: Sequence[int]) -> Sequence[list[str] | None]:
    if trie is None:
        return [None] * len(places)
    return [[node.hex() for node in trie.prove(place)] for place in places]
