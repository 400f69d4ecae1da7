"""Small random months full of traps, as facts: every rule meets its edges in some seed.

Enters: a seed. Leaves: a `World`: facts as lists of dictionaries (`frames_of` makes the frames of them), a month and
rules' parameters. The same seed gives the same world for ever. The chain is consistent (what is spent was received, fees
are inputs less outputs) except where a trap breaks it on purpose. It leaves out what importers refuse: doubled ids,
openings of several instants, allocations older than an opening, assets that the rules do not know.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median_low
from typing import Any

import polars as pl

from pipeline.enrich.frames import SHAPES, Facts
from pipeline.model.months import ALMATY, Month
from pipeline.model.rules import Asset, Payer, Rules

from .registry import Row, Tables, is_good_miner_id

MONTHS = (Month(2024, 2), Month(2024, 3), Month(2025, 12), Month(2026, 2), Month(2026, 10))
HOUR = 3600
PAYERS = {
    "big": Payer("on-chain", "bitcoin"), "twin": Payer("on-chain", "bitcoin"), "evm-payer": Payer("on-chain", "evm"),
    "evm-twin": Payer("on-chain", "evm"), "exchange": Payer("off-chain"), "other exchange": Payer("off-chain"),
}  # fmt: skip
ON_CHAIN = {"bitcoin": ("big", "big", "big", "twin"), "evm": ("evm-payer", "evm-payer", "evm-payer", "evm-twin", "big")}
"""Who pays on a chain, as often as they do; the last one of an account chain is another chain's."""
OF_ACCOUNT_CHAINS = 1000
"""From this seed on every world has an account chain, with a token known by its contract, and payers."""
CONTRACT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
CLOCKS_BACK_S = 1_709_229_600
"""2024-02-29T18:00Z: midnight in Almaty became 23:00 of the same day (rule 1.2)."""
_SHAPES: dict[str, Any] = dict(SHAPES)


@dataclass(frozen=True, repr=False)
class World:
    """A month to be judged."""

    seed: int
    facts: Tables
    month: Month
    rules: Rules

    def __repr__(self) -> str:
        return f"make_world({self.seed}) of {self.month}"


def make_world(seed: int) -> World:
    """The world of a seed."""
    return _Maker(seed).make()


def frames_of(facts: Tables) -> Facts:
    """The facts as frames, with the columns and types of the seam."""
    return Facts(**{name: pl.DataFrame(facts.get(name, []), schema=shape, orient="row") for name, shape in _SHAPES.items()})


def good_miner_id(rng: random.Random) -> str:
    """Twelve digits with a valid control digit (rule 4.5)."""
    while True:
        text = f"{rng.randrange(10**12):012}"
        if is_good_miner_id(text):
            return text


