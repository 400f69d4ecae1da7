"""`esep close`, `schedule`, `calendar`, `approve`, `receipt`, `refile`, `sandbox`: a month is filed."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app import approval
from pipeline.app.app import App
from pipeline.app.closer import sole_closer
from pipeline.app.desk import CalendarEntry
from pipeline.app.outcome import OUTCOMES, note_outcome
from pipeline.app.overview import Move, move_of_step
from pipeline.app.standins import FAULTS, filing_sandbox
from pipeline.app.summary import month_summary
from pipeline.closing.advance import MonthStatus, submit
from pipeline.closing.steps import Act, what_changed
from pipeline.closing.submission import State, outcome_words, state_words
from pipeline.model.errors import FilingError, MonthError, SettingsError
from pipeline.model.message import counted, message
from pipeline.model.months import ALMATY, utc_offset
from pipeline.model.reason import require_reason
from pipeline.service.loops import stopped_by_signals
from pipeline.texts import N_

from .decisions import ByOption, ReasonOption, parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, MonthArgument, now, print_json, progress, say, say_field, settings_of
from .logs import configure_logs
from .summary import move_words, print_summary
from .words import state_word


def close(
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be done now, and do nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take all steps that are due now, once, for every month: freeze, sign, file, ask for the status, send notices; then show each month's state.

    What is due follows from the log, the settings and the clock, so it may be called at any time and any number of times, from
    cron, too: nothing is filed twice. `esep schedule` does the same continuously. An error that stops a month is shown, and the step is tried again next time.
    --dry-run appends nothing to the log, writes no file of a month, signs, sends and tells nothing.

    [dim]esep close --dry-run[/dim]
    """
    settings = settings_of(config)
    with contextlib.ExitStack() as held:
        if not is_dry:
            held.enter_context(sole_closer(settings))
        app = held.enter_context(App(settings, now))
        with progress(message("looking") if is_dry else message("closing")):
            foreseen = app.desk.foresee() if is_dry else None
            statuses = foreseen.statuses if foreseen else app.desk.look()
        frozen = [s.month for s in statuses if s.life.frozen and not s.trouble]
        open_ones = [s.month for s in statuses if s.month in frozen and (not s.life.is_filed or s.month == frozen[-1])]
        summaries = [] if is_dry else [month_summary(app, month) for month in open_ones]
    if as_json:
        rows = [(str(s.month), _state(s), s.step.act.value, s.trouble or s.step.why, _when(s.step.until)) for s in statuses]
        print_json([dict(zip(("month", "state", "due", "why", "from"), row, strict=True)) for row in rows])
        return
    if is_dry:
        say(message("Nothing was done. Due now, or next:"))
    for status in statuses:
        found = [summary for summary in summaries if summary.month == status.month]
        for summary in found:
            print_summary(summary, config)
        if not found:
            said = replace(move_of_step(status), who="you", what=status.trouble) if status.trouble else move_of_step(status)
            say(
                message(
                    "{month} is {state}{stopped}",
                    month=status.month,
                    state=state_word(_state(status)),
                    stopped=message(" and stopped") if status.trouble else "",
                )
            )
            say_field(
                message("would") if is_dry and status.step.act in DOING else message("next"),
                _due_words(status, said, config, is_dry=is_dry),
                indent=2,
            )
    for notice in foreseen.notices if foreseen else ():
        say_field(message("would tell"), notice.subject, width=12)
    if not statuses:
        say(message("there is no month to close yet"))


DOING = (Act.FREEZE, Act.SIGN, Act.SUBMIT, Act.SEND, Act.ASK)
"""What `esep close` does; the rest waits for an instant, a person or facts."""


_ACTS = {Act.FREEZE: N_("freeze"), Act.SIGN: N_("sign"), Act.SUBMIT: N_("submit"), Act.SEND: N_("send"), Act.ASK: N_("ask")}


def _due_words(status: MonthStatus, move: Move, config: Path, *, is_dry: bool) -> str:
    if is_dry and status.step.act in DOING:
        return message("{step}: {why}", step=message(_ACTS[status.step.act]), why=status.step.why)
    return move_words(move, config)


def _state(status: MonthStatus) -> str:
    return str(status.life.state(is_closable=not status.unmet and status.step.act is Act.PERSON))


