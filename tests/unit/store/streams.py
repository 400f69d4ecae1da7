"""Streams of events for tests: a chain that grows and reorganises, a ledger, a registry, decisions; and their delivery.

Shapes as the connectors write them; contents invented. `Delivery` is an event log whose deliveries a test decides:
which topic comes next, how much at once, what comes twice.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import duckdb

from pipeline.log.events import AnyEvent, encode
from pipeline.log.events.chain import (
    Connect,
    Disconnect,
    Input,
    Output,
    Stretch,
    Transaction,
    Watch,
    WatchedWallet,
)
from pipeline.log.events.ledger import (
    AllocationColumns,
    Allocations,
    Complete,
    OpeningColumns,
    Openings,
    PaymentColumns,
    Payments,
)
from pipeline.log.events.months import Labelled, Waived
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import (
    AccountRow,
    CounterpartyRow,
    LicenceRow,
    MinerRow,
    Registry,
    WalletRow,
)
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import TOPICS, Positions, Record, Topic
from pipeline.store import Store
from pipeline.store.facts import _held

POOL = "pool"
CHAIN = "bitcoin"
CHAIN_KEY = f"{POOL}/{CHAIN}"
BIGGEST = 10**38 - 1


def hash_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class ChainTeller:
    """Tells a chain's events, numbered as a connector numbers them; `events` holds them."""

    def __init__(self, chain: str = CHAIN, first_height: int = 0) -> None:
        self.chain = chain
        self.events: list[Event] = []
        self.main: list[tuple[str, int, str]] = []
        """Hash, height and the hash before, from the first block on."""
        self.first_height = first_height
        self.watch("main wallet")

    def _next(self) -> dict[str, Any]:
        seq = len(self.events)
        return {"id": f"{self.chain}:{seq}", "seq": seq, "chain": self.chain}

    def _top(self) -> tuple[str, int]:
        return (self.main[-1][0], self.main[-1][1]) if self.main else (hash_of("before", self.chain), self.first_height - 1)

    def watch(self, *wallets: str) -> None:
        watched = [WatchedWallet(name=name, addresses=[f"addr-{name}"]) for name in wallets]
        self.events.append(Watch(**self._next(), network="regtest", start_height=self.first_height, wallets=watched))

    def connect(self, fork: object = "", transactions: int = 0, hash_: str | None = None) -> str:
        prev, height = self._top()
        hash_ = hash_ or hash_of(self.chain, prev, fork)
        time = 1_790_000_000 + 600 * height
        told = [transaction(hash_, n) for n in range(transactions)]
        self.main.append((hash_, height + 1, prev))
        self.events.append(
            Connect(
                **self._next(),
                height=height + 1,
                hash=hash_,
                prev=prev,
                time=time,
                mediantime=time - 3000,
                header="00" * 80,
                transactions=told,
            )
        )
        return hash_

    def stretch(self, count: int, fork: object = "") -> None:
        first, height = self._top()
        hashes, prev = [], first
        for n in range(count):
            hash_ = hash_of(self.chain, prev, fork)
            self.main.append((hash_, height + 1 + n, prev))
            hashes.append(hash_)
            prev = hash_
        times = [1_790_000_000 + 600 * (height + n) for n in range(count)]
        self.events.append(
            Stretch(
                **self._next(),
                height=height + 1,
                prev=first,
                hash=hashes,
                time=times,
                mediantime=[t - 3000 for t in times],
                header=["00" * 80] * count,
            )
        )

    def disconnect(self) -> str:
        hash_, height, prev = self.main.pop()
        self.events.append(Disconnect(**self._next(), height=height, hash=hash_, prev=prev))
        return hash_


def transaction(block: str, position: int) -> Transaction:
    txid = hash_of("tx", block, position)
    return Transaction(
        txid=txid,
        position=position,
        is_coinbase=position == 0,
        inputs=[]
        if position == 0
        else [Input(txid=hash_of("spent", txid), vout=1, value=str(BIGGEST), address="a", wallet="main wallet", asset="BTC")],
        other_inputs=0,
        other_inputs_value="0",
        outputs=[
            Output(vout=0, value="5000000000", address="addr-0", asset="BTC", script_type="witness_v0_keyhash", ref="vout:0"),
            Output(vout=1, value="0", address=None, asset="BTC", script_type="nulldata", is_unspendable=True, ref="vout:1"),
            Output(
                vout=2, value=str(BIGGEST - 10**12), address="a", wallet="main wallet", asset="BTC", script_type="pubkeyhash", ref="vout:2"
            ),
        ],
        fee="0" if position == 0 else "141",
        fee_asset="BTC",
        raw="ff" * 60,
        branch=[hash_of("branch", txid)],
    )


