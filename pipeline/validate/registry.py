"""Checks registry files: miners, licences, accounts, wallets, counterparties (rules 4, 9).

In: `RawTable`s. Out: the rows, every fault, and warnings. Faults are contradictions, such as a period that ends before it begins or a miner
given twice. What the rules treat as an issue is a warning here: an IIN/BIN with a wrong control digit (rule 4.5), overlapping holders
(rule 4.1), rows of someone who is not in the table of miners (rule 9.1: not registered). No message contains an IIN/BIN.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Literal, get_args

import polars as pl

from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.miner_id import miner_id_fault

from .check import check_columns
from .columns import (
    ACCOUNTS,
    COUNTERPARTIES,
    LICENCES,
    MINERS,
    WALLETS,
    CellContext,
    Column,
    headings_of,
    mapping_faults,
)
from .ledger import drop_repeats
from .table import Fault, RawTable, shown

RegistryKind = Literal["miners", "licences", "accounts", "wallets", "counterparties"]
REGISTRY_KINDS: tuple[RegistryKind, ...] = get_args(RegistryKind)
COLUMNS: dict[RegistryKind, tuple[Column, ...]] = {
    "miners": MINERS,
    "licences": LICENCES,
    "accounts": ACCOUNTS,
    "wallets": WALLETS,
    "counterparties": COUNTERPARTIES,
}
_KEYS: dict[RegistryKind, tuple[str, ...]] = {"miners": ("miner_id",), "counterparties": ("address", "chain")}
_PERIODS = (("valid_from", "valid_to"), ("suspended_from", "suspended_to"))
_HELD: dict[RegistryKind, tuple[str, ...]] = {"accounts": ("account",), "wallets": ("address", "chain")}
"""The keys that at most one miner may hold on a day (rule 4.1)."""


def headings(kind: RegistryKind, mapping: Mapping[str, str]) -> list[str]:
    """The headings that a file of `kind` is looked for. Raises `SettingsError` for a mapping that names no column."""
    faults = mapping_faults(COLUMNS[kind], mapping)
    if faults:
        raise SettingsError(faults, source=message("headings of {kind}", kind=kind))
    return list(headings_of(COLUMNS[kind], mapping).values())


def check_registry_table(
    table: RawTable, kind: RegistryKind, *, terms: CellContext, mapping: Mapping[str, str], ignored: Collection[str] = ()
) -> tuple[pl.DataFrame, list[Fault], list[Fault]]:
    """A registry file's rows with their `line` (repetitions left out), its faults, and its warnings."""
    checked = check_columns(table, COLUMNS[kind], mapping, ignored, terms)
    rows, faults = checked.rows, checked.faults
    names = headings_of(COLUMNS[kind], mapping)
    if kind in _KEYS:
        rows, repeated = drop_repeats(rows, _KEYS[kind], names, is_shown=kind != "miners")
        faults += repeated
    else:
        rows = rows.unique([name for name in rows.columns if name != "line"], keep="first", maintain_order=True)
    for start, end in _PERIODS:
        if start in names:
            faults += _period_faults(rows, start, end, names)
    warnings = _bad_ids(rows, names) if kind == "miners" else []
    warnings += [warning for start, end in _PERIODS if start in names for warning in _empty_periods(rows, start, end, names)]
    if "chain" in names:
        warnings += _unknown_chains(rows, names["chain"], terms)
    if kind in _HELD:
        warnings += _overlaps(rows, _HELD[kind], names)
    hidden = [Fault(None, "", what) for what in checked.notes.odd]  # nobody is asked about a registry
    return rows, faults, warnings + checked.notes.warnings + hidden


def reference_warnings(kind: RegistryKind, rows: pl.DataFrame, miners: pl.DataFrame, heading: str) -> list[Fault]:
    """Rows of someone who is not in the table of miners, so not registered (rule 9.1)."""
    strangers = rows.join(miners, "miner_id", "anti", maintain_order="left").filter(pl.col("miner_id").is_not_null())
    what = {"licences": message("a licence"), "accounts": message("an account"), "wallets": message("a wallet")}.get(kind, message("a row"))
    return [
        Fault(line, heading, message("{what} of someone who is not among the miners, so not registered", what=what))
        for line in strangers["line"]
    ]


def licence_warnings(miners: pl.DataFrame, licences: pl.DataFrame) -> list[Fault]:
    """Miners without any licence."""
    without = miners.join(licences, "miner_id", "anti", maintain_order="left")
    return [Fault(line, "", message("the miner has no licence")) for line in without["line"]]


def _period_faults(rows: pl.DataFrame, start: str, end: str, names: Mapping[str, str]) -> list[Fault]:
    """A period runs from its first day up to, not including, its end (rule 4.1): it can't end before it begins."""
    backward = rows.filter(pl.col(start) > pl.col(end))
    faults = [
        Fault(
            line,
            names[end],
            message("{last} is before {names}, {first}: the period would end before it begins", last=last, names=names[start], first=first),
        )
        for line, first, last in backward.select("line", start, end).iter_rows()
    ]
    if start == "suspended_from":
        endless = rows.filter(pl.col(start).is_null() & pl.col(end).is_not_null())
        faults += [Fault(line, names[start], message("is missing, though {names} is given", names=names[end])) for line in endless["line"]]
    return faults


def _empty_periods(rows: pl.DataFrame, start: str, end: str, names: Mapping[str, str]) -> list[Fault]:
    """Periods that end on the day they begin are empty (rule 4.1)."""
    empty = rows.filter(pl.col(start) == pl.col(end))
    return [
        Fault(line, names[end], message("is {names} itself: the period holds no day, the row counts on none", names=names[start]))
        for line in empty["line"]
    ]


def _bad_ids(rows: pl.DataFrame, names: Mapping[str, str]) -> list[Fault]:
    found = ((line, miner_id_fault(miner_id)) for line, miner_id in rows.select("line", "miner_id").drop_nulls().iter_rows())
    return [
        Fault(line, names["miner_id"], message("the IIN/BIN {what}: issue bad-miner-id (rule 4.5)", what=what))
        for line, what in found
        if what
    ]


def _unknown_chains(rows: pl.DataFrame, heading: str, terms: CellContext) -> list[Fault]:
    known = ", ".join(sorted(terms.networks)) or message("none")
    strange = rows.filter(~pl.col("chain").is_in(sorted(terms.networks)))
    return [
        Fault(
            line,
            heading,
            message(
                "{chain} is no chain of the settings (those are {known}): its address was not checked", chain=shown(chain), known=known
            ),
        )
        for line, chain in strange.select("line", "chain").iter_rows()
    ]


def _overlaps(rows: pl.DataFrame, held: Sequence[str], names: Mapping[str, str]) -> list[Fault]:
    """Days on which two miners hold one thing: an issue for enrichment, a warning here."""
    shared = rows.filter(pl.struct(list(held)).is_duplicated()).drop_nulls("valid_from").sort(*held, "valid_from", "line")
    warnings = []
    for _, group in groupby(shared.iter_rows(named=True), key=lambda row: [row[name] for name in held]):
        periods = list(group)
        for place, later in enumerate(periods):
            for earlier in periods[:place]:
                if earlier["miner_id"] != later["miner_id"] and later["valid_from"] < (earlier["valid_to"] or date.max):
                    what = message(
                        "another miner holds it on the same days, line {line}: issue registry-overlap (rule 4.1)", line=earlier["line"]
                    )
                    warnings.append(Fault(later["line"], names[held[0]], what))
    return warnings
