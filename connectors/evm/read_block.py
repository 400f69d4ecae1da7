"""Reads a whole block that touches the pool, verifies it against its header, and extracts the pool's transactions.

Enters: a block by hash. Leaves: its transactions that touch a watched address, with their proofs, also those that only carry its authorization of code (EIP-7702);
and the block's own credits (reward, fees, withdrawals) as one coinbase transaction under the block's hash (ADR 7). The block is checked by `checked_block.py`;
calls are not covered by any root. A payer's transaction whose calls can't be traced is left out and named (rule 10.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.fields import number
from pipeline.chains.evm.receipts import token_movement
from pipeline.chains.evm.transactions import INTRINSIC_GAS
from pipeline.log.events.chain import Transaction
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .authorizing import carriers
from .block_content import BlockContent, changes_of, recipients_of
from .chain_state import digest
from .checked_block import CheckedBlock, check_block, created, fee_wei, fees, priority_fees_wei, proofs
from .errors import AnswerUnreadable, NotOffered, NotShown, StateMissing
from .movements import Calls, Movement, movements_of
from .netting import NettedTransaction, net
from .node import Node, ReadBlock
from .read_traces import traced_calls
from .rewards import block_credits
from .rpc import RecordedAnswers
from .uncles import uncles_of
from .watching import Watching as Watching
from .watching import sought_in
from .wrapped import wrappings

_journal = Journal("evm")


class _Reading(NamedTuple):
    """The answers that a reading of a block was based on, and its result, as digests."""

    watching: Watching
    block: bytes
    """A digest of the block's JSON."""
    recorded: list[RecordedAnswers]
    transactions: bytes
    """A digest of the transactions."""
    sought: frozenset[str]
    """Those of the ids looked for that are in the block."""


