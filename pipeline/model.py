"""The nouns: assets, rules in force, months, issues."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Self
from zoneinfo import ZoneInfo

ALMATY = ZoneInfo("Asia/Almaty")
"""Dates are dates here (rule 1.2)."""


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
    PAYMENT_NOT_ON_CHAIN = "payment-not-on-chain"
    PAYMENT_AMOUNT_DIFFERS = "payment-amount-differs"
    TRANSFER_WITHOUT_PAYMENT = "transfer-without-payment"
    TRANSFER_BEFORE_ALLOCATION = "transfer-before-allocation"
    TRANSFER_EXCEEDS_ALLOCATIONS = "transfer-exceeds-allocations"
    UNREADABLE_EVENT = "unreadable-event"
    """Law 8: an event of the log that can't be read; `ref` is its position."""
    UNKNOWN_ASSET = "unknown-asset"
    """ADR 7: a token of no contract in the settings left a pool wallet; `ref` is the chain and the contract, `CHAIN:0x…`."""
    BAD_ADDRESS = "bad-address"
    """ADR 7: mixed case with a wrong checksum (EIP-55); `ref` is the address as it is written."""
    NODE_ANSWER_CHANGED = "node-answer-changed"
    """ADR 7: a block read again was not what it had been; `ref` is `CHAIN:HEIGHT`."""

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self in _WARNINGS else Severity.BLOCKING


_WARNINGS = {
    IssueCode.WALLET_HOLDER_DIFFERS, IssueCode.LICENCE_NOT_IN_FORCE, IssueCode.TRANSFER_WITHOUT_PAYMENT,
    IssueCode.TRANSFER_BEFORE_ALLOCATION, IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, IssueCode.NODE_ANSWER_CHANGED,
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Issue:
    """Wrong data, as a value: what, how bad, where, and in words."""

    code: IssueCode
    ref: str
    detail: str = ""

    @property
    def severity(self) -> Severity:
        return self.code.severity


@dataclass(frozen=True)
class Month:
    """A calendar month in Almaty (rules 1.1, 1.2)."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2026-10`. Raises ValueError for anything else."""
        if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
            raise ValueError(f"{text!r} is not a month: write it as 2026-10")
        return cls(int(text[:4]), int(text[5:]))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.number, calendar.monthrange(self.year, self.number)[1])

    @property
    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    @property
    def end_at(self) -> int:
        """The first instant after the month, Unix seconds."""
        return int(datetime.combine(self.next.first, datetime.min.time(), ALMATY).timestamp())

    @property
    def deadline(self) -> date:
        """The day it is due by (rule 1.1, law)."""
        return self.next.first.replace(day=25)


def almaty_date(at_s: int) -> date:
    """The day in Almaty of an instant in Unix seconds (rule 1.2)."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(ALMATY).date()


@dataclass(frozen=True)
class Asset:
    """An asset that is allocated and paid: its name on the form, its chain, how many decimals its base unit has."""

    name: str
    chain: str
    decimals: int
    contract: str | None = None
    """The token's contract on an account chain, EIP-55; None for the chain's own asset."""


@dataclass(frozen=True)
class Rules:
    """The rules' parameters in force: with the log's positions, all that a month's report depends on."""

    assets: dict[str, Asset]
    finality: dict[str, int]
    """Confirmations that a chain's block needs before a month closes on it (rule 8.1), by chain."""
    payout_unit: dict[str, int]
    """Payouts may be rounded to whole multiples of this many base units (rule 5.3), by asset; 1 for none."""
    has_payments_ledger: bool = True
    """Whether a ledger of payments is configured (rule 5.4)."""
    network: dict[str, str] = field(default_factory=dict)
    """The chain's network, by chain: bitcoin, regtest, …"""

    def to_json(self) -> dict[str, Any]:
        return {
            "assets": {
                name: {"chain": a.chain, "decimals": a.decimals} | ({"contract": a.contract} if a.contract else {})
                for name, a in sorted(self.assets.items())
            },
            "finality": dict(sorted(self.finality.items())),
            "payout_unit": dict(sorted(self.payout_unit.items())),
            "has_payments_ledger": self.has_payments_ledger,
            "network": dict(sorted(self.network.items())),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Rules:
        return cls(
            assets={name: Asset(name, a["chain"], a["decimals"], a.get("contract")) for name, a in content["assets"].items()},
            finality=dict(content["finality"]),
            payout_unit=dict(content["payout_unit"]),
            has_payments_ledger=content["has_payments_ledger"],
            network=dict(content["network"]),
        )


def to_units(text: str, decimals: int) -> int:
    """Whole base units of a printed amount (rule 2.1): `to_units("0.01234560", 8) == 1234560`.

    Raises ValueError for signs, exponents, grouping, more decimals than the asset has, or more than 38 digits.
    """
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?", text)
    if not match:
        raise ValueError(f"{text!r} is not an amount: digits, with a dot before decimals")
    whole, fraction = match[1], match[2] or ""
    if len(fraction.rstrip("0")) > decimals:
        raise ValueError(f"{text!r} has more than {decimals} decimals")
    units = int(whole + fraction[:decimals].ljust(decimals, "0"))
    if units >= 10**38:
        raise ValueError(f"{text!r} has more than 38 digits in base units")
    return units


def from_units(units: int, decimals: int) -> str:
    """The printed amount, with all the asset's decimals (rule 2.2): `from_units(1234560, 8) == "0.01234560"`."""
    if decimals == 0:
        return str(units)
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
