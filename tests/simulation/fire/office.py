"""The pool's office: what it credits and pays, whom it has registered, and the files it hands over, with all their mistakes.

Enters: the simulated clock, the chain to pay on. Leaves: CSV files for the real imports; and its own tables of what is true of ledger and
registry in the end. What was not acknowledged stays pending and is handed over again. It leaves out judging: the rules do.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.model.months import Month, almaty_date

from ...reference.worlds import good_miner_id
from .chain import address
from .dice import Dice

Row = dict[str, Any]
UNIT_SAT = 10_000
DECIMALS = {"BTC": 8, "ETH": 18, "USDT": 6}
VENDORS = [b"\x00\x14" + bytes([200 + n]) * 20 for n in range(4)]
HEADINGS = {
    "allocations": ["allocation_id", "account", "asset", "allocated_at", "amount", "commission_asset", "commission_amount",
                    "commission_currency", "commission_currency_amount"],
    "payments": ["payment_id", "account", "asset", "address", "amount", "txid", "paid_at", "payer"],
    "miners": ["miner_id", "name"],
    "licences": ["miner_id", "licence_number", "issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to"],
    "accounts": ["account", "miner_id", "valid_from", "valid_to"],
    "wallets": ["address", "chain", "miner_id", "valid_from", "valid_to"],
}  # fmt: skip
UPSTREAMS = ("second", "upstream")
"""Others who pay on the chain (rule 10)."""
EXCHANGE = "exchange"
"""The payer whose transfers touch no chain."""
KEY = {"allocations": "allocation_id", "payments": "payment_id"}


def coins(units: int, asset: str) -> str:
    """Base units as a ledger prints them."""
    places = DECIMALS[asset]
    return f"{units // 10**places}.{units % 10**places:0{places}}"


def instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


@dataclass
class Office:
    """Books and registry. `tables` is the truth."""

    dice: Dice
    chain: Any
    """A `PoolChain`; an `AccountChain` of an account chain's office."""
    start_s: int
    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in HEADINGS})
    ledger: dict[str, dict[str, Row]] = field(default_factory=lambda: {"allocations": {}, "payments": {}})
    pending: dict[str, dict[str, Row]] = field(default_factory=lambda: {"allocations": {}, "payments": {}})
    owed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    is_registry_pending: bool = True
    completes_at: dict[str, int] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    """Months whose facts came too late for the deadline."""
    declared: set[str] = field(default_factory=set)
    _true_payer: dict[str, str | None] = field(default_factory=dict)
    """Who made a payment that names another."""
    _next_allocation_at: int = 0
    _next_payout_at: int = 0
    _count: int = 0

    def __post_init__(self) -> None:
        rng = self.dice.stream("office")
        since = almaty_date(self.start_s) - timedelta(days=200)
        for n in range(rng.randint(2, 4)):
            miner_id = good_miner_id(rng)
            self.tables["miners"].append({"miner_id": miner_id, "name": f"«Шахта {n}» ЖШС"})
            ends = None if rng.random() < 0.8 else almaty_date(self.start_s) + timedelta(days=rng.randint(10, 200))
            self.tables["licences"].append(
                {"miner_id": miner_id, "licence_number": f"KZ{n:02}", "issue_date": since, "valid_from": since, "valid_to": ends}
            )
            self.tables["accounts"].append({"account": f"acct{n}", "miner_id": miner_id, "valid_from": since, "valid_to": None})
            self.tables["wallets"].append({**self.wallet_of(n), "miner_id": miner_id, "valid_from": since, "valid_to": None})
        self._next_allocation_at = self.start_s + 86_400
        self._next_payout_at = self.start_s + 6 * 86_400

    def script_of(self, n: int) -> bytes:
        """Where miner n is paid."""
        return b"\x00\x14" + bytes([100 + n]) * 20

    def wallet_of(self, n: int) -> Row:
        """That place as the registry names it."""
        return {"address": address(self.script_of(n)), "chain": "bitcoin"}

    @property
    def accounts(self) -> list[str]:
        return sorted({row["account"] for row in self.tables["accounts"]})

    # --- time goes on --------------------------------------------------------------------------------------------

    def work_until(self, now: int) -> None:
        """Credit and pay what is due by an instant."""
        while min(self._next_allocation_at, self._next_payout_at) <= now:
            if self._next_allocation_at <= self._next_payout_at:
                self.credit(self._next_allocation_at)
                self._next_allocation_at += self.dice.stream("office").randint(3, 6) * 86_400
            else:
                self.chain.mine_until(self._next_payout_at)
                self.book_mined(self._next_payout_at)
                self.pay(self._next_payout_at)
                self._next_payout_at += self.dice.stream("office").randint(7, 12) * 86_400

    def credit(self, at: int, *, account: str | None = None) -> None:
        """An allocation to every account, or to one."""
        rng = self.dice.stream("office")
        for name in [account] if account else self.accounts:
            amount = rng.choice((0, rng.randint(1, 999), rng.randint(10_000, 4_000_000), rng.randint(10_000, 4_000_000)))
            if amount == 0 and rng.random() < 0.6:
                continue
            self._count += 1
            row: Row = {"allocation_id": f"A{self._count:05}", "account": name, "asset": "BTC", "allocated_at": at + rng.randint(0, 5),
                        "amount": amount, "commission_asset": None, "commission_amount": None, "commission_currency": None,
                        "commission_currency_amount": None}  # fmt: skip
            if rng.random() < 0.5:
                row |= {"commission_asset": "BTC", "commission_amount": amount // 50}
            elif rng.random() < 0.3:
                row |= {"commission_currency": "KZT", "commission_currency_amount": f"{rng.randint(1, 9999)}.{rng.randint(0, 99):02}"}
            self._book("allocations", row)
            self.owed[name] += amount
        if self.dice.happens("ledger-unknown-account"):
            self.credit(at, account="ghost")

    def pay(self, at: int) -> None:  # noqa: C901, PLR0912 - each odd habit of an office is one branch
        """A round of payouts: one transaction to all who are owed something, booked as the office believes it."""
        rng, dice = self.dice.stream("office"), self.dice
        fee = rng.randint(200, 4000)
        due = [(n, name) for n, name in enumerate(self.accounts) if self.owed[name] > 0 and name.startswith("acct")]
        if not due:
            return
        is_rounded, is_less_fee = dice.happens("payout-rounded"), dice.happens("payout-less-fee")
        lines: list[tuple[str, bytes, int, int]] = []
        fee_left = fee
        payer = dice.stream("payers").choice(UPSTREAMS) if dice.happens("payout-by-payer") else None
        for place, (_, name) in enumerate(due):
            n = int(name.removeprefix("acct"))
            booked = self.owed[name] + (rng.randint(1, 500_000) if dice.happens("payout-in-advance") else 0)
            script = self.script_of((n + 1) % len(self.tables["miners"])) if dice.happens("payout-to-another") else self.script_of(n)
            sent = booked
            if is_less_fee:
                share = fee_left if place == len(due) - 1 else fee_left // 2
                sent, fee_left = max(booked - share, 0), fee_left - share
            elif is_rounded:
                sent = booked // UNIT_SAT * UNIT_SAT
            if sent > 0 and dice.happens("payout-off-chain"):
                self._book_payment(at, name, "user@exchange", booked, f"INV {dice.stream('payers').randint(1, 4)}", EXCHANGE)
            elif sent > 0:
                lines.append((name, script, sent, booked))
        if (
            payer and lines and dice.stream("payers").random() < 0.25
        ):  # a miner who pays in his own coinbase: its id is known once it is mined
            self.chain.orders += [(payer, *line) for line in lines]
            return
        pays = [(sent, script) for _, script, sent, _ in lines]
        if dice.happens("outflow-unknown"):
            pays.append((rng.randint(1000, 90_000), rng.choice(VENDORS)))
        if not pays:
            return
        mixed = 1 if dice.happens("inputs-mixed") else 0
        if dice.happens("payout-never-sent"):
            txid = f"{rng.getrandbits(256):064x}"
        else:
            has_data = rng.random() < 0.2
            tx = self.chain.send_others(pays, fee) if payer else self.chain.send(pays, fee, has_data=has_data, strangers_sat=mixed)
            if tx is None:
                return
            txid = tx.txid
            if dice.happens("payout-replaced"):
                self.chain.replace(tx, rng.randint(1, 3000))
        for name, script, _, booked in lines:
            self._book_payment(at, name, address(script), booked, txid, payer)
        if rng.random() < 0.3:
            self.chain.send([(rng.randint(1000, 9_000_000), b"\x00\x14" + b"\x09" * 20)], 300)
        if rng.random() < 0.2:
            self.chain.deposit(rng.randint(1000, 5_000_000))

    def book_mined(self, at: int) -> None:
        """What others paid in coinbases since the last time, as those blocks stand now or stood then."""
        for txid, (payer, name, script, _, booked) in self.chain.paid_in_coinbases:
            self._book_payment(at, name, address(script), booked, txid, payer)
        self.chain.paid_in_coinbases.clear()

    def _book_payment(self, at: int, name: str, where: str, booked: int, txid: str, payer: str | None) -> None:
        rng, dice = self.dice.stream("office"), self.dice
        self.owed[name] -= booked
        if dice.happens("payout-unbooked"):
            return
        self._count += 1
        wrong = rng.choice((-777, 12_345)) if dice.happens("payout-wrong-amount") else 0
        payment_id = f"P{self._count:05}"
        self._book(
            "payments",
            {"payment_id": payment_id, "account": name, "asset": "BTC", "address": where, "amount": max(0, booked + wrong), "txid": txid,
             "paid_at": at, "payer": self._named_payer(payment_id, payer)},
        )  # fmt: skip

    def _named_payer(self, payment_id: str, payer: str | None) -> str | None:
        """Who the ledger says paid: the payer, or by mistake another."""
        if not self.dice.happens("payer-misnamed"):
            return payer
        self._true_payer[payment_id] = payer
        undeclared = (
            "Upstream",
            "nobody",
        )  # what an exchange's payment names is no address: a file that gives it to an on-chain payer is refused
        return str(self.dice.stream("payers").choice(undeclared if payer == EXCHANGE else ("second", *undeclared)))

    def _book(self, kind: str, row: Row) -> None:
        self.ledger[kind][row[KEY[kind]]] = row
        self.pending[kind][row[KEY[kind]]] = row

    # --- second thoughts -----------------------------------------------------------------------------------------

    def change_minds(self, now: int) -> None:
        """Restatements, late rows, a registry that changes."""
        rng, dice = self.dice.stream("office-changes"), self.dice
        if dice.happens("ledger-restates"):
            kind = rng.choice(("allocations", "payments"))
            rows = sorted(self.ledger[kind])[-40:]
            if rows:
                row = self.ledger[kind][rng.choice(rows)]
                self._book(kind, row | {"amount": max(0, row["amount"] + rng.choice((-1, 1, -10_000, 10_000)))})
        if dice.happens("ledger-late-row") and self.accounts:
            self.credit(max(self.start_s + 90_000, now - rng.randint(5, 45) * 86_400), account=rng.choice(self.accounts))
        if dice.happens("registry-changes-late"):
            self._change_registry(now)
        if dice.happens("registry-overlaps"):
            held = rng.choice(self.tables["accounts"])
            other = rng.choice(self.tables["miners"])["miner_id"]
            since = almaty_date(now) - timedelta(days=rng.randint(0, 40))
            row = {**held, "miner_id": other, "valid_from": since, "valid_to": since + timedelta(days=3)}
            if held["miner_id"] != other and held["valid_to"] is None and row not in self.tables["accounts"]:  # the registry has a row once
                self.tables["accounts"].append(row)
                self.is_registry_pending = True
        if dice.happens("registry-bad-id"):
            self.tables["miners"].append({"miner_id": f"{rng.randrange(10**11):011}x"[:11] + "0", "name": "Қате ЖШС"})
            self.tables["miners"] = list({row["miner_id"]: row for row in self.tables["miners"]}.values())
            self.is_registry_pending = True

    def _change_registry(self, now: int) -> None:
        rng, today = self.dice.stream("office-changes"), almaty_date(now)
        self.is_registry_pending = True
        what = rng.randrange(4)
        if what == 0:
            row = rng.choice(self.tables["miners"])
            row["name"] = f"«Атауы {rng.randint(1, 99)}» ЖШС"
        elif what == 1:
            miner_id = rng.choice(self.tables["miners"])["miner_id"]
            since = today - timedelta(days=rng.randint(0, 60))
            ends = None if rng.random() < 0.5 else since + timedelta(days=rng.randint(20, 90))
            number = f"KZ{rng.randint(10, 99)}"
            self.tables["licences"].append(
                {"miner_id": miner_id, "licence_number": number, "issue_date": since, "valid_from": since, "valid_to": ends}
            )
        elif what == 2:
            row = rng.choice(self.tables["licences"])
            row["suspended_from"] = today - timedelta(days=rng.randint(0, 20))
            row["suspended_to"] = row["suspended_from"] + timedelta(days=rng.randint(1, 9))
        else:
            self._pass_on(today - timedelta(days=rng.randint(0, 25)))

    def _pass_on(self, day: date) -> None:
        """An account goes to another miner on a day."""
        rng = self.dice.stream("office-changes")
        row = rng.choice(self.tables["accounts"])
        other = rng.choice(self.tables["miners"])["miner_id"]
        if row["valid_to"] is None and row["valid_from"] < day and other != row["miner_id"]:
            self.tables["accounts"].append({**row, "miner_id": other, "valid_from": day})
            row["valid_to"] = day

    def mend(self, code: str, ref: str) -> bool:
        """Put right what an issue names, where the office can: else somebody has to waive it."""
        if code == "unknown-payer" and ref in self._true_payer:
            self._book("payments", self.ledger["payments"][ref] | {"payer": self._true_payer[ref]})
            return True
        if code == "unknown-account":
            since = almaty_date(self.start_s) - timedelta(days=200)
            if not any(row["account"] == "ghost" for row in self.tables["accounts"]):
                owner = self.tables["miners"][0]["miner_id"]
                self.tables["accounts"].append({"account": "ghost", "miner_id": owner, "valid_from": since, "valid_to": None})
                return self._touched()
        if code == "bad-miner-id":
            self.tables["miners"] = [row for row in self.tables["miners"] if row["miner_id"] != ref]
            return self._touched()
        if code == "registry-overlap":
            rows = [row for row in self.tables["accounts"] if row["account"] == ref.rpartition(":")[0].removeprefix("account:")]
            last = rows[-1] if rows else {}
            if len(rows) > 1 and last["valid_to"] is not None:
                self.tables["accounts"].remove(last)
                return self._touched()
        return False

    def _touched(self) -> bool:
        self.is_registry_pending = True
        return True

    # --- handing over --------------------------------------------------------------------------------------------

    def write_ledger(self, folder: Path, kind: str, *, everything: bool = False) -> Path:
        """A file of the rows pending, or of all there are."""
        rows = self.ledger[kind] if everything else self.pending[kind]
        return write_csv(folder / f"{kind}.csv", kind, [_printed(row) for row in rows.values()])

    def write_registry(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for kind in ("miners", "licences", "accounts", "wallets"):
            write_csv(folder / f"{kind}.csv", kind, self.tables[kind])
        return folder

    def plan_completion(self, month: Month) -> int:
        """When the ledger declares itself complete through a month."""
        name = str(month)
        if name not in self.completes_at:
            day = 2 + self.dice.stream("office").randint(0, 5)
            if self.dice.happens("ledger-completes-late"):
                day = 27
                self.excused.add(name)
            self.completes_at[name] = month.end_at + day * 86_400
        return self.completes_at[name]


def _printed(row: Row) -> Row:
    assets = {"amount": row["asset"], "commission_amount": row.get("commission_asset")}
    amounts = {name: coins(row[name], asset) for name, asset in assets.items() if row.get(name) is not None}
    instants = {name: instant(row[name]) for name in ("allocated_at", "paid_at") if name in row}
    return {**row, **amounts, **instants}


def write_csv(path: Path, kind: str, rows: list[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADINGS[kind], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: row.get(name) for name in HEADINGS[kind]} for row in rows)
    return path
