"""The pool's books as the script keeps them: payments, allocations, the registry; and the files that they are handed in by.

Every payment is owed before it is paid: three fifths two days before, the rest the day before, at half past midnight in Almaty.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .cast import DECIMALS, Miner, Stage, somebody
from .chronicle import ALMATY, Sent, almaty

CHAIN = "etc"
LICENSED = "2024-01-15"
MISTYPED = somebody("mistyped")[:-1] + {"a": "b", "A": "b"}.get(somebody("mistyped")[-1], "a")
"""An address in the registry whose last letter is another than its checksum was made for."""


@dataclass(frozen=True)
class Payment:
    payment_id: str
    miner: Miner
    asset: str
    amount: int
    sent: Sent
    """What the ledger believes to have paid it; its `txid` there."""
    paid_at: int
    mined_as: Sent | None = None
    """What did pay it, when that is another transaction: the first was replaced."""
    address: str = ""


@dataclass(frozen=True)
class Allocation:
    allocation_id: str
    miner: Miner
    asset: str
    allocated_at: int
    amount: int
    commission: tuple[str, int] | None = None
    """In an asset."""
    commission_kzt: str | None = None


@dataclass
class Books:
    payments: list[Payment] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    counterparties: list[tuple[str, str, str]] = field(default_factory=list)
    """Address, class, name."""

    def pay(self, miner: Miner, asset: str, amount: int, sent: Sent, paid_at: int | str, mined_as: Sent | None = None) -> None:
        """Enter a payment, and the allocations that it settles."""
        at = almaty(paid_at) if isinstance(paid_at, str) else paid_at
        self.payments.append(Payment(f"P{len(self.payments):05}", miner, asset, amount, sent, at, mined_as, miner.address))
        first = amount * 3 // 5
        for days, part in ((2, first), (1, amount - first)):
            self.owe(miner, asset, part, _half_past_midnight(at, days))

    def owe(self, miner: Miner, asset: str, amount: int, at: int | str) -> None:
        """Enter an allocation. The first ten miners pay commission in the asset, the next three in tenge."""
        commission = (asset, amount // 100) if miner.number < 10 else None
        in_kzt = f"{(miner.number + 1) * 100}.50" if 10 <= miner.number < 13 else None
        at = almaty(at) if isinstance(at, str) else at
        while any((known.miner, known.asset, known.allocated_at, known.amount) == (miner, asset, at, amount) for known in self.allocations):
            at -= 1  # the same credit twice would be an issue (rule 4.6)
        self.allocations.append(Allocation(f"A{len(self.allocations):05}", miner, asset, at, amount, commission, in_kzt))


def _half_past_midnight(at: int, days_before: int) -> int:
    day = datetime.fromtimestamp(at, UTC).astimezone(ALMATY) - timedelta(days=days_before)
    return int(day.replace(hour=0, minute=30, second=0).timestamp())


def printed(units: int, asset: str) -> str:
    """The amount with all the asset's decimals (rule 2.2)."""
    whole, part = divmod(units, 10 ** DECIMALS[asset])
    return f"{whole}.{part:0{DECIMALS[asset]}}"


def write_files(books: Books, stage: Stage, folder: Path) -> None:
    """The ledger's and the registry's files. Wallets stand in lower case, in upper case and with their checksum, in turn."""
    registry = folder / "registry"
    registry.mkdir(parents=True)
    miners = stage.miners
    _write(registry / "miners.csv", ["miner_id", "name"], ((m.miner_id, m.name) for m in miners))
    _write(
        registry / "licences.csv",
        ["miner_id", "licence_number", "issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to"],
        ((m.miner_id, m.licence, LICENSED, LICENSED, "2027-01-15", "", "") for m in miners),
    )
    _write(
        registry / "accounts.csv",
        ["account", "miner_id", "valid_from", "valid_to"],
        ((m.account, m.miner_id, LICENSED, "") for m in miners),
    )
    _write(
        registry / "wallets.csv",
        ["address", "chain", "miner_id", "valid_from", "valid_to"],
        [
            *((_written(m.address, m.number), CHAIN, m.miner_id, LICENSED, "") for m in miners),
            (MISTYPED, CHAIN, miners[-1].miner_id, LICENSED, ""),
        ],
    )
    _write(registry / "counterparties.csv", ["address", "chain", "class", "name"], ((a, CHAIN, c, n) for a, c, n in books.counterparties))
    _write_ledger(books, folder)


def _write_ledger(books: Books, folder: Path) -> None:
    columns = ["allocation_id", "account", "asset", "allocated_at", "amount"]
    columns += ["commission_asset", "commission_amount", "commission_currency", "commission_currency_amount"]
    _write(folder / "allocations.csv", columns, (_allocation_row(a) for a in books.allocations))
    _write(
        folder / "payments.csv",
        ["payment_id", "account", "asset", "address", "amount", "txid", "paid_at"],
        (
            (
                p.payment_id,
                p.miner.account,
                p.asset,
                _written(p.address, p.miner.number + 1),
                printed(p.amount, p.asset),
                p.sent.hash,
                datetime.fromtimestamp(p.paid_at, UTC).isoformat(),
            )
            for p in books.payments
        ),
    )


def _allocation_row(a: Allocation) -> Sequence[str]:
    at = datetime.fromtimestamp(a.allocated_at, UTC).astimezone(ALMATY).isoformat()
    commission = (a.commission[0], printed(a.commission[1], a.commission[0])) if a.commission else ("", "")
    in_kzt = ("KZT", a.commission_kzt) if a.commission_kzt else ("", "")
    return [a.allocation_id, a.miner.account, a.asset, at, printed(a.amount, a.asset), *commission, *in_kzt]


def _written(address: str, number: int) -> str:
    return (address, address.lower(), "0x" + address[2:].upper())[number % 3]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
