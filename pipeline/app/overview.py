"""Where everything stands: the chains, the ledger, the log, and of each month its state, sums, papers, and who acts next with which command.

Enters: a pool's `App` and a store that is filled to the log's end. Leaves: `Overview`, which `esep status` prints and a page may show. Nothing is
appended to the log, but for waivers that the settings name. Left out: printing (`cli`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pipeline.assess.condition import Condition
from pipeline.closing.steps import Act, Step, step_to_decide, waits_for_decision, what_changed, what_differs
from pipeline.closing.submission import State, Submission
from pipeline.log.events.months import Answered
from pipeline.log.protocol import EventLog, Positions
from pipeline.log.read import batches
from pipeline.model.errors import EsepError, StoreError
from pipeline.model.message import message, text_of
from pipeline.model.months import Month, almaty_date
from pipeline.store import Store
from pipeline.store.copies import published_positions
from pipeline.store.queries import chain_state, complete_through, frozen_months, internal_calls, registry, streams

from .beyond_log import told_beyond_log
from .drafts import WATCHED_MONTHS
from .kept import as_kept
from .month_facts import gap_before, taken_for_mistyped
from .months import allocated_months, report_digest

if TYPE_CHECKING:
    from pipeline.assess.month import Assessment
    from pipeline.closing.advance import MonthStatus
    from pipeline.closing.life import Life
    from pipeline.model.rules import Rules

    from .app import App

Actor = Literal["you", "esep", "filing service", "nobody"]


@dataclass(frozen=True)
class Move:
    """Who acts next, what is to be done, and the command that does it (empty where no command does)."""

    who: Actor
    what: str
    command: str = ""
    at: int | None = None
    """Unix seconds from which on, where that is known."""


@dataclass(frozen=True)
class MonthLook:
    """What a month's facts come to, as it is shown."""

    rows: int
    totals: dict[str, Any]
    """As `printed_totals`."""
    conditions: list[Condition]
    digest: str
    """Of the report as it would come out now; empty where the month is not frozen."""

    @property
    def unmet(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.is_met]

    @classmethod
    def of(cls, assessed: Assessment, rules: Rules, *, is_frozen: bool) -> MonthLook:
        from pipeline.render.totals import printed_totals

        totals = printed_totals(assessed.enriched.totals, rules.assets)
        return cls(assessed.enriched.reported.height, totals, assessed.conditions, report_digest(assessed, rules) if is_frozen else "")


@dataclass(frozen=True)
class MonthView:
    """One month as a person needs to see it."""

    month: Month
    state: State
    days_left: int
    """Days until the day it is due by; below 0: late."""
    is_before_first: bool
    """Before `closing.first_month`: somebody files it without this program."""
    is_filed: bool
    accepted_version: int
    """The newest version that was accepted, which may be older than the newest frozen one; 0: none."""
    rows: int
    totals: dict[str, Any]
    """As `printed_totals`."""
    versions: list[dict[str, Any]]
    submission: Submission | None
    outbox: Path | None
    """Where the newest submission lies to be handed in by a person."""
    pdf: Path | None
    """The newest version's form."""
    changed: str
    """What changed since the newest version was frozen, in words."""
    is_undecided: bool
    """Whether a person must decide about what changed."""
    conditions: list[Condition]
    moves: list[Move]

    @property
    def unmet(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.is_met]


@dataclass(frozen=True)
class ChainView:
    """How far a chain was followed."""

    chain: str
    network: str
    height: int | None
    hash: str | None
    time: int | None
    """Of that block, Unix seconds."""
    lag_s: int | None
    internal_calls: str | None
    trouble: dict[str, Any] | None


@dataclass(frozen=True)
class Overview:
    """Where everything stands."""

    log: Positions
    root: str | None
    unsigned: list[str]
    not_authentic: int
    published: Positions | None
    lag: dict[str, int] | None
    copy_fault: str | None
    chains: list[ChainView]
    ledger_complete_through: date | None
    registry_version: int | None
    months: list[MonthView] = field(default_factory=list)


