"""Check a bundle offline, with nothing but the bundle (design, section 6).

Enters: a bundle's folder. Leaves: a list of `Check`s, each in words, none skipped silently. It leaves out whether the facts themselves
are true of the pool's ledger and registry: that is what the auditor compares them with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from cryptography import x509

from pipeline.assess.debts import check_debts
from pipeline.assess.printed import TABLES, printed_report
from pipeline.chains.evidence import Evidence, Networks
from pipeline.chains.networks import network_of
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.model.amounts import from_units
from pipeline.model.errors import VerifyError
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import NEWEST_EDITION, Asset, Rules
from pipeline.render.canonical import read_report_csv, report_csv, table_csv
from pipeline.verify.evidence import (
    Proven,
    ProvenTransaction,
    header_faults,
    missing_proofs,
    prove_transactions,
    read_evidence,
)
from pipeline.verify.files import MANIFEST, digest_of, read_facts

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


def verify_bundle(
    folder: Path, progress: Callable[[str], None] = lambda _: None, *, trusted: Sequence[x509.Certificate] = ()
) -> list[Check]:
    """All checks of the bundle in `folder`; `trusted`: the authorities under which signatures must stand, none for any.

    Raises VerifyError only when there is no readable manifest to start from.
    """
    manifest = _read_manifest(folder)
    rules = Rules.from_json(manifest["rules"])
    networks = {chain: network_of(name) for chain, name in rules.network.items()}
    checks: list[Check] = []

    def check(name: str, look: Callable[[], tuple[list[str], str]]) -> None:
        """Run one look: faults, and what to say when there are none. What can't be read is a fault, too."""
        progress(name)
        try:
            faults, seen = look()
        except (VerifyError, OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            faults, seen = [f"{type(error).__name__}: {error}"], ""
        shown = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else "")
        checks.append(Check(name, not faults, shown or seen))

    # Read and proven once for all checks; what can't be read is said by each that needs it.
    @cache
    def evidence() -> Evidence:
        return read_evidence(folder / "evidence")

    @cache
    def facts() -> Facts:
        return read_facts(folder / "evidence" / "facts")

    @cache
    def proven() -> tuple[Proven, list[str]]:
        return prove_transactions(evidence(), networks)

    @cache
    def enriched() -> Enriched:
        return enrich_month(facts(), Month.parse(manifest["month"]), rules)

    check("files", lambda: _file_faults(folder, manifest["files"]))
    check("report digest", lambda: _digest_faults(folder, manifest))
    check("report.json", lambda: _json_faults(folder, manifest))
    check("headers", lambda: _header_check(evidence(), networks))
    check("proofs", lambda: _proof_faults(folder, evidence(), proven()[1]))
    check("reported transfers", lambda: _transfer_faults(folder, proven()[0], rules))
    check("recomputed from facts", lambda: _recompute_faults(folder, enriched(), manifest, rules))
    check("facts against chain", lambda: _fact_faults(facts(), evidence()))
    check("debts", lambda: check_debts(folder, manifest, enriched(), rules))
    not_checked: list[str] = []

    def signatures() -> tuple[list[str], str]:
        report = check_signatures(folder, manifest, trusted)
        not_checked.extend(report.not_checked)
        return report.faults, "; ".join(report.seen)

    check("signatures", signatures)
    checks[-1] = replace(checks[-1], not_checked="; ".join(not_checked))
    return checks


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


def _file_faults(folder: Path, files: dict[str, str]) -> tuple[list[str], str]:
    """Every file named is there with its digest, and none that is not named."""
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
    return faults, f"{len(files)} files as the manifest says"


def _digest_faults(folder: Path, manifest: dict[str, Any]) -> tuple[list[str], str]:
    digest = digest_of(folder / "report.csv")
    return ([] if digest == manifest["digest"] else [f"report.csv has {digest}, the manifest says {manifest['digest']}"]), digest


