"""What must hold after every life on an account chain, each held against something that the program had no hand in.

Enters: a life at rest. Leaves: what every judge leaves. Where an invariant means something else than on Bitcoin: (a) is what moved, an asset at a
time, and gas; (b) is what the world's books say that every address held, against what the program observed and what it counted; (h) asks besides
that nothing was ever frozen which a node said once and took back. `docs/simulation.md` has them side by side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, cast

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.model.months import Month, almaty_date

from ...reference.registry import Row, Tables
from .account_chain import OWN, PAYERS, WALLETS, AccountBlock
from .account_truth import (  # fmt: skip
    COIN,
    DEAD_TOKEN,
    UNIT_TOKEN,
    add_blocks,
    credits_of,
    facts_of_world,
    held_after,
    month_ends,
    moves_of,
    other_givers,
    unseen_in,
)
from .judge import Judge, hold
from .truth import LogReader, as_set, shaped

if TYPE_CHECKING:
    from .account_life import AccountLife

KNOWN = (COIN, UNIT_TOKEN, DEAD_TOKEN)
CLAIMED = ("held", "held_after")
"""What a token's contract says that the sender held before the block and after it."""


class AccountJudge(Judge):
    """Judges one life on an account chain."""

    life: AccountLife

    def judge(self) -> Counter[str]:
        self.nothing_untrue_was_frozen()
        return super().judge()

    # --- facts -------------------------------------------------------------------------------------------------------

    def true_facts(self) -> Tables:
        """What the world knows of itself; what its node observed and took back, once that is found to be so."""
        logged = self.logged.tables()
        self.observations_are_true(logged["observations"])
        self.doubts_have_a_cause(logged["doubts"])
        self.named_was_looked_for(logged["sought"], self.logged.named)
        facts = facts_of_world(self.life, observations=logged["observations"], doubts=logged["doubts"], sought=logged["sought"])
        self._true_inputs = [dict(row) for row in facts["inputs"]]
        self.forget(facts["inputs"], logged["inputs"])
        return facts

    def forget(self, true: list[Row], told: list[Row]) -> None:
        """(b) What nobody named a token for says of its sender's holdings may be null where the node had forgotten the state; `true` says then that it is not known."""
        forgotten, blocks = self.life.node.forgotten, self.life.chain.blocks
        unknown = {(row["block_hash"], row["txid"], row["spent_vout"], name) for row in told for name in CLAIMED if row[name] is None}
        for row in true:
            block = blocks["0x" + row["block_hash"]]
            before = block.parent.hash[2:] if block.parent is not None else None
            for name, after in zip(CLAIMED, (before, row["block_hash"]), strict=True):
                if (row["block_hash"], row["txid"], row["spent_vout"], name) in unknown and after in forgotten:
                    row[name] = None

    def named_was_looked_for(self, rows: list[Row], named: set[str]) -> None:
        """(h) What the office's books say that others paid on chain was looked for, and nothing that no payment ever named (rule 10.8)."""
        self.sought = {row["txid"] for row in rows}
        due = {p["txid"] for p in self.life.office.ledger["payments"].values() if p["payer"] in PAYERS}
        hold(
            "h",
            due <= self.sought <= named,
            f"not looked for: {sorted(due - self.sought)[:3]}, never named: {sorted(self.sought - named)[:3]}",
        )
        self.count("h", len(due))

    def observations_are_true(self, rows: list[Row]) -> None:
        """(b) What was observed is what the world's books say, at the log's beginning and at every month's end; null only what was forgotten."""
        ends = {block.hash[2:]: block for block in month_ends(self.life)}
        for row in rows:
            block = ends.get(row["block_hash"])
            hold("b", block is not None and block.height == row["height"], f"observed after a block that ends no month: {row}")
            true = held_after(cast(AccountBlock, block), row["address"], row["asset"])
            was_forgotten = row["value"] is None and row["block_hash"] in self.life.node.forgotten
            hold("b", row["value"] == true or was_forgotten, f"observed {row}, the books say {true}")
            self.count("b")
        wallets = ["pool"] if self.life.dice.happened["wallet-joins-late"] else list(WALLETS)
        told = {(row["block_hash"], row["address"].lower(), row["asset"]) for row in rows}
        due = {(block, where, asset) for block in ends for name in wallets for where in WALLETS[name] for asset in KNOWN}
        hold("b", due <= told, f"never observed: {sorted(due - told)[:3]}")

    def doubts_have_a_cause(self, rows: list[Row]) -> None:
        """(h) Every doubt is of a block of which the node did say two things."""
        for row in rows:
            block = self.life.chain.blocks.get("0x" + row["hash"])
            hold("h", block is not None and row["hash"] in self.life.node.changed, f"doubted without a cause: {row}")
            hold("h", (row["height"], row["time"]) == (block.height, block.time), f"doubted is another block than {row}")
            self.count("h")

    def nothing_untrue_was_frozen(self) -> None:
        """(h) What a version was frozen on is true of its blocks up to the month's last: what a node took back later was read twice before."""
        for event in self.frozen:
            reader = LogReader().read(self.records, event.positions)
            facts = reader.tables()
            sought = {row["txid"] for row in facts["sought"]}
            depends = reader.taken_back - sought
            last = Month.parse(event.month).last
            blocks = {row["hash"] for row in facts["blocks"] if almaty_date(row["time"]) <= last}
            named = {row["wallet"] for row in facts["pool_wallets"]}
            true: Tables = {name: [] for name in facts}
            chain: list[AccountBlock] = [self.life.chain.blocks["0x" + block_hash] for block_hash in sorted(blocks)]
            add_blocks(true, chain, {a: wallet for a, wallet in OWN.items() if wallet in named}, sought, shows_calls=self.life.shows_calls)
            told_truly = shaped(true)
            self.forget(told_truly["inputs"], facts["inputs"])
            for name in ("transactions", "inputs", "outputs"):
                frozen = as_set(row for row in facts[name] if row["block_hash"] in blocks and row["txid"] not in depends)
                different = frozen ^ as_set(row for row in told_truly[name] if row["txid"] not in depends)
                hold("h", not different, f"{event.month} v{event.version} was frozen on untrue {name}: {list(different)[:2]}")
            self.count("h")

    def fees_add_up(self, facts: Tables) -> None:
        """(a) Of each asset inputs (and what others gave) = outputs + gas; and gas is what the world says was paid for it."""
        fees = {(row["block_hash"], row["txid"]): row["fee"] for row in facts["transactions"]}
        others, credited = self._others()
        connection = self.store.connection
        stored = connection.execute(
            "SELECT t.block_hash, t.txid, t.is_coinbase, t.fee, t.other_inputs_value FROM raw_transaction t "
            "JOIN raw_block b ON b.hash = t.block_hash WHERE b.is_main"
        ).fetchall()
        sums: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for side, table in enumerate(("raw_input", "raw_output")):
            for block_hash, txid, asset, value in connection.execute(f"SELECT block_hash, txid, asset, value FROM {table}").fetchall():
                sums[block_hash, txid][asset][side] += int(value)
        hold("a", len(stored) == len(fees), f"{len(stored)} transactions in the store, {len(fees)} in the world")
        for block_hash, txid, is_coinbase, fee, other_value in stored:
            place = (block_hash, txid)
            hold("a", int(fee) == fees[place], f"{txid}: gas {fee}, in the world {fees[place]}")
            given = {asset: value for (b, t, asset), value in others.items() if (b, t) == place}
            hold("a", is_coinbase or int(other_value) == given.get(COIN, 0), f"{txid}: others gave {other_value}, in the world {given}")
            for asset in sums[place].keys() | given.keys():
                ins, outs = sums[place][asset]
                come = ins + (credited[block_hash] if is_coinbase else given.get(asset, 0))
                gone = outs + (int(fee) if asset == COIN else 0)
                hold("a", come == gone, f"{txid}: {come} {asset} come, {gone} go")
            self.count("a")

    def _others(self) -> tuple[dict[tuple[str, str, str], int], dict[str, int]]:
        """What strangers gave in each transaction, by asset; and what each block credited to the pool."""
        others: dict[tuple[str, str, str], int] = defaultdict(int)
        credited: dict[str, int] = {}
        for block in self.life.chain.chain()[self.life.start_height :]:
            credited[block.hash[2:]] = sum(moved.value for moved in credits_of(block) if moved.taker in OWN)
            for mined in block.mined:
                is_sought = mined.tx.txid in self.sought and mined.tx.spend.sender not in OWN
                for (asset, _), value in other_givers(moves_of(mined, shows_calls=self.life.shows_calls), OWN, is_sought=is_sought).items():
                    others[block.hash[2:], mined.tx.txid, asset] += value
        return others, credited

    # --- months ------------------------------------------------------------------------------------------------------

    def wallets_balance(self, enriched: dict[Month, Enriched]) -> None:
        """(b) opening + in - out - fee (+ what no node showed) = closing, both ends by the books; what does not balance is said."""
        chain, start = self.life.chain.chain(), self.life.start_height - 1
        for month, made in enriched.items():
            before, after = max(self.last_block(month.previous).height, start), self.last_block(month)
            between = chain[before + 1 : after.height + 1]
            facts: Tables = {name: [] for name in ("blocks", "transactions", "inputs", "outputs")}
            add_blocks(facts, between, OWN, shows_calls=self.life.shows_calls)
            faults = set(made.issues.filter(made.issues["code"] == "wallet-does-not-balance")["ref"].to_list())
            for row in made.balances.to_dicts():
                own = (row["wallet"], row["asset"])
                opening, closing = (sum(held_after(b, a, own[1]) for a in WALLETS[own[0]]) for b in (chain[before], after))
                come = sum(output["value"] for output in facts["outputs"] if (output["wallet"], output["asset"]) == own)
                gone = sum(spend["value"] for spend in facts["inputs"] if (spend["wallet"], spend["asset"]) == own)
                unseen = unseen_in(between, own[0], shows_calls=self.life.shows_calls) if own[1] == COIN else 0
                hold("b", opening + come - gone + unseen == closing, f"{month} {own}: the world itself does not add up")
                hold("b", (row["in"], row["out"] + row["fee"]) == (come, gone), f"{month} {own}: told {row}, true in {come}, out {gone}")
                for told, true, block in ((row["opening"], opening, chain[before]), (row["unspent"], closing, after)):
                    was_forgotten = told is None and block.hash[2:] in self.life.node.forgotten
                    hold("b", told == true or was_forgotten, f"{month} {own}: told {told} after block {block.height}, true {true}: {row}")
                is_whole = row["opening"] is not None and row["unspent"] is not None
                is_said = (own[0] if own[1] == COIN else f"{own[0]}:{own[1]}") in faults
                hold("b", is_said == (not is_whole or unseen != 0), f"{month} {own}: {row}, unseen {unseen}, said: {is_said}")
                self.count("b")

    def outflows_have_one_class(self, facts: Tables, enriched: dict[Month, Enriched]) -> None:
        """(d) as ever, in the assets that somebody knows; what else left is an issue, and stands nowhere."""
        known = {name: [row for row in facts[name] if row["asset"] in KNOWN] for name in ("inputs", "outputs")}
        super().outflows_have_one_class({**facts, **known}, enriched)

    # --- reorganisations ---------------------------------------------------------------------------------------------

    def as_read_anew(self, facts: Tables) -> Tables:
        return {**facts, "inputs": self._true_inputs}

    def is_as_before(self, name: str, before: Facts, after: Facts) -> bool:
        may_be_null = {"observations": ("value",), "inputs": CLAIMED}.get(name)
        if may_be_null is None:
            return super().is_as_before(name, before, after)
        was, now = (getattr(frame, name).to_dicts() for frame in (before, after))
        # What a node had forgotten it may remember when it is asked again.
        return len(was) == len(now) and all(
            a == b | {column: None for column in may_be_null if a[column] is None} for a, b in zip(was, now, strict=True)
        )
