"""Checks the opening line in a bundle: by its facts, and against the closing line of the month before, allocation by allocation (ADR 25).

Enters: a bundle, and what its manifest says of the month before. Leaves: faults, what was proved, and what stays the signer's word.
"""

from __future__ import annotations

from itertools import zip_longest

import polars as pl

from pipeline.assess.debts import PreviousDebts
from pipeline.assess.opening_line import OPENING_LINE_CSV, LineDigests, digest_of_line, printed_line
from pipeline.enrich.opening import Beginning, first_instant
from pipeline.model.message import joined, message
from pipeline.render.canonical import table_csv

from .files import digest_of
from .opened import OpenBundle

SHOWN = 5
"""How many allocations and credits of a kind a finding names."""
_WHICH = ["miner_id", "asset", "kind", "id", "txid", "address", "payer"]
"""Columns of LINE that say which allocation or credit a row is; the rest says how much of it is open."""
_TRANSFER = ["txid", "address", "asset", "payer"]


def check_line(bundle: OpenBundle) -> tuple[LineDigests | None, list[str], str]:
    """The opening line by the facts against the bundle's file: both digests by the facts (None for a bundle without any of it), faults, what it has."""
    section = bundle.manifest["debts"]
    parts = (OPENING_LINE_CSV in bundle.manifest["files"], "opening_line_digest" in section, "closing_line_digest" in section)
    if not any(parts):
        return None, [], ""
    faults = [] if all(parts) else [message("a bundle has {name} and the digests of both lines, or none of them", name=OPENING_LINE_CSV)]
    format = section.get("line_format", 1)
    printed, file = printed_line(bundle.enriched.opening_line, format), bundle.folder / OPENING_LINE_CSV
    digests = LineDigests(digest_of_line(printed), digest_of_line(printed_line(bundle.enriched.closing_line, format)), format)
    if parts[0] and digest_of(file) != digests.opening:
        with file.open("rb") as lines:
            both = zip_longest(lines, table_csv(printed).splitlines(keepends=True))
            first = next((number for number, (ours, theirs) in enumerate(both) if ours != theirs), 0)
        faults.append(message("{name} comes out different from the facts, first on line {line}", name=OPENING_LINE_CSV, line=first))
    if bundle.opening is not None:
        faults += _beginning_faults(bundle, bundle.opening)
    is_credit = printed["kind"] == "credit"
    open_now = {"allocations": (~is_credit).sum(), "credits": is_credit.sum()}
    if bundle.opening is None:
        counted = message(
            "the opening line, {allocations} unsettled allocation(s) and {credits} unused credit(s), is what the facts leave open",
            **open_now,
        )
    else:
        counted = message(
            "the allocations begin with the opening line, {allocations} unsettled allocation(s) and {credits} unused credit(s)", **open_now
        )
    return digests, faults, counted


