"""Each miner's statement of a month, taken from the month's tables as they are printed.

Enters: the report, the allocation and transaction of each row, and the debts, all as text: from a frozen month's files, or a draft printed the
same way. Leaves: `Statement`s, one per miner, each with that miner's lines only. No arithmetic: rows are selected, never summed. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from pipeline.chains.networks import is_account_network
from pipeline.enrich.frames import DEBTS
from pipeline.model.errors import MonthError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.canonical import check_rows
from pipeline.render.statement import BALANCES, ROWS, Statement

from .debts import printed_debts
from .month import Assessment, MonthState
from .printed import printed_links, printed_report

LINKS = ("n", "allocation_id", "txid", "is_carried")
"""The columns of `rows.csv` that a statement has; who paid (rule 10.9) is none of them."""


@dataclass(frozen=True)
class MonthTables:
    """A month's tables as they are printed, all strings."""

    month: Month
    version: int | None
    """Of the frozen report; None for a draft."""
    digest: str
    """SHA-256, hex, of the frozen report; empty for a draft."""
    at: int
    """When it was frozen, or the draft worked out: Unix seconds."""
    pool: dict[str, str]
    """The form's header (rule 7.6)."""
    report: pl.DataFrame = field(repr=False)
    """The form's fifteen columns."""
    links: pl.DataFrame = field(repr=False)
    """LINKS, a line for each row of the report."""
    debts: pl.DataFrame = field(repr=False)
    """The columns of DEBTS."""
    names: Mapping[str, str] = field(repr=False)
    """The registry's names of miners, for those who have a debt and no row."""
    on_nodes_word: frozenset[str] = field(default=frozenset(), repr=False)
    """The numbers of the rows whose sum rests on the word of the pool's node: see `rows_on_word`."""
    on_ledgers_word: frozenset[str] = field(default=frozenset(), repr=False)
    """The numbers of the rows that rest on the ledger's word alone (rule 10.5)."""

    def __post_init__(self) -> None:
        """Raises ValueError when the tables are not a month's, or do not belong together."""
        check_rows(self.report)
        for name, frame, columns in (("rows.csv", self.links, LINKS), ("debts.csv", self.debts, tuple(DEBTS))):
            if frame.schema != dict.fromkeys(columns, pl.String):
                raise ValueError(
                    message(
                        "{name} has the columns {columns}; {columns_2} are needed, all strings",
                        name=name,
                        columns=", ".join(frame.columns),
                        columns_2=", ".join(columns),
                    )
                )
        if not self.report["n"].equals(self.links["n"]):
            raise ValueError(message("rows.csv is not of this report: its rows have other numbers"))

    @property
    def miners(self) -> list[str]:
        """Everyone who has a row or a debt, in order."""
        named = pl.concat([self.report.select("miner_id"), self.debts.select("miner_id")])
        return named["miner_id"].drop_nulls().unique().sort().to_list()


def rows_on_word(report: pl.DataFrame, payers: pl.Series, rules: Rules) -> dict[str, frozenset[str]]:
    """Of rows that others than the pool paid (rule 10), those that no proof in the bundle shows: `on_nodes_word` and `on_ledgers_word` of `MonthTables`.

    On an account chain a payer's transaction may bring the chain's own asset by calls inside it. They are in no root that a header has, and the bundle
    holds no state of the receivers' accounts: the node's trace says the sum (ADR 18). A token's sum stands in its log, which is proved.
    """
    accounts = {chain for chain, network in rules.network.items() if is_account_network(network)}
    node, ledger = set(), set()
    for n, asset, payer in zip(report["n"], report["asset"], payers, strict=True):
        who = rules.payers.get(payer or "")
        if who is not None and who.way == "off-chain":
            ledger.add(n)
        elif who is not None and who.chain in accounts and rules.assets[asset].contract is None:
            node.add(n)
    return {"on_nodes_word": frozenset(node), "on_ledgers_word": frozenset(ledger)}


def draft_tables(state: MonthState, assessed: Assessment, month: Month, rules: Rules, *, pool: dict[str, str], at: int) -> MonthTables:
    """The current state of a month, printed as it would be frozen."""
    enriched = assessed.enriched
    report, links = printed_report(enriched, rules), printed_links(enriched).cast(pl.String)
    return MonthTables(
        month,
        None,
        "",
        at,
        pool,
        report,
        links.drop("payer", strict=False),
        printed_debts(enriched.debts, rules).cast(pl.String),
        dict(state.facts.miners.select("miner_id", "name").iter_rows()),
        **(rows_on_word(report, links["payer"], rules) if "payer" in links.columns else {}),
    )


def statements_of(tables: MonthTables, miner_id: str | None = None) -> Iterator[Statement]:
    """The statement of every miner, in the order of their numbers, or of one. Raises MonthError when there is no such miner, or none at all."""
    miners = tables.miners
    if miner_id is not None and miner_id not in miners:
        raise MonthError(
            message(
                "{month}: the miner {miner_id} has no row and no debt; esep statement {month} makes those of all who have",
                month=tables.month,
                miner_id=miner_id,
            )
        )
    if not miners:
        raise MonthError(message("{month}: no miner has a row or a debt; is the ledger imported? (esep status)", month=tables.month))
    rows = pl.concat([tables.report, tables.links.drop("n")], how="horizontal")
    wanted = miners if miner_id is None else [miner_id]
    if miner_id is not None:
        rows = rows.filter(pl.col("miner_id") == miner_id)
    own_rows = _by_miner(rows)
    own_debts = _by_miner(tables.debts)
    for one in wanted:
        found = own_rows.get(one, rows.clear())
        name = found["miner_name"][0] if found.height else tables.names.get(one)
        yield Statement(
            month=tables.month,
            version=tables.version,
            digest=tables.digest,
            at=tables.at,
            pool=tables.pool,
            miner_id=one,
            miner_name=name or "",
            debts=own_debts.get(one, tables.debts.clear()).select(column.name for column in BALANCES),
            is_on_nodes_word=not tables.on_nodes_word.isdisjoint(found["n"]),
            is_on_ledgers_word=not tables.on_ledgers_word.isdisjoint(found["n"]),
            rows=found.with_columns(n=pl.int_range(1, pl.len() + 1).cast(pl.String)).select(column.name for column in ROWS),
        )


def _by_miner(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The frame's lines by miner, in their order."""
    parts = frame.filter(pl.col("miner_id").is_not_null()).partition_by("miner_id", maintain_order=True, as_dict=True)
    return {str(key[0]): part for key, part in parts.items()}
