"""Checks the carry-over of debts in a bundle: by its facts, by the report as it is filed, and against the month before.

Enters: a bundle. Leaves: a finding. The bundle of the month before is looked at where it lies beside this one; where it does not, that is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.assess.debts import AMOUNTS, DEBTS_CSV, PreviousDebts, closing_debts, describe_debts, printed_debts, sums_that_differ
from pipeline.assess.opening_line import OPENING_LINE_CSV, SINCE
from pipeline.enrich.debts import ACCOUNT
from pipeline.model.message import joined, message
from pipeline.model.months import Month
from pipeline.render.canonical import table_csv
from pipeline.render.csv_parts import csv_parts

from .finding import Finding
from .opened import OpenBundle
from .opening_line import check_line, compare_lines
from .shapes import MANIFEST, read_manifest

SHOWN = 5


def check_debts(bundle: OpenBundle) -> Finding:
    """Debts carry over from the month before, and are what the report's rows leave (rule 7.4): by the facts, by the filed report, and against the month before."""
    folder, manifest, enriched, rules = bundle.folder, bundle.manifest, bundle.enriched, bundle.rules
    section = manifest["debts"]
    content = (folder / DEBTS_CSV).read_bytes()
    faults = [
        message("line {line} of {debts_csv}: opening + allocated − settled is not the closing debt", line=line, debts_csv=DEBTS_CSV)
        for line in sums_that_differ(enriched.debts)
    ]
    if content != table_csv(printed_debts(enriched.debts, rules)):
        faults.append(message("{debts_csv} comes out different from the facts", debts_csv=DEBTS_CSV))
    printed = _in_units(pl.read_csv(content, infer_schema=False), AMOUNTS)
    faults += _report_faults(folder, printed, Month.parse(manifest["month"]))
    before = _before(section)
    lines, line_faults, counted = check_line(bundle)
    if describe_debts(enriched.debts, before, rules, lines) != section:
        faults.append(message("the manifest's debts come out different"))
    chained, seen, words = _chain_faults(bundle, before)
    settled = message(
        "opening + allocated − settled = closing for {height} debts, by the facts and by the report's rows", height=enriched.debts.height
    )
    if lines is None and rules.edition >= SINCE:
        words.append(
            message("with which allocations and credits the month began, one by one: the bundle has no {name}", name=OPENING_LINE_CSV)
        )
    if bundle.opening is not None and bundle.before is None:
        words.append(
            message(
                "which allocations were unsettled when the month began: those of before are not carried, and the bundle of the month before does not lie beside this one"
            )
        )
    return Finding(faults + line_faults + chained, joined("; ", [said for said in (settled, counted, seen) if said]), on_word=tuple(words))


def _report_faults(folder: Path, debts: pl.DataFrame, month: Month) -> list[str]:
    """What the report's own rows say was allocated in the month and settled is what stands in `debts.csv`."""
    is_of_month = pl.col("allocation_date").is_between(pl.lit(month.first.isoformat()), pl.lit(month.last.isoformat()))
    meant = {"allocated": is_of_month, "settled": pl.col("transfer_date").is_not_null()}
    amounts = [pl.when(is_meant).then("amount").alias(name) for name, is_meant in meant.items()]
    sums = [
        _in_units(rows, ["amount"]).select(*ACCOUNT, *amounts).group_by(ACCOUNT).agg(pl.col(list(meant)).sum())
        for rows in csv_parts(folder / "report.csv")
    ]
    report = pl.concat(sums).group_by(ACCOUNT).agg(pl.col(list(meant)).sum())
    faults = []
    for name in meant:
        said = report.select(*ACCOUNT, pl.col(name).alias("said"))
        both = debts.select(*ACCOUNT, name).join(said, on=ACCOUNT, how="full", coalesce=True).fill_null(0)
        differing = both.filter(pl.col(name) != pl.col("said")).height
        if differing:
            faults.append(
                message("the report's rows give other sums {name} for {differing} miner(s) and asset(s)", name=name, differing=differing)
            )
    return faults


