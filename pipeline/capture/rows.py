"""The rows of the ledger as its events have them, in whole base units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AllocationRow:
    """An allocation in whole base units, as the ledger's event has it."""

    account: str
    asset: str
    at: int
    amount: int
    commission: int | None
    commission_asset: str | None = None
    """None where there is no commission in an asset."""
    currency: tuple[str, str] | None = None
    cause: str = ""


@dataclass(frozen=True)
class PaymentRow:
    """A payment in whole base units."""

    account: str
    asset: str
    address: str
    amount: int
    txid: str
    at: int
    payer: str | None


LedgerRow = AllocationRow | PaymentRow
