"""The composition root: settings in, the parts joined and ready. The only place that knows which connector stands for what.

Everything here is a thin join: the log, the store, the connectors and the stages do the work. It reads the clock through the
`now` it was given, and no environment. Left out: what commands print (`cli`) and the example's way through (`demo`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from connectors.files import Imported, RegistryImported, declare_complete, import_ledger, import_registry
from pipeline.assess.debts import debts_before
from pipeline.assess.month import Assessed, MonthState, assess_month
from pipeline.assess.printed import printed_parts
from pipeline.closing.decisions import Decisions, decisions_of_settings, label_event, read_decisions, waive_event
from pipeline.freeze.bundle import put_in_place
from pipeline.freeze.freeze import finish_freeze, freeze_month, version_dir
from pipeline.freeze.replay import Replay, places_of, replay_month
from pipeline.log.events import decode, encode
from pipeline.log.events.months import Frozen
from pipeline.log.events.parts import Event
from pipeline.log.lease import HeldLeases, Leases
from pipeline.log.protocol import Positions, Topic, advance, append_beside
from pipeline.model.errors import LogError, StoreHeld, VerifyError
from pipeline.model.folders import held_folder, scratch_folder
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules
from pipeline.render.canonical import write_report_csv
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.facts import read_facts, write_enriched
from pipeline.store.ingest import Ingest, IngestStep
from pipeline.store.publish import export_month, publish_copy
from pipeline.store.queries import bad_events, complete_through, frozen_versions, internal_calls, newest_events, registry, waivers
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.registry import REGISTRY_KINDS, RegistryKind
from pipeline.validate.table import RawTable

from .open_connector import open_connector
from .open_log import open_log

if TYPE_CHECKING:
    from pipeline.follow.connector import ChainConnector
    from pipeline.log.protocol import EventLog

OPEN_MONTHS = 3
"""How many unfrozen months are worked out without being asked for."""

Tell = Callable[[int, int], None]
"""Progress: how many are done, of how many."""


def _silent(_done: int, _total: int) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What a freeze came to."""

    folder: Path
    digest: str
    version: int
    is_new: bool


