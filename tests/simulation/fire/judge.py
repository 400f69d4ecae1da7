"""What must hold after every life, each held against something that the program had no hand in.

Enters: a life at rest. Leaves: a count of what was checked; a `Broken` where something does not hold, naming the invariant and the place.
The measures: the world's coins and books, the log read by `truth`, the oracle of `tests.reference`, the filing desk's own entries.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from connectors.standins.log_memory import MemoryLog
from pipeline.assess.printed import printed_report
from pipeline.closing.calendar import due_at
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.enrich.month import enrich_month
from pipeline.follow.connector import Idle
from pipeline.log.events import decode
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import TOPICS, Record
from pipeline.model.months import Month
from pipeline.store import Store
from pipeline.store.facts import read_facts, read_frame
from pipeline.store.ingest import Ingest
from pipeline.store.queries import statements

from ...reference.compare import compare
from ...reference.registry import Outcome, Tables
from ...reference.rules import apply_rules
from ...reports import report_csv
from ..bitcoin_world import SimBlock
from .chain import OWN
from .office import UPSTREAMS
from .truth import LogReader, as_set, digest_of_rows, facts_of_world

if TYPE_CHECKING:
    from .life import Life

CLASSES = {"data", "internal", "change", "payout", "reward", "unknown", "vendor", "fee"}
ALMATY = ZoneInfo("Asia/Almaty")
Debtor = tuple[str, str]
"""A miner and an asset."""


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, letter: str, what: str) -> None:
        self.letter = letter
        super().__init__(f"invariant ({letter}): {what}")


def hold(letter: str, is_true: bool, what: Any) -> None:
    if not is_true:
        raise Broken(letter, str(what)[:1500])


class Judge:
    """Judges one life."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.checked: Counter[str] = Counter()
        self.records: list[Record] = life.log.read({}, topics=("months", "registry", "ledger", "chain"), limit_bytes=1 << 40)
        self.ends = life.log.end()
        self.frozen = [e for r in self.records if r.topic == "months" and isinstance(e := decode(r.value), Frozen)]
        process = life.process
        assert process is not None
        self.process = process
        with process.app.stores.current() as store:
            self.store = store
        self.rules = process.app.rules

    def judge(self) -> Counter[str]:
        """Every invariant. Raises Broken."""
        facts = self.facts_agree()
        self.fees_add_up(facts)
        outcomes, enriched = self.months_agree(facts)
        self.wallets_balance(enriched)
        self.debts_balance(outcomes, enriched)
        self.outflows_have_one_class(facts, enriched)
        self.frozen_as_the_oracle_says()
        self.replays_agree()
        self.filed_once()
        self.nothing_acknowledged_is_missing()
        self.never_reorganised(facts)
        self.reorganise_and_return()
        return self.checked

    def count(self, letter: str, n: int = 1) -> None:
        self.checked[letter] += n

    def true_facts(self) -> Tables:
        """What the world knows of itself; that everybody whom others pay on chain is followed (rule 10.8), and nobody whom no payment ever named."""
        reader = self.logged
        payees = reader.tables()["payees"]
        told = {row["address"] for row in payees}
        due = {p["address"] for p in self.life.office.ledger["payments"].values() if p["payer"] in UPSTREAMS}
        hold(
            "h",
            due <= told <= reader.named_addresses,
            f"not followed: {sorted(due - told)[:3]}, never named: {sorted(told - reader.named_addresses)[:3]}",
        )
        return facts_of_world(self.life, payees)

    # --- facts: the world, the log, the store --------------------------------------------------------------------

    @cached_property
    def logged(self) -> LogReader:
        """All of the log, read once."""
        return LogReader().read(self.records, self.ends)

    @cached_property
    def held(self) -> Facts:
        """The store's facts, read once: until the branch of `reorganise_and_return` nothing is written there."""
        return read_facts(self.store.connection)

    def facts_agree(self) -> Tables:
        """The store's facts are the log's, and the log's are the world's: nothing lost, nothing made up."""
        world = self.true_facts()
        logged = self.logged.tables()
        true = {name: as_set(rows) for name, rows in world.items()}
        for name in world:
            told = as_set(logged[name])
            missing, strange = true[name] - told, told - true[name]
            hold("h", not missing and not strange, f"{name}: the log lacks {list(missing)[:2]}, and says besides {list(strange)[:2]}")
            hold(
                "h", len(world[name]) == len(logged[name]), f"{name}: {len(world[name])} rows in the world, {len(logged[name])} in the log"
            )
            self.count("h", len(world[name]))
        for name in SHAPES:
            there = as_set(getattr(self.held, name).to_dicts())
            hold("h", there == true[name], f"{name}: store and world differ: {list(there ^ true[name])[:2]}")
        return world

    def fees_add_up(self, facts: Tables) -> None:
        """(a) Inputs = outputs + fee, by the coins that the world says were spent; of a transaction that spends nothing of the pool's both are 0."""
        fees = {(row["block_hash"], row["txid"]): row["fee"] for row in facts["transactions"]}
        stored = self.store.connection.execute(
            "SELECT t.block_hash, t.txid, "
            "NOT EXISTS (SELECT 1 FROM raw_input i WHERE i.block_hash = t.block_hash AND i.txid = t.txid) AS is_strangers, "
            "t.fee, t.other_inputs_value + coalesce((SELECT sum(value) FROM raw_input i WHERE i.block_hash = t.block_hash AND i.txid = t.txid), 0), "
            "(SELECT sum(value) FROM raw_output o WHERE o.block_hash = t.block_hash AND o.txid = t.txid) "
            "FROM raw_transaction t JOIN raw_block b ON b.hash = t.block_hash WHERE b.is_main"
        ).fetchall()
        hold("a", len(stored) == len(fees), f"{len(stored)} transactions in the store, {len(fees)} in the world")
        for block_hash, txid, is_strangers, fee, inputs, outputs in stored:
            hold("a", int(fee) == fees[block_hash, txid], f"{txid}: fee {fee}, in the world {fees[block_hash, txid]}")
            is_right = int(inputs) == int(fee) == 0 if is_strangers else int(inputs) == int(outputs) + int(fee)
            hold("a", is_right, f"{txid}: {inputs} in, {outputs} out, fee {fee}")
            self.count("a")

    # --- months --------------------------------------------------------------------------------------------------

    def months_agree(self, facts: Tables) -> tuple[dict[Month, Outcome], dict[Month, Enriched]]:
        """Every month's tables are what the oracle makes of the world's own records."""
        outcomes, enriched = {}, {}
        for month in self.life.months:
            outcomes[month] = apply_rules(facts, month, self.rules)
            enriched[month] = enrich_month(self.held, month, self.rules)
            different = compare(enriched[month], outcomes[month])
            hold("d", not different, f"{month}: {different}")
            self.life.issues.update(row["code"] for row in outcomes[month].issues)
            self.count("oracle")
        return outcomes, enriched

    def last_block(self, month: Month) -> SimBlock:
        """The highest block dated in the month or before it."""
        first_after = f"{month.next}-01"
        blocks = [b for b in self.life.chain.chain() if f"{datetime.fromtimestamp(b.time, ALMATY):%Y-%m-%d}" < first_after]
        return blocks[-1]

    def wallets_balance(self, enriched: dict[Month, Enriched]) -> None:
        """(b) opening + in - out - fee = closing, and both ends are the coins that exist after those blocks."""
        if self.life.start_height > 1:
            return  # coins from before the log begins: the world knows them, the program must say that it does not
        for month, made in enriched.items():
            before, after = self.last_block(month.previous), self.last_block(month)
            between = self.life.chain.chain()[before.height + 1 : after.height + 1]
            for row in made.balances.to_dicts():
                wallet = row["wallet"]
                opening = sum(value for value, script in before.coins.values() if OWN.get(script) == wallet)
                closing = sum(value for value, script in after.coins.values() if OWN.get(script) == wallet)
                come = sum(value for b in between for tx in b.txs for value, script in tx.pays if OWN.get(script) == wallet)
                gone = sum(value for b in between for tx in b.txs for _, value, script in tx.spends if OWN.get(script) == wallet)
                told = (row["opening"], row["in"], row["out"] + row["fee"], row["closing"], row["unspent"])
                hold(
                    "b",
                    told == (opening, come, gone, closing, closing),
                    f"{month} {wallet}: told {told}, true {(opening, come, gone, closing)}",
                )
                hold("b", opening + come - gone == closing, f"{month} {wallet}: the world itself does not add up")
                self.count("b")

    def debts_balance(self, outcomes: dict[Month, Outcome], enriched: dict[Month, Enriched]) -> None:
        """(c) Opening debt + allocated - settled = closing; what is settled in all is the less of what was owed and what was paid."""
        settled: dict[Debtor, int] = defaultdict(int)
        debt: dict[Debtor, int] = defaultdict(int)
        allocated_before: dict[Debtor, int] = defaultdict(int)
        for month, made in enriched.items():
            owed: dict[Debtor, int] = defaultdict(int)
            paid: dict[Debtor, int] = defaultdict(int)
            for row in outcomes[month].debts:
                owed[row["miner_id"], row["asset"]] += row["amount"]
            for row in outcomes[month].credits:
                paid[row["miner_id"], row["transfer"]["asset"]] += row["amount"]
            rows = made.report.filter(pl.col("txid").is_not_null()).group_by("miner_id", "asset").agg(pl.col("amount").sum()).rows()
            now = {(miner_id, asset): int(amount) for miner_id, asset, amount in rows}
            for who in sorted(owed.keys() | now.keys()):
                settled[who] += now.get(who, 0)
                allocated = owed[who] - allocated_before[who]
                closing = debt[who] + allocated - now.get(who, 0)
                expected = max(0, owed[who] - paid[who])
                hold("c", closing == expected, f"{month}, a miner: closing debt {closing} by the rows, {expected} by the sums")
                hold("c", settled[who] == min(owed[who], paid[who]), f"{month}: settled {settled[who]}")
                own = (pl.col("miner_id") == who[0]) & (pl.col("asset") == who[1])
                told = made.debts.filter(own).row(0, named=True) if closing or allocated or now.get(who) else None
                true = {"opening": debt[who], "allocated": allocated, "settled": now.get(who, 0), "closing": closing}
                hold("c", told is None or true.items() <= told.items(), f"{month}: the program says {told}, the sums say {true}")
                debt[who], allocated_before[who] = closing, owed[who]
                self.count("c")

    def outflows_have_one_class(self, facts: Tables, enriched: dict[Month, Enriched]) -> None:
        """(d) Every output of what the pool sent stands once, in one month, with one class; and a fee once a transaction."""
        found = Counter((row["txid"], row["vout"], month) for month, made in enriched.items() for row in made.outflows.to_dicts())
        classes = {row["class"] for made in enriched.values() for row in made.outflows.to_dicts()}
        hold("d", classes <= CLASSES, f"classes {classes - CLASSES}")
        spending = {row["txid"] for row in facts["inputs"]}
        blocks = {block["hash"]: block["time"] for block in facts["blocks"]}
        names = {str(month): month for month in enriched}
        expected: Counter[tuple[str, int, Month]] = Counter()
        for tx in facts["transactions"]:
            month = names.get(f"{datetime.fromtimestamp(blocks[tx['block_hash']], ALMATY):%Y-%m}")
            outputs = [row for row in facts["outputs"] if (row["block_hash"], row["txid"]) == (tx["block_hash"], tx["txid"])]
            is_reward = tx["is_coinbase"] and any(row["wallet"] is not None for row in outputs)
            if month is not None and (tx["txid"] in spending or is_reward):
                vouts = [row["vout"] for row in outputs]
                expected.update((tx["txid"], vout, month) for vout in [*([] if tx["is_coinbase"] else [-1]), *vouts])
        hold("d", found == expected, f"outflows: {list((found - expected) | (expected - found))[:3]}")
        self.count("d", sum(expected.values()))

    # --- frozen versions -----------------------------------------------------------------------------------------

    def frozen_as_the_oracle_says(self) -> None:
        """(e) Each frozen digest is what the log, read by other eyes up to the recorded positions, comes to."""
        decimals = {name: asset.decimals for name, asset in self.rules.assets.items()}
        reader = LogReader()
        for event in self.frozen:
            if any(event.positions.get(place, 0) < offset for place, offset in reader.read_to.items()):
                reader = LogReader()
            facts = reader.read(self.records, event.positions).tables()
            month = Month.parse(event.month)
            outcome = apply_rules(facts, month, self.rules)
            digest = digest_of_rows(outcome.report, decimals)
            hold("e", digest == event.digest, f"{month} v{event.version}: frozen {event.digest}, the oracle says {digest}")
            self.life.issues.update(row["code"] for row in outcome.issues)
            self.count("oracle")

    def replays_agree(self) -> None:
        """(e) Ingested again in another order and other batches, each version has the digest it was frozen with."""
        rng = self.life.dice.stream("replays")
        store, positions = Store.memory(), dict[str, int]()
        for event in self.frozen:
            if any(event.positions.get(place, 0) < offset for place, offset in positions.items()):
                store.close()
                store = Store.memory()
            topics = list(TOPICS)
            rng.shuffle(topics)
            limit = rng.choice((1, 2_000, 30_000, 1 << 20)) if len(self.records) < 150 else rng.choice((8_000, 30_000, 1 << 20))
            Ingest(self.life.log, store, until=event.positions, topics=topics, limit_bytes=limit).catch_up()
            positions = store.positions()
            made = enrich_month(read_facts(store.connection), Month.parse(event.month), self.rules)
            digest = hashlib.sha256(report_csv(printed_report(made, self.rules))).hexdigest()
            hold("e", digest == event.digest, f"{event.month} v{event.version}: replayed by {topics} in {limit} bytes: {digest}")
            self.count("e")
        store.close()
        if self.life.printed is None and rng.random() < 0.6:
            return
        last = next((e for e in self.frozen if e.month == str(self.life.printed)), self.frozen[-1])
        replay = self.process.app.months.replay(last)
        hold("e", replay.is_same, f"{last.month} v{last.version}: {replay.differences}")
        self.count("e")

    def filed_once(self) -> None:
        """(g) One acceptance a version, the newest version accepted, and the first in time when the world allowed it."""
        life, desk = self.life, self.life.service.submissions
        lives = self.process.desk.closing.diary.lives
        newest = {event.month: event for event in self.frozen}
        for month in life.months:
            entries = [e for e in desk.entries.values() if e.month == str(month) and e.state != "rejected"]
            each = Counter(e.version for e in entries)
            hold("g", set(each.values()) == {1}, f"{month}: accepted by version {dict(each)}")
            hold("g", str(newest[str(month)].version) in each, f"{month}: version {newest[str(month)].version} was not filed")
            first = min(life.service.accepted_at[e.submission_id] for e in entries)
            if str(month) not in life.office.excused:
                hold("g", first < due_at(month), f"{month}: accepted {first - due_at(month)} s after its deadline")
            told = lives[str(month)]
            hold("g", told.submission is not None and told.submission.receipt in {e.receipt for e in entries}, f"{month}: no receipt")
            for before, after in pairwise(entries):
                hold("g", after.amends == before.submission_id, f"{month}: {after.version} does not name what it corrects")
            self.count("g", len(entries))
            frozen = {e.version: e.digest for e in self.frozen if e.month == str(month)}
            hold("e", len(frozen) == sum(e.month == str(month) for e in self.frozen), f"{month}: a version was frozen twice")

    def nothing_acknowledged_is_missing(self) -> None:
        """(h) Every acknowledged event is in the log once, as it was, and the store has seen it."""
        held: dict[tuple[str, str, str], list[bytes]] = defaultdict(list)
        for record in self.records:
            held[record.topic, record.key, record.id].append(record.value)
        for topic, key, event_id, value in self.life.log.acknowledged:
            hold("h", held[topic, key, event_id] == [value], f"{topic} {key} {event_id}: acknowledged, and not there once")
        rows = self.store.connection.execute("SELECT topic, key, id FROM raw_event").fetchall()
        hold("h", set(rows) == held.keys() and len(rows) == len(held), f"events in the store: {len(rows)}, in the log {len(held)}")
        self.count("h", len(self.life.log.acknowledged))

    # --- reorganisations -----------------------------------------------------------------------------------------

    def never_reorganised(self, facts: Tables) -> None:
        """(f) A log that saw only how it ended tells the same chain."""
        log = MemoryLog()
        with self.life.open_connector(self.process.app, log) as fresh:
            while not isinstance(fresh.step(), Idle):
                continue
        told, true = LogReader().read(log.read({}, limit_bytes=1 << 40), log.end()).tables(), self.as_read_anew(facts)
        for name in ("blocks", "transactions", "inputs", "outputs", "pool_wallets"):
            hold("f", as_set(told[name]) == as_set(true[name]), f"{name}: the life's log and a fresh one differ")
        self.count("f")

    def as_read_anew(self, facts: Tables) -> Tables:
        """The facts as a log tells them that was written when the node forgot nothing."""
        return facts

    def is_as_before(self, name: str, before: Facts, after: Facts) -> bool:
        """Whether a branch that came and went left a frame of the facts as it was."""
        return bool(getattr(after, name).equals(getattr(before, name)))

    def reorganise_and_return(self) -> None:
        """(f) A deep branch comes and goes: the facts are what they were."""
        life, chain = self.life, self.life.chain
        at = self.store.positions()
        with self.process.app.stores.current() as store:
            hold("f", store.positions() == at, "the store was filled further while it was judged")
            before = self.held
        home, main = chain.tip, chain.chain()
        depth = chain.fork(life.dice.stream("judge").randint(5, 60), 2)
        for tip in (chain.tip, home):
            life.node.show(tip)
            hold("f", self.process.follow(life._note), "the connector does not come to rest")
            with self.process.app.stores.current() as store:
                if tip is home:
                    after = read_facts(store.connection)
                elif depth:
                    blocks = read_frame(store.connection, statements()["facts.blocks"], SHAPES["blocks"])
                    hold("f", not blocks.equals(before.blocks), "the branch was not told")
        for name in SHAPES:
            hold("f", self.is_as_before(name, before, after), f"{name}: not what it was before the branch of {depth}")
        chain.tip = home
        assert chain.chain() == main or chain.chain()[-1] is home
        self.count("f")
