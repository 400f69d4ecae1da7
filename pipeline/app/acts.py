"""What people do to a month in the console, each as a typed function: waive, label, see what a label would change, preview, freeze, amend, take the next step.

Enters: an `App`, the person's name, what they saw. Leaves: events in the log, or the refusal in words. What was seen is what is decided: a freeze names the digest that was previewed, a waiver the facts
that the issue rested on. Left out: who may do what (`web`), and approvals (`approval`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from pipeline.closing.advance import MonthStatus
from pipeline.closing.preview import MonthChange, preview
from pipeline.closing.steps import SCHEDULE
from pipeline.enrich.frames import SHAPES
from pipeline.log.events import content_digest
from pipeline.log.events.months import Labelled, Waived
from pipeline.model.errors import MonthError
from pipeline.model.message import counted, joined, message
from pipeline.model.months import Month
from pipeline.store.facts import read_facts

from .app import App
from .closer import sole_closer
from .issues import IssueView
from .months import FreezeOutcome, report_digest
from .previews import Amendment, Preview, changes_between, drafted_rows, header_digest, preview_of, told_changes
from .tasks import Told


@dataclass(frozen=True)
class Shown:
    """What a person had before them when they decided to freeze."""

    digest: str
    """Of the report."""
    header: str
    """`header_digest` of the form's header."""
    preview: Preview | None = None
    """The preview itself, where it is still remembered: then a refusal says what differs."""


@dataclass(frozen=True)
class LabelEffect:
    """What a label would change, before it is given."""

    chain: str
    address: str
    outflow_class: str
    name: str
    changes: list[MonthChange]
    before: list[Preview]
    """What the reports of the open months came to when it was worked out."""
    at: int
    reason: str = ""
    """What the person had written already when they asked."""


class Changed(MonthError):
    """What was to be decided is not any more what the person saw: they look again."""


@dataclass(frozen=True)
class Seen:
    """An issue with the newest decisions about it, as one page shows them."""

    month: Month
    issue: IssueView
    waiver: Waived | None
    """The newest waiver of the issue in the log, in force or lapsed."""
    label: Labelled | None
    """The newest label in the log of the address that the issue names."""

    @property
    def digest(self) -> str:
        """SHA-256, hex, of what a decision rests on: the issue's facts, and the decisions about it so far."""
        one = self.issue
        decided = ["" if event is None else event.id for event in (self.waiver, self.label)]
        return content_digest(
            [str(self.month), one.code.value, one.ref, one.facts, str(one.detail), one.waived_by, str(one.lapsed), *decided]
        )


def seen(app: App, month: Month, issue: IssueView) -> Seen:
    """The issue with the decisions that are in the log now."""
    held, facts = app.decisions.held(), issue.named_facts
    return Seen(
        month, issue, held.waivers.get((str(month), issue.code.value, issue.ref)), held.labels.get((facts.get("chain", ""), facts.get("address", "")))
    )  # fmt: skip


def waive(app: App, month: Month, issue: IssueView, *, by: str, reason: str, known: Seen | None = None) -> None:
    """Waive an issue as it was shown: the waiver rests on the facts that the person saw, and lapses when they are others (rule 8.5).

    Raises MonthError; `Changed` where the log has another decision about it than `known` has: of two who decide at once, one does.
    """
    if not issue.is_blocking:
        raise MonthError(message("{month} has no open issue {code} {ref}", month=month, code=issue.code.value, ref=issue.ref))
    app.decisions.waive(
        month=month, issue={"code": issue.code.value, "ref": issue.ref, "facts": issue.facts}, by=by, reason=reason,
        check=lambda: _require_undecided(app, known),
    )  # fmt: skip


def label(app: App, known: Seen, outflow_class: str, name: str, *, by: str, reason: str) -> None:
    """Say whose the address is that an issue names, for all months. Raises `Changed` as `waive`."""
    facts = known.issue.named_facts
    app.decisions.label(
        chain=facts["chain"], address=facts["address"], outflow_class=outflow_class, name=name, by=by, reason=reason,
        check=lambda: _require_undecided(app, known),
    )  # fmt: skip


def _require_undecided(app: App, known: Seen | None) -> None:
    """Raises `Changed` where the log has a decision about the issue that `known` has not."""
    if known is None:
        return
    now = seen(app, known.month, known.issue)
    if now.label is not None and now.label != known.label:
        raise Changed(
            message(
                "Not recorded: {name} labelled this address meanwhile as {outflow_class}. Below is how it stands now.",
                name=now.label.by, outflow_class=now.label.outflow_class,
            )
        )  # fmt: skip
    if now.waiver is not None and now.waiver != known.waiver:
        raise Changed(message("Not recorded: {name} waived this issue meanwhile. Below is how it stands now.", name=now.waiver.by))


