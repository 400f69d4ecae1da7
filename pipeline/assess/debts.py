"""The carry-over of debts in a bundle: printed, summed into the manifest, chained to the month before, and checked.

Enters: what enrichment says of each miner's debts (`enrich.debts`), and what the month before was frozen with. Leaves: `debts.csv`, the manifest's section
`debts`, and the faults of both. Months are chained by digest: the closing debts of a month, miner by miner, hash to the opening debts of the
next. Where they do not, facts of earlier days changed after that month's freeze (rule 8.3), and the section says by how much.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.enrich.debts import ACCOUNT
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import DEBTS
from pipeline.log.events.months import Frozen
from pipeline.model.amounts import from_units, to_units
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.canonical import read_report_csv, table_csv

from .printed import printed_amount

DEBTS_CSV = "debts.csv"
AMOUNTS = [name for name in DEBTS if name not in ACCOUNT]
SHOWN = 5


@dataclass(frozen=True)
class DebtsBefore:
    """What the month before was frozen with."""

    month: str
    version: int
    closing: dict[str, str]
    """Debts at its end by asset, as printed."""
    closing_digest: str


def debts_before(event: Frozen | None) -> DebtsBefore | None:
    """The closing debts that a `frozen` event states; None where there is no event, or one that states none."""
    if event is None or event.closing_debts is None or event.closing_debts_digest is None:
        return None
    return DebtsBefore(event.month, event.version, event.closing_debts, event.closing_debts_digest)


def printed_debts(debts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """`debts.csv`: the columns of DEBTS, amounts with all the asset's decimals (rule 2.2)."""
    return debts.with_columns([printed_amount(amount, "asset", rules) for amount in AMOUNTS])


def sums_that_differ(debts: pl.DataFrame) -> list[int]:
    """The lines (from 1) where opening + allocated − settled is not the closing debt."""
    lines = debts.with_row_index("line", offset=1)
    return lines.filter(pl.col("opening") + pl.col("allocated") - pl.col("settled") != pl.col("closing"))["line"].to_list()


def describe_debts(debts: pl.DataFrame, before: DebtsBefore | None, rules: Rules) -> dict[str, Any]:
    """The manifest's section: totals by asset, the digests of both ends, and how the opening stands to the month before."""
    totals = _totals(debts, rules)
    opening_digest = _digest_of_debts(debts, "opening", rules)
    section: dict[str, Any] = {
        "totals": totals,
        "opening_digest": opening_digest,
        "closing_digest": _digest_of_debts(debts, "closing", rules),
        "previous": None,
        "restated": None,
    }
    if before is not None:
        section["previous"] = {
            "month": before.month,
            "version": before.version,
            "closing": before.closing,
            "closing_digest": before.closing_digest,
        }
        if opening_digest != before.closing_digest:
            section["restated"] = {
                asset: _difference(totals.get(asset, {}).get("opening"), before.closing.get(asset), rules.assets[asset].decimals)
                for asset in sorted(totals.keys() | before.closing.keys())
            }
    return section


def closing_debts(section: dict[str, Any]) -> dict[str, str]:
    """The section's closing debts by asset, as the `frozen` event states them."""
    return {asset: amounts["closing"] for asset, amounts in section["totals"].items()}


def check_debts(folder: Path, manifest: dict[str, Any], enriched: Enriched, rules: Rules) -> tuple[list[str], str]:
    """Faults of the carry-over, and what was seen: by the facts, by the report as it is filed, and against the month before."""
    section = manifest["debts"]
    content = (folder / DEBTS_CSV).read_bytes()
    faults = [
        f"line {line} of {DEBTS_CSV}: opening + allocated − settled is not the closing debt" for line in sums_that_differ(enriched.debts)
    ]
    if content != table_csv(printed_debts(enriched.debts, rules)):
        faults.append(f"{DEBTS_CSV} comes out different from the facts")
    printed = _in_units(pl.read_csv(content, infer_schema=False), AMOUNTS)
    faults += _report_faults(folder, printed, Month.parse(manifest["month"]))
    before = _before(section)
    if describe_debts(enriched.debts, before, rules) != section:
        faults.append("the manifest's debts come out different")
    chained, seen = _chain_faults(folder, manifest, before)
    settled = f"opening + allocated − settled = closing for {enriched.debts.height} debts, by the facts and by the report's rows; "
    return faults + chained, settled + seen