def overview(
    app: App,
    store: Store,
    months: list[Month] | None,
    trouble_of: Callable[[str], dict[str, Any] | None],
    assessed: Mapping[Month, Assessment] = MappingProxyType({}),
) -> Overview:
    """The state of everything. A copy that can't be read hides nothing else.

    `months`: those to tell of, instead of the open ones, those that are not filed, and those that would come out otherwise now. `trouble_of` a chain: what keeps it from being followed.
    `assessed`: months that were assessed by these facts already.
    """
    if not months:
        shown = months_shown(app, store)
        months = sorted({*shown, *_differing(app, store, shown)}, key=str)
    if sum(app.decisions.record_settings_waivers(app.months, store, month) for month in months):
        app.stores.fill(store)
    try:
        published, copy_fault = published_positions(app.settings.store.published), None
    except StoreError as error:
        published, copy_fault = None, text_of(error)
    connection = store.connection
    version, known = registry(connection), streams(connection)
    return Overview(
        log=app.log.end(),
        root=app.settings.keys.root,
        unsigned=[f"{state.topic}/{state.key}" for state in known if not state.is_in_force],
        not_authentic=sum(state.refused for state in known),
        published=published,
        lag=lag_events(app.log, published) if published is not None else None,
        copy_fault=copy_fault,
        chains=_chains(app, store, trouble_of),
        ledger_complete_through=complete_through(connection),
        registry_version=version[0] if version else None,
        months=[month_view(app, store, month, assessed.get(month)) for month in months],
    )


def lag_events(log: EventLog, positions: Positions, until: Positions | None = None) -> dict[str, int]:
    """How many events of each partition lie past `positions` (and before `until`). Counted, because offsets on Kafka have gaps."""
    behind = dict.fromkeys(log.end(), 0)
    for records in batches(log, positions, until=until):
        for record in records:
            behind[f"{record.topic}/{record.partition}"] += 1
    return behind


def _chains(app: App, store: Store, trouble_of: Callable[[str], dict[str, Any] | None]) -> list[ChainView]:
    tips, calls = chain_state(store.connection), internal_calls(store.connection)
    found = []
    for name, chain in app.settings.chains.items():
        tip = tips.get(name)
        time = tip.time if tip else None
        lag_s = max(0, app.now() - time) if time is not None else None
        view = ChainView(
            name, chain.network, tip.height if tip else None, tip.hash if tip else None, time, lag_s, calls.get(name), trouble_of(name)
        )
        found.append(view)
    return found


def month_view(app: App, store: Store, month: Month, assessed: Assessment | None = None) -> MonthView:
    """One month: assessed by the facts in the store, and by its life in the log."""
    app.diary.refresh()
    life = app.diary.life(month)
    is_frozen = bool(life.frozen)
    look = (
        look_at_month(app, store, month, is_frozen=is_frozen)
        if assessed is None
        else MonthLook.of(assessed, app.rules, is_frozen=is_frozen)
    )
    now = app.now()
    changed, is_undecided = _changed(life, look.digest)
    folder = app.months.folder_of(month, life.version) if life.frozen else None
    pdf = folder / "report.pdf" if folder is not None else None
    return MonthView(
        month=month,
        state=life.state(is_closable=not look.unmet),
        days_left=(month.deadline - almaty_date(now)).days,
        is_before_first=str(month) < (app.settings.closing.first_month or ""),
        is_filed=life.is_filed,
        accepted_version=life.accepted_version,
        rows=look.rows,
        totals=look.totals,
        versions=[{"version": event.version, "digest": event.digest, "at": event.at, "by": event.by} for event in life.versions],
        submission=life.submission,
        outbox=outbox_of(app, life),
        pdf=pdf if pdf is not None and pdf.is_file() else None,
        changed=changed,
        is_undecided=is_undecided,
        conditions=look.conditions,
        moves=_moves(
            app,
            life,
            look,
            now,
            changed if is_undecided else "",
            told_beyond_log(app.settings.months_path, app.diary, month)
            or ("" if is_frozen else taken_for_mistyped(store, month, app.settings.closing.first_month)),
        ),
    )


def _changed(life: Life, digest: str) -> tuple[str, bool]:
    """What changed since the newest version was frozen, in words, and whether a person must decide about it. `digest`: of the report as it would come out now."""
    if life.draft is not None:
        return what_changed(life, life.draft), life.blocking_draft is not None
    if not life.frozen or digest == life.frozen[life.version].digest:
        return "", False
    return what_differs(life), life.decision_about(digest) is None


def look_at_month(app: App, store: Store, month: Month, *, is_frozen: bool) -> MonthLook:
    """What the month's facts in the store come to; computed only if nothing is kept that rests on the same facts and rules."""
    name, basis = f"{month}-figures", app.kept.basis(store, month, app.months.rules_of(store, month))
    kept = app.kept.get(name, basis)
    if kept is not None and (kept["digest"] or not is_frozen):
        return MonthLook(kept["rows"], kept["totals"], [Condition(**condition) for condition in kept["conditions"]], kept["digest"])
    _, assessed = app.months.assess(store, month)
    look = MonthLook.of(assessed, app.rules, is_frozen=is_frozen)
    app.kept.put(name, basis, as_kept(look) | {"conditions": [as_kept(condition) for condition in look.conditions]})
    return look


