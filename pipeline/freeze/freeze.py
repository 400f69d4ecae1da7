"""A month becomes a version that never changes (rules 8.1 to 8.3).

Enters: a store filled up to some positions of the log, the rules, the form's header. Leaves: a bundle in
`months/2026-10/v1/` and the `frozen` event that names its digest. The event is the commit: a bundle without one is an
interrupted freeze and is built again; an event without its bundle is finished from what was built, or rebuilt by replay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from pipeline.assess.debts import closing_debts, describe_debts, sums_that_differ
from pipeline.assess.month import Assessed, MonthState, assess_month
from pipeline.enrich.classify import chains_of
from pipeline.enrich.enriched import Enriched
from pipeline.freeze.bundle import (
    Bundle,
    Content,
    discard,
    disk_named,
    put_in_place,
    write_bundle,
)
from pipeline.log.events.months import Frozen
from pipeline.model.errors import MonthError
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.form import Language
from pipeline.store.evidence import read_evidence
from pipeline.verify.files import MANIFEST, digest_of


def freeze_month(
    state: MonthState,
    connection: duckdb.DuckDBPyConnection,
    *,
    month: Month,
    version: int,
    rules: Rules,
    header: dict[str, str],
    months_dir: Path,
    languages: Sequence[Language],
    now: int,
    by: str,
    reason: str,
    export: Callable[[Path], object],
    append: Callable[[Frozen], None],
    assessed: Assessed | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Bundle, Frozen]:
    """Freeze `version` of the month from `state`, as read from `connection`; `now` in Unix seconds.

    `assessed`: what `assess_month` made of this very state, when that is known already. `export` writes the month's DuckDB file, `append` makes the event durable. Raises MonthError, naming each condition that is not met.
    """
    if assessed is None:
        progress("enrich")
        assessed = assess_month(state, month, rules)
    if assessed.unmet:
        raise MonthError(f"{month} can't close yet:\n" + "\n".join(f"  - {c.name}: {c.detail}" for c in assessed.unmet))
    content = make_content(
        state,
        assessed,
        connection,
        month=month,
        version=version,
        rules=rules,
        header=header,
        languages=languages,
        frozen_at=now,
        by=by,
        reason=reason,
    )
    final = version_dir(months_dir, month, version)
    building = building_dir(final)
    discard(building)
    try:
        with disk_named(building):
            bundle = write_bundle(content, building, export=export, progress=progress)
    except BaseException:
        discard(building)  # on a full disk it would stand in the way of the next attempt
        raise
    event = Frozen(
        id=f"frozen:{month}:{version}",
        month=str(month),
        version=version,
        digest=bundle.digest,
        positions=state.positions,
        newest=state.newest,
        edition=rules.edition,
        rules=rules.to_json(),
        header=header,
        manifest_digest=bundle.manifest_digest,
        previous_digest=state.previous_digest,
        languages=list(languages),
        closing_debts=closing_debts(content.debts),
        closing_debts_digest=content.debts["closing_digest"],
        by=by,
        reason=reason,
        at=now,
    )
    if final.exists():
        # Without its event it was never frozen: the event is the commit.
        final.rename(final.with_name(f".{final.name}.abandoned-{now}"))
    append(event)
    put_in_place(building, final)
    return Bundle(final, bundle.digest, bundle.manifest_digest, bundle.files), event


def make_content(
    state: MonthState,
    assessed: Assessed,
    connection: duckdb.DuckDBPyConnection,
    *,
    month: Month,
    version: int,
    rules: Rules,
    header: dict[str, str],
    languages: Sequence[Language],
    frozen_at: int,
    by: str,
    reason: str,
) -> Content:
    """All that the bundle is made of; its evidence covers the month's outflows and every transfer reported."""
    enriched = assessed.enriched
    differing = sums_that_differ(enriched.debts)
    assert not differing, f"{month}: {len(differing)} debt(s) do not carry over: settlement and the report's rows contradict each other"
    return Content(
        month=month,
        version=version,
        rules=rules,
        header=header,
        positions=state.positions,
        previous_digest=state.previous_digest,
        frozen_at=frozen_at,
        by=by,
        reason=reason,
        facts=state.facts,
        enriched=enriched,
        evidence=read_evidence(connection, transactions_to_prove(enriched, rules)),
        internal_calls=state.internal_calls,
        waivers=state.waivers,
        conditions=assessed.conditions,
        languages=languages,
        debts=describe_debts(enriched.debts, state.debts_before, rules),
    )


def transactions_to_prove(enriched: Enriched, rules: Rules) -> pl.DataFrame:
    """The month's outflows and the reported transfers: chain, txid."""
    reported = enriched.reported.settled_by().select("asset", "txid").join(chains_of(rules), on="asset").select("chain", "txid")
    return pl.concat([enriched.outflows.select("chain", "txid"), reported]).unique().sort("chain", "txid")


def finish_freeze(months_dir: Path, event: Frozen) -> bool:
    """Put in place what a freeze had built that ended right after its event; whether it was there, whole, and the very one frozen.

    Such a bundle is not to be made again: `month.duckdb` would have other bytes, and the manifest, which is signed, names them.
    """
    final = version_dir(months_dir, Month.parse(event.month), event.version)
    built = building_dir(final)
    manifest = built / MANIFEST
    if final.exists() or not manifest.is_file() or digest_of(manifest) != event.manifest_digest:
        return False
    files: dict[str, str] = msgspec.json.decode(manifest.read_bytes())["files"]
    if not all((built / name).is_file() and digest_of(built / name) == digest for name, digest in files.items()):
        return False
    put_in_place(built, final)
    return True


def building_dir(final: Path) -> Path:
    """Where a bundle is built before it is renamed to `final`."""
    return final.with_name(f".{final.name}.building")


def version_dir(months_dir: Path, month: Month, version: int) -> Path:
    """`months/2026-10/v1`."""
    return months_dir / str(month) / f"v{version}"
