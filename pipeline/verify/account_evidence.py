"""Proof on account chains: headers by hash, a transaction and its receipt by their tries, and what those two move (ADR 7).

Enters: header bytes and one transaction's proof. Leaves: what each address got of each asset, as the chain's own bytes show it: the
transaction's own value, and tokens by the net of their `Transfer` logs. Calls inside a transaction are in no root: what they moved
rests on the node's trace, and whoever compares says so. Proof of work and of stake are left out: the auditor compares the tip with a node.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.chains.evm.headers import parse_header
from pipeline.chains.evm.receipts import parse_receipt, token_movements
from pipeline.chains.evm.transactions import INTRINSIC_GAS, parse_account_transaction
from pipeline.chains.evm.trie import check
from pipeline.model.message import message


@dataclass(frozen=True)
class AccountProof:
    """What a transaction's bytes and its receipt show."""

    amounts: dict[tuple[str, str | None], int]
    """Base units by address and token's contract (None: the chain's own asset), both EIP-55."""
    may_call: bool
    """Whether it went through with gas enough for calls that move the chain's own asset."""


def header_fault(raw: bytes, height: int) -> tuple[str, str, list[str]]:
    """The header's own hash, its parent's, and what is wrong with it. Raises ValueError for bytes that are no header."""
    header = parse_header(raw)
    return header.hash, header.prev, [] if header.number == height else [message("the header's number is {number}", number=header.number)]


def prove_account_transaction(
    header: bytes,
    *,
    txid: str,
    position: int,
    raw: str,
    receipt: str | None,
    transaction_proof: list[str] | None,
    receipt_proof: list[str] | None,
) -> AccountProof:
    """What the transaction at `position` of the header's block moved. Raises ValueError when bytes, proofs and header do not agree."""
    if receipt is None or transaction_proof is None or receipt_proof is None:
        raise ValueError(message("its proof lacks the receipt or the nodes of the tries"))
    roots = parse_header(header)
    signed, outcome = bytes.fromhex(raw), bytes.fromhex(receipt)
    if check(roots.transactions_root, position, [bytes.fromhex(node) for node in transaction_proof]) != signed:
        raise ValueError(message("another transaction stands at its place in the block"))
    if check(roots.receipts_root, position, [bytes.fromhex(node) for node in receipt_proof]) != outcome:
        raise ValueError(message("another receipt stands at its place in the block"))
    transaction, told = parse_account_transaction(signed), parse_receipt(outcome)
    if transaction.txid != txid:
        raise ValueError(message("its bytes hash to another id"))
    if told.kind != transaction.kind:
        raise ValueError(
            message("its receipt is of type {kind}, the transaction of type {kind_2}", kind=told.kind, kind_2=transaction.kind)
        )
    if told.status == 0:
        return AccountProof({}, may_call=False)
    amounts: Counter[tuple[str, str | None]] = Counter()
    for movement in token_movements(told):
        amounts[movement.receiver, movement.contract] += movement.value
        amounts[movement.sender, movement.contract] -= movement.value
    # A receipt without a status (before Byzantium) does not say that its transaction went through.
    if transaction.to is not None and told.status == 1:
        amounts[transaction.to, None] += transaction.value
    return AccountProof({place: units for place, units in amounts.items() if units > 0}, may_call=transaction.gas > INTRINSIC_GAS)
