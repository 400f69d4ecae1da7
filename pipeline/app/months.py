"""A pool's months: assessed, frozen, restored, replayed.

Enters: a store filled from the log, the rules in force, a clock. Leaves: assessed months, bundles in `months/`, `frozen` events.
The work itself is in `assess` and `freeze`; this module connects it to the pool's log, stores and settings.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.log.events import encode
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog, append_shared
from pipeline.model.errors import MonthError, VerifyError
from pipeline.model.folders import locked_folder, scratch_folder, version_dir
from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules
from pipeline.store.queries import (
    authorizations_from,
    bad_events,
    complete_through,
    documents,
    frozen_months,
    frozen_versions,
    internal_calls,
    labels,
    newest_events,
    registry,
    signed_events,
    streams,
    waivers,
    wallet_signatures,
)

from .beyond_log import told_beyond_log
from .held import HeldEnrichments
from .month_facts import carrying, facts_beside, out_of_order, taken_for_mistyped
from .stores import Progress, Stores, no_progress

# What computes is imported where it does: a command that only asks which months there are, or reads what was kept of them, loads no polars.
if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from pipeline.assess.month import Assessment, MonthState
    from pipeline.closing.diary import Diary
    from pipeline.closing.preview import MonthChange
    from pipeline.enrich.opening import Beginning
    from pipeline.freeze.replay import Replay
    from pipeline.settings import Settings
    from pipeline.store import Store
    from pipeline.validate.ledger import LedgerKind
    from pipeline.validate.registry import RegistryKind

OPEN_MONTHS = 3
"""How many unfrozen months are assessed without a request."""


@dataclass(frozen=True)
class FreezeOutcome:
    """The result of a freeze: the version's bundle, and whether it was made now."""

    folder: Path
    digest: str
    version: int
    is_new: bool