def label_effect(app: App, chain: str, address: str, outflow_class: str, name: str, told: Told, *, reason: str = "") -> LabelEffect:
    """What a label would change in the reports and issues of the open months; nothing is recorded. `reason`: what the person had written already."""
    told.step(message("reading the log"))
    with app.stores.current(told.progress) as store:
        facts, months, positions = read_facts(store.connection), app.months.open_months(store), store.positions()
        before = [preview_of(app, month, app.months.assess(store, month)[1], positions) for month in months]
    row = pl.DataFrame([(chain, address, outflow_class)], schema=SHAPES["labels"], orient="row")
    kept = facts.labels.filter(~((pl.col("chain") == chain) & (pl.col("address") == address)))
    after = replace(facts, labels=pl.concat([kept, row]).sort(list(SHAPES["labels"]), nulls_last=True))
    told.step(message("comparing the reports"))
    return LabelEffect(chain, address, outflow_class, name, preview(facts, after, months, app.rules), before, app.now(), reason)


def preview_month(app: App, month: Month, told: Told) -> Preview:
    """Assess the month as a freeze would, and give its digest; nothing is written."""
    told.step(message("reading the log"))
    with app.stores.current(told.progress) as store:
        told.step(message("enrich"))
        _, assessed = app.months.assess(store, month, edition=app.rules.edition)
        positions = store.positions()
    told.step(message("work out the digest"))
    return preview_of(app, month, assessed, positions)


def freeze_previewed(app: App, month: Month, shown: Shown, told: Told, *, by: str, reason: str) -> FreezeOutcome:
    """Freeze the month, if it still comes to what was shown. Raises MonthError where facts changed since, with what differs, and as `PoolMonths.freeze`."""
    _refuse_a_second(app, month, shown.digest)
    _require_header(app, month, shown)
    return _freeze(app, month, told, by=by, reason=reason, is_amendment=False, shown=shown)


def amendment(app: App, month: Month, told: Told) -> Amendment:
    """What a further version of a frozen month would change, row by row with its cause (rule 8.3)."""
    told.step(message("comparing with the frozen version"))
    positions, frozen = app.log.end(), app.months.frozen(month)
    by = "console" if app.people.are_all_taken else SCHEDULE  # with keys in force it is the program's word
    drafted = app.desk.drafts.draft(month, by=by, reason=message("looked at"), is_amendment=True, is_named=False, on_progress=told.progress)
    rows = drafted_rows(app, drafted.rows) if drafted else []
    return Amendment(month, drafted, drafted.digest if drafted else frozen[-1].digest, app.now(), positions, rows)


def freeze_amended(app: App, month: Month, shown: Shown, told: Told, *, by: str, reason: str) -> FreezeOutcome:
    """Freeze the further version that was shown. Raises MonthError where facts changed since."""
    _refuse_a_second(app, month, shown.digest)
    _require_header(app, month, shown)
    told.step(message("comparing with the frozen version"))
    draft = app.desk.drafts.draft(month, by=by, reason=reason, is_amendment=True, is_named=True, on_progress=told.progress)
    if draft is None:
        raise MonthError(_changed(month) + ". " + message("The report comes out as it was frozen: there is nothing to amend."))
    if draft.digest != shown.digest:
        rows = counted(
            "Now {count} row differs from the frozen version.", "Now {count} rows differ from the frozen version.", draft.row_count
        )
        raise MonthError(_changed(month) + ". " + rows)
    return _freeze(app, month, told, by=by, reason=reason, is_amendment=True, shown=shown)


def _require_header(app: App, month: Month, shown: Shown) -> None:
    """Raises MonthError where the settings' header is another one than was shown: the report's digest does not cover it."""
    if header_digest(app.settings.header()) != shown.header:
        raise MonthError(
            message("{month}: the form's header in the settings is another one than you saw: look again, then freeze", month=month)
        )


def _changed(month: Month) -> str:
    return message("{month}: facts changed since what you saw: look again, then freeze", month=month)


def _refuse_a_second(app: App, month: Month, digest: str) -> None:
    """Raises MonthError where somebody else froze the very report that is to be frozen."""
    app.diary.refresh()
    life = app.diary.life(month)
    frozen = life.frozen.get(life.version)
    if frozen is not None and frozen.digest == digest:
        raise MonthError(
            message(
                "{month} v{version} was frozen meanwhile by {by} with this very report: nothing is left to freeze",
                month=month, version=life.version, by=frozen.by,
            )
        )  # fmt: skip


def _freeze(app: App, month: Month, told: Told, *, by: str, reason: str, is_amendment: bool, shown: Shown) -> FreezeOutcome:
    told.step(message("reading the log"))
    app.decisions.record_settings_labels()
    with app.stores.current(told.progress) as store:
        if app.decisions.record_settings_waivers(app.months, store, month):
            app.stores.fill(store)
        _, assessed = app.months.assess(store, month, edition=app.rules.edition)
        if report_digest(assessed, app.rules) != shown.digest:
            changes = changes_between(shown.preview, preview_of(app, month, assessed, store.positions())) if shown.preview else []
            raise MonthError(_changed(month) + (joined("", (". ", told_changes(changes))) if changes else ""))
        return app.months.freeze(store, month, by=by, reason=reason, is_amendment=is_amendment, progress=told.step)


def take_due_steps(app: App, told: Told) -> list[MonthStatus]:
    """Take the steps that are due now, as `esep close` does. Raises FencedError where another process closes the pool's months."""
    told.step(message("closing"))
    with sole_closer(app.settings):
        app.desk.months.progress = told.step
        return app.desk.look()
