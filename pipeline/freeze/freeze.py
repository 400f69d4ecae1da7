"""Freezes a month: makes a version that never changes (rules 8.1 to 8.3).

Enters: what a store said of the month at some positions of the log, assessed, with its evidence. Leaves: a bundle in
`months/2026-10/v1/` and the `frozen` event that names its digest. The event is the commit: a bundle without one is an
interrupted freeze and is built again; an event without its bundle is finished from what was built, or rebuilt by replay.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from pipeline.assess.coins import closing_coins
from pipeline.assess.debts import closing_debts, sums_that_differ
from pipeline.assess.month import Assessment
from pipeline.enrich.classify import chains_of
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.log.events.months import Frozen
from pipeline.model.durable import write_atomically
from pipeline.model.errors import MonthError, VerifyError
from pipeline.model.folders import version_dir
from pipeline.model.message import joined, message
from pipeline.model.months import Month
from pipeline.model.packed import pack, unpack
from pipeline.model.rules import Rules
from pipeline.verify.files import MANIFEST, digest_of, holds
from pipeline.verify.shapes import REBUILT

from .bundle import Bundle, Content, Version, WrittenReport, discard, naming_file_in_disk_errors, put_in_place, write_bundle, write_report


def begin_freeze(
    version: Version, assessed: Assessment, months_dir: Path, *, progress: Callable[[str], None] = lambda _: None
) -> WrittenReport:
    """Write the version's report where its bundle is built; what an interrupted freeze left there is removed.

    Its digest tells whether anything changed since the version before: if nothing did, `discard` the report's folder.
    """
    building = building_dir(version_dir(months_dir, version.month, version.number))
    discard(building)
    with _discarded_on_failure(building):
        return write_report(assessed.enriched, version.rules, building, progress=progress)


def freeze_month(
    content: Content,
    report: WrittenReport,
    months_dir: Path,
    *,
    export: Callable[[Path], object],
    append: Callable[[Frozen], None],
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Bundle, Frozen]:
    """Finish the bundle that `begin_freeze` began, append its event, and put it in its place.

    `export` writes the month's DuckDB file, `append` makes the event durable. Raises MonthError, naming each condition that is not met.
    """
    version, state = content.version, content.state
    with _discarded_on_failure(report.folder):
        require_closable(version.month, content.assessed)
        check_debts_carry_over(version.month, content.assessed)
        bundle = write_bundle(content, report, export=export, progress=progress)
    event = Frozen(
        id=f"frozen:{version.month}:{version.number}",
        month=str(version.month),
        version=version.number,
        digest=bundle.digest,
        positions=state.positions,
        newest=state.newest,
        edition=version.rules.edition,
        rules=version.rules.to_json(),
        header=version.header,
        manifest_digest=bundle.manifest_digest,
        manifest_gzip=pack((bundle.folder / MANIFEST).read_bytes()),
        previous_digest=state.previous_digest,
        languages=list(version.languages),
        layout=version.layout,
        pdf_rows=version.pdf_rows,
        closing_debts=closing_debts(bundle.debts),
        closing_debts_digest=bundle.debts["closing_digest"],
        closing_line_digest=bundle.debts.get("closing_line_digest"),
        line_format=version.line_format,
        begins_from_line=version.begins_from_line,
        closing_coins=closing_coins(content.coins_section) if content.coins_section is not None else None,
        root=state.streams[0].root if state.streams else None,
        by=version.by,
        reason=version.reason,
        at=version.at,
    )
    final = version_dir(months_dir, version.month, version.number)
    if final.exists():
        # Without its event it was never frozen: the event is the commit.
        final.rename(final.with_name(f".{final.name}.abandoned-{version.at}"))
    append(event)
    put_in_place(bundle.folder, final)
    return replace(bundle, folder=final), event


def require_closable(month: Month, assessed: Assessment) -> None:
    """Raises MonthError, naming each condition of rule 8.1 that is not met."""
    if assessed.unmet:
        open_ones = [message("  [ ] {name}: {detail}", name=one.name, detail=one.detail) for one in assessed.unmet]
        raise MonthError(joined("\n", [message("{month} can't close yet:", month=month), *open_ones]))


def check_debts_carry_over(month: Month, assessed: Assessment) -> None:
    """A broken assumption stops the program: settlement and the report's rows must leave the same debts."""
    differing = sums_that_differ(assessed.enriched.debts)
    assert not differing, f"{month}: {len(differing)} debt(s) do not carry over: settlement and the report's rows contradict each other"