MAX_READINGS = 10_000
"""Readings kept for comparison with a second one; half a kilobyte each."""


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
            and before.sought == sought_in(block, watching)
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
            self._readings[block.header.hash] = _Reading(
                watching, _digest(block), recorded, digest(content.transactions), sought_in(block, watching)
            )
        return content

    def was_read_by_other_way(self, block: ReadBlock) -> bool:
        """Whether the way of tracing in use did not show the block, so that the other one is no second witness."""
        return block.header.hash in self._node.traced_otherwise

    def read_beside(self, block: ReadBlock, watching: Watching) -> BlockContent:
        """As `read`, deep, without keeping it as the block's reading."""
        return self._read(block, watching, deep=True)

    def _read(self, block: ReadBlock, watching: Watching, *, deep: bool) -> BlockContent:
        try:
            whole = check_block(self._node, block)
            places = self._visible_places(whole, watching)
            authorizing = carriers(whole.transactions, watching.watch_list)
            authorities = frozenset[str]().union(*authorizing.values())
            ran = {whole.txids[place] for place in self._ran(whole, places)}
            calls, untraced = self._calls(whole, places, watching, deep=deep)
            if untraced:
                _journal.warning("payer-not-traced", node=self._node.name, height=whole.header.height, txids=sorted(untraced))
                rest = self._read(block, replace(watching, sought=sought_in(block, watching) - untraced), deep=deep)
                return replace(rest, untraced=rest.untraced | untraced)
            places = sorted({*places, *authorizing}) if calls is None else list(range(len(whole.txids)))
            netted = self._build_transactions(whole, (movements := _movements(whole, places, calls, watching)), watching, authorizing)
            own = self._own_credits(block, whole, watching)
            credits = self._credits(block, whole, own, watching)
            transactions = [*netted, credits] if credits is not None else netted
            if calls is None:
                return BlockContent(transactions, authorizing=authorities)
            traced = frozenset(told.txid for told in netted if told.txid in ran and recipients_of(told, watching.asset))
            moved = (movement for some in (*movements.values(), own) for movement in some if movement.asset == watching.asset)
            return BlockContent(transactions, traced, authorizing=authorities, changes=changes_of(moved, fees(whole)))
        except ValueError as error:
            raise AnswerUnreadable(f"block {block.header.height} {block.header.hash} at {self._node.name}: {error}") from error

    # --- what is the pool's ----------------------------------------------------------------------------------------

    def _visible_places(self, whole: CheckedBlock, watching: Watching) -> list[int]:
        """Indexes of the transactions that touch the pool according to their own fields and logs."""
        spellings, addresses = watching.watch_list.spellings, watching.watch_list.addresses
        places = []
        for place, (transaction, receipt) in enumerate(zip(whole.transactions, whole.receipts, strict=True)):
            ends = (transaction["from"], transaction.get("to") or created(whole.answers[place]))
            tokens = (token_movement(log) for log in receipt.logs)
            wraps = wrappings(receipt.logs, watching.wrapped).values()
            if (
                any(end in spellings for end in ends)
                or any(t is not None and (t.sender in addresses or t.receiver in addresses) for t in tokens)
                or any(wrap.party in addresses for wrap in wraps)
                or whole.txids[place] in watching.sought
            ):
                places.append(place)
        return places

    def _calls(
        self, whole: CheckedBlock, places: Sequence[int], watching: Watching, *, deep: bool
    ) -> tuple[list[Calls] | None, frozenset[str]]:
        """The calls of all of the block's transactions, None where they are not needed or not traced; and the ids of payers' transactions that need them and
        of which the node can't show them."""
        ran = self._ran(whole, places)
        own = watching.watch_list.spellings  # who sends from a pool's address is told as ever, whoever names it (rule 10.2)
        named = frozenset(whole.txids[n] for n in ran if whole.txids[n] in watching.sought and whole.transactions[n]["from"] not in own)
        if watching.traces is not None:
            if not ran and not deep:
                return None, frozenset()
            try:
                return traced_calls(self._node, whole.header, whole.txids, watching, needed=frozenset(ran)), frozenset()
            except NotShown as error:
                if error.txid not in named:
                    raise
                return None, frozenset((error.txid,))
            except StateMissing:
                if deep or len(named) < len(ran):
                    raise
                return None, named
        paid = [
            place
            for place in ran
            if number(whole.transactions[place], "value") and whole.transactions[place]["from"] in watching.watch_list.spellings
        ]
        if paid and not watching.is_untraced_accepted:
            raise NotOffered(
                message(
                    'transaction {txid} of block {height} pays into a contract, and the node at {node} shows no calls inside transactions: use a node with trace_block or debug_traceBlockByHash, or accept not to see where it went (internal_calls = "ignore")',
                    txid=whole.txids[paid[0]],
                    height=whole.header.height,
                    node=self._node.name,
                )
            )
        return None, named if not watching.is_untraced_accepted else frozenset()

    def _ran(self, whole: CheckedBlock, places: Sequence[int]) -> list[int]:
        """Those of the transactions in which code may have run, and that did not fail: what is given back for cleared storage may take them below the intrinsic gas."""
        return [place for place in places if whole.receipts[place].status != 0 and whole.gas_used[place] != INTRINSIC_GAS]

    def _build_transactions(
        self, whole: CheckedBlock, movements: Mapping[int, Sequence[Movement]], watching: Watching, authorizing: Collection[int]
    ) -> list[Transaction]:
        addresses = watching.watch_list.addresses
        found: list[tuple[int, NettedTransaction, int, str | None]] = []
        for place, moved in movements.items():
            payer = to_checksum(whole.transactions[place]["from"])
            fee = fee_wei(whole, place) if payer in addresses else 0
            netted = net(
                whole.txids[place],
                moved,
                addresses,
                asset=watching.asset,
                known=watching.known,
                fee=fee,
                fee_payer=payer if payer in addresses else None,
                wrapped={contract: watching.tokens[contract] for contract in watching.wrapped},
                is_sought=whole.txids[place] in watching.sought,
            )
            if netted is None and place in authorizing:
                netted = NettedTransaction([], [], 0, 0)
            if netted is not None:
                found.append((place, netted, fee, addresses.get(payer)))
        return self._with_proofs(whole, found, watching)

    def _with_proofs(
        self, whole: CheckedBlock, found: Sequence[tuple[int, NettedTransaction, int, str | None]], watching: Watching
    ) -> list[Transaction]:
        if not found:
            return []
        places = [place for place, *_ in found]
        transaction_proofs = proofs(whole.transactions_trie, places)
        receipt_proofs = proofs(whole.receipts_trie, places)
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

    def _own_credits(self, block: ReadBlock, whole: CheckedBlock, watching: Watching) -> list[Movement]:
        """What the block itself credits, to whomever."""
        fields, miners = block.header.fields, watching.watch_list.spellings
        is_of_interest = fields.miner in miners or block.header.hash in watching.sought
        uncles = uncles_of(self._node, block) if watching.block_reward is not None and watching.block_reward.uncles is not None else []
        return block_credits(
            block.header.height, fields.miner, asset=watching.asset, schedule=watching.block_reward, uncles=uncles,
            priority_fees_wei=priority_fees_wei(whole, fields.base_fee_per_gas) if is_of_interest else 0,
            withdrawals=block.light.withdrawals or [],
        )  # fmt: skip

    def _credits(self, block: ReadBlock, whole: CheckedBlock, own: Sequence[Movement], watching: Watching) -> Transaction | None:
        """The block's credits to pool wallets, as one coinbase transaction; where it pays none and a payment names it, those to everybody (rule 10.2)."""
        ours = watching.watch_list.addresses
        is_sought = block.header.hash in watching.sought and not any(movement.recipient in ours for movement in own)
        netted = net(block.header.hash, own, ours, asset=watching.asset, known=watching.known, is_sought=is_sought)
        if netted is None:
            return None
        return Transaction(
            txid=block.header.hash, position=len(whole.txids), is_coinbase=True, inputs=[], other_inputs=0, other_inputs_value="0",
            outputs=netted.outputs, fee="0", fee_asset=watching.asset,
        )  # fmt: skip


def _movements(whole: CheckedBlock, places: Sequence[int], calls: Sequence[Calls] | None, watching: Watching) -> dict[int, list[Movement]]:
    """What each of the transactions at `places` moved."""
    first_log, first_logs = 0, []
    for receipt in whole.receipts:
        first_logs.append(first_log)
        first_log += len(receipt.logs)
    return {
        place: movements_of(
            whole.transactions[place], whole.receipts[place], first_logs[place], calls[place] if calls is not None else None,
            created=created(whole.answers[place]), asset=watching.asset, tokens=watching.tokens,
            wrapped=watching.wrapped,
        )
        for place in places
    }  # fmt: skip


def _digest(block: ReadBlock) -> bytes:
    return hashlib.blake2b(block.raw, digest_size=32).digest()