class PoolMonths:
    """One pool's months."""

    def __init__(self, settings: Settings, rules: Rules, log: EventLog, stores: Stores, now: Callable[[], int], *, diary: Diary) -> None:
        self._settings = settings
        self._rules = rules
        self._log = log
        self._stores = stores
        self._now = now
        self._diary = diary
        self._held = HeldEnrichments()

    def assess(self, store: Store, month: Month, *, edition: int | None = None, is_whole: bool = False) -> tuple[MonthState, Assessment]:
        """The month by the facts in the store: its enriched tables, and whether it can close.

        It begins from the store's checkpoint where there is one, and the state's facts leave out what lies before it; `is_whole`: from the whole history, with all facts (ADR 25).
        `edition` of the rules: when not given, that of the month's newest version, and of an open month the newest (rule 8.4).
        """
        from pipeline.assess.month import assess_month
        from pipeline.store.checkpoints import read_checkpoint

        rules = self.rules_of(store, month, edition=edition)
        state = month_state(store, month, None if is_whole else read_checkpoint(store, month, rules))
        assessed = assess_month(state, month, rules, self._held.enrich)
        self._keep_checkpoint(store, month, state, assessed, rules)
        return state, assessed

    def assess_as_frozen(self, store: Store, month: Month, rules: Rules) -> tuple[MonthState, Assessment]:
        """As `assess`, by the facts that a bundle carries: of the allocations those of the month, where its opening line is certain to stand for those before (ADR 27)."""
        from pipeline.assess.month import assess_month
        from pipeline.assess.opening_line import SINCE
        from pipeline.enrich.opening import Beginning, make_beginning
        from pipeline.store.checkpoints import read_checkpoint

        if rules.edition < SINCE or self._settings.report.whole_ledger:
            return self.assess(store, month, edition=rules.edition, is_whole=True)
        known = read_checkpoint(store, month, rules)
        if known is not None and known.since == month:
            begins: Beginning | None = Beginning(month, known.starts_at, known.line)
        else:
            looked, assessed = self.assess(store, month, edition=rules.edition)
            begins = make_beginning(looked.facts, month, rules, assessed.enriched.opening_line, assessed.enriched.starts_at)
            if looked.opening is None:  # all was looked at, and from its line the month is the same: only what a bundle carries is less
                return (looked if begins is None else carrying(store, looked, month, begins)), assessed
            if begins is None:
                return self.assess(store, month, edition=rules.edition, is_whole=True)
        state = month_state(store, month, begins)
        return state, assess_month(state, month, rules)

    def rules_of(self, store: Store, month: Month, *, edition: int | None = None) -> Rules:
        """The rules that `assess` takes."""
        if edition is None:
            versions = frozen_versions(store.connection, str(month))
            edition = versions[-1].edition if versions else self._rules.edition
        return dataclasses.replace(self._rules, edition=edition)

    def _keep_checkpoint(self, store: Store, month: Month, state: MonthState, assessed: Assessment, rules: Rules) -> None:
        """Keep what the month begins with, if it is certain and does not change with every block."""
        from pipeline.enrich.opening import Opening, make_opening
        from pipeline.store.checkpoints import is_settled_down, write_checkpoint

        enriched, base = assessed.enriched, state.opening if isinstance(state.opening, Opening) else None
        if (base is not None and base.since == month) or not is_settled_down(month, state.facts.blocks, rules):
            return
        opening = make_opening(state.facts, month, rules, enriched.opening_line, enriched.starts_at, base)
        if opening is not None:
            write_checkpoint(store, opening, rules)

    def write_enriched(self, store: Store, month: Month, assessed: Assessment) -> None:
        """Write the month's enriched tables into the store, for the analysts' views."""
        from pipeline.store.facts import write_enriched

        write_enriched(store, str(month), assessed.enriched)

    def open_months(self, store: Store) -> list[Month]:
        """The newest months with allocations, not later than now, that are not frozen; at most `OPEN_MONTHS`, oldest first."""
        today = almaty_date(self._now())
        frozen = set(frozen_months(store.connection))
        months = [month for month in allocated_months(store.connection) if month.first <= today and str(month) not in frozen]
        return months[-OPEN_MONTHS:]

    def preview(self, kind: LedgerKind, rows: pl.DataFrame, on_progress: Progress = no_progress) -> list[MonthChange]:
        """What appending ledger `rows` would change in the reports of the open months, and of the unfrozen months of those rows."""
        from pipeline.closing.preview import preview, with_ledger_rows
        from pipeline.store.facts import read_facts
        from pipeline.validate.ledger import INSTANT, month_of

        with self._stores.current(on_progress) as store:
            facts, months = read_facts(store.connection), set(self.open_months(store))
            frozen = {Month.parse(month) for month in frozen_months(store.connection)}
        months |= {Month.parse(name) for name in rows.select(month_of(INSTANT[kind])).to_series().unique()} - frozen
        return preview(facts, with_ledger_rows(facts, kind, rows), sorted(months, key=str), self._rules)

    def preview_registry(
        self, content: Mapping[RegistryKind, list[dict[str, Any]]], on_progress: Progress = no_progress
    ) -> tuple[dict[str, tuple[int, int]], list[MonthChange]]:
        """What a registry with these rows would change: (rows added, rows removed) by table, and the reports of the open months."""
        from pipeline.closing.preview import preview, rows_that_differ, with_registry
        from pipeline.store.facts import read_facts

        with self._stores.current(on_progress) as store:
            facts, months = read_facts(store.connection), self.open_months(store)
            labelled = {(label.chain, label.address) for label in labels(store.connection)}
        after = with_registry(facts, content, labelled)
        return rows_that_differ(facts, after), preview(facts, after, months, self._rules)

    def frozen(self, month: Month) -> list[Frozen]:
        """The frozen versions of the month in the log, oldest first."""
        return self._diary.frozen(month)

    def folder_of(self, month: Month, version: int) -> Path:
        """The folder of the version's bundle: `months/2026-10/v1`."""
        return version_dir(self._settings.months_path, month, version)

    def freeze(
        self,
        store: Store,
        month: Month,
        *,
        by: str,
        reason: str,
        is_first: bool = False,
        is_amendment: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> FreezeOutcome:
        """Freeze the month by the facts in `store`: the next version if facts changed since the last one, else the last one is given.

        The next version takes the newest edition of the rules (rule 8.4); a newer edition alone makes no version unless requested (`is_amendment`).
        `is_first`: never make a further version. Only one process freezes a month at a time. Raises MonthError that names each condition of
        rule 8.1 that is not met, or if a further version has no reason (rule 8.3), or if another process is freezing the month.
        """
        with locked_folder(
            self._settings.months_path / str(month), message("another process is freezing {month}: look again when it is done", month=month)
        ):
            return self._freeze(store, month, by=by, reason=reason, is_first=is_first, is_amendment=is_amendment, progress=progress)

    def _freeze(
        self, store: Store, month: Month, *, by: str, reason: str, is_first: bool, is_amendment: bool, progress: Callable[[str], None]
    ) -> FreezeOutcome:
        from pipeline.freeze.bundle import Content, Version
        from pipeline.freeze.freeze import begin_freeze, freeze_month, require_closable, transactions_to_prove
        from pipeline.store.evidence import read_evidence
        from pipeline.store.publish import export_month

        from .descriptors import lay_descriptors
        from .filters import add_wanted_filters
        from .headers import add_wanted_headers

        if told := told_beyond_log(self._settings.months_path, self._diary, month):
            raise MonthError(told)
        versions = self.frozen(month)
        if versions and is_first:
            return FreezeOutcome(self.folder_of(month, versions[0].version), versions[0].digest, versions[0].version, is_new=False)
        progress(message("enrich"))
        last = versions[-1] if versions else None
        edition = last.edition if last and not is_amendment else self._rules.edition
        state, assessed = self.assess_as_frozen(store, month, self.rules_of(store, month, edition=edition))
        if last is not None and not is_amendment and last.edition != self._rules.edition:
            if report_digest(assessed, self._rules) == last.digest:
                return FreezeOutcome(self._restore(last, progress), last.digest, last.version, is_new=False)
            state, assessed = self.assess_as_frozen(store, month, self._rules)
        if last is None:  # before anything is written
            first = self._settings.closing.first_month
            if told := taken_for_mistyped(store, month, first) or out_of_order(self._diary, month, first):
                raise MonthError(told)
            require_closable(month, assessed)
        else:
            # Compared before anything is written: if nothing changed, nothing in `months` is touched, not even the times of its files.
            if report_digest(assessed, self._rules) == last.digest:
                return FreezeOutcome(self._restore(last, progress), last.digest, last.version, is_new=False)
            if not reason.strip():
                raise MonthError(
                    message(
                        "{month} is frozen already, and its report would change: a further version needs a --reason (rule 8.3)", month=month
                    )
                )
        version = Version(
            month, last.version + 1 if last else 1, self._rules, self._settings.header(), self._settings.report.languages, self._now(), by, reason,
            pdf_rows=self._settings.report.pdf_rows, begins_from_line=state.opening is not None,
        )  # fmt: skip
        report = begin_freeze(version, assessed, self._settings.months_path, progress=progress)
        content = Content(
            version, state, assessed, read_evidence(store.connection, transactions_to_prove(assessed.enriched, self._rules, state.facts))
        )

        def export(path: Path) -> None:
            self.write_enriched(store, month, assessed)
            with store.less_memory():
                export_month(store.connection, str(month), path)

        bundle, event = freeze_month(content, report, self._settings.months_path, export=export, append=self._append, progress=progress)
        lay_descriptors(self._settings, store, bundle.folder)
        add_wanted_headers(self._settings, bundle.folder, progress=progress)
        add_wanted_filters(self._settings, bundle.folder, progress=progress)
        return FreezeOutcome(bundle.folder, bundle.digest, event.version, is_new=True)

    def _append(self, event: Frozen) -> None:
        append_shared(self._log, "months", self._settings.pool.key, [encode(event)])

    def restore(self, event: Frozen) -> Path:
        """The folder of a frozen version's bundle. A missing one is completed from an interrupted freeze, or rebuilt from the log.

        Raises MonthError if another process is freezing the month, VerifyError if the bundle rebuilt from the log differs.
        """
        place = self.folder_of(Month.parse(event.month), event.version)
        with locked_folder(place.parent, message("another process is freezing {month}: look again when it is done", month=event.month)):
            return self._restore(event)

    def _restore(self, event: Frozen, progress: Callable[[str], None] = lambda _: None) -> Path:
        from pipeline.freeze.freeze import finish_freeze

        place = self.folder_of(Month.parse(event.month), event.version)
        is_there = place.exists() or finish_freeze(self._settings.months_path, event)
        if not is_there and not self.replay(event, progress=progress).is_same:
            raise VerifyError(
                message(
                    "{month} v{version} is frozen, its folder is missing, and the bundle rebuilt from the log differs: esep replay {month} shows where",
                    month=event.month,
                    version=event.version,
                )
            )
        return place

    def replay(
        self,
        event: Frozen,
        *,
        keep: Path | None = None,
        on_progress: Progress = no_progress,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Replay:
        """Rebuild a frozen version from the log alone in an empty store and compare it with its bundle (rule 8.2).

        `keep`: the folder to keep the rebuilt bundle in. A bundle that is missing in `months` is restored.
        """
        from pipeline.assess.month import assess_month
        from pipeline.freeze.bundle import Content, Version, put_in_place
        from pipeline.freeze.freeze import restore_manifest, transactions_to_prove
        from pipeline.freeze.replay import replay_month
        from pipeline.store.evidence import read_evidence
        from pipeline.store.facts import write_enriched
        from pipeline.store.publish import export_month

        month = Month.parse(event.month)
        place = self.folder_of(month, event.version)
        with self._stores.as_frozen(event, on_progress=on_progress) as store, scratch_folder(self._settings.var) as folder:
            built = folder / "bundle"
            version = Version.of(event)
            state = dataclasses.replace(month_state(store, month), positions=event.positions)
            assessed = assess_month(state, month, version.rules)
            if version.begins_from_line:
                state = carrying(store, state, month, state.opening)
            write_enriched(store, str(month), assessed.enriched)
            evidence = read_evidence(store.connection, transactions_to_prove(assessed.enriched, version.rules, state.facts))

            def export(path: Path) -> None:
                with store.less_memory():
                    export_month(store.connection, str(month), path)

            replay = replay_month(
                event,
                Content(version, state, assessed, evidence),
                built,
                first=place if place.exists() else None,
                export=export,
                progress=progress,
            )
            target = keep or (place if replay.is_same and not place.exists() else None)
            if target is not None:
                restore_manifest(built, event)
                target.parent.mkdir(parents=True, exist_ok=True)
                put_in_place(built, target)
                replay = dataclasses.replace(replay, bundle=dataclasses.replace(replay.bundle, folder=target))
        return replay


def month_state(store: Store, month: Month, opening: Beginning | None = None) -> MonthState:
    """Everything that a month is assessed by, read from the store at one moment. `opening`: facts that it stands for are left out."""
    from pipeline.assess.coins import previous_coins
    from pipeline.assess.debts import previous_debts
    from pipeline.assess.month import MonthState

    connection = store.connection
    before = frozen_versions(connection, str(month.previous))
    return MonthState(
        facts=facts_beside(store, month, opening),
        opening=opening,
        waivers=waivers(connection, str(month)),
        complete_through=complete_through(connection),
        has_registry=registry(connection) is not None,
        bad_events=bad_events(connection),
        positions=store.positions(),
        previous_digest=before[-1].digest if before else None,
        newest=newest_events(connection),
        streams=streams(connection),
        signed=signed_events(connection),
        internal_calls=internal_calls(connection),
        authorizations_from=authorizations_from(connection),
        previous_debts=previous_debts(before[-1] if before else None),
        previous_coins=previous_coins(before[-1] if before else None),
        wallet_signatures=wallet_signatures(connection),
        documents=documents(connection),
    )


def allocated_months(connection: duckdb.DuckDBPyConnection) -> list[Month]:
    """Every month that has allocations, oldest first."""
    statement = "SELECT DISTINCT date_part(['year', 'month'], almaty_date(allocated_at)) AS found FROM core_allocation ORDER BY found"
    return [Month(found["year"], found["month"]) for (found,) in connection.execute(statement).fetchall()]


def report_digest(assessed: Assessment, rules: Rules) -> str:
    """The digest that the month would have if it were frozen now: SHA-256 of `report.csv`, hex (rule 8.2)."""
    from pipeline.assess.printed import printed_parts
    from pipeline.render.canonical import write_report_csv

    with Path(os.devnull).open("wb") as nowhere:
        return write_report_csv(printed_parts(assessed.enriched, rules), nowhere)
