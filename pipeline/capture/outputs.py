"""What the rows of a source mean: credits, payments, and items that wait for something. Amounts are exact, in base units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from pipeline.model.issues import IssueCode
from pipeline.model.months import almaty_date


class Unreadable(ValueError):
    """A value of a row that is not what its column should hold; the message says which."""


@dataclass(frozen=True)
class Credit:
    """An allocation of the ledger (rule 5)."""

    allocation_id: str
    account: str
    asset: str
    at: int
    """Microseconds since the Unix epoch, UTC."""
    amount: Fraction
    """What the miner is credited, after commission (rule 6.3)."""
    commission: Fraction | None = None
    commission_asset: str | None = None
    """None: the allocation's own asset."""
    currency: tuple[str, str] | None = None
    """Commission in a currency: its name, and the amount as the source prints it (rule 9.7)."""
    cause: str = ""
    """Why it is not what it was, in words."""


@dataclass(frozen=True)
class Paid:
    """A payment of the ledger, whose outcome is known."""

    payment_id: str
    account: str
    asset: str
    address: str
    amount: Fraction
    txid: str
    at: int
    payer: str | None = None


@dataclass(frozen=True)
class Item:
    """Something that waits: for a block to be final, for the outcome of a payment, for a person's word."""

    item: str
    """Names it for a person's decision: unique within the source."""
    code: IssueCode
    day: date
    """In Almaty: it blocks the month of this day."""
    detail: str


Output = Credit | Paid | Item


def day_of(at_us: int) -> date:
    """The day in Almaty of an instant in microseconds (rule 1.2)."""
    return almaty_date(at_us // 1_000_000)


def shown(amount: Fraction) -> str:
    """An amount of base units as text, at most six decimals."""
    return f"{amount.numerator / Decimal(amount.denominator):.6f}".rstrip("0").rstrip(".")