@contextlib.contextmanager
def _discarded_on_failure(building: Path) -> Iterator[None]:
    """What is built goes when the block raises: on a full disk it would stand in the way of the next attempt."""
    try:
        with naming_file_in_disk_errors(building):
            yield
    except BaseException:
        discard(building)
        raise


def transactions_to_prove(enriched: Enriched, rules: Rules, facts: Facts) -> pl.DataFrame:
    """Every transaction of the facts, so that what is spent, fees and wallets are proved by the transactions before: chain, txid.

    In edition 1 only the month's outflows and the reported transfers.
    """
    if rules.edition > 1:
        return facts.transactions.select("chain", "txid").unique().sort("chain", "txid")
    reported = enriched.reported.settled_by().select("asset", "txid").join(chains_of(rules), on="asset").select("chain", "txid")
    return pl.concat([enriched.outflows.select("chain", "txid"), reported]).unique().sort("chain", "txid")


def finish_freeze(months_dir: Path, event: Frozen) -> bool:
    """Put in place what a freeze had built that ended right after its event; whether it was there, whole, and the very one frozen.

    Such a bundle is not to be made again: `month.duckdb` would have other bytes than the manifest, which is signed, names.
    """
    final = version_dir(months_dir, Month.parse(event.month), event.version)
    built = building_dir(final)
    manifest = built / MANIFEST
    if final.exists() or not manifest.is_file() or digest_of(manifest) != event.manifest_digest:
        return False
    files: dict[str, str] = msgspec.json.decode(manifest.read_bytes())["files"]
    if not all(holds(built, name, digest) for name, digest in files.items()):
        return False
    put_in_place(built, final)
    return True


def restore_manifest(built: Path, event: Frozen) -> bool:
    """Give a bundle that was rebuilt from the log the manifest that was frozen, which is signed, and `rebuilt.json`; whether it has them now.

    It gets it where every file is the one that the manifest names, but for those that are never written alike twice (`not_reproducible`): other
    versions of what writes them may give other bytes, and the rebuilt bundle keeps a manifest of its own. Raises VerifyError for bytes that are not those of the event's digest.
    """
    if event.manifest_gzip is None:
        return False
    try:
        frozen = unpack(event.manifest_gzip)
    except ValueError:
        frozen = b""
    if hashlib.sha256(frozen).hexdigest() != event.manifest_digest:
        raise VerifyError(
            message("{month} v{version}: the manifest in event {id} is not the one of its digest: run esep log check", month=event.month, version=event.version, id=repr(event.id))
        )  # fmt: skip
    told = msgspec.json.decode(frozen)
    names = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()} - {MANIFEST}
    free = set(told["not_reproducible"])
    if names != set(told["files"]) or not all(holds(built, name, digest) for name, digest in told["files"].items() if name not in free):
        return False
    write_atomically(built / MANIFEST, frozen, mode=0o400)
    # Of these alone `esep verify` takes other bytes than the manifest names.
    others = {name: digest_of(built / name) for name in sorted(free) if name in names}
    write_atomically(built / REBUILT, msgspec.json.encode(others), mode=0o400)
    return True


def building_dir(final: Path) -> Path:
    """Where a bundle is built before it is renamed to `final`."""
    return final.with_name(f".{final.name}.building")