def outbox_of(app: App, life: Life) -> Path | None:
    """The folder of the newest submission, where it was placed in the outbox and waits there."""
    last = life.submission
    if last is None or last.verdict is not None or not any(answer.outcome == "placed" for answer in last.answers):
        return None
    event = last.event
    folder = app.settings.filing.outbox / f"{event.month}-v{event.version}-{event.submission_id}"
    return folder if folder.is_dir() else None


def _moves(app: App, life: Life, look: MonthLook, now: int, changed: str, unknown: str) -> list[Move]:
    """Who acts next. Of an open month: a move for each condition that does not hold. `changed`: what a person must decide about. `unknown`: why it can't be the month that was meant, or the log is behind its bundles."""
    month = life.month
    if not life.frozen and now < month.end_at:
        return [Move("nobody", message("the month has not ended"), at=month.end_at)]
    if unknown:
        return [Move("you", unknown)]
    if not life.frozen and look.unmet:
        return [_move_of(condition, month) for condition in look.unmet]
    gap = gap_before(app.diary, month, app.settings.closing.first_month)
    if not life.frozen and gap is not None:
        return [Move("you", message("{gap} comes first: months are frozen in order", gap=gap), f"esep status {gap}")]
    try:
        status = app.desk.closing.foresee_month(month, now, unmet=[])
    except EsepError as error:
        return [Move("you", text_of(error), "esep doctor")]
    if changed and waits_for_decision(life, status.step):
        status = replace(status, step=step_to_decide(life, status.step, changed))
    return [move_of_step(status)]


def _move_of(condition: Condition, month: Month) -> Move:
    """What resolves a condition that does not hold."""
    match condition.kind:
        case "chain-passed" | "chain-final":
            return Move("esep", message("follows the chain: {detail}", detail=condition.detail), "esep run")
        case "payers-seen" | "nodes-agree":
            return Move("esep", condition.detail, "esep run")
        case "ledger-complete":
            return Move(
                "you",
                message("import the rest of the month, then declare it complete"),
                f"esep import complete {month.last}",
            )
        case "registry-loaded":
            return Move("you", message("import the registry of miners"), "esep import registry DIR")
        case "issues-resolved":
            return Move(
                "you",
                message("resolve, label or waive: {partition}", partition=condition.detail.partition("; ")[0]),
                f"esep issues {month} --blocking",
            )


def move_of_step(status: MonthStatus) -> Move:
    """Who takes a step of the month's life, and how."""
    step, month = status.step, status.month
    match step.act:
        case Act.DONE:
            return Move("nobody", step.why)
        case Act.PERSON:
            return Move("you", step.why, step.command)
        case Act.FACTS:
            return Move("you", step.why, f"esep status {month}")
        case Act.WAIT if not status.life.frozen:
            return Move("nobody", step.why, at=step.until)
        case Act.WAIT if _is_with_the_service(status.life, step):
            return Move("filing service", step.why, "esep close", step.until)
        case _:
            return Move("esep", step.why, "esep close", step.until)


def _is_with_the_service(life: Life, step: Step) -> bool:
    """Whether the filing service has the submission and owes an answer."""
    last = life.submission
    return (
        bool(step.submission_id)
        and last is not None
        and bool(last.trail)
        and isinstance(last.trail[-1], Answered)
        and last.may_be_delivered
    )


def months_shown(app: App, store: Store) -> list[Month]:
    """The open months, those frozen and not filed of the months to file, those about whose changes a person must decide, and the newest frozen one."""
    are_frozen = set(frozen_months(store.connection))
    frozen = [month for month in allocated_months(store.connection) if str(month) in are_frozen]
    app.diary.refresh()
    first = app.settings.closing.first_month
    unfiled = [month for month in frozen if first and str(month) >= first and not app.diary.life(month).is_filed]
    unfiled += [month for month in frozen if app.diary.life(month).blocking_draft is not None]
    return sorted({*app.months.open_months(store), *frozen[-1:], *unfiled}, key=str)


def _differing(app: App, store: Store, shown: list[Month]) -> list[Month]:
    """Of the newest frozen months those that would come out otherwise now, where nobody has decided about that: also before anybody looked."""
    app.diary.refresh()
    frozen = sorted((life.month for life in app.diary.lives.values() if life.frozen), key=str)[-WATCHED_MONTHS:]
    looks = {month: look_at_month(app, store, month, is_frozen=True) for month in frozen if month not in shown}
    return [month for month, look in looks.items() if _changed(app.diary.life(month), look.digest)[1]]
