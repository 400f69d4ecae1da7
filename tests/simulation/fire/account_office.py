"""The office of a pool on an account chain: two assets, payouts one by one or through a contract, and mistakes that only such a chain knows.

Enters: the simulated clock, the chain to pay on. Leaves: what every office leaves; besides payouts that fail, and addresses mistyped in the
ledger and in the registry. Addresses and transaction ids are written now in one spelling, now in another, as ledgers do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.model.months import almaty_date

from ...reference.accounts import checksummed, is_mistyped
from ..evm_blocks import BATCH, Spend, address
from .account_chain import ETHER, GWEI, LEGACY_PRICE_WEI, PAYERS, STRANGERS, TOKEN, VENDORS, WALLETS, AccountTx
from .account_truth import CHAIN, COIN, UNIT_TOKEN
from .office import EXCHANGE, UPSTREAMS, Office, Row, _printed, write_csv

UNIT = {COIN: 10**14, UNIT_TOKEN: 10**4}
"""Payouts are rounded to whole multiples of it, in base units."""
POOL = WALLETS["pool"][0]
Line = tuple[str, str, int, int]
"""An account, where it is paid, what is sent, what is booked."""


@dataclass
class AccountOffice(Office):
    """Books and registry. `tables` is the truth; `owed` is by account and asset."""

    owed: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    may_batch: bool = True
    """The coin may be paid through a contract: its calls are seen, or nobody minds."""
    _meant: dict[str, str] = field(default_factory=dict)
    """What a mistyped address was to be."""

    def place_of(self, n: int) -> str:
        """Where miner n is paid, in lower case."""
        return address(100 + n)

    def wallet_of(self, n: int) -> Row:
        return {"address": checksummed(self.place_of(n)), "chain": CHAIN}

    # --- crediting and paying ----------------------------------------------------------------------------------------

    def credit(self, at: int, *, account: str | None = None) -> None:
        """An allocation to every account, or to one, in the one asset or the other."""
        rng = self.dice.stream("office")
        for name in [account] if account else self.accounts:
            asset = rng.choice((COIN, UNIT_TOKEN))
            most = 2 * ETHER if asset == COIN else 4 * 10**9
            amount = rng.choice((0, rng.randint(1, 999), rng.randint(most // 1000, most), rng.randint(most // 1000, most)))
            if amount == 0 and rng.random() < 0.6:
                continue
            self._count += 1
            row: Row = {"allocation_id": f"A{self._count:05}", "account": name, "asset": asset, "allocated_at": at + rng.randint(0, 5),
                        "amount": amount, "commission_asset": None, "commission_amount": None, "commission_currency": None,
                        "commission_currency_amount": None}  # fmt: skip
            if rng.random() < 0.5:
                row |= {"commission_asset": asset, "commission_amount": amount // 50}
            elif rng.random() < 0.3:
                row |= {"commission_currency": "KZT", "commission_currency_amount": f"{rng.randint(1, 9999)}.{rng.randint(0, 99):02}"}
            self._book("allocations", row)
            self.owed[name, asset] += amount
        if self.dice.happens("ledger-unknown-account"):
            self.credit(at, account="ghost")

    def pay(self, at: int) -> None:
        """A round of payouts in each asset; and what strangers and the pool itself do besides."""
        for asset in (COIN, UNIT_TOKEN):
            self._pay(at, asset)
        rng = self.dice.stream("office")
        for _ in range(rng.randint(1, 4)):
            self.chain.stray(rng)

    def _pay(self, at: int, asset: str) -> None:
        rng, dice = self.dice.stream("office"), self.dice
        due = [name for name in self.accounts if self.owed[name, asset] > 0 and name.startswith("acct")]
        if not due:
            return
        is_rounded, is_less_fee, is_mixed = (dice.happens(kind) for kind in ("payout-rounded", "payout-less-fee", "inputs-mixed"))
        is_batch = (self.may_batch or asset != COIN) and (is_mixed or rng.random() < 0.5)
        payer = self._payer_of_round(asset)
        lines: list[Line] = []
        for place, name in enumerate(due):
            n = int(name.removeprefix("acct"))
            booked = self.owed[name, asset] + (rng.randint(1, 10**6) if dice.happens("payout-in-advance") else 0)
            to = self.place_of((n + 1) % len(self.tables["miners"])) if dice.happens("payout-to-another") else self.place_of(n)
            sent = booked
            if is_less_fee and asset == COIN:
                gas = Spend("", "").gas_used if not is_batch else Spend("", "", calls=[("", "", 0)] * len(due)).gas_used
                sent = max(0, booked - gas * LEGACY_PRICE_WEI) if not is_batch or place == 0 else booked
            elif is_rounded:
                sent = booked // UNIT[asset] * UNIT[asset]
            if sent > 0 and dice.happens("payout-off-chain"):
                self._book_payment(at, asset, (name, to, sent, booked), f"INV {dice.stream('payers').randint(1, 4)}", EXCHANGE)
            elif sent > 0:
                lines.append((name, to, sent, booked))
        vendor = (rng.choice(VENDORS), rng.randint(1, 10**6)) if dice.happens("outflow-unknown") else None
        for some, tx in self._send(asset, lines, vendor, payer, is_batch=is_batch, is_mixed=is_mixed, is_legacy=is_less_fee):
            if tx is None:
                continue
            if isinstance(tx, AccountTx) and dice.happens("payout-replaced"):
                self.chain.replace(tx, rng.randint(1, GWEI))
            for line in some:
                self._book_payment(at, asset, line, tx.txid if isinstance(tx, AccountTx) else tx, payer)

    def _send(
        self,
        asset: str,
        lines: list[Line],
        vendor: tuple[str, int] | None,
        payer: str | None,
        *,
        is_batch: bool,
        is_mixed: bool,
        is_legacy: bool,
    ) -> list[tuple[list[Line], AccountTx | str | None]]:
        """The lines that travelled together, and in what: a transaction, the id of one that never was, or None where there was not enough."""
        rng, dice, sender = self.dice.stream("office"), self.dice, PAYERS[payer] if payer else POOL
        groups = [lines] if is_batch and lines else [[line] for line in lines]
        found: list[tuple[list[Line], AccountTx | str | None]] = []
        for place, some in enumerate(groups):
            pays = [(to, sent) for _, to, sent, _ in some] + ([vendor] if vendor and is_batch else [])
            if dice.happens("payout-never-sent"):
                found.append((some, f"{rng.getrandbits(256):064x}"))
                continue
            if payer and is_batch and dice.stream("payers").random() < 0.3:
                pays.append((POOL, 5))  # it pays the pool, too
            spend = payout(asset, pays, sender, is_batch=is_batch, is_mixed=is_mixed)
            spend.is_failed = dice.happens("payout-reverts")
            if place == 0 and vendor and not is_batch:
                self.chain.send(payout(asset, [vendor], sender, is_batch=False, is_mixed=False))
            found.append((some, self.chain.send(spend, is_legacy=is_legacy)))
        return found

    def _payer_of_round(self, asset: str) -> str | None:
        """Who pays, where it is not the pool. What code moves is not asked of who can't see calls: such a payment would wait for ever."""
        is_others = self.dice.happens("payout-by-payer") and (self.may_batch or asset == COIN)
        return self.dice.stream("payers").choice(sorted(PAYERS)) if is_others else None

    def _book_payment(self, at: int, asset: str, line: Line, txid: str, payer: str | None) -> None:
        rng, dice = self.dice.stream("office"), self.dice
        name, to, _, booked = line
        self.owed[name, asset] -= booked
        if dice.happens("payout-unbooked"):
            return
        self._count += 1
        wrong = rng.choice((-777, UNIT[asset] + 12_345)) if dice.happens("payout-wrong-amount") else 0
        where = "user@exchange" if payer == EXCHANGE else checksummed(to)
        if dice.happens("payout-bad-address") and payer != EXCHANGE:
            where = self._mistype(where)
        payment_id = f"P{self._count:05}"
        self._book(
            "payments",
            {"payment_id": payment_id, "account": name, "asset": asset, "address": where, "amount": max(0, booked + wrong),
             "txid": txid, "paid_at": at, "payer": self._named_payer(payment_id, payer)},
        )  # fmt: skip

    def _mistype(self, where: str) -> str:
        """The address with the case of one letter wrong."""
        place = self.dice.stream("office-typos").choice([n for n, c in enumerate(where) if n > 1 and c.isalpha()])
        wrong = where[:place] + where[place].swapcase() + where[place + 1 :]
        if is_mistyped(wrong):
            self._meant[wrong] = where
            return wrong
        return where

    # --- second thoughts ---------------------------------------------------------------------------------------------

    def change_minds(self, now: int) -> None:
        super().change_minds(now)
        rng = self.dice.stream("office-accounts")
        if self.dice.happens("registry-bad-address"):
            row = rng.choice(self.tables["wallets"])
            since = almaty_date(now) - timedelta(days=rng.randint(0, 20))
            wrong = self._mistype(row["address"])
            if wrong != row["address"]:
                self.tables["wallets"].append({**row, "address": wrong, "valid_from": since})
                self._touched()
        if self.dice.happens("token-forged"):
            self.chain.forge(rng)
        if self.dice.happens("inflow-inside"):
            self.chain.pay_inside(rng)

    def mend(self, code: str, ref: str) -> bool:
        """Besides: an address that was mistyped is put right, in the ledger by a restatement."""
        if code != "bad-address" or ref not in self._meant:
            return super().mend(code, ref)
        for row in list(self.ledger["payments"].values()):
            if row["address"] == ref:
                self._book("payments", row | {"address": self._meant[ref]})
        before = len(self.tables["wallets"])
        self.tables["wallets"] = [row for row in self.tables["wallets"] if row["address"] != ref]
        return self._touched() if len(self.tables["wallets"]) < before else True

    # --- handing over ------------------------------------------------------------------------------------------------

    def write_ledger(self, folder: Path, kind: str, *, everything: bool = False) -> Path:
        rows = self.ledger[kind] if everything else self.pending[kind]
        spelt = [_spelt(_printed(row), n) for n, row in enumerate(rows.values())]
        return write_csv(folder / f"{kind}.csv", kind, spelt)

    def write_registry(self, folder: Path) -> Path:
        super().write_registry(folder)
        write_csv(folder / "wallets.csv", "wallets", [_spelt(row, n) for n, row in enumerate(self.tables["wallets"])])
        return folder