def _report_faults(folder: Path, debts: pl.DataFrame, month: Month) -> list[str]:
    """What the report's own rows say was allocated in the month and settled is what stands in `debts.csv`."""
    rows = _in_units(read_report_csv((folder / "report.csv").read_bytes()), ["amount"])
    is_of_month = pl.col("allocation_date").is_between(pl.lit(month.first.isoformat()), pl.lit(month.last.isoformat()))
    faults = []
    for name, is_meant in (("allocated", is_of_month), ("settled", pl.col("transfer_date").is_not_null())):
        said = rows.filter(is_meant).group_by(ACCOUNT).agg(pl.col("amount").sum().alias("said"))
        joined = debts.select(*ACCOUNT, name).join(said, on=ACCOUNT, how="full", coalesce=True).fill_null(0)
        differing = joined.filter(pl.col(name) != pl.col("said")).height
        if differing:
            faults.append(f"the report's rows give other sums {name} for {differing} miner(s) and asset(s)")
    return faults


def _chain_faults(folder: Path, manifest: dict[str, Any], before: DebtsBefore | None) -> tuple[list[str], str]:
    """The opening against the closing of the month before: by this manifest, and by that month's bundle where it lies beside this one."""
    section = manifest["debts"]
    if before is None:
        return [], "no month before was frozen with debts to compare the opening with"
    name = f"{before.month} v{before.version}"
    restated = section["restated"]
    seen = f"the opening is the closing of {name}, miner by miner"
    if restated is not None:
        seen = f"restated since {name}: " + ", ".join(f"{amount} {asset}" for asset, amount in restated.items())
    beside = folder.resolve().parent.parent / before.month / f"v{before.version}"
    if not (beside / "manifest.json").is_file():
        return [], f"{seen}; its bundle does not lie beside this one: taken from this manifest"
    theirs = msgspec.json.decode((beside / "manifest.json").read_bytes())
    faults = []
    if theirs["digest"] != manifest["previous_digest"]:
        faults.append(f"the bundle of {name} beside this one is not the one that this month names")
    if theirs["debts"]["closing_digest"] != before.closing_digest or closing_debts(theirs["debts"]) != before.closing:
        faults.append(f"the bundle of {name} beside this one closes with other debts")
    if restated is not None:
        changed = _restated_lines(folder, beside)
        seen += f"; {len(changed)} debt(s), in {DEBTS_CSV} on line(s) {', '.join(changed[:SHOWN])}{' …' if len(changed) > SHOWN else ''}"
    return faults, f"{seen}, as its bundle beside this one says"


def _restated_lines(folder: Path, beside: Path) -> list[str]:
    """The debts whose opening is not the closing in the other bundle: their lines here, `gone` for those that are not here."""
    ours = pl.read_csv(folder / DEBTS_CSV, infer_schema=False).with_row_index("line", offset=1).select("line", *ACCOUNT, "opening")
    theirs = pl.read_csv(beside / DEBTS_CSV, infer_schema=False).select(*ACCOUNT, "closing")
    both = _in_units(ours.join(theirs, on=ACCOUNT, how="full", coalesce=True), ["opening", "closing"]).sort("line", nulls_last=True)
    changed = both.filter(pl.col("opening").fill_null(0) != pl.col("closing").fill_null(0))
    return [str(line) if line is not None else "gone" for line in changed["line"]]


def _before(section: dict[str, Any]) -> DebtsBefore | None:
    previous = section["previous"]
    return DebtsBefore(**previous) if previous is not None else None


def _totals(debts: pl.DataFrame, rules: Rules) -> dict[str, dict[str, str]]:
    sums = debts.group_by("asset").agg(pl.col(AMOUNTS).sum()).sort("asset")
    return {
        row["asset"]: {amount: from_units(int(row[amount]), rules.assets[row["asset"]].decimals) for amount in AMOUNTS}
        for row in sums.iter_rows(named=True)
    }


def _digest_of_debts(debts: pl.DataFrame, end: str, rules: Rules) -> str:
    """SHA-256 of the debts at one end, miner by miner, in canonical CSV: the same whether they close a month or open the next."""
    owed = printed_debts(debts.filter(pl.col(end) != 0).sort(ACCOUNT), rules).select(*ACCOUNT, pl.col(end).alias("debt"))
    return hashlib.sha256(table_csv(owed)).hexdigest()


def _difference(opening: str | None, closing: str | None, decimals: int) -> str:
    difference = to_units(opening or "0", decimals) - to_units(closing or "0", decimals)
    return ("+" if difference > 0 else "") + from_units(difference, decimals)


def _in_units(frame: pl.DataFrame, amounts: list[str]) -> pl.DataFrame:
    """Printed amounts as whole units again: all decimals are printed (rule 2.2), so the dot alone goes."""
    return frame.with_columns(pl.col(amounts).str.replace(".", "", literal=True).cast(pl.Int128))