class _Maker:
    """Draws one world, in the order: registry, blocks, ledger, transactions with their payments."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        rng = self.rng
        self.month = rng.choice(MONTHS)
        self.start_s, self.end_s = self.month.previous.end_at, self.month.end_at
        self.scale = {"BTC": rng.choice((1, 1, 1000)), "USDT": 1, "ETH": rng.choice((1, 10**15, 123_456_789_012_345_678_901_234_567_890))}
        assets = [Asset("BTC", "bitcoin", 8)]
        self.is_account_world = seed >= OF_ACCOUNT_CHAINS
        if rng.random() < 0.4 or self.is_account_world:
            assets += [Asset("ETH", "evm", 18), Asset("USDT", "evm", 6, CONTRACT if self.is_account_world else None)]
        self.rules = Rules(
            assets={asset.name: asset for asset in assets},
            finality={asset.chain: 6 for asset in assets},
            payout_unit={asset.name: rng.choice((1, 5, 10)) * self.scale[asset.name] for asset in assets if rng.random() < 0.9},
            has_payments_ledger=rng.random() < 0.9,
            edition=3 if self.is_account_world else {0: 1, 3: 3}.get(seed % 4, 2),
            payers=PAYERS if seed % 4 == 3 or self.is_account_world else {},
        )
        self.facts: Tables = {name: [] for name in SHAPES}
        self.blocks: dict[str, list[Row]] = {}
        self.pool = {name: [f"{name}-{n}" for n in range(2)] for name in ("pool", "treasury", "cold")[: rng.randint(1, 3)]}
        self.positions: dict[str, int] = defaultdict(int)
        self.coins: dict[tuple[str, str], list[Row]] = defaultdict(list)

    def make(self) -> World:
        self.registry()
        for chain in sorted({asset.chain for asset in self.rules.assets.values()}):
            self.blocks[chain] = self.chain_of_blocks(chain)
            self.facts["blocks"] += self.blocks[chain]
            self.facts["pool_wallets"] += [{"chain": chain, "wallet": name} for name in [*self.pool, "reserve"] if self.rng.random() < 0.9]
        self.ledger()
        for chain, blocks in self.blocks.items():
            for block in blocks[1:]:
                while self.rng.random() < 0.3:
                    self.transaction(chain, block)
                while self.rules.payers and self.rng.random() < 0.2:
                    self.upstream(chain, block)
        self.stray_payments()
        if self.rules.payers:
            self.name_payers()
        if self.is_account_world and self.rng.random() < 0.4:
            self.tell_by_contract()
        if not self.rules.has_payments_ledger:
            self.facts["payments"].clear()
        return World(self.seed, self.facts, self.month, self.rules)

    # --- drawing -----------------------------------------------------------------------------------------------------

    def instant(self, days_before: int = 9, days_after: int = 3) -> int:
        """Unix seconds around the month; often midnight in Almaty or a second beside it."""
        at = self.rng.randrange(self.start_s - days_before * 86400, self.end_s + days_after * 86400)
        kind = self.rng.random()
        if kind < 0.15:
            day = datetime.fromtimestamp(at, ALMATY).replace(hour=0, minute=0, second=0)
            at = int(day.timestamp()) + self.rng.choice((-1, 0, 1))
        elif kind < 0.22:
            at = self.rng.choice((self.start_s, self.end_s)) + self.rng.choice((-1, 0, 1))
        elif kind < 0.27 and self.month.year == 2024:
            at = CLOCKS_BACK_S + self.rng.randint(-HOUR, HOUR)
        return at

    def day(self) -> date:
        return datetime.fromtimestamp(self.instant(), ALMATY).date()

    def amount(self, asset: str, most: int = 40) -> int:
        return self.rng.randint(0 if self.rng.random() < 0.2 else 1, most) * self.scale[asset] + (
            self.rng.randrange(self.scale[asset]) if self.scale[asset] > 1 and self.rng.random() < 0.5 else 0
        )

    # --- registry (rule 4) -------------------------------------------------------------------------------------------

    def registry(self) -> None:
        rng, facts = self.rng, self.facts
        ids = [good_miner_id(rng) for _ in range(rng.randint(2, 5))]
        if rng.random() < 0.2:
            ids.append(f"{int(good_miner_id(rng)[:11])}0123456789"[:12] if rng.random() < 0.5 else "12345")
        self.ids = sorted(set(ids))
        facts["miners"] = [{"miner_id": miner_id, "name": f"«{n}» ЖШС"} for n, miner_id in enumerate(self.ids)]
        for miner_id in self.ids:
            for n in range(rng.choice((0, 1, 1, 1, 2, 3))):
                facts["licences"].append(self.licence(miner_id, n))
        # An id that is no registered miner's may hold a wallet (rule 9.1).
        holders = [*self.ids, *([good_miner_id(rng)] if rng.random() < 0.2 else [])]
        for n in range(rng.randint(len(self.ids), len(self.ids) + 3)):
            facts["accounts"] += self.held("account", f"acct{n}", self.ids)
        for n in range(rng.randint(len(self.ids) - 1, len(self.ids) + 3)):
            for chain in sorted({asset.chain for asset in self.rules.assets.values()}):
                if rng.random() < 0.9:
                    facts["wallets"] += [{**row, "chain": chain} for row in self.held("address", f"addr{n}", holders)]
        self.strangers = [f"stranger{n}" for n in range(3)]
        for address in [*self.strangers[:1], *(["addr0"] if rng.random() < 0.3 else [])]:
            for chain in sorted({asset.chain for asset in self.rules.assets.values()}):
                facts["labels"].append({"chain": chain, "address": address, "outflow_class": rng.choice(("vendor", "exchange"))})
        self.account_names = sorted({row["account"] for row in facts["accounts"]}) + (["nobody"] if rng.random() < 0.15 else [])
        self.addresses = sorted({row["address"] for row in facts["wallets"]})

    def licence(self, miner_id: str, n: int) -> Row:
        rng = self.rng
        issued = self.month.first + timedelta(rng.choice((-400, -20, -20, 0, 5, 20)))
        starts = issued + timedelta(rng.choice((0, 0, 3)))
        row: Row = {
            "miner_id": miner_id, "licence_number": f"KZ{rng.randrange(100):02}", "issue_date": issued, "valid_from": starts,
            "valid_to": starts + timedelta(rng.choice((10, 25, 1000))) if rng.random() < 0.6 else None,
            "suspended_from": None, "suspended_to": None,
        }  # fmt: skip
        if rng.random() < 0.25:
            row["suspended_from"] = self.day()
            row["suspended_to"] = row["suspended_from"] + timedelta(rng.randint(1, 9)) if rng.random() < 0.7 else None
        return row

    def held(self, name: str, value: str, holders: list[str]) -> list[Row]:
        """Rows by which somebody holds an account or address: for good, passing on, with a gap, or overlapping."""
        rng, kind = self.rng, self.rng.random()
        first, second = rng.choice(holders), rng.choice(holders)
        since = self.month.first - timedelta(rng.choice((300, 300, 40, 8)))
        if kind < 0.65:
            return [{name: value, "miner_id": first, "valid_from": since, "valid_to": None}]
        passes = max(self.day(), since + timedelta(1))
        gap = timedelta(rng.choice((0, 0, 0, 2)) if kind < 0.92 else -rng.choice((1, 3)))
        rows = [
            {name: value, "miner_id": first, "valid_from": since, "valid_to": passes},
            {
                name: value,
                "miner_id": second,
                "valid_from": passes + gap,
                "valid_to": None if rng.random() < 0.8 else passes + timedelta(6),
            },
        ]
        if kind > 0.97:
            rows.append({name: value, "miner_id": rng.choice(holders), "valid_from": since, "valid_to": None})
        return rows

    # --- blocks (rules 1, 3.4) ---------------------------------------------------------------------------------------

    def chain_of_blocks(self, chain: str) -> list[Row]:
        """Blocks some hours apart from before the month to after it; header times may run backwards."""
        rng, at, height = self.rng, self.start_s - 10 * 86400, 100
        blocks: list[Row] = []
        stop = self.end_s + rng.choice((1, 2, 4)) * 86400
        edges = [edge + shift for edge in (self.start_s, self.end_s) for shift in (-1, 0) if rng.random() < 0.5]
        while at < stop:
            step = rng.randint(2 * HOUR, 20 * HOUR)
            edge = next((e for e in edges if at < e < at + step), None)
            at = edge if edge else at + step
            time = at - rng.randint(1, 30 * HOUR) if rng.random() < 0.08 else at
            if blocks and rng.random() < 0.04:
                time = blocks[-1]["time"]
            times = [*(b["time"] for b in blocks[-10:]), time]
            blocks.append(
                {"chain": chain, "hash": f"{rng.getrandbits(256):064x}", "height": height, "time": time, "mediantime": median_low(times)}
            )
            height += 1
        return blocks

    # --- ledger (rules 4.4, 6) ---------------------------------------------------------------------------------------

    def ledger(self) -> None:
        rng, facts = self.rng, self.facts
        assets = sorted(self.rules.assets)
        ids = rng.sample(range(1000), 90)
        ties = [self.instant() for _ in range(4)]
        for number in ids[: rng.randint(3, 45)]:
            asset = rng.choice(assets)
            at = rng.choice(ties) if rng.random() < 0.3 else self.instant()
            row = {
                "allocation_id": f"A{number}", "account": rng.choice(self.account_names), "asset": asset,
                "allocated_at": at * 1_000_000 + rng.choice((0, 0, 0, -1, 1, rng.randrange(10**6))), "amount": self.amount(asset),
                "commission_asset": None, "commission_amount": None, "commission_currency": None, "commission_currency_amount": None,
            }  # fmt: skip
            if rng.random() < 0.4:
                row |= {"commission_asset": asset, "commission_amount": rng.randint(0, 5)}
            elif rng.random() < 0.4:
                row |= {
                    "commission_currency": rng.choice(("KZT", "USD")),
                    "commission_currency_amount": f"{rng.randrange(1000)}.{rng.randrange(100):02}",
                }
            facts["allocations"].append(row)
        for row in rng.sample(facts["allocations"], min(len(facts["allocations"]), rng.choice((0, 0, 1, 2)))):
            self.allocate_again(row)
        if rng.random() < 0.3:
            self.openings()

    def allocate_again(self, row: Row) -> None:
        """Rule 4.6: the same credit under other ids; or nearly the same."""
        for n in range(self.rng.choice((1, 1, 2))):
            change = self.rng.choice(({}, {}, {"amount": row["amount"] + 1}, {"allocated_at": row["allocated_at"] + 1}))
            self.facts["allocations"].append({**row, "allocation_id": f"{self.rng.choice('AB')}{row['allocation_id']}-{n}", **change})

    def openings(self) -> None:
        """Rule 6.4: one instant before the first month; what is older than it is refused at import."""
        rng, facts = self.rng, self.facts
        at = (self.start_s - rng.randint(1, 9 * 86400)) * 1_000_000
        if rng.random() < 0.6:  # at midnight or a microsecond beside it, often the month's own first instant
            days = rng.choice((0, 0, 1, rng.randint(1, 9)))
            midnight = datetime.fromtimestamp(self.start_s, ALMATY) - timedelta(days=days)
            at = int(midnight.timestamp()) * 1_000_000 + rng.choice((0, 0, 0, -1, 1))
        if self.facts["blocks"] and rng.random() < 0.3:  # a transfer exactly at the instant settles
            at = rng.choice([b["time"] for b in self.facts["blocks"] if b["time"] < self.start_s]) * 1_000_000
        for account in self.account_names:
            for asset in sorted(self.rules.assets):
                if rng.random() < 0.5:
                    facts["openings"].append({"account": account, "asset": asset, "amount": self.amount(asset), "owed_at": at})
        if facts["openings"]:
            facts["allocations"] = [a for a in facts["allocations"] if a["allocated_at"] >= at]

    # --- transactions and their payments (rules 3, 5) ----------------------------------------------------------------

    def transaction(self, chain: str, block: Row) -> None:
        """One transaction of the pool's in a block, of a kind drawn."""
        rng = self.rng
        kinds: list[tuple[int, Callable[[str, Row], None]]] = [
            (12, self.payout), (2, self.coinbase), (2, self.move), (1, self.deposit), (1, self.spend_of_the_unknown),
        ]  # fmt: skip
        weights = [weight for weight, _ in kinds]
        if rng.random() < 0.002:
            weights = [0, 0, 0, 0, 1]
        else:
            weights[-1] = 0
        rng.choices([kind for _, kind in kinds], weights)[0](chain, block)

    def payout(self, chain: str, block: Row) -> None:
        rng = self.rng
        asset = rng.choice([name for name, a in sorted(self.rules.assets.items()) if a.chain == chain])
        txid = f"{rng.getrandbits(256):064x}"
        fee = rng.choice((0, 1, 2, 3, 7)) * (1 if rng.random() < 0.5 else self.scale[self.fee_asset(chain)])
        outputs = list(self.recipients(asset, txid, block, fee))
        outputs += self.others(chain, asset)
        rng.shuffle(outputs)
        self.send(chain, block, txid, outputs, fee, has_change=rng.random() < 0.7)

    def recipients(self, asset: str, txid: str, block: Row, fee: int) -> Iterator[Row]:
        """Outputs to miners, with the payments the ledger believes in: each in one of rule 5's ways."""
        rng, unit = self.rng, self.rules.payout_unit.get(asset, 1)
        is_subtracted = rng.random() < 0.15
        others_fee = fee if is_subtracted else 0
        known = [*self.addresses, *self.strangers]
        recipients = rng.sample(known, min(len(known), rng.randint(1, 4)))
        for n, address in enumerate(recipients):
            amount = self.amount(asset)
            if rng.random() < 0.4:
                amount = amount // unit * unit
            paid: int | None = amount
            if is_subtracted:
                share = others_fee if n == len(recipients) - 1 else rng.randint(0, others_fee)
                paid, others_fee = amount + share, others_fee - share
            elif rng.random() < 0.3:
                off = rng.choice((-unit, 1 - unit, -1, 1, unit - 1, unit, rng.randint(-20, 20) * self.scale[asset]))
                paid = max(0, amount + off)
            if address in self.strangers:
                paid = paid if rng.random() < 0.15 else None
            elif rng.random() < 0.12:
                paid = None
            if paid is not None:
                self.pay(asset, address, paid, txid, block)
            first = rng.randint(0, amount) if rng.random() < 0.2 else amount
            yield self.output(asset, address, first)
            if first != amount:
                yield self.output(asset, address, amount - first)

    def pay(self, asset: str, address: str, amount: int, txid: str, block: Row) -> None:
        """Payments of a sum: one or several, now and then under the id of a replaced transaction."""
        rng = self.rng
        is_orphan = rng.random() < 0.15
        if is_orphan:
            txid = f"{rng.getrandbits(256):064x}"
            if rng.random() < 0.2:  # competitors for one transfer
                self.pay_one(asset, address, amount, f"{rng.getrandbits(256):064x}", self.paid_at(block, is_orphan=True))
        cuts = sorted(rng.randint(0, amount) for _ in range(rng.choice((0, 0, 0, 0, 1, 2))))
        for low, high in zip([0, *cuts], [*cuts, amount], strict=True):
            self.pay_one(asset, address, high - low, txid, self.paid_at(block, is_orphan))

    def paid_at(self, block: Row, is_orphan: bool = False) -> int:
        rng, at = self.rng, block["time"] * 1_000_000
        if is_orphan and rng.random() < 0.3:
            return int(at + rng.choice((-1, 1)) * (7 * 86400 * 1_000_000 + rng.choice((-1, 0, 1))))
        return int(at - rng.choice((0, 1, rng.randint(-HOUR, 40 * HOUR) * 1_000_000 + rng.randrange(10**6))))

    def pay_one(self, asset: str, address: str, amount: int, txid: str, paid_at: int) -> None:
        rng, payments = self.rng, self.facts["payments"]
        holders = {row["miner_id"] for row in self.facts["wallets"] if row["address"] == address}
        likely = sorted(row["account"] for row in self.facts["accounts"] if row["miner_id"] in holders)
        account = rng.choice(likely) if likely and rng.random() < 0.85 else rng.choice(self.account_names)
        used = {p["payment_id"] for p in payments}
        payment_id = next(text for text in iter(lambda: f"P{rng.randrange(10**4)}", None) if text not in used)
        payments.append(
            {
                "payment_id": payment_id,
                "account": account,
                "asset": asset,
                "address": address,
                "amount": amount,
                "txid": txid,
                "paid_at": paid_at,
            }
        )

    def others(self, chain: str, asset: str) -> list[Row]:
        """What else a payout may carry: OP_RETURN, strangers, scripts without an address."""
        rng = self.rng
        extra = []
        if rng.random() < 0.2:
            extra.append(self.output(asset, None, 0 if rng.random() < 0.8 else 1, "nulldata"))
        if rng.random() < 0.15:
            extra.append(self.output(asset, rng.choice(self.strangers), self.amount(asset)))
        if rng.random() < 0.04:
            extra.append(self.output(asset, None, self.amount(asset), "multisig"))
        return extra

    def coinbase(self, chain: str, block: Row) -> None:
        """A block the pool found: rewards, data, and sometimes miners paid at once (rule 3.1)."""
        rng, asset = self.rng, self.fee_asset(chain)
        txid = f"{rng.getrandbits(256):064x}"
        if any(t["block_hash"] == block["hash"] for t in self.facts["transactions"]):
            return
        outputs = [self.output(asset, self.own_address(), 1000 * self.scale[asset])]
        if rng.random() < 0.5:
            outputs += self.recipients(asset, txid, block, 0)
        outputs.append(self.output(asset, None, 0, "nulldata"))
        self.write(chain, block, txid, [], outputs, fee=0, is_coinbase=True)

    def move(self, chain: str, block: Row) -> None:
        """A consolidation or treasury move, beside data only or with a stranger paid."""
        rng = self.rng
        asset = rng.choice([name for name, a in sorted(self.rules.assets.items()) if a.chain == chain])
        outputs = [self.output(asset, self.own_address(), self.amount(asset) + 1) for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.4:
            outputs.append(self.output(asset, None, 0, "nulldata"))
        self.send(chain, block, f"{rng.getrandbits(256):064x}", outputs, rng.randint(0, 3), has_change=True)

    def deposit(self, chain: str, block: Row) -> None:
        """A stranger pays the pool, and perhaps a miner too: nothing of it is an outflow (rule 3.3)."""
        rng = self.rng
        asset = rng.choice([name for name, a in sorted(self.rules.assets.items()) if a.chain == chain])
        outputs = [self.output(asset, self.own_address(), self.amount(asset))]
        txid = f"{rng.getrandbits(256):064x}"
        if rng.random() < 0.5:
            address = rng.choice([*self.addresses, *self.strangers])
            outputs.append(self.output(asset, address, self.amount(asset)))
            if rng.random() < 0.5:
                self.pay(asset, address, outputs[-1]["value"], txid, block)
        self.write(chain, block, txid, [], outputs, fee=1, others=1)

    def upstream(self, chain: str, block: Row) -> None:
        """A transaction of somebody else's that pays miners, named by payments of a payer's (rule 10.2); perhaps the pool, too, or a coinbase."""
        rng = self.rng
        is_coinbase = rng.random() < 0.2 and not any(t["block_hash"] == block["hash"] for t in self.facts["transactions"])
        asset = (
            self.fee_asset(chain)
            if is_coinbase
            else rng.choice([name for name, a in sorted(self.rules.assets.items()) if a.chain == chain])
        )
        txid, before = f"{rng.getrandbits(256):064x}", len(self.facts["payments"])
        outputs = list(self.recipients(asset, txid, block, 0))
        if rng.random() < 0.2 and not is_coinbase:
            outputs.append(self.output(asset, self.own_address(), self.amount(asset)))
            self.pay(asset, outputs[-1]["address"], outputs[-1]["value"], txid, block)
        self.write(chain, block, txid, [], outputs, fee=0, others=0 if is_coinbase else 1, is_coinbase=is_coinbase)
        for payment in self.facts["payments"][before:]:
            payment["payer"] = rng.choice(ON_CHAIN[chain])

    def name_payers(self) -> None:
        """Other payments that name a payer: off-chain ones, some of them of one reference, and whatever else the ledger may say (rule 10)."""
        rng = self.rng
        references = [("user@exchange", "INV 7"), ("lnbc1", f"{rng.getrandbits(256):064x}"), ("addr0", "ref")]
        for payment in self.facts["payments"]:
            if payment.get("payer") is None and rng.random() < 0.25:
                payment["payer"] = rng.choice(
                    ("big", "twin", "evm-payer", "evm-twin", "exchange", "exchange", "other exchange", "Big", "nobody")
                )
                if "exchange" in payment["payer"] and rng.random() < 0.8:
                    payment["address"], payment["txid"] = rng.choice(references)

    def tell_by_contract(self) -> None:
        """Until some block the token was told by its contract: no settings named it yet (ADR 7)."""
        since = self.rng.choice(self.blocks["evm"])["height"]
        early = {block["hash"] for block in self.blocks["evm"] if block["height"] < since}
        for row in [*self.facts["inputs"], *self.facts["outputs"]]:
            if row["asset"] == "USDT" and row["block_hash"] in early:
                row["asset"] = CONTRACT

    def spend_of_the_unknown(self, chain: str, block: Row) -> None:
        """A coin is spent that was never seen to come: the wallet's proof must fail (rule 3.4)."""
        asset = self.fee_asset(chain)
        coin = {"txid": f"{self.rng.getrandbits(256):064x}", "vout": 0, "value": 50, "wallet": "pool", "address": "pool-0", "asset": asset}
        self.write(chain, block, f"{self.rng.getrandbits(256):064x}", [coin], [self.output(asset, self.own_address(), 49)], fee=1)

    def send(self, chain: str, block: Row, txid: str, outputs: list[Row], fee: int, *, has_change: bool) -> None:
        """Pay outputs and a fee from the pool's coins; strangers may join in (rule 3.2)."""
        rng, fee_asset = self.rng, self.fee_asset(chain)
        is_mixed = rng.random() < 0.06
        needs: dict[str, int] = defaultdict(int)
        needs[fee_asset] += fee
        for output in outputs:
            needs[output["asset"]] += output["value"]
        coins, strangers_value = [], 0
        for asset, needed in sorted(needs.items()):
            if is_mixed and asset == fee_asset:
                strangers_value = rng.randint(0, needed)
            spent = self.gather(chain, block, asset, max(needed - strangers_value * (asset == fee_asset), 1), is_exact=not has_change)
            coins += spent
            change = sum(c["value"] for c in spent) + (strangers_value if asset == fee_asset else 0) - needed
            if change:
                outputs.append(self.output(asset, self.own_address(), change))
        self.write(chain, block, txid, coins, outputs, fee=fee, others=rng.randint(1, 2) if is_mixed else 0, others_value=strangers_value)

    def gather(self, chain: str, block: Row, asset: str, needed: int, *, is_exact: bool) -> list[Row]:
        """Coins of at least `needed`; a stranger's deposit in the same block brings what is missing."""
        rng, coins = self.rng, self.coins[chain, asset]
        taken: list[Row] = []
        while coins and not is_exact and sum(c["value"] for c in taken) < needed and rng.random() < 0.8:
            taken.append(coins.pop(rng.randrange(len(coins))))
        missing = needed - sum(c["value"] for c in taken)
        if missing > 0:
            txid = f"{rng.getrandbits(256):064x}"
            halves = [missing // 2, missing - missing // 2] if missing > 1 and rng.random() < 0.4 else [missing]
            self.write(chain, block, txid, [], [self.output(asset, self.own_address(), half) for half in halves], fee=0, others=1)
            fresh = [c for c in coins if c["txid"] == txid]
            taken += fresh
            coins[:] = [c for c in coins if c["txid"] != txid]
        return taken

    def write(
        self, chain: str, block: Row, txid: str, coins: list[Row], outputs: list[Row], *, fee: int, is_coinbase: bool = False,
        others: int = 0, others_value: int | None = None,
    ) -> None:  # fmt: skip
        place = {"chain": chain, "block_hash": block["hash"], "txid": txid}
        if others_value is None:
            others_value = fee + sum(o["value"] for o in outputs) if others else 0
        position = self.positions[block["hash"]]
        self.positions[block["hash"]] += 1
        self.facts["transactions"].append(
            {**place, "position": position, "is_coinbase": is_coinbase, "other_inputs": others, "other_inputs_value": others_value,
             "fee": fee, "fee_asset": self.fee_asset(chain)}
        )  # fmt: skip
        for coin in coins:
            self.facts["inputs"].append(
                {**place, "spent_txid": coin["txid"], "spent_vout": coin["vout"]}
                | {name: coin[name] for name in ("value", "address", "wallet", "asset")}
            )  # fmt: skip
        for vout, output in enumerate(outputs):
            self.facts["outputs"].append({**place, "vout": vout, **output})
            if output["wallet"]:
                self.coins[chain, output["asset"]].append({**output, "txid": txid, "vout": vout})

    def stray_payments(self) -> None:
        """Payments that meet nothing: never mined, to another address, or later than the tip."""
        rng = self.rng
        for chain, blocks in self.blocks.items():
            txids = sorted(t["txid"] for t in self.facts["transactions"] if t["chain"] == chain)
            for _ in range(rng.choice((0, 0, 1, 3))):
                asset = rng.choice([name for name, a in sorted(self.rules.assets.items()) if a.chain == chain])
                txid = rng.choice(txids) if txids and rng.random() < 0.4 else f"{rng.getrandbits(256):064x}"
                at = self.instant() if rng.random() < 0.6 else blocks[-1]["time"] + rng.choice((0, 1, HOUR))
                at_us = at * 1_000_000 + rng.choice((0, 0, 1))
                self.pay_one(asset, rng.choice([*self.addresses, *self.strangers, "pool-0"]), self.amount(asset), txid, at_us)

    def fee_asset(self, chain: str) -> str:
        return {"bitcoin": "BTC", "evm": "ETH"}[chain]

    def own_address(self) -> str:
        return self.rng.choice([address for addresses in self.pool.values() for address in addresses])

    def output(self, asset: str, address: str | None, value: int, script_type: str = "witness_v0_keyhash") -> Row:
        wallet = next((name for name, addresses in self.pool.items() if address in addresses), None)
        return {
            "value": value,
            "address": address,
            "wallet": wallet,
            "asset": asset,
            "script_type": script_type,
            "is_unspendable": script_type == "nulldata",
        }
