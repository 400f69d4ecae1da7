"""Wrong data as values: codes, severities, issues (law 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    BLOCKING = "blocking"
    WARNING = "warning"


class IssueCode(StrEnum):
    """Every issue that the rules name, in the order of the rules."""

    MIXED_INPUTS = "mixed-inputs"
    WALLET_DOES_NOT_BALANCE = "wallet-does-not-balance"
    UNKNOWN_OUTFLOW = "unknown-outflow"
    REGISTRY_OVERLAP = "registry-overlap"
    WALLET_HOLDER_DIFFERS = "wallet-holder-differs"
    LICENCE_NOT_IN_FORCE = "licence-not-in-force"
    UNKNOWN_ACCOUNT = "unknown-account"
    ACCOUNT_CHANGED_HANDS = "account-changed-hands"
    BAD_MINER_ID = "bad-miner-id"
    ALLOCATION_TWICE = "allocation-twice"
    """Rule 4.6, from edition 2 on."""
    PAYMENT_NOT_ON_CHAIN = "payment-not-on-chain"
    PAYMENT_AMOUNT_DIFFERS = "payment-amount-differs"
    TRANSFER_WITHOUT_PAYMENT = "transfer-without-payment"
    TRANSFER_BEFORE_ALLOCATION = "transfer-before-allocation"
    TRANSFER_EXCEEDS_ALLOCATIONS = "transfer-exceeds-allocations"
    UNKNOWN_PAYER = "unknown-payer"
    """Rule 10.1, from edition 3 on, as the next two."""
    PAYER_DIFFERS = "payer-differs"
    """Rule 10.2."""
    TRANSFER_NOT_PROVEN = "transfer-not-proven"
    """Rule 10.5."""
    UNREADABLE_EVENT = "unreadable-event"
    """Law 8: an event of the log that can't be read; `ref` is its position."""
    EVENT_NOT_AUTHENTIC = "event-not-authentic"
    """ADR 14: an event of the log that no key signed which may write it, or something missing before one; `ref` is its position, or the stream."""
    SOURCE_UNCERTAIN = "source-uncertain"
    """ADR 22: a row of a source whose block is not final or whose payment has no outcome yet; `ref` is `SOURCE:ITEM`, as of the next four."""
    SOURCE_RESTATEMENT = "source-restatement"
    """ADR 22: a source moves a row to another account, asset or month, or contradicts an import by hand."""
    SOURCE_UNEXPLAINED = "source-unexplained"
    """ADR 22: a row of a source that vanished without a reason, or that its software does not write."""
    SOURCE_HOLE = "source-hole"
    """ADR 22: a source was out of reach for longer than it keeps its rows."""
    SOURCE_DOES_NOT_RECONCILE = "source-does-not-reconcile"
    """ADR 22: two sums of a source that must be equal are not."""
    REGISTRY_UNDATED = "registry-undated"
    """ADR 22: an account or a wallet changed at a source between two looks on different days, and something of the days between depends on it."""
    UNKNOWN_ASSET = "unknown-asset"
    """ADR 7: a token of no contract in the settings left a pool wallet; `ref` is the chain and the contract, `CHAIN:0x…`."""
    BAD_ADDRESS = "bad-address"
    """ADR 7: mixed case with a wrong checksum (EIP-55); `ref` is the address as it is written."""
    NODE_ANSWER_CHANGED = "node-answer-changed"
    """ADR 7: a block read again was not what it had been; `ref` is `CHAIN:HEIGHT`."""

    TRACES_DIFFER = "traces-differ"
    """ADR 7: two witnesses tell a transaction's internal calls differently; `ref` is the txid."""
    FORGED_TRANSFERS = "forged-transfers"
    """ADR 7: logs that claim to move tokens out of pool wallets, with nothing of the pool's behind them; `ref` is the chain."""

    NODES_DISAGREE = "nodes-disagree"
    """ADR 20: two nodes say different things of a block; `ref` is `CHAIN:HEIGHT`."""
    ONE_NODE_ONLY = "one-node-only"
    """ADR 20: blocks of the month that one node alone was asked about; `ref` is the chain."""

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self in _WARNINGS else Severity.BLOCKING


_WARNINGS = {
    IssueCode.WALLET_HOLDER_DIFFERS, IssueCode.LICENCE_NOT_IN_FORCE, IssueCode.TRANSFER_WITHOUT_PAYMENT,
    IssueCode.TRANSFER_BEFORE_ALLOCATION, IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, IssueCode.NODE_ANSWER_CHANGED,
    IssueCode.PAYER_DIFFERS, IssueCode.TRANSFER_NOT_PROVEN, IssueCode.FORGED_TRANSFERS,
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Issue:
    """Wrong data as a value: code, severity, reference, explanation."""

    code: IssueCode
    ref: str
    detail: str = ""

    @property
    def severity(self) -> Severity:
        return self.code.severity