def allocations(ids: Iterable[int], *, version: int = 1, amount: int | None = None, name: str | None = None) -> Allocations:
    """An event of allocations numbered `ids`; amounts follow from id and version unless given."""
    numbers = list(ids)
    count = len(numbers)
    has_fee = [n % 3 != 0 for n in numbers]
    rows = AllocationColumns(
        allocation_id=[f"A{n:07}" for n in numbers],
        version=[version] * count,
        account=[f"acct{n % 50:03}" for n in numbers],
        asset=["BTC"] * count,
        allocated_at=[1_790_000_000_000_000 + n * 1_000_001 for n in numbers],
        amount=[str(BIGGEST - n if n == 1 else 1000 * n + version if amount is None else amount) for n in numbers],
        commission_asset=["BTC" if fee else None for fee in has_fee],
        commission_amount=[str(n) if fee else None for n, fee in zip(numbers, has_fee, strict=True)],
        commission_currency=[None if fee else "KZT" for fee in has_fee],
        commission_currency_amount=[None if fee else f"{n}.50" for n, fee in zip(numbers, has_fee, strict=True)],
    )
    return Allocations(id=name or f"allocations:{hash_of(numbers, version, amount)[:16]}", source="allocations.csv", rows=rows)


def payments(ids: Iterable[int], *, version: int = 1, name: str | None = None) -> Payments:
    numbers = list(ids)
    rows = PaymentColumns(
        payment_id=[f"P{n}" for n in numbers],
        version=[version] * len(numbers),
        account=[f"acct{n % 50:03}" for n in numbers],
        asset=["BTC"] * len(numbers),
        address=[f"addr-{n}" for n in numbers],
        amount=[str(n * version) for n in numbers],
        txid=[hash_of("paid", n) for n in numbers],
        paid_at=[1_790_000_000_000_000 + n for n in numbers],
    )
    return Payments(id=name or f"payments:{hash_of(numbers, version)[:16]}", source="payments.csv", rows=rows)


def openings(amount: int, version: int = 1) -> Openings:
    rows = OpeningColumns(account=["acct000"], asset=["BTC"], version=[version], amount=[str(amount)], owed_at=[1_780_000_000_000_000])
    return Openings(id=f"openings:{version}:{amount}", source="openings.csv", rows=rows)


def complete(through: str) -> Complete:
    return Complete(id=f"complete:{through}", through=through)


def registry(version: int, *, parts: int = 1) -> list[Registry]:
    """All parts of a version; miners are spread over them."""
    digest = hash_of("registry", version)
    said = []
    for part in range(parts):
        miner_id = f"{100000000000 + version * 1000 + part}"
        said.append(
            Registry(
                id=f"registry:{digest}:{part}",
                version=version,
                digest=digest,
                part=part,
                parts=parts,
                miners=[MinerRow(miner_id=miner_id, name=f"ЖШС «Кен {version}.{part}»")],
                licences=[
                    LicenceRow(
                        miner_id=miner_id,
                        licence_number=f"KZ{part}",
                        issue_date="2026-01-01",
                        valid_from="2026-01-01",
                        suspended_from="2026-05-01",
                    )
                ],
                accounts=[AccountRow(account=f"acct{part:03}", miner_id=miner_id, valid_from="2026-01-01", valid_to="2027-01-01")],
                wallets=[WalletRow(address=f"addr-{part}", chain=CHAIN, miner_id=miner_id, valid_from="2026-01-01")],
                counterparties=[CounterpartyRow(address=f"vendor-{part}", chain=CHAIN, outflow_class="vendor", name=f"Vendor {version}")],
            )
        )
    return said


def label(address: str, outflow_class: str, n: int = 0) -> Labelled:
    return Labelled(
        id=f"label:{address}:{n}",
        chain=CHAIN,
        address=address,
        outflow_class=outflow_class,
        name="Named",
        by="aigul",
        reason="invoice",
        at=1_790_000_000,
    )