def _beginning_faults(bundle: OpenBundle, opening: Beginning) -> list[str]:
    """What a line that stands for the allocations before the month may not be: of later days, beside allocations of other months, with credits of transfers that the chain does not show."""
    facts, line, since, faults = bundle.facts, opening.line, opening.since_us, []
    late = line.allocations.filter(pl.col("allocated_at") >= since).height + line.credits.filter(pl.col("instant") >= since).height
    if late:
        faults.append(message("{name} has {count} line(s) dated in the month or after it", name=OPENING_LINE_CSV, count=late))
    others = facts.allocations.filter(~pl.col("allocated_at").is_between(since, first_instant(opening.since.next), closed="left")).height
    if others:
        faults.append(message("the facts have {count} allocation(s) of other months beside the opening line", count=others))
    declared = facts.openings["owed_at"].min()
    if not 0 < opening.starts_at < since or (declared is not None and declared != opening.starts_at):
        faults.append(message("settlement can't have begun at the instant that the manifest says (rule 6.4)"))
    # A transfer off chain is as exact as its payment's `paid_at`, to the microsecond; `transfers` have seconds.
    shown = bundle.enriched.transfers.select(*_TRANSFER, "at", pl.col("amount").alias("transfer_amount"), most="credited")
    named = line.credits.with_columns(at=pl.col("instant") // 1_000_000)
    sums = named.group_by(*_TRANSFER, "at", "transfer_amount").agg(pl.col("whole").sum())
    backed = sums.join(shown, on=[*_TRANSFER, "at", "transfer_amount"], nulls_equal=True).filter(pl.col("whole") <= pl.col("most"))
    if unbacked := sums.height - backed.height:
        faults.append(
            message(
                "{name} has credits of {count} transfer(s) that the chain and the payments do not give",
                name=OPENING_LINE_CSV,
                count=unbacked,
            )
        )
    return faults


def compare_lines(bundle: OpenBundle, before: PreviousDebts) -> tuple[list[str], list[str], list[str]]:
    """The opening line against the closing line of the month before: faults, how they stand to each other, what is on the signer's word.

    By their digests; where these differ and that month's bundle lies beside this one, by each allocation and credit of both.
    """
    digest, name = bundle.manifest["debts"].get("opening_line_digest"), f"{before.month} v{before.version}"
    if digest is None:
        return [], [], []
    format = bundle.manifest["debts"].get("line_format", 1)
    if before.closing_line_digest is None:
        return [], [], [message("that {name} closed with the same line of allocations and credits: it states no digest of it", name=name)]
    has_format = before.line_format == format  # of its digest; else only the line that its facts leave can be compared
    if has_format and digest == before.closing_line_digest:
        return [], [message("the opening line is the closing line of {name}, one by one", name=name)], []
    differs = message(
        "the opening line is not the closing line of {name}: allocations or credits of before the month changed since", name=name
    )
    if bundle.before is None and has_format:
        return [], [differs], []
    if bundle.before is None:
        return (
            [],
            [],
            [message("that {name} closed with the same line of allocations and credits: its digest is of another format", name=name)],
        )
    closing = printed_line(bundle.before.enriched.closing_line, format)
    listed = _differences(printed_line(bundle.enriched.opening_line, format), closing)
    if not listed and not has_format:
        return [], [message("the opening line is what the facts of {name} leave open, one by one", name=name)], []
    faults: list[str] = []
    if has_format and digest_of_line(closing) != before.closing_line_digest:
        faults.append(message("the facts of {name} beside this one leave another line open than it states", name=name))
    return faults, [message("{differs}: {listed}", differs=differs, listed=listed) if listed else differs], []


def _differences(ours: pl.DataFrame, theirs: pl.DataFrame) -> str:
    """Which allocations and credits only one of two lines (LINE) has, and of which another amount is open; `place` follows from the others."""
    whole = [name for name in ours.columns if name != "place"]
    lost, found = (one.join(other, on=whole, how="anti", nulls_equal=True) for one, other in ((theirs, ours), (ours, theirs)))
    changed = found.join(lost, on=_WHICH, how="semi", nulls_equal=True)
    gone, new = (one.join(other, on=_WHICH, how="anti", nulls_equal=True) for one, other in ((lost, found), (found, lost)))
    told = []
    if gone.height:
        told.append(message("{count} gone ({named})", count=gone.height, named=_named(gone)))
    if new.height:
        told.append(message("{count} new ({named})", count=new.height, named=_named(new)))
    if changed.height:
        told.append(message("{count} with another amount, instant or rest ({named})", count=changed.height, named=_named(changed)))
    return joined(", ", told)


def _named(rows: pl.DataFrame) -> str:
    """The first of them: allocations by id, credits by the transaction."""
    named = rows.head(SHOWN).select(pl.when(pl.col("kind") == "credit").then("txid").otherwise("id")).to_series().to_list()
    return ", ".join(named) + (" …" if rows.height > SHOWN else "")
