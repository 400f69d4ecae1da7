"""Check a bundle offline, with nothing but the bundle (design, section 6).

Enters: a bundle's folder. Leaves: a list of `Check`s, each in words, none skipped silently. It leaves out whether the facts themselves
are true of the pool's ledger and registry: that is what the auditor compares them with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl
from cryptography import x509

from pipeline.assess.printed import TABLES, printed_report
from pipeline.chains.evidence import Evidence
from pipeline.chains.networks import network_of
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.model.amounts import from_units
from pipeline.model.errors import VerifyError
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import NEWEST_EDITION, Asset, Rules
from pipeline.render.canonical import read_report_csv, report_csv, table_csv
from pipeline.render.totals import printed_totals

from .debts import check_debts
from .evidence import (
    Proven,
    ProvenTransaction,
    header_faults,
    missing_proofs,
    prove_transactions,
    read_evidence,
)
from .files import MANIFEST, digest_of, read_facts
from .signatures import check_signatures

LATER = ("manifest.json.p7s", "report.json.p7s", "submissions/")
"""What may join a bundle after its freeze."""
SHOWN = 20


@dataclass(frozen=True)
class Check:
    """One thing checked: what, whether it holds, and what was seen."""

    name: str
    holds: bool
    detail: str
    not_checked: str = ""
    """What this check can't see, in words."""


class Finding(NamedTuple):
    """What one check came to."""

    faults: list[str]
    """What is wrong, and where; none when the check holds."""
    seen: str
    """What to say when nothing is wrong."""
    not_checked: str = ""
    """What it can't see, in words."""


class OpenBundle:
    """The bundle in a folder. Its parts are read and proven once, at the first check that wants them; what can't be read raises in each."""

    def __init__(self, folder: Path, trusted: Sequence[x509.Certificate]) -> None:
        """Raises VerifyError when there is no readable manifest to start from."""
        self.folder = folder
        self.trusted = trusted
        self.manifest = _read_manifest(folder)
        self.rules = Rules.from_json(self.manifest["rules"])
        self.networks = {chain: network_of(name) for chain, name in self.rules.network.items()}

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
    def enriched(self) -> Enriched:
        """The month, computed anew from the facts in the bundle."""
        return enrich_month(self.facts, Month.parse(self.manifest["month"]), self.rules)

    def read_report(self) -> pl.DataFrame:
        """The rows of `report.csv`, as text; not kept, because a large month's take much room."""
        return read_report_csv((self.folder / "report.csv").read_bytes())

    def read_ties(self) -> pl.DataFrame:
        """What ties each row of the report to its allocation and its transaction; `txid` is empty for an unsettled row."""
        return pl.read_csv(self.folder / "rows.csv", infer_schema=False).with_columns(pl.col("txid").fill_null(""))


def verify_bundle(
    folder: Path, progress: Callable[[str], None] = lambda _: None, *, trusted: Sequence[x509.Certificate] = ()
) -> list[Check]:
    """All checks of the bundle in `folder`, in the order of `CHECKS`; `trusted`: the authorities under which signatures must stand, none for any.

    Raises VerifyError only when there is no readable manifest to start from.
    """
    bundle = OpenBundle(folder, trusted)
    found = []
    for name, look in CHECKS:
        progress(name)
        found.append(_checked(name, look, bundle))
    return found


def _checked(name: str, look: Callable[[OpenBundle], Finding], bundle: OpenBundle) -> Check:
    """What one look came to; what can't be read is a fault, too."""
    try:
        finding = look(bundle)
    except (VerifyError, OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        finding = Finding([f"{type(error).__name__}: {error}"], "")
    faults = finding.faults
    shown = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else "")
    return Check(name, not faults, shown or finding.seen, finding.not_checked)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        if not 1 <= manifest["schema"] <= NEWEST_EDITION:
            raise VerifyError(f"{path}: schema {manifest['schema']} is newer than this program knows ({NEWEST_EDITION}): upgrade it")
        for key in ("month", "version", "digest", "rules", "files", "totals"):
            manifest[key]
        if manifest["rules"].get("edition", 1) != manifest["schema"]:
            raise VerifyError(
                f"{path}: a bundle of schema {manifest['schema']} can't be of edition {manifest['rules'].get('edition', 1)} of the rules"
            )
    except OSError as error:
        raise VerifyError(f"{path}: {error.strerror}; a bundle is a folder like months/2026-10/v1 with a {MANIFEST}") from error
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise VerifyError(f"{path}: not a bundle's manifest: {error!r}") from error
    return manifest