def waiver(month: str, ref: str) -> Waived:
    return Waived(id=f"waive:{month}:{ref}", month=month, code="unknown-outflow", ref=ref, by="aigul", reason="known", at=1_790_000_000)


class Delivery:
    """An event log in memory. `turns` decides which topic each read gives; each read gives `count` records of it."""

    keys: LogKeys | None = None

    def __init__(self, turns: Sequence[Topic] = TOPICS, count: int = 10**9) -> None:
        self.records: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
        self._turns = turns
        self._reads = 0
        self._count = count

    def tell(self, topic: Topic, events: Iterable[Event], key: str | None = None) -> Delivery:
        for event in events:
            self.tell_bytes(topic, event.id, encode(event).value, key)
        return self

    def tell_bytes(self, topic: Topic, id_: str, value: bytes, key: str | None = None) -> Delivery:
        """Whatever bytes, and duplicates too: unlike a real log's writer, this one refuses nothing."""
        key = key or (CHAIN_KEY if topic == "chain" else POOL)
        self.records[topic].append(Record(topic, 0, len(self.records[topic]), key, id_, value))
        return self

    def writer(self, topic: Topic, key: str) -> Any:
        raise NotImplementedError("tests tell this log what to deliver")

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        for _ in range(len(self._turns)):
            topic = self._turns[self._reads % len(self._turns)]
            self._reads += 1
            stop = len(self.records[topic]) if until is None else until.get(f"{topic}/0", 0)
            found = self.records[topic][positions.get(f"{topic}/0", 0) : stop][: self._count]
            if found and topic in topics:
                return found
        return []

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        return any(end > positions.get(place, 0) for place, end in self.end().items())

    def end(self) -> dict[str, int]:
        return {f"{topic}/0": len(records) for topic, records in self.records.items()}

    def last(self, topic: Topic, key: str) -> Record | None:
        return next((r for r in reversed(self.records[topic]) if r.key == key), None)

    def close(self) -> None:
        pass


def example_events() -> dict[Topic, list[AnyEvent]]:
    """A little of everything: reorganisations, restatements, registry parts, labels and waivers."""
    chain = ChainTeller()
    chain.stretch(5)
    chain.connect(transactions=2)
    lost = chain.connect(transactions=3)
    chain.disconnect()
    chain.connect("fork", transactions=1)
    chain.disconnect()
    chain.connect(hash_=lost, transactions=3)
    chain.watch("main wallet", "second wallet")
    chain.stretch(2)
    chain.connect(transactions=1)
    return {
        "chain": chain.events,  # type: ignore[dict-item]
        "ledger": [
            openings(70),
            allocations(range(20)),
            allocations(range(20, 30)),
            payments(range(12)),
            complete("2026-10-30"),
            allocations(range(5, 9), version=2),
            openings(71, version=2),
            payments([3], version=2),
            complete("2026-10-31"),
        ],
        "registry": [*registry(1, parts=2), *registry(2), registry(3, parts=2)[0]],
        "months": [label("vendor-0", "exchange"), label("x", "vendor"), waiver("2026-10", "t:0"), label("x", "exchange", 1)],
    }


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Every raw table's rows in their order, without the log's positions: what must not depend on the delivery."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'raw_%' AND table_name <> 'raw_position'"
    ).fetchall()
    return {
        name: connection.execute(f"SELECT * FROM (SELECT COLUMNS(c -> c <> 'log_offset') FROM {name}) ORDER BY ALL").fetchall()
        for (name,) in names
    }


_shared_store = cache(Store.memory)


@cache
def _with_rows() -> str:
    """The statement that names every table of the shared store that has a row."""
    tables = _shared_store().connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name <> 'store_version'").fetchall()
    return " UNION ALL ".join(f"(SELECT '{table}' FROM {table} LIMIT 1)" for (table,) in tables)


@contextlib.contextmanager
def empty_store() -> Iterator[Store]:
    """A store in memory with nothing in it: always the same one, because making one takes longer than most tests.

    One at a time: asking again empties it.
    """
    store = _shared_store()
    for (table,) in store.connection.execute(_with_rows()).fetchall():
        store.connection.execute(f"DELETE FROM {table}")
    _held.pop(store, None)
    yield store
