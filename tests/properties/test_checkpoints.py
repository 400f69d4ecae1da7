"""A checkpoint that facts of before its instant changed is dropped: worlds told in any order, with late rows, restatements and reorganisations (ADR 25)."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.app.held import HeldEnrichments
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import cut_facts, make_opening
from pipeline.log.events.chain import Connect, Disconnect, Input, Output, Transaction, Watch, WatchedWallet
from pipeline.log.events.ledger import (
    AllocationColumns,
    Allocations,
    OpeningColumns,
    Openings,
    PayerPaymentColumns,
    PayerPayments,
    PaymentColumns,
    Payments,
)
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import AccountRow, LicenceRow, MinerRow, Registry, WalletRow
from pipeline.model.months import Month
from pipeline.store.checkpoints import drop_checkpoints, read_checkpoint, write_checkpoint
from pipeline.store.facts import facts_of, read_facts
from pipeline.store.ingest import Ingest
from pipeline.store.store import Store

from ..reference.registry import Row, Tables
from ..reference.worlds import World, make_world
from ..unit.store.streams import Delivery, empty_store, hash_of
from .test_opening import require_same, stretched

few = settings(max_examples=3, deadline=None, database=None, derandomize=True)
Step = tuple[str, str, list[Event]]
"""Topic, key, events."""


def several(steps: list[Step]) -> Step:
    """Steps of one stream as one."""
    return steps[0][0], steps[0][1], [event for _, _, events in steps for event in events]


class Telling:
    """The events that tell a world, in an order of chance: the chain from its start, with blocks that leave and return; rows of the ledger late and restated."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world, self.rng = world, rng
        self._numbers: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()

    def steps(self) -> list[Step]:
        """What is told, step by step."""
        streams = [list(self.chain(chain)) for chain in sorted({block["chain"] for block in self.world.facts["blocks"]})]
        streams = [[several(stream[first : first + 8]) for first in range(0, len(stream), 8)] for stream in streams]
        streams += [list(self.ledger()), list(self.registry())]
        order = [n for n, stream in enumerate(streams) for _ in stream]
        self.rng.shuffle(order)
        return [streams[n].pop(0) for n in order]

    def _next(self, chain: str) -> dict[str, Any]:
        seq = self._numbers[chain]
        self._numbers[chain] += 1
        return {"id": f"{chain}:{seq}", "seq": seq, "chain": chain}

    def chain(self, chain: str) -> Iterator[Step]:
        facts, key = self.world.facts, f"pool/{chain}"
        blocks = sorted((block for block in facts["blocks"] if block["chain"] == chain), key=lambda block: block["height"])
        wallets = [WatchedWallet(name=row["wallet"], addresses=[row["wallet"]]) for row in facts["pool_wallets"] if row["chain"] == chain]
        yield "chain", key, [Watch(**self._next(chain), network="regtest", start_height=blocks[0]["height"], wallets=wallets)]
        told: list[Row] = []
        for block in blocks:
            if told and self.rng.random() < 0.1:
                left = told[-self.rng.randint(1, 3) :]
                yield "chain", key, [self._left(chain, one) for one in reversed(left)]
                yield "chain", key, [self._joined(chain, one) for one in left]
            told.append(block)
            yield "chain", key, [self._joined(chain, block)]

    def _hash(self, chain: str, height: int) -> str:
        return hash_of(chain, height)

    def _left(self, chain: str, block: Row) -> Event:
        height = block["height"]
        return Disconnect(**self._next(chain), height=height, hash=self._hash(chain, height), prev=self._hash(chain, height - 1))

    def _joined(self, chain: str, block: Row) -> Event:
        height = block["height"]
        return Connect(
            **self._next(chain), height=height, hash=self._hash(chain, height), prev=self._hash(chain, height - 1), time=block["time"],
            mediantime=block["mediantime"], transactions=list(self._transactions(block["hash"])),
        )  # fmt: skip

    def _transactions(self, block: str) -> Iterator[Transaction]:
        facts = self.world.facts
        for row in (row for row in facts["transactions"] if row["block_hash"] == block):
            mine = [one for one in facts["inputs"] if (one["block_hash"], one["txid"]) == (block, row["txid"])]
            pays = [one for one in facts["outputs"] if (one["block_hash"], one["txid"]) == (block, row["txid"])]
            yield Transaction(
                txid=row["txid"], position=row["position"], is_coinbase=row["is_coinbase"], other_inputs=row["other_inputs"],
                other_inputs_value=str(row["other_inputs_value"]), fee=str(row["fee"]), fee_asset=row["fee_asset"],
                inputs=[Input(txid=one["spent_txid"], vout=one["spent_vout"], value=str(one["value"]), address=one["address"], wallet=one["wallet"],
                              asset=one["asset"]) for one in mine],
                outputs=[Output(vout=one["vout"], value=str(one["value"]), address=one["address"], wallet=one["wallet"], asset=one["asset"],
                                script_type=one["script_type"], is_unspendable=one["is_unspendable"], ref=f"vout:{one['vout']}") for one in pays],
            )  # fmt: skip

    def ledger(self) -> Iterator[Step]:
        """Rows mostly in their order, a few much later, a few of them twice: the first time with other amounts, or another instant."""
        rng, rows = self.rng, list[tuple[float, str, Row]]()
        instants = {"allocations": "allocated_at", "payments": "paid_at", "openings": "owed_at"}
        for name, at in instants.items():
            for row in self.world.facts[name]:
                late = rng.random() < 0.1
                when = row[at] + (rng.random() * 1e13 if late else 0)
                rows.append((when, name, row))
                if name != "openings" and rng.random() < 0.1:
                    earlier = (
                        row | {"amount": row["amount"] + 1}
                        if rng.random() < 0.5
                        else row | {at: row[at] - rng.randrange(40) * 86_400_000_000}
                    )
                    rows.append((when - 1e9, name, earlier))
        rows.sort(key=lambda row: row[0])
        size = max(1, len(rows) // 12)
        for first in range(0, len(rows), size):
            yield "ledger", "pool", [self._row(name, row) for _, name, row in rows[first : first + size]]

    def _row(self, name: str, row: Row) -> Event:
        id_ = str(row.get("allocation_id") or row.get("payment_id") or f"{row['account']}:{row['asset']}")
        self._versions[f"{name}:{id_}"] += 1
        version = self._versions[f"{name}:{id_}"]
        columns: dict[str, list[Any]] = {column: [value] for column, value in row.items()} | {"version": [version]}
        for amount in ("amount", "commission_amount"):
            if amount in columns:
                columns[amount] = [None if columns[amount][0] is None else str(columns[amount][0])]
        event = f"{name}:{id_}:{version}"
        if name == "openings":
            return Openings(id=event, source="by hand", rows=OpeningColumns(**columns))
        if name == "allocations":
            return Allocations(id=event, source="by hand", rows=AllocationColumns(**columns))
        payer = columns.pop("payer", [None])
        if payer == [None]:
            return Payments(id=event, source="by hand", rows=PaymentColumns(**columns))
        return PayerPayments(id=event, source="by hand", rows=PayerPaymentColumns(**columns, payer=payer))

    def registry(self) -> Iterator[Step]:
        """A version with some rows of accounts and wallets left out or ending otherwise; then the world's."""
        facts, rng = self.world.facts, self.rng

        def some(rows: list[Row]) -> list[Row]:
            kept = [row for row in rows if rng.random() < 0.9]
            return [row | {"valid_to": None} if rng.random() < 0.1 else row for row in kept]

        yield "registry", "pool", [self._version(facts)]
        for name in rng.sample(("accounts", "wallets", "miners"), 2):
            yield "registry", "pool", [self._version(facts | {name: some(facts[name]) if name != "miners" else facts[name][1:]})]
        yield "registry", "pool", [self._version(facts)]

    def _version(self, facts: Tables) -> Event:
        number = self._versions["registry"] = self._versions["registry"] + 1
        kinds = {"miners": MinerRow, "licences": LicenceRow, "accounts": AccountRow, "wallets": WalletRow}
        tables: dict[str, Any] = {
            name: [
                kind(**{column: str(value) if hasattr(value, "isoformat") else value for column, value in row.items()})
                for row in facts[name]
            ]
            for name, kind in kinds.items()
        }
        return Registry(id=f"registry:{number}", version=number, digest=hash_of(number), part=0, parts=1, **tables)


def lived(world: World, seed: int) -> Counter[str]:
    """Tell the world step by step; after each, months from checkpoints are the months from everything. How often a checkpoint was used, made, dropped."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    delivery, held = Delivery(), HeldEnrichments()
    with empty_store() as store:
        ingest = Ingest(delivery, store)
        for topic, key, events in Telling(world, rng).steps():
            delivery.tell(topic, events, key)
            assert ingest.catch_up().bad_events == 0
            if rng.random() < 0.5:
                continue
            if rng.random() < 0.05:
                drop_checkpoints(store)
            seen += looked_at(store, held, world, rng.choice((world.month, world.month.next, world.month.next.next)))
    return seen


def looked_at(store: Store, held: HeldEnrichments, world: World, month: Month) -> Counter[str]:
    """The month from its checkpoint, as the program looks at it, and from everything; then its own checkpoint is made, however soon it may have to go."""
    facts, opening = read_facts(store.connection), read_checkpoint(store, month, world.rules)
    whole = enrich_month(facts, month, world.rules)
    found = Counter(["used" if opening is not None else "without"])
    read, made = facts, whole
    if opening is not None:
        read = facts_of(store, month, opening)
        require_same_facts(read, cut_facts(facts, opening, month), f"{world}: {month} since {opening.since}")
        made = held.enrich(read, month, world.rules, opening)
        require_same(whole, made, opening.since, f"{world}: {month} from {opening.since}")
        again = read_checkpoint(store, month, world.rules)
        assert held.enrich(facts_of(store, month, again), month, world.rules, again) is made, "nothing came between the two looks"
    new = make_opening(read, month, world.rules, made.opening_line, made.starts_at, opening)
    if new is not None:
        write_checkpoint(store, new, world.rules)
        found["made"] += 1
    return found


def require_same_facts(read: Facts, facts: Facts, where: str) -> None:
    for name, frame in vars(facts).items():
        assert frame.equals(getattr(read, name)), f"{where}: {name}\n{frame}\n{getattr(read, name)}"


@few
@given(st.integers(1_000, 1_000_000), st.sampled_from((9, 20)), st.integers())
def test_a_checkpoint_is_never_out_of_date(seed: int, factor: int, order: int) -> None:
    lived(stretched(make_world(seed), factor), order)


def test_checkpoints_are_used_and_made() -> None:
    seen = defaultdict(int, sum((lived(stretched(make_world(seed), 20), seed) for seed in (2, 6)), Counter[str]()))
    assert seen["used"] >= 5 and seen["made"] >= 5, seen


def test_facts_that_are_held_are_those_of_the_month_and_of_its_opening() -> None:
    world, month, delivery = stretched(make_world(6), 20), Month(2027, 1), Delivery()
    after = month.next  # both have allocations of their own in this world
    with empty_store() as store:
        for topic, key, events in Telling(world, random.Random(4)).steps():
            delivery.tell(topic, events, key)
        Ingest(delivery, store).catch_up()
        facts = read_facts(store.connection)
        openings = []
        for since in (month, after):
            whole = enrich_month(facts, since, world.rules)
            opening = make_opening(facts, since, world.rules, whole.opening_line, whole.starts_at)
            assert opening is not None, world
            write_checkpoint(store, opening, world.rules)
            openings.append(read_checkpoint(store, since, world.rules))
        early, late = openings
        for of, opening in [(month, early), (after, early), (after, late), (after, None), (month, early)]:
            held = facts_of(store, of, opening)
            assert held is facts_of(store, of, opening)
            require_same_facts(held, facts if opening is None else cut_facts(facts, opening, of), f"{of} from {opening and opening.since}")
