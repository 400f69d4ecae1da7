"""The columns of each kind of file, their headings, and the settings for reading their cells.

In: the settings' mapping of headings. Out: the headings expected, and faults of the mapping. Left out: reading (`check`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipeline.chains.networks import AnyNetwork
from pipeline.model.message import message
from pipeline.model.rules import Asset

from .cells import Kind
from .layout import OWN, Layout
from .table import shown

_VALUE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}|^[0-9]+[.,][0-9]+$")
"""What no program writes as a heading of these files: a day, or a number with decimals."""


@dataclass(frozen=True)
class Column:
    """A column that a file has."""

    name: str
    kind: Kind
    is_nullable: bool = False
    """Its cells may be empty; then the file may also lack the column."""
    of: str = ""
    """AMOUNT, ADDRESS: the column with the asset, or the chain, that the value depends on."""
    pair: str = ""
    """The column that must be filled in the same rows."""
    free_by: str = ""
    """The column whose value makes this cell a REFERENCE: a payer that is not one of `CellContext.on_chain_payers` (rule 10.5)."""


@dataclass(frozen=True)
class CellContext:
    """The settings needed to read cells."""

    assets: Mapping[str, Asset] = field(default_factory=dict)
    networks: Mapping[str, AnyNetwork | str] = field(default_factory=dict)
    """The network of each chain, by chain."""
    timezone: str | None = None
    """The time zone of instants without an offset; None refuses them."""
    layout: Layout = OWN
    """How the table is written."""
    on_chain_payers: Collection[str] = ()
    """Payers whose payments name a transaction and an address of a chain (rule 10.1)."""


ALLOCATIONS = (
    Column("allocation_id", Kind.ID),
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("allocated_at", Kind.INSTANT),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("commission_asset", Kind.ASSET, is_nullable=True, pair="commission_amount"),
    Column("commission_amount", Kind.AMOUNT, is_nullable=True, of="commission_asset", pair="commission_asset"),
    Column("commission_currency", Kind.ID, is_nullable=True, pair="commission_currency_amount"),
    Column("commission_currency_amount", Kind.PLAIN, is_nullable=True, pair="commission_currency"),
)
PAYMENTS = (
    Column("payment_id", Kind.ID),
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("address", Kind.ADDRESS, of="asset", free_by="payer"),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("txid", Kind.TXID, free_by="payer"),
    Column("paid_at", Kind.INSTANT),
    Column("payer", Kind.ID, is_nullable=True),
)
OPENINGS = (
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("owed_at", Kind.INSTANT),
)
MINERS = (Column("miner_id", Kind.MINER), Column("name", Kind.NAME))
LICENCES = (
    Column("miner_id", Kind.MINER),
    Column("licence_number", Kind.ID),
    Column("issue_date", Kind.DATE),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
    Column("suspended_from", Kind.DATE, is_nullable=True),
    Column("suspended_to", Kind.DATE, is_nullable=True),
)
ACCOUNTS = (
    Column("account", Kind.ID),
    Column("miner_id", Kind.MINER),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
)
WALLETS = (
    Column("address", Kind.ADDRESS, of="chain"),
    Column("chain", Kind.ID),
    Column("miner_id", Kind.MINER),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
)
COUNTERPARTIES = (
    Column("address", Kind.ADDRESS, of="chain"),
    Column("chain", Kind.ID),
    Column("class", Kind.CLASS),
    Column("name", Kind.NAME, is_nullable=True),
)


def headings_of(columns: Collection[Column], mapping: Mapping[str, str]) -> dict[str, str]:
    """The heading expected for each column: as mapped in the settings, else the column's own name."""
    return {column.name: mapping.get(column.name, column.name) for column in columns}


def mapping_faults(columns: Collection[Column], mapping: Mapping[str, str]) -> list[str]:
    """What is wrong with a settings' table of headings: keys that are no columns, headings that are empty."""
    names = [column.name for column in columns]
    faults = [
        message(
            "columns.{key}: there is no such column{near}; the columns are {names}", key=key, near=near(key, names), names=", ".join(names)
        )
        for key in mapping
        if key not in names
    ]
    return faults + [
        message("columns.{key}: the heading is empty: write the heading that the file has", key=key)
        for key, heading in mapping.items()
        if not heading.strip()
    ]


def near(word: str, words: Collection[str]) -> str:
    """A suggestion for a misspelt word: ` (is it 'amount'?)`; "" for none."""
    plain = {other.casefold().replace(" ", "_").replace("-", "_"): other for other in words}
    close = difflib.get_close_matches(word.casefold().replace(" ", "_").replace("-", "_"), list(plain), 1, 0.6)
    return message(" (is it {plain}?)", plain=shown(plain[close[0]])) if close else ""


def no_headings(headings: Collection[str]) -> str:
    """A suggestion for a file whose unknown headings look like values; "" where none does."""
    value = next((text for text in headings if _VALUE.search(text)), None)
    return message("; {value} looks like a value: if the line of headings is missing, add it above", value=shown(value)) if value else ""
