"""A miner's statement of one month (салыстыру актісі, акт сверки): its data, the input of every format, and its texts.

Enters: the miner's debts and rows of one version of the month, already printed (rules 2.2, 7.5). Leaves: one immutable value, and its texts in
a language of the catalogue. No arithmetic: a frozen month's statement repeats the frozen values character by character.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import polars as pl

from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.texts import N_, Texts

from .columns import Kind, PrintedColumn


class StatementColumn(NamedTuple):
    """A column of a statement's table: its name in data files, what its values are, its heading as the catalogue's message."""

    name: str
    kind: Kind
    message: str


BALANCES: Final = (
    StatementColumn("asset", "text", N_("Digital asset")),
    StatementColumn("opening", "amount", N_("Debt at the beginning of the month")),
    StatementColumn("allocated", "amount", N_("Allocated in the month")),
    StatementColumn("settled", "amount", N_("Settled in the month")),
    StatementColumn("closing", "amount", N_("Debt at the end of the month")),
    StatementColumn("advance", "amount", N_("Paid in advance at the end of the month")),
)
"""What the pool owes the miner, by asset: opening + allocated − settled = closing."""
ROWS: Final = (
    StatementColumn("n", "integer", N_("No.")),
    StatementColumn("allocation_date", "date", N_("Allocated on")),
    StatementColumn("allocation_id", "text", N_("Allocation")),
    StatementColumn("is_carried", "text", N_("Allocated in an earlier month")),
    StatementColumn("asset", "text", N_("Digital asset")),
    StatementColumn("amount", "amount", N_("Amount")),
    StatementColumn("transfer_date", "date", N_("Transferred on")),
    StatementColumn("txid", "text", N_("Transaction")),
    StatementColumn("wallet", "text", N_("Wallet")),
    StatementColumn("transfer_amount", "amount", N_("Combined sum of the transfer")),
    StatementColumn("commission_asset", "text", N_("Commission: asset")),
    StatementColumn("commission_asset_amount", "amount", N_("Commission: asset amount")),
    StatementColumn("commission_currency", "text", N_("Commission: currency")),
    StatementColumn("commission_currency_amount", "amount", N_("Commission: currency amount")),
)
"""The miner's rows of the report, in its order, each with its allocation and its transaction. Numbered from 1: the form's numbers count others' rows, too."""


@dataclass(frozen=True)
class Statement:
    """One miner's statement of one month."""

    month: Month
    version: int | None
    """Of the frozen report; None where the month is not frozen: a draft."""
    digest: str
    """SHA-256, hex, of the frozen report; empty for a draft."""
    at: int
    """When the version was frozen, or the draft worked out: Unix seconds."""
    pool: dict[str, str]
    """The form's header (rule 7.6)."""
    miner_id: str
    miner_name: str
    debts: pl.DataFrame = field(repr=False)
    """BALANCES, all strings, a line for each asset."""
    rows: pl.DataFrame = field(repr=False)
    """ROWS, all strings, null where empty; `is_carried` is `true` or `false`."""
    is_on_nodes_word: bool = False
    """Some row's sum rests on the word of the pool's node: another paid it on an account chain (rule 10.2, ADR 18)."""
    is_on_ledgers_word: bool = False
    """Some row was paid off chain and rests on the pool's ledger alone (rule 10.5)."""

    def __post_init__(self) -> None:
        for frame, columns in ((self.debts, BALANCES), (self.rows, ROWS)):
            if frame.schema != {column.name: pl.String for column in columns}:
                raise ValueError(
                    message(
                        "a statement's columns are {name}, all strings; these are {schema}",
                        name=", ".join(column.name for column in columns),
                        schema=frame.schema,
                    )
                )

    @property
    def label(self) -> str:
        """How files and data name the version: `v1`, or `draft`."""
        return "draft" if self.version is None else f"v{self.version}"


class StatementWords:
    """The texts of a statement besides its tables, in one language."""

    def __init__(self, statement: Statement, texts: Texts) -> None:
        self.statement, self.texts = statement, texts
        gettext = texts.gettext
        month, day = statement.month, texts.day(almaty_date(statement.at).isoformat())
        self.sheet = gettext("Statement")
        self.title = gettext("Statement for {month} {year}", month=texts.month(month), year=month.year)
        self.subject = gettext("Digital assets that the digital mining pool allocated and transferred to the digital miner")
        self.is_draft = statement.version is None
        if statement.version is None:
            self.version = gettext("draft")
            self.status = gettext("DRAFT as of {day}: the month is not frozen, and what stands here may change.", day=day)
        else:
            self.version = gettext("version {version}", version=statement.version)
            self.status = gettext("By version {version} of the report, frozen on {day}.", version=statement.version, day=day)
        self.file = f"{self.sheet}   {month}   {self.version}   {statement.miner_id}"
        """The footer of each page."""
        self.digest = gettext("SHA-256 of the report")
        pool, number, name = statement.pool, gettext("IIN/BIN"), gettext("Name")
        self.parties = (
            (
                gettext("Digital mining pool"),
                ((name, pool.get("name", "")), (number, pool.get("bin", "")), (gettext("Address"), pool.get("address", ""))),
            ),
            (gettext("Digital miner"), ((name, statement.miner_name), (number, statement.miner_id))),
        )
        self.balances = gettext("Debt to the miner")
        carried = statement.rows.filter(pl.col("is_carried") == "true").height
        self.rows = gettext("Allocations and transfers")
        self.count = texts.ngettext("{count} row", "{count} rows", statement.rows.height)
        if carried:
            self.count += "; " + texts.ngettext(
                "{count} of them for an allocation of an earlier month", "{count} of them for allocations of earlier months", carried
            )
        self.no_rows = gettext("Nothing was allocated or transferred in the month.")
        self.no_balances = gettext("There is no debt.")
        self.yes = gettext("yes")
        self.note = gettext(
            "The combined sum is all that the transfer brought to the wallet; it stands in each row that the transfer settled. "
            "Dates are those of Almaty."
        )
        if statement.is_on_nodes_word:
            self.note += " " + gettext(
                "What an upstream pool's transaction brought to the wallet on a chain of accounts (such as Ethereum) rests on the word of the pool's node: "
                "transfers inside a transaction are proved by no block."
            )
        if statement.is_on_ledgers_word:
            self.note += " " + gettext("Transfers made outside the chain rest on the word of the pool's ledger alone.")
        self.sides = (gettext("For the pool"), gettext("For the miner"))
        self.hints = (gettext("position, full name"), gettext("signature"), gettext("date"))

    def page(self, page: object, pages: object) -> str:
        """`Page 1 of 3`."""
        return self.texts.gettext("Page {page} of {pages}", page=page, pages=pages)

    def columns(self, columns: tuple[StatementColumn, ...]) -> list[PrintedColumn]:
        """A table's columns with their headings."""
        return [PrintedColumn(column.name, column.kind, self.texts.gettext(column.message)) for column in columns]

    def printed_rows(self) -> pl.DataFrame:
        """The rows with a word where `is_carried` is `true`, and nothing where it is not."""
        return self.statement.rows.with_columns(is_carried=pl.when(pl.col("is_carried") == "true").then(pl.lit(self.yes)))