def _check_files(bundle: OpenBundle) -> Finding:
    """Every file named is there with its digest, and none that is not named."""
    folder, files = bundle.folder, bundle.manifest["files"]
    faults = []
    for name, digest in sorted(files.items()):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            faults.append(f"{name} lies outside the bundle")
        elif not path.is_file():
            faults.append(f"{name} is missing")
        elif digest_of(path) != digest:
            faults.append(f"{name} was changed")
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    faults += [f"{name} is not in the manifest" for name in sorted(present - set(files)) if not name.startswith(LATER)]
    return Finding(faults, f"{len(files)} files as the manifest says")


def _check_digest(bundle: OpenBundle) -> Finding:
    """The canonical report is the one that was frozen (rule 8.2)."""
    digest, told = digest_of(bundle.folder / "report.csv"), bundle.manifest["digest"]
    return Finding([] if digest == told else [f"report.csv has {digest}, the manifest says {told}"], digest)


def _check_json(bundle: OpenBundle) -> Finding:
    """`report.json` says the same as `report.csv`, cell by cell."""
    content, rows = msgspec.json.decode((bundle.folder / "report.json").read_bytes()), bundle.read_report()
    names = ("digest", "month", "version", "totals")
    faults = [f"{name} differs from the manifest" for name in names if content[name] != bundle.manifest[name]]
    if len(content["rows"]) != rows.height:
        faults.append(f"{len(content['rows'])} rows, report.csv has {rows.height}")
    for ours, theirs in zip(rows.iter_rows(named=True), content["rows"], strict=False):
        if {name: value or None for name, value in ours.items()} != {name: str(v) if v is not None else None for name, v in theirs.items()}:
            faults.append(f"row {ours['n']} differs")
    return Finding(faults, f"{rows.height} rows equal report.csv")


def _check_headers(bundle: OpenBundle) -> Finding:
    """The headers of each chain are whole and follow one another."""
    headers = bundle.evidence.headers
    return Finding(header_faults(headers, bundle.networks), f"{headers.height} headers in an unbroken chain")


def _check_proofs(bundle: OpenBundle) -> Finding:
    """Every transaction that a row names is proven."""
    evidence = bundle.evidence
    ties = bundle.read_ties().filter(pl.col("txid") != "")
    known = {proof.txid: proof.chain for proof in evidence.proofs}
    faults = bundle.proven[1] + missing_proofs(((known.get(txid, "?"), txid) for txid in ties["txid"]), evidence)
    return Finding(faults, f"{len(evidence.proofs)} transactions lie in their blocks")


def _check_transfers(bundle: OpenBundle) -> Finding:
    """Address, combined sum and date of every row are what the chain's bytes say (columns 6, 10, 11).

    A sum that calls inside a transaction may have paid is in no bytes (ADR 7): it is named, and its date is checked all the same.
    """
    rows, ties, rules, proven = bundle.read_report(), bundle.read_ties(), bundle.rules, bundle.proven[0]
    if ties["n"].to_list() != rows["n"].to_list():
        raise VerifyError("rows.csv does not have the report's rows")
    faults: list[str] = []
    seen, traced = 0, dict[str, None]()
    for row, txid in zip(rows.iter_rows(named=True), ties["txid"], strict=True):
        if not txid:
            if row["transfer_date"] or row["transfer_amount"]:
                faults.append(f"row {row['n']} shows a transfer without naming its transaction")
            continue
        asset = rules.assets[row["asset"]]
        transaction = proven.get((asset.chain, txid))
        fault = _sum_fault(transaction, row, asset, txid)
        if transaction is None or (fault and not (transaction.may_call and asset.contract is None)):
            faults.append(f"row {row['n']}: {fault}")
        elif almaty_date(transaction.time).isoformat() != row["transfer_date"]:
            faults.append(f"row {row['n']}: the block is of {almaty_date(transaction.time)}, the row says {row['transfer_date']}")
        elif fault:
            traced[f"{row['transfer_amount']} {asset.name} to {row['wallet']} in {txid}"] = None
        seen += 1
    said = f"{seen} rows show the address, sum and date that the chain shows"
    if traced:
        more = f"; and {len(traced) - SHOWN} more" if len(traced) > SHOWN else ""
        said += (
            f", but {len(traced)} transfer(s) of which the sum rests on the node's trace of calls: {'; '.join(list(traced)[:SHOWN])}{more}"
        )
    return Finding(faults, said)