def payout(asset: str, pays: list[tuple[str, int]], sender: str, *, is_batch: bool, is_mixed: bool) -> Spend:
    """The transaction that pays so much to each: straight, or through a contract, which when `is_mixed` adds something of another's."""
    total = sum(value for _, value in pays)
    if asset == COIN:
        if not is_batch:
            return Spend(sender, pays[0][0], pays[0][1])
        own = max(0, total - 7) if is_mixed else total
        return Spend(sender, BATCH, own, calls=[(BATCH, to, value) for to, value in pays])
    moves = [(sender, to, value) for to, value in pays]
    return Spend(sender, BATCH if is_batch else TOKEN, tokens=[*moves, *([(STRANGERS[0], pays[0][0], 7)] if is_mixed else [])])


def _spelt(row: Row, n: int) -> Row:
    """The row as somebody writes it: every third address in lower case, its transaction's id with 0x. What is mistyped stays so."""
    if n % 3 or "address" not in row or is_mistyped(row["address"]) or row.get("payer") not in (None, "", *UPSTREAMS):
        return row  # of a payer that is not on chain, as far as the settings know, any text is taken as it stands (rule 10.5)
    return {**row, "address": row["address"].lower(), **({"txid": "0x" + row["txid"]} if "txid" in row else {})}