class App:
    """One pool's Esep: its log, its store, its months. Use as a context manager."""

    def __init__(self, settings: Settings, now: Callable[[], int]) -> None:
        self.settings = settings
        self.now = now
        self.rules = settings.rules()
        self.pool = settings.pool.key

    @cached_property
    def log(self) -> EventLog:
        """The log, opened (an embedded one: and made) at first use. Raises LogError; a cluster's topics are checked at every start."""
        return open_log(self.settings, pool=self.pool)

    def leases(self, pools: Sequence[str]) -> Leases:
        """Who may fill the pools that lie in this pool's log: processes share them out on a cluster; an embedded log is one machine's."""
        # kafka-python takes its time to be imported: no other command should wait for it.
        from connectors.log_kafka import KafkaLog
        from connectors.log_kafka.lease import KafkaLeases

        if isinstance(self.log, KafkaLog):
            return KafkaLeases(self.log.settings, pools)
        return HeldLeases(pools)

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        if "log" in self.__dict__:
            self.log.close()

    # --- the store -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def live_store(self) -> Iterator[Store]:
        """The live store, as far as it was filled. Raises StoreHeld when another process has it, StoreError otherwise."""
        self.settings.store.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Store.open(self.settings.store.path) as store:
            yield store

    @contextlib.contextmanager
    def private_store(self, until: Positions | None = None, tell: Tell = _silent) -> Iterator[Store]:
        """A store of our own, filled from the log (up to `until`) and gone afterwards: the month is a function of the log (law 2)."""
        with scratch_folder(self.settings.var) as folder, Store.open(folder / "store.duckdb") as store:
            self.fill(store, until=until, tell=tell)
            yield store

    @contextlib.contextmanager
    def store_as_frozen(self, event: Frozen, tell: Tell = _silent) -> Iterator[Store]:
        """A store of our own as it was when the version was frozen; in a log that was copied since, too (ADR 3). Raises VerifyError."""
        with contextlib.ExitStack() as stack:
            try:
                store = stack.enter_context(self.private_store(event.positions, tell=tell))
                is_there = not event.newest or newest_events(store.connection) == event.newest
            except LogError:
                if not event.newest:
                    raise
                is_there = False
            if not is_there:
                stack.close()
                store = stack.enter_context(self.private_store(places_of(event, self.log), tell=tell))
            yield store

    @contextlib.contextmanager
    def current_store(self, tell: Tell = _silent) -> Iterator[Store]:
        """A store filled to the log's end: the live one, or a private one while a running service has the live one."""
        with contextlib.ExitStack() as stack:
            try:
                store = stack.enter_context(self.live_store())
            except StoreHeld:
                store = stack.enter_context(self.private_store(tell=tell))
            else:
                self.fill(store, tell=tell)
            yield store

    def fill(
        self, store: Store, *, until: Positions | None = None, tell: Tell = _silent, seen: Callable[[IngestStep], None] = lambda _: None
    ) -> int:
        """Bring the store up to the log's end (or `until`); how many records that took. Raises LogError if the log ends before `until`.

        `seen` is told of every batch once it is committed, at last of one that found nothing more to read.
        """
        ingest = Ingest(self.log, store, until=until)
        total = sum((until if until is not None else self.log.end()).values())
        events = 0
        while not (step := ingest.step()).at_end:
            events += step.events
            tell(sum(step.positions.values()), total)
            seen(step)
        seen(step)
        last = ingest.catch_up()
        seen(last)
        return events + step.events + last.events

    # --- what comes in ---------------------------------------------------------------------------------------------

    def connector(self, chain: str, *, rpc_url: str | None = None, cookie_file: Path | None = None) -> ChainConnector:
        """The connector of a configured chain; `rpc_url` and `cookie_file` instead of the settings'. Raises SettingsError, LogError."""
        return open_connector(self.settings, self.log, chain, rpc_url=rpc_url, cookie_file=cookie_file)

    def import_ledger(self, path: Path, kind: LedgerKind, *, sheet: str | None = None) -> Imported:
        """Append what a ledger file says anew. Raises InputRefused with every fault by line."""
        ledger = self.settings.ledger
        return import_ledger(
            self.log,
            self.pool,
            path,
            kind,
            assets=self.rules.assets,
            networks=self.rules.network,
            columns=getattr(ledger.columns, kind),
            ignored=ledger.ignored,
            timezone=ledger.timezone,
            sheet=sheet,
        )

    def import_registry(self, where: Path | Mapping[RegistryKind, Path], *, counterparties: RawTable | None = None) -> RegistryImported:
        """Append the registry's next version, if it says anything new. Raises InputRefused with the faults of all its files."""
        registry = self.settings.registry
        return import_registry(
            self.log,
            self.pool,
            where,
            networks=self.rules.network,
            columns={kind: getattr(registry.columns, kind) for kind in REGISTRY_KINDS},
            ignored=registry.ignored,
            counterparties=counterparties,
        )

    def declare_complete(self, through: date) -> bool:
        """Say that the ledger holds everything through a day in Almaty (rule 8.1); whether that was new."""
        return declare_complete(self.log, self.pool, through)

    def append(self, topic: Topic, *events: Event) -> None:
        """Append events of the pool's to the log, durable on return; beside other processes that do."""
        append_beside(self.log, topic, self.pool, [encode(event) for event in events])

    def decisions(self) -> Decisions:
        """The labels and waivers that the log holds."""
        return read_decisions(self.log, self.pool)

    def bring_settings_decisions(self) -> int:
        """Append the labels and waivers of the settings that the log does not hold yet; how many."""
        settings = self.settings
        events = decisions_of_settings(settings.labels, settings.waivers, self.decisions(), at=self.now())
        if events:
            append_beside(self.log, "months", self.pool, events)
        return len(events)

    def label(self, *, chain: str, address: str, outflow_class: str, name: str, by: str, reason: str) -> None:
        """Name whose address it is (rule 3)."""
        self.append(
            "months",
            label_event(chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason, at=self.now()),
        )

    def waive(self, *, month: Month, code: str, ref: str, by: str, reason: str) -> None:
        """Take one blocking issue of a month upon a person (rule 8.1)."""
        self.append("months", waive_event(month=str(month), code=code, ref=ref, by=by, reason=reason, at=self.now()))

    # --- months ----------------------------------------------------------------------------------------------------

    def assess(self, store: Store, month: Month) -> tuple[MonthState, Assessed]:
        """The month as the store has it: what enrichment makes of it, and whether it can close."""
        state = month_state(store, month)
        return state, assess_month(state, month, self.rules)

    def show_month(self, store: Store, month: Month, assessed: Assessed) -> None:
        """Put what enrichment made of the month into the store, for the analysts' views."""
        write_enriched(store, str(month), assessed.enriched, assets=self.rules.assets)

    def open_months(self, store: Store) -> list[Month]:
        """The newest months with allocations, not later than now, that are not frozen; at most `OPEN_MONTHS`, oldest first."""
        today = almaty_date(self.now())
        months = [month for month in allocated_months(store.connection) if month.first <= today and not self.frozen(month)]
        return months[-OPEN_MONTHS:]

    def publish(self, store: Store) -> Path:
        """Publish the analysts' read-only copy."""
        return publish_copy(store, self.settings.store.published, mode=int(self.settings.store.published_mode, 8))

    def frozen(self, month: Month) -> list[Frozen]:
        """The frozen versions of the month in the log, oldest first."""
        positions: dict[str, int] = {}
        found: list[Frozen] = []
        while records := self.log.read(positions, topics=["months"]):
            positions = advance(positions, records)
            for record in records:
                if record.key == self.pool and record.id.startswith(f"frozen:{month}:"):
                    event = decode(record.value)
                    if isinstance(event, Frozen):
                        found.append(event)
        return sorted(found, key=lambda event: event.version)

    def folder_of(self, month: Month, version: int) -> Path:
        """Where the version's bundle lies: `months/2026-10/v1`."""
        return version_dir(self.settings.months_path, month, version)

    def freeze(
        self,
        store: Store,
        month: Month,
        *,
        by: str,
        reason: str,
        is_first: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Freeze the month as `store` has it; the next version when facts changed since the last, the last one when none did.

        `is_first`: never a further version, whatever changed. One process at a time freezes a month. Raises MonthError, naming each
        condition of rule 8.1 that is not met, or that another process is at it.
        """
        with held_folder(self.settings.months_path / str(month), f"another process is freezing {month}: look again when it is done"):
            return self._freeze(store, month, by=by, reason=reason, is_first=is_first, progress=progress)

    def _freeze(self, store: Store, month: Month, *, by: str, reason: str, is_first: bool, progress: Callable[[str], None]) -> Outcome:
        versions = self.frozen(month)
        if versions and is_first:
            return Outcome(self.folder_of(month, versions[0].version), versions[0].digest, versions[0].version, is_new=False)
        progress("enrich")
        state, assessed = self.assess(store, month)
        if versions and report_digest(assessed, self.rules) == versions[-1].digest:
            last = versions[-1]
            return Outcome(self._bring_back(last, progress), last.digest, last.version, is_new=False)
        self.show_month(store, month, assessed)
        bundle, event = freeze_month(
            state,
            store.connection,
            month=month,
            version=versions[-1].version + 1 if versions else 1,
            rules=self.rules,
            header=self.settings.header(),
            months_dir=self.settings.months_path,
            languages=self.settings.report.languages,
            now=self.now(),
            by=by,
            reason=reason,
            export=lambda path: export_month(store.connection, str(month), path),
            append=lambda event: self.append("months", event),
            assessed=assessed,
            progress=progress,
        )
        return Outcome(bundle.folder, bundle.digest, event.version, is_new=True)

    def bring_back(self, event: Frozen) -> Path:
        """The folder of a frozen version's bundle; one that is missing is finished as its freeze left it, or rebuilt from the log.

        Raises MonthError when another process is freezing the month, VerifyError when the log gives another bundle.
        """
        place = self.folder_of(Month.parse(event.month), event.version)
        with held_folder(place.parent, f"another process is freezing {event.month}: look again when it is done"):
            return self._bring_back(event)

    def _bring_back(self, event: Frozen, progress: Callable[[str], None] = lambda _: None) -> Path:
        place = self.folder_of(Month.parse(event.month), event.version)
        is_there = place.exists() or finish_freeze(self.settings.months_path, event)
        if not is_there and not self.replay(event, progress=progress).is_same:
            raise VerifyError(
                f"{event.month} v{event.version} is frozen, its folder is gone, and the log gives another one: esep replay {event.month} shows where"
            )
        return place

    def replay(
        self, event: Frozen, *, keep: Path | None = None, tell: Tell = _silent, progress: Callable[[str], None] = lambda _: None
    ) -> Replay:
        """Rebuild a frozen version from the log alone in an empty store and compare it with its bundle (rule 8.2).

        `keep`: where to leave what was built; a bundle that is missing from `months` is put back in its place.
        """
        month = Month.parse(event.month)
        place = self.folder_of(month, event.version)
        with self.store_as_frozen(event, tell=tell) as store, scratch_folder(self.settings.var) as folder:
            built = folder / "bundle"
            rules = Rules.from_json(event.rules)
            state = dataclasses.replace(month_state(store, month), positions=event.positions)
            assessed = assess_month(state, month, rules)
            write_enriched(store, str(month), assessed.enriched, assets=rules.assets)
            replay = replay_month(
                event,
                state,
                store.connection,
                built,
                first=place if place.exists() else None,
                export=lambda path: export_month(store.connection, str(month), path),
                assessed=assessed,
                progress=progress,
            )
            target = keep or (place if replay.is_same and not place.exists() else None)
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                put_in_place(built, target)
                replay = dataclasses.replace(replay, bundle=dataclasses.replace(replay.bundle, folder=target))
        return replay


def month_state(store: Store, month: Month) -> MonthState:
    """Everything that a month is judged by, read at one moment of the store."""
    connection = store.connection
    before = frozen_versions(connection, str(month.previous))
    return MonthState(
        facts=read_facts(connection),
        waivers=waivers(connection, str(month)),
        complete_through=complete_through(connection),
        has_registry=registry(connection) is not None,
        bad_events=[(issue.ref, issue.detail) for issue in bad_events(connection)],
        positions=store.positions(),
        previous_digest=before[-1].digest if before else None,
        newest=newest_events(connection),
        internal_calls=internal_calls(connection),
        debts_before=debts_before(before[-1] if before else None),
    )


def allocated_months(connection: duckdb.DuckDBPyConnection) -> list[Month]:
    """Every month that has allocations, oldest first."""
    statement = "SELECT DISTINCT strftime(almaty_date(allocated_at), '%Y-%m') FROM core_allocation ORDER BY 1"
    return [Month.parse(text) for (text,) in connection.execute(statement).fetchall()]


def report_digest(assessed: Assessed, rules: Rules) -> str:
    """The digest that the month would have if it were frozen now (rule 8.2)."""
    with Path(os.devnull).open("wb") as nowhere:
        return write_report_csv(printed_parts(assessed.enriched, rules), nowhere)