def _json_faults(folder: Path, manifest: dict[str, Any]) -> tuple[list[str], str]:
    """`report.json` says the same as `report.csv`, cell by cell."""
    content = msgspec.json.decode((folder / "report.json").read_bytes())
    rows = read_report_csv((folder / "report.csv").read_bytes())
    faults = [f"{key} differs from the manifest" for key in ("digest", "month", "version", "totals") if content[key] != manifest[key]]
    if len(content["rows"]) != rows.height:
        faults.append(f"{len(content['rows'])} rows, report.csv has {rows.height}")
    for ours, theirs in zip(rows.iter_rows(named=True), content["rows"], strict=False):
        if {name: value or None for name, value in ours.items()} != {name: str(v) if v is not None else None for name, v in theirs.items()}:
            faults.append(f"row {ours['n']} differs")
    return faults, f"{rows.height} rows equal report.csv"


def _header_check(evidence: Evidence, networks: Networks) -> tuple[list[str], str]:
    return header_faults(evidence.headers, networks), f"{evidence.headers.height} headers in an unbroken chain"


def _proof_faults(folder: Path, evidence: Evidence, unproven: list[str]) -> tuple[list[str], str]:
    """Every transaction that a row names is proven."""
    ties = _ties(folder).filter(pl.col("txid") != "")
    known = {proof.txid: proof.chain for proof in evidence.proofs}
    faults = unproven + missing_proofs(((known.get(txid, "?"), txid) for txid in ties["txid"]), evidence)
    return faults, f"{len(evidence.proofs)} transactions lie in their blocks"


def _transfer_faults(folder: Path, proven: Proven, rules: Rules) -> tuple[list[str], str]:
    """Address, combined sum and date of every row are what the chain's bytes say (columns 6, 10, 11).

    A sum that calls inside a transaction may have paid is in no bytes (ADR 7): it is named, and its date is checked all the same.
    """
    rows = read_report_csv((folder / "report.csv").read_bytes())
    ties = _ties(folder)
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
    return faults, said


def _sum_fault(transaction: ProvenTransaction | None, row: dict[str, Any], asset: Asset, txid: str) -> str:
    """What the transaction's bytes say against the row's sum; "" when they say the same."""
    units = transaction.amounts.get((row["wallet"], asset.contract)) if transaction else None
    if units is None:
        return f"nothing proves a payment to its wallet in {txid}"
    shown = from_units(units, asset.decimals)
    return "" if shown == row["transfer_amount"] else f"the transaction pays {shown}, the row says {row['transfer_amount']}"


def _ties(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "rows.csv", infer_schema=False).with_columns(pl.col("txid").fill_null(""))


def _recompute_faults(folder: Path, enriched: Enriched, manifest: dict[str, Any], rules: Rules) -> tuple[list[str], str]:
    """The report and its tables, computed anew from the facts in the bundle, have the same bytes."""
    tables = {"report.csv": report_csv(printed_report(enriched, rules))}
    tables |= {name: table_csv(printed(enriched)) for name, printed in TABLES.items() if name != "issues.csv"}
    faults = [f"{name} comes out different" for name, content in tables.items() if (folder / name).read_bytes() != content]
    if enriched.totals != manifest["totals"]:
        faults.append("the totals come out different")
    return faults, f"{', '.join(tables)} and the totals come out the same"


def _fact_faults(facts: Facts, evidence: Evidence) -> tuple[list[str], str]:
    """The blocks among the facts are the ones whose headers stand in the evidence, from the oldest header on."""
    spans = evidence.headers.group_by("chain").agg(pl.col("height").min().alias("from"))
    within = facts.blocks.join(spans, on="chain").filter(pl.col("height") >= pl.col("from"))
    joined = within.join(
        evidence.headers.select("chain", "height", pl.col("hash").alias("proven")), on=["chain", "height"], how="full", coalesce=True
    )
    differing = joined.filter(pl.col("hash").ne_missing(pl.col("proven")))
    faults = [f"{chain} block {height} is not the one proven" for chain, height in differing.select("chain", "height").iter_rows()]
    return faults, f"{within.height} blocks agree with their headers"