def _chain_faults(bundle: OpenBundle, before: PreviousDebts | None) -> tuple[list[str], str, list[str]]:
    """The opening against the closing of the month before, where its bundle lies beside this one; what else this manifest says of it is its word."""
    folder, manifest = bundle.folder, bundle.manifest
    section = manifest["debts"]
    if before is None:
        return (
            [],
            "",
            [
                message(
                    "that {previous} was not frozen with debts, so that the opening is compared with nothing",
                    previous=Month.parse(manifest["month"]).previous,
                )
            ],
        )
    name = f"{before.month} v{before.version}"
    restated = section["restated"]
    seen = message("the opening is the closing of {name}, miner by miner", name=name)
    if restated is not None:
        seen = message("restated since {name}: ", name=name) + ", ".join(f"{amount} {asset}" for asset, amount in restated.items())
    faults, line, words = compare_lines(bundle, before)
    beside = folder.resolve().parent.parent / before.month / f"v{before.version}"
    if Month.parse(manifest["month"]).previous != Month.parse(before.month):
        faults.append(message("the debts begin with those of {month}, which is not the month before", month=before.month))
    if manifest["previous_digest"] is None:
        faults.append(
            message("the debts begin with those of {name}, and previous_digest says that no month was reported before", name=name)
        )
    if not (beside / MANIFEST).is_file():
        return faults, "", [message("{seen}: its bundle does not lie beside this one", seen=joined("; ", [seen, *line])), *words]
    theirs = read_manifest(beside)
    if theirs["digest"] != manifest["previous_digest"]:
        faults.append(message("the bundle of {name} beside this one is not the one that this month names", name=name))
    if theirs["debts"]["closing_digest"] != before.closing_digest or closing_debts(theirs["debts"]) != before.closing:
        faults.append(message("the bundle of {name} beside this one closes with other debts", name=name))
    if "opening_line_digest" in section and theirs["debts"].get("closing_line_digest") != before.closing_line_digest:
        faults.append(message("the bundle of {name} beside this one closes with another line of allocations and credits", name=name))
    if restated is not None:
        changed = _restated_lines(folder, beside)
        seen += message(
            "; {count} debt(s), in {debts_csv} on line(s) {changed}{more}",
            count=len(changed),
            debts_csv=DEBTS_CSV,
            changed=", ".join(changed[:SHOWN]),
            more=" …" if len(changed) > SHOWN else "",
        )
    return faults, message("{seen}, as its bundle beside this one says", seen=joined("; ", [seen, *line])), words


def _restated_lines(folder: Path, beside: Path) -> list[str]:
    """The debts whose opening is not the closing in the other bundle: their lines here, `gone` for those that are not here."""
    ours = pl.read_csv(folder / DEBTS_CSV, infer_schema=False).with_row_index("line", offset=1).select("line", *ACCOUNT, "opening")
    theirs = pl.read_csv(beside / DEBTS_CSV, infer_schema=False).select(*ACCOUNT, "closing")
    both = _in_units(ours.join(theirs, on=ACCOUNT, how="full", coalesce=True), ["opening", "closing"]).sort("line", nulls_last=True)
    changed = both.filter(pl.col("opening").fill_null(0) != pl.col("closing").fill_null(0))
    return [str(line) if line is not None else "gone" for line in changed["line"]]


def _before(section: dict[str, Any]) -> PreviousDebts | None:
    previous = section["previous"]
    return PreviousDebts(**previous) if previous is not None else None


def _in_units(frame: pl.DataFrame, amounts: list[str]) -> pl.DataFrame:
    """Printed amounts as whole units again: all decimals are printed (rule 2.2), so the dot alone goes."""
    return frame.with_columns(pl.col(amounts).str.replace(".", "", literal=True).cast(pl.Int128))