def schedule(
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Seconds between looks, instead of \\[closing].", metavar="SECONDS")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Close months by the calendar, until SIGTERM: looks at the start, every few minutes, and at each of the calendar's points.

    A process of its own beside `esep run`, where [closing] in_run is false; both go through the log. One process closes a pool's
    months: a second one is refused with exit code 11. Being stopped, late or asleep does no harm: at the next look what
    is due is done. Logs to stderr, as JSON when that is no terminal.

    [dim]esep schedule[/dim]
    """
    from pipeline.service.closing import close_months

    configure_logs(verbose=True)
    settings = settings_of(config)
    stop = threading.Event()
    with stopped_by_signals(stop), sole_closer(settings) as check, App(settings, now) as app:
        close_months(app, check, stop, every_s=every or settings.closing.look_every_minutes * 60)


def calendar(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """What will happen when, for every month that is not filed and the next three, and why.

    A past day is told by what the log proves: filed or not, frozen or not, called or not. All times are Almaty's. A next working day is shown as information: the report is due by the 25th itself (rule 1.4). A month
    that is not frozen yet counts as frozen when it ends.

    [dim]esep calendar[/dim]
    """
    with App(settings_of(config), now) as app:
        entries = app.desk.calendar()
    if as_json:
        rows = [(_when(e.point.at), e.point.month, e.point.what, e.point.why, *_past_or_note(e)) for e in entries]
        print_json([dict(zip(("at", "month", "what", "why", "past", "note"), row, strict=True)) for row in rows])
        return
    say(message("All times are Almaty's, UTC{offset}.", offset=utc_offset(datetime.fromtimestamp(now(), ALMATY))))
    for month in sorted({entry.point.month for entry in entries}):
        say(f"\n{month}")
        for entry in entries:
            here = datetime.fromtimestamp(entry.point.at, ALMATY)
            if entry.point.month == month:
                standing = message(" [{standing}]", standing=entry.standing) if entry.standing else ""
                say(
                    message(
                        "  {at}  {what}: {why}{standing}",
                        at=message("{day} {time}", day=here.date(), time=f"{here:%H:%M}"),
                        what=message("filing") if entry.point.what == "filed" else entry.point.what,  # "filed" is said of what was done
                        why=entry.point.why,
                        standing=standing,
                    ),
                    hang=18,
                )


def _past_or_note(entry: CalendarEntry) -> tuple[str, str]:
    """What became of a past point, and what stands in the way of one to come."""
    return (entry.standing, "") if entry.point.at <= now() else ("", entry.standing)


def approve(
    month: MonthArgument,
    reason: ReasonOption,
    by: ByOption = "",
    as_frozen: Annotated[
        bool, typer.Option("--as-frozen", help="File this version although facts changed since: a draft of a further one stands.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Approve by name that the newest frozen version of a month is filed. Needed where [closing] asks for approvals, and where a month is unusual.

    It approves exactly the report whose digest it prints: a further version needs approvals of its own. Each person counts once;
    where approvers are named in the settings, nobody else counts. A version whose facts have changed since is not approved: amend it, or
    give --as-frozen, which holds for exactly these changes. Of a month that is filed already, --as-frozen records that it stays as it was filed.

    [dim]esep approve 2026-10 --by "A. Person" --reason "compared with the ledger"[/dim]
    """
    named = parse_month(month)
    require_reason(reason, "esep approve")
    with App(settings_of(config), now) as app:
        by = app.people.decider(by)
        with progress(message("comparing with the frozen version")):
            outcome = approval.approve(app, named, by=by, reason=reason, as_frozen=as_frozen)
        summary = month_summary(app, named)
    if outcome.differing_rows is not None:
        kept = (
            message("stays as it was filed: {named} v{version}", named=named, version=outcome.version)
            if outcome.is_taken
            else message("to be filed as frozen: {named} v{version}", named=named, version=outcome.version)
        )
        rows = counted("{count} row would differ now", "{count} rows would differ now", outcome.differing_rows)
        say(message("{kept}, although {rows}", kept=kept, rows=rows))
    if outcome.is_new:
        say(message("approved: {named} v{version}, digest {digest}", named=named, version=outcome.version, digest=outcome.digest))
    elif not outcome.is_taken or outcome.differing_rows is None:  # what stays as it was filed needs no approval
        say(message("already approved by {by}: {named} v{version}", by=by, named=named, version=outcome.version))
    print_summary(summary, config)


def receipt(
    month: MonthArgument,
    outcome: Annotated[
        str, typer.Argument(help="accepted, rejected, received, or missing (the filing service does not have it).", metavar="OUTCOME")
    ],
    reason: ReasonOption,
    by: ByOption = "",
    number: Annotated[str | None, typer.Option("--receipt", help="The filing service's receipt.", metavar="NUMBER")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Record the outcome of a month's newest submission that a person found out: after handing in from the outbox, or by telephone.

    `missing` lets the same bytes be sent again under the same id. What was accepted or rejected already is settled, and is not
    changed by this: a correction is a version of its own (`esep amend`).

    [dim]esep receipt 2026-10 accepted --receipt 123-456 --by "A. Person" --reason "handed in at the counter"[/dim]
    """
    named = parse_month(month)
    if outcome not in OUTCOMES:
        raise SettingsError(
            [message("OUTCOME: {outcome}: say one of {answers}", outcome=repr(outcome), answers=", ".join(OUTCOMES))], source="esep receipt"
        )
    require_reason(reason, "esep receipt")
    with App(settings_of(config), now) as app:
        submission = note_outcome(app, named, outcome, receipt=number or "", by=app.people.decider(by), reason=reason)
    say(
        message(
            "noted: {named} v{version}, submission {submission_id}: {outcome}",
            named=named,
            version=submission.event.version,
            submission_id=submission.event.submission_id,
            outcome=outcome_words(outcome),
        )
    )


def refile(month: MonthArgument, reason: ReasonOption, by: ByOption = "", config: ConfigOption = DEFAULT_CONFIG) -> None:
    """File a rejected version again, as a new submission: when not the facts but the way of filing was wrong.

    Only a rejected submission can be followed by another one of the same version. Where the facts were wrong,
    correct them and use `esep amend`. The submission is made now and sent at the next look (`esep close`, `esep schedule`).

    [dim]esep refile 2026-10 --by "A. Person" --reason "the period's field had another name"[/dim]
    """
    named = parse_month(month)
    require_reason(reason, "esep refile")
    with App(settings_of(config), now) as app:
        by = app.people.decider(by)
        desk = app.desk
        desk.diary.refresh()
        life = desk.diary.life(named)
        last = life.submission
        if not life.version:
            raise FilingError(message("{named} is not frozen yet: there is nothing to file again", named=named))
        if last is None or last.event.version != life.version or last.state is not State.REJECTED:
            raise FilingError(
                message(
                    "{named} v{version} was not rejected (it is {state}): it is not filed a second time",
                    named=named,
                    version=life.version,
                    state=state_words(life.state()),
                )
            )
        if (draft := life.blocking_draft) is not None:
            raise MonthError(
                message(
                    "{named} v{version} is not filed again: {what_changed}",
                    named=named,
                    version=life.version,
                    what_changed=what_changed(life, draft),
                )
            )
        event = submit(desk.diary, desk.months, desk.filing, app.pool, life, now=now(), by=by, reason=reason)
    say(
        message(
            "{named} v{version}: submission {submission_id} is made; it is sent at the next look",
            named=named,
            version=event.version,
            submission_id=event.submission_id,
        )
    )


def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="On 127.0.0.1; 0 for any free one.")] = 8119,
    seed: Annotated[int | None, typer.Option("--seed", help="Behave badly, by this seed; well when not given.")] = None,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", help=f"Which faults: {', '.join(FAULTS)}; all when not given.", metavar="NAME")
    ] = None,
    share: Annotated[int, typer.Option("--share", min=0, max=100, help="How many calls of 100 meet a fault.")] = 50,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep what it received in this file of JSON lines.", metavar="FILE")] = None,
) -> None:
    """A filing service for trials on this machine, until SIGTERM: takes submissions, gives receipts, and misbehaves as told.

    Its page shows what it received, `/openapi.json` describes what it takes. Set filing.way = "http" and the two addresses that
    stand commented in esep.toml. It is nobody's real interface.

    [dim]esep sandbox --seed 7 --fault timeout --fault duplicate[/dim]
    """
    if keep is not None:
        keep.open("a").close()  # that it can be written is known before anything is filed
    stop = threading.Event()
    sandbox = filing_sandbox(now, port=port, seed=seed, share=share / 100, kinds=faults or (), keep=keep)
    with stopped_by_signals(stop), sandbox as server:
        say(message("sandbox on {url}", url=server.url))
        while not stop.wait(0.5):
            continue


def _when(at: int | None) -> str:
    return datetime.fromtimestamp(at, ALMATY).strftime("%Y-%m-%d %H:%M") if at is not None else ""
