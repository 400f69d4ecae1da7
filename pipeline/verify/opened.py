"""An opened bundle: its manifest, and its parts, each read and proven once, at the first check that needs it.

Enters: a folder. Leaves: values; what can't be read raises in each check that wants it.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from cryptography import x509

from pipeline.assess.coins import MonthCoins, month_coins
from pipeline.assess.opening_line import NEWEST_FORMAT, OPENING_LINE_CSV, line_of
from pipeline.chains.bitcoin.wire import Header
from pipeline.chains.evidence import Evidence
from pipeline.chains.networks import OURS, AnyNetwork, recorded
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Beginning
from pipeline.model.errors import VerifyError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.canonical import check_rows
from pipeline.render.csv_parts import csv_parts, read_text

from .evidence import Proven, prove_transactions, read_evidence
from .files import read_facts
from .shapes import MANIFEST, read_manifest, require_plain_files

LARGE = 2_000_000
"""Allocations from which a month is large: at ten million, evidence and enrichment together would pass 4 GiB."""


def networks_of(rules: Rules) -> dict[str, AnyNetwork]:
    """The network of each chain. Of a network that this program knows its own facts count, never the bundle's word. Raises ValueError for one that is none."""
    known = recorded({name: facts for name, facts in rules.network_facts.items() if name not in OURS.names})
    return {chain: known.of(name) for chain, name in rules.network.items()}


class OpenBundle:
    """The bundle in a folder. Its parts are read and proven once, at the first check that needs them; an unreadable part raises in every check that needs it."""

    def __init__(
        self,
        folder: Path,
        trusted: Sequence[x509.Certificate],
        *,
        is_node_asked: bool = False,
        headers: Mapping[int, Header] = MappingProxyType({}),
        root_key: str | None = None,
    ) -> None:
        """`root_key`: the root key of the log that whoever asks knows to be the pool's, hex. `headers`: Bitcoin's, that whoever asks has from elsewhere, by height. `is_node_asked`: a node is asked of the pool's coins besides. Raises VerifyError without a readable manifest, or where not all are plain files."""
        self.folder = folder
        self.trusted = trusted
        self.is_node_asked = is_node_asked
        self.headers_given = headers
        self.root_key = root_key
        self.manifest = read_manifest(folder)
        require_plain_files(folder, self.manifest["files"])
        self.rules = Rules.from_json(self.manifest["rules"])
        try:
            self.networks = networks_of(self.rules)
        except ValueError as error:
            raise VerifyError(
                message("{folder}: its rules name a network that is none: {error}", folder=folder / MANIFEST, error=error)
            ) from error

    @cached_property
    def evidence(self) -> Evidence:
        """Headers and proofs, as read."""
        return read_evidence(self.folder / "evidence")

    @cached_property
    def facts(self) -> Facts:
        """What the report was made of."""
        return read_facts(self.folder / "evidence" / "facts")

    @cached_property
    def proven(self) -> tuple[Proven, list[str]]:
        """What the evidence proves of each transaction, and the faults of the proofs."""
        return prove_transactions(self.evidence, self.networks)

    @cached_property
    def coins(self) -> MonthCoins:
        """The month's coins, computed anew."""
        return month_coins(self.facts, Month.parse(self.manifest["month"]), self.rules)

    @cached_property
    def before(self) -> OpenBundle | None:
        """The bundle of the month before that this one names by its digest, where it lies beside this one. Raises VerifyError when it can't be read."""
        previous = str(Month.parse(self.manifest["month"]).previous)
        for path in sorted((self.folder.resolve().parent.parent / previous).glob("v*")):
            if re.fullmatch(r"v[1-9][0-9]{0,5}", path.name):
                found = OpenBundle(path, self.trusted)
                if (found.manifest["month"], found.manifest["digest"]) == (previous, self.manifest["previous_digest"]):
                    return found
        return None

    @cached_property
    def opening(self) -> Beginning | None:
        """What the month begins with, of a bundle whose allocations begin with it (ADR 27). Raises VerifyError for one without a line that can stand for those before."""
        starts_at = self.manifest.get("starts_at")
        if starts_at is None:
            return None
        if self.manifest["debts"].get("line_format", 1) < NEWEST_FORMAT or OPENING_LINE_CSV not in self.manifest["files"]:
            raise VerifyError(
                message("its allocations begin with the opening line, and it has no {name} of format 2", name=OPENING_LINE_CSV)
            )
        return Beginning(Month.parse(self.manifest["month"]), starts_at, line_of(read_text(self.folder / OPENING_LINE_CSV)))

    @cached_property
    def enriched(self) -> Enriched:
        """The month, computed anew from the facts in the bundle. A large one with nothing else in memory: who asks for the evidence again has it, read and proven anew."""
        if self.facts.allocations.height > LARGE:
            self._drop("evidence", "proven")
            _give_back()
        return enrich_month(self.facts, Month.parse(self.manifest["month"]), self.rules, self.opening)

    def let_go(self) -> None:
        """Let go of the facts and of what was computed from them, gigabytes of a large month: whoever asks again has them, made anew."""
        self._drop("facts", "opening", "enriched", "coins", "before")

    def _drop(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    @cached_property
    def chains(self) -> list[str]:
        """Every chain that the month stands on: by its rules, by its facts, and by the assets that it reports."""
        facts, rules = self.facts, self.rules
        frames = (
            facts.blocks,
            facts.transactions,
            facts.pool_wallets,
            facts.observations,
            facts.doubts,
            facts.witnesses,
            facts.disagreements,
        )
        named = {chain for frame in frames for chain in frame["chain"].unique() if chain is not None}
        assets = set(facts.allocations["asset"].unique()) | set(facts.openings["asset"].unique()) | set(facts.payments["asset"].unique())
        if self.opening is not None:
            assets |= set(self.opening.line.allocations["asset"])
        owed = {rules.assets[asset].chain for asset in assets if asset in rules.assets}
        return sorted(named | owed | set(rules.finality))

    def tied_rows(self) -> Iterator[tuple[dict[str, Any], str, str]]:
        """Each row of `report.csv`, as text, with its transaction and who paid (`read_ties`), read in parts. Raises VerifyError where `rows.csv` has other rows."""
        for rows, ties in zip_longest(csv_parts(self.folder / "report.csv"), csv_parts(self.folder / "rows.csv")):
            if rows is None or ties is None or rows["n"].to_list() != ties["n"].to_list():
                raise VerifyError(message("rows.csv does not have the report's rows"))
            check_rows(rows)
            whole = _whole_ties(ties)
            yield from zip(rows.iter_rows(named=True), whole["txid"], whole["payer"], strict=True)

    def read_ties(self) -> pl.DataFrame:
        """Each report row's transaction (`rows.csv`), and who paid; `txid` is empty for an unsettled row, `payer` for the pool itself. Each pair of the two once."""
        parts = (_whole_ties(ties).select("txid", "payer").unique(maintain_order=True) for ties in csv_parts(self.folder / "rows.csv"))
        return pl.concat(parts).unique(maintain_order=True)


def _give_back() -> None:
    """Give memory that was let go back to the system, where the C library can (glibc): many small objects leave it with the process."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _whole_ties(ties: pl.DataFrame) -> pl.DataFrame:
    """With no null: `txid` and `payer` are empty texts, the latter in editions that have none, too."""
    payer = pl.col("payer").fill_null("") if "payer" in ties.columns else pl.lit("")
    return ties.with_columns(pl.col("txid").fill_null(""), payer.alias("payer"))
