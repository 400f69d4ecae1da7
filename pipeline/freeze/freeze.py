"""A month becomes a version that never changes (rules 8.1 to 8.3).

Enters: a store filled up to some positions of the log, the rules, the form's header. Leaves: a bundle in
`months/2026-10/v1/` and the `frozen` event that names its digest. The event is the commit: a bundle without one is an
interrupted freeze and is built again; an event without its bundle is finished from what was built, or rebuilt by replay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from ..enrich.classify import chains_of
from ..enrich.frames import Enriched, Facts
from ..enrich.month import enrich_month
from ..errors import MonthError
from ..events import Frozen, Waived
from ..model import IssueCode, Month, Rules
from ..render.form import Language
from ..store.evidence import read_evidence
from .bundle import MANIFEST, Bundle, Content, digest_of, discard, disk_named, put_in_place, write_bundle
from .conditions import Condition, closing_conditions
from .debts import DebtsBefore, closing_debts, describe_debts, sums_that_differ


@dataclass(frozen=True)
class MonthState:
    """What a store says of a month, read at one moment of it."""

    facts: Facts
    waivers: list[Waived]
    complete_through: date | None
    has_registry: bool
    bad_events: list[tuple[str, str]]
    """Place and error of each event of the log that can't be read (law 8)."""
    positions: dict[str, int]
    previous_digest: str | None
    """Digest of the newest frozen version of the month before."""
    newest: dict[str, str] = field(default_factory=dict)
    """Id of the newest event of each `topic/key`: what `positions` mean in any copy of the log."""
    debts_before: DebtsBefore | None = None
    """What that version closed with."""
    internal_calls: Mapping[str, str] = field(default_factory=dict)
    """How calls inside transactions were seen, by chain; chains without such calls are absent (ADR 7)."""


@dataclass(frozen=True)
class Assessed:
    """A month as it stands: what enrichment makes of it and whether it can close."""

    enriched: Enriched
    conditions: list[Condition]

    @property
    def unmet(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.is_met]


def assess_month(state: MonthState, month: Month, rules: Rules) -> Assessed:
    """Enrich the month and ask every condition of rule 8.1. Events that can't be read are blocking issues."""
    enriched = enrich_month(state.facts, month, rules)
    if state.bad_events:
        code = IssueCode.UNREADABLE_EVENT
        unreadable = pl.DataFrame(
            [(code.value, code.severity.value, place, error) for place, error in state.bad_events],
            schema=enriched.issues.schema,
            orient="row",
        )
        enriched = replace(enriched, issues=pl.concat([enriched.issues, unreadable]).sort("code", "ref"))
    conditions = closing_conditions(
        state.facts, enriched.issues, state.waivers, month, rules, complete_through=state.complete_through, has_registry=state.has_registry
    )
    return Assessed(enriched, conditions)


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
