"""Drafts of further versions of frozen months, each logged once (rule 8.3).

Enters: the months' newest frozen versions and the current facts. Leaves: `drafted` events. Left out: freezing the further version, which a
person does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from pipeline.closing.diary import Diary, StepAlreadyTaken
from pipeline.closing.steps import SCHEDULE
from pipeline.log.events.months import Drafted, DraftedRow, Frozen
from pipeline.log.protocol import EventLog
from pipeline.model.errors import EsepError, MonthError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .months import PoolMonths, report_digest
from .stores import Progress, no_progress

if TYPE_CHECKING:
    import polars as pl

    from pipeline.enrich.frames import Facts
    from pipeline.store import Store

    from .closing_months import ClosingMonths
    from .stores import Stores

WATCHED_MONTHS = 3
"""How many of the newest frozen months are checked for changed facts."""


class Drafts:
    """Drafts of further versions of one pool's months."""

    def __init__(
        self,
        rules: Rules,
        log: EventLog,
        now: Callable[[], int],
        *,
        diary: Diary,
        stores: Stores,
        months: PoolMonths,
        bundles: ClosingMonths,
    ) -> None:
        self._rules = rules
        self._log = log
        self._now = now
        self._diary = diary
        self._stores = stores
        self._months = months
        self._bundles = bundles
        self._watched: dict[str, int] | None = None

    def watch(self) -> dict[Month, str]:
        """Draft a further version of each frozen month whose report would differ now (rule 8.3): the newest ones, and those not filed.

        Gives the months that could not be checked, each with the reason.
        """
        self._diary.refresh()
        end = {place: offset for place, offset in self._log.end().items() if not place.startswith("months/")}
        if end == self._watched:
            return {}
        unwatched: dict[Month, str] = {}
        for month in self.watched_months():
            try:
                self.draft(month, by=SCHEDULE, reason=message("facts changed after the freeze"))
            except (EsepError, OSError) as error:
                unwatched[month] = message("can't check whether facts changed after the freeze: {error}", error=error)
        self._watched = None if unwatched else end
        return unwatched

    def watched_months(self) -> list[Month]:
        """The frozen months that are checked for changed facts: the newest ones, and those not filed."""
        frozen = sorted((life for life in self._diary.lives.values() if life.frozen), key=lambda life: str(life.month))
        return [life.month for life in frozen[:-WATCHED_MONTHS] if not life.is_filed] + [life.month for life in frozen[-WATCHED_MONTHS:]]

    def draft(
        self,
        month: Month,
        *,
        by: str,
        reason: str,
        is_amendment: bool = False,
        is_named: bool = True,
        on_progress: Progress = no_progress,
    ) -> Drafted | None:
        """What a further version would change, logged once for each content; None if the report would be the same.

        Facts are compared under the frozen version's edition of the rules; the further version takes the newest edition (rule 8.4). A newer edition
        alone is not a changed fact: it is drafted only on request (`is_amendment`), and logged only if the person gives a name (`is_named`).
        `on_progress`: how far the log is read, first for the facts in force, then, if these changed, for those of the freeze.
        Raises MonthError for a month that is not frozen.
        """
        from pipeline.assess.month import assess_month
        from pipeline.closing.amend import differences, mix_facts
        from pipeline.enrich.month import enrich_month

        frozen = self._months.frozen(month)
        if not frozen:
            raise MonthError(message("{month} is not frozen yet: there is nothing to amend", month=month))
        newest = frozen[-1]
        with self._stores.current(on_progress) as store:
            state, assessed = self._months.assess(store, month)
        digest = report_digest(assessed, self._rules)
        facts_changed = digest != newest.digest
        if not facts_changed:
            self._withdraw(newest)
            if not is_amendment:
                return None
        if newest.edition != self._rules.edition:
            assessed = assess_month(state, month, self._rules)
            digest = report_digest(assessed, self._rules)
        if digest == newest.digest:
            return None
        drafts = [draft for draft in self._diary.life(month).drafts if draft.version == newest.version + 1]
        if drafts and drafts[-1].digest == digest:
            return drafts[-1]
        if state.opening is not None:  # the causes are looked for among all facts
            with self._stores.current(on_progress) as store:
                state, assessed = self._months.assess(store, month, edition=self._rules.edition, is_whole=True)
            digest = report_digest(assessed, self._rules)
        facts = self._facts_frozen(newest, on_progress)
        rules = Rules.from_json(newest.rules)

        def report_with(classes: frozenset[str]) -> pl.DataFrame:
            in_force = self._rules if "rules" in classes else rules
            return enrich_month(mix_facts(facts, state.facts, classes), month, in_force).report

        was = report_with(frozenset())
        rows = differences(facts, state.facts, was, assessed.enriched.report, report_with, rules_changed=rules != self._rules)
        causes = {row.cause for row in rows} | ({"rules"} if newest.edition != self._rules.edition else set())
        event = drafted(newest, digest, rows, causes, by=by, reason=reason, at=self._now())
        if facts_changed or is_named:
            self._log_draft(event)
        return event

    def _facts_frozen(self, event: Frozen, on_progress: Progress) -> Facts:
        """All facts that a version was frozen by: from its bundle, or from the log where the bundle has not all allocations (ADR 27)."""
        from pipeline.store.facts import read_facts as read_all
        from pipeline.verify.files import read_facts

        if not event.begins_from_line:
            return read_facts(self._bundles.folder(Month.parse(event.month), event.version) / "evidence" / "facts")
        with self._stores.as_frozen(event, on_progress) as store:
            return read_all(store.connection)

    def is_undecided(self, month: Month) -> bool:
        """As the function of this name, by all that the log holds. Nothing is appended."""
        with self._stores.current() as store:
            return is_undecided(store, month, months=self._months, diary=self._diary, rules=self._rules)

    def _withdraw(self, newest: Frozen) -> None:
        """If a draft is open, log one that says that the report equals the frozen one again."""
        if self._diary.life(Month.parse(newest.month)).draft is not None:
            reason = message("the report equals the frozen one again")
            self._log_draft(drafted(newest, newest.digest, [], set(), by=SCHEDULE, reason=reason, at=self._now()))

    def _log_draft(self, event: Drafted) -> None:
        """Append a draft unless the newest one has the same content. A draft equal to an earlier one is a new event: the newest counts."""
        self._diary.refresh()
        earlier = [draft for draft in self._diary.life(Month.parse(event.month)).drafts if draft.version == event.version]
        if earlier and earlier[-1].digest == event.digest:
            return
        if any(draft.digest == event.digest for draft in earlier):
            event = msgspec.structs.replace(event, id=f"{event.id}:{len(earlier)}")
        with contextlib.suppress(StepAlreadyTaken):
            self._diary.append(event)


