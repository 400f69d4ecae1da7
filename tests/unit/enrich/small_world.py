"""Facts by hand: a small pool, told in a few lines, for one rule at a time.

Amounts are satoshi. Instants are written as Almaty wall-clock time: `at("10-05 12:00")` is 5 October 2026, noon.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.enrich.month import enrich_month
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules

OCTOBER = Month(2026, 10)
RULES = Rules(
    assets={"BTC": Asset("BTC", "bitcoin", 8)}, finality={"bitcoin": 6}, payout_unit={"BTC": 10_000}, network={"bitcoin": "regtest"}
)

ANNA, BORAT, CAMILA = "201040334324", "240440639442", "250540774839"
"""Miners; their control digits are valid."""


def at(text: str, year: int = 2026) -> int:
    """Unix seconds of an Almaty wall-clock time."""
    return int(datetime.fromisoformat(f"{year}-{text}").replace(tzinfo=ZoneInfo("Asia/Almaty")).timestamp())


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


class World:
    """Collects rows of facts. Every call of `block` adds a block; transactions go into the last one."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, object]]] = {name: [] for name in SHAPES}
        self.add("pool_wallets", chain="bitcoin", wallet="pool")
        self._outputs = 0

    def add(self, frame: str, **row: object) -> None:
        self.rows[frame].append({name: row.get(name) for name in SHAPES[frame]})

    # --- registry

    def miner(self, miner_id: str, account: str, wallet: str, *, since: str = "2026-01-01", licence: bool = True) -> World:
        """A registered miner with an account, a wallet and a licence, all since a day."""
        if not any(row["miner_id"] == miner_id for row in self.rows["miners"]):
            self.add("miners", miner_id=miner_id, name=f"Miner {miner_id[:3]}")
            if licence:
                self.licence(miner_id, f"KZ{miner_id[:8]}", since)
        self.account(account, miner_id, since)
        self.wallet(wallet, miner_id, since)
        return self

    def licence(
        self,
        miner_id: str,
        number: str,
        since: str,
        to: str | None = None,
        *,
        issued: str | None = None,
        suspended: tuple[str, str | None] | None = None,
    ) -> None:
        self.add("licences", miner_id=miner_id, licence_number=number, issue_date=day(issued or since), valid_from=day(since), valid_to=day(to),
                 suspended_from=day(suspended[0]) if suspended else None, suspended_to=day(suspended[1]) if suspended else None)  # fmt: skip

    def account(self, account: str, miner_id: str, since: str, to: str | None = None) -> None:
        self.add("accounts", account=account, miner_id=miner_id, valid_from=day(since), valid_to=day(to))

    def wallet(self, address: str, miner_id: str, since: str, to: str | None = None) -> None:
        self.add("wallets", address=address, chain="bitcoin", miner_id=miner_id, valid_from=day(since), valid_to=day(to))

    # --- ledger

    def allocate(
        self, allocation_id: str, account: str, when: str, amount: int, commission: int | None = None, tenge: str | None = None
    ) -> None:
        self.add("allocations", allocation_id=allocation_id, account=account, asset="BTC", allocated_at=at(when) * 1_000_000, amount=amount,
                 commission_asset="BTC" if commission is not None else None, commission_amount=commission,
                 commission_currency="KZT" if tenge else None, commission_currency_amount=tenge)  # fmt: skip

    def pay(self, payment_id: str, account: str, address: str, amount: int, txid: str, when: str) -> None:
        self.add(
            "payments",
            payment_id=payment_id,
            account=account,
            asset="BTC",
            address=address,
            amount=amount,
            txid=txid,
            paid_at=at(when) * 1_000_000,
        )

    def opening(self, account: str, amount: int, when: str) -> None:
        self.add("openings", account=account, asset="BTC", amount=amount, owed_at=at(when) * 1_000_000)

    # --- chain

    def block(self, when: str) -> World:
        height = len(self.rows["blocks"])
        self.add("blocks", chain="bitcoin", hash=f"block{height}", height=height, time=at(when), mediantime=at(when))
        return self

    def transaction(
        self,
        txid: str,
        outputs: list[tuple[str | None, int]],
        *,
        fee: int = 0,
        spends: int | None = None,
        strangers: int = 0,
        coinbase: bool = False,
        wallet: str = "pool",
    ) -> None:
        """A transaction in the last block. Addresses that begin with a wallet's name and a slash are the pool's; None is OP_RETURN.

        What it spends is created beforehand in the pool's hands, unless `spends` is 0.
        """
        block = self.rows["blocks"][-1]["hash"]
        total = sum(value for _, value in outputs) + fee
        own = total - strangers if spends is None else spends
        position = sum(row["block_hash"] == block for row in self.rows["transactions"])
        self.add("transactions", chain="bitcoin", block_hash=block, txid=txid, position=position, is_coinbase=coinbase, other_inputs=int(strangers > 0),
                 other_inputs_value=strangers, fee=fee, fee_asset="BTC")  # fmt: skip
        if own and not coinbase:
            self._outputs += 1
            source = f"source{self._outputs}"
            first = self.rows["blocks"][0]["hash"]
            self.add("transactions", chain="bitcoin", block_hash=first, txid=source, position=1000 + self._outputs, is_coinbase=True, other_inputs=0,
                     other_inputs_value=0, fee=0, fee_asset="BTC")  # fmt: skip
            self._output(first, source, 0, f"{wallet}/source", own)
            self.add("inputs", chain="bitcoin", block_hash=block, txid=txid, spent_txid=source, spent_vout=0, value=own, address=f"{wallet}/source",
                     wallet=wallet, asset="BTC")  # fmt: skip
        for vout, (address, value) in enumerate(outputs):
            self._output(block, txid, vout, address, value)

    def _output(self, block: object, txid: str, vout: int, address: str | None, value: int) -> None:
        wallet = address.split("/")[0] if address and "/" in address else None
        self.add("outputs", chain="bitcoin", block_hash=block, txid=txid, vout=vout, value=value, address=address, wallet=wallet, asset="BTC",
                 script_type="nulldata" if address is None else "witness_v0_keyhash", is_unspendable=address is None)  # fmt: skip

    # --- result

    def facts(self) -> Facts:
        return Facts(**{name: pl.DataFrame(self.rows[name], schema=shape, orient="row") for name, shape in SHAPES.items()})

    def enrich(self, month: Month = OCTOBER, rules: Rules = RULES) -> Enriched:
        return enrich_month(self.facts(), month, rules)


def issues_of(enriched: Enriched, code: str) -> list[str]:
    """The refs of one code's issues."""
    return enriched.issues.filter(pl.col("code") == code)["ref"].to_list()


def classes_of(enriched: Enriched, txid: str) -> dict[int, str]:
    """vout → class of a transaction's outflows."""
    return dict(enriched.outflows.filter(pl.col("txid") == txid).select("vout", "class").iter_rows())


def rows_of(enriched: Enriched, *columns: str) -> list[tuple[object, ...]]:
    """The report's rows, some columns."""
    return enriched.report.select(columns).rows()


def a_pool() -> World:
    """Anna and Borat, an allocation each on 1 October, and a first block in September."""
    world = World().miner(ANNA, "a", "addr-a").miner(BORAT, "b", "addr-b")
    world.allocate("A1", "a", "10-01 00:30", 100_000, commission=500)
    world.allocate("B1", "b", "10-01 00:30", 200_000, tenge="12.30")
    return world.block("09-01 00:00")