def _sum_fault(transaction: ProvenTransaction | None, row: dict[str, Any], asset: Asset, txid: str) -> str:
    """What the transaction's bytes say against the row's sum; "" when they say the same."""
    units = transaction.amounts.get((row["wallet"], asset.contract)) if transaction else None
    if units is None:
        return f"nothing proves a payment to its wallet in {txid}"
    shown = from_units(units, asset.decimals)
    return "" if shown == row["transfer_amount"] else f"the transaction pays {shown}, the row says {row['transfer_amount']}"


def _check_recomputed(bundle: OpenBundle) -> Finding:
    """The report and its tables, computed anew from the facts in the bundle, have the same bytes."""
    enriched = bundle.enriched
    tables = {"report.csv": report_csv(printed_report(enriched, bundle.rules))}
    tables |= {name: table_csv(printed(enriched)) for name, printed in TABLES.items() if name != "issues.csv"}
    faults = [f"{name} comes out different" for name, content in tables.items() if (bundle.folder / name).read_bytes() != content]
    if printed_totals(enriched.totals, bundle.rules.assets) != bundle.manifest["totals"]:
        faults.append("the totals come out different")
    return Finding(faults, f"{', '.join(tables)} and the totals come out the same")


def _check_facts(bundle: OpenBundle) -> Finding:
    """The blocks among the facts are the ones whose headers stand in the evidence, from the oldest header on."""
    facts, evidence = bundle.facts, bundle.evidence
    spans = evidence.headers.group_by("chain").agg(pl.col("height").min().alias("from"))
    within = facts.blocks.join(spans, on="chain").filter(pl.col("height") >= pl.col("from"))
    joined = within.join(
        evidence.headers.select("chain", "height", pl.col("hash").alias("proven")), on=["chain", "height"], how="full", coalesce=True
    )
    differing = joined.filter(pl.col("hash").ne_missing(pl.col("proven")))
    faults = [f"{chain} block {height} is not the one proven" for chain, height in differing.select("chain", "height").iter_rows()]
    return Finding(faults, f"{within.height} blocks agree with their headers")


def _check_debts(bundle: OpenBundle) -> Finding:
    """Debts carry over from the month before, and are what the report's rows leave (rule 7.4)."""
    return Finding(*check_debts(bundle.folder, bundle.manifest, bundle.enriched, bundle.rules))


def _check_signatures(bundle: OpenBundle) -> Finding:
    """The signatures that joined the bundle after its freeze are the pool's, over these very bytes."""
    report = check_signatures(bundle.folder, bundle.manifest, bundle.trusted)
    return Finding(report.faults, "; ".join(report.seen), "; ".join(report.not_checked))


CHECKS: tuple[tuple[str, Callable[[OpenBundle], Finding]], ...] = (
    ("files", _check_files),
    ("report digest", _check_digest),
    ("report.json", _check_json),
    ("headers", _check_headers),
    ("proofs", _check_proofs),
    ("reported transfers", _check_transfers),
    ("recomputed from facts", _check_recomputed),
    ("facts against chain", _check_facts),
    ("debts", _check_debts),
    ("signatures", _check_signatures),
)
"""Every check by its name, in the order in which they are made and shown."""