def drafted(newest: Frozen, digest: str, rows: list[DraftedRow], causes: set[str], *, by: str, reason: str, at: int) -> Drafted:
    """The event of a draft; equal content gives the same id. `causes`: those of the rows, and `rules` if the edition is newer."""
    from pipeline.closing.amend import CAUSES, MAX_ROWS

    return Drafted(
        id=f"drafted:{newest.month}:{newest.version + 1}:{digest[:32]}",
        month=newest.month,
        version=newest.version + 1,
        digest=digest,
        rows=rows[:MAX_ROWS],
        row_count=len(rows),
        causes=[cause for cause in CAUSES if cause in causes],
        by=by,
        reason=reason,
        at=at,
    )


def is_undecided(store: Store, month: Month, *, months: PoolMonths, diary: Diary, rules: Rules) -> bool:
    """Whether the month's report would come out different from its newest frozen version, and nobody decided that this stays."""
    from pipeline.assess.month import assess_month

    frozen = months.frozen(month)
    state, assessed = months.assess(store, month)
    digest = report_digest(assessed, rules)
    if not frozen or digest == frozen[-1].digest:
        return False
    if frozen[-1].edition != rules.edition:
        digest = report_digest(assess_month(state, month, rules), rules)
    return diary.life(month).decision_about(digest) is None
