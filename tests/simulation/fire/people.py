"""The people around the program: they label, waive, mend, approve, refile and amend, by name and with a reason, through the program's own doors.

Enters: where the months stand. Leaves: decisions in the log. In a calm world everybody does at once what is theirs; otherwise some of it
waits for another day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.assess.waivers import blocking_issues
from pipeline.closing.advance import MonthStatus, submit
from pipeline.closing.diary import StepAlreadyTaken
from pipeline.closing.steps import Act
from pipeline.closing.submission import State
from pipeline.log.events.months import Approved

from .process import Process

if TYPE_CHECKING:
    from .life import Life

BY = "A. Person"


def decide(life: Life, process: Process) -> None:
    """Everything that waits for a person, month by month."""
    rng = life.dice.stream("people")
    process.desk.closing.diary.refresh()
    label_anew(life, process)
    for status in life.statuses:
        if not life.dice.is_calm and rng.random() < 0.3:
            continue
        month, told = status.month, process.desk.closing.diary.life(status.month)
        if month not in life.months:
            continue
        if not told.frozen and life.now_true >= month.end_at and any(u.startswith("no blocking") for u in status.unmet):
            settle_issues(life, process, status)
        elif not told.frozen and status.step.act is Act.PERSON:
            with process.app.stores.current() as store:
                process.app.months.freeze(store, month, by=BY, reason="the month is whole")
            life.deeds["freeze"] += 1
        if told.frozen:
            approve(life, process, status)
            refile(life, process, status)
            amend(life, process, status)


def label_anew(life: Life, process: Process) -> None:
    """Labels that somebody gave and the log does not hold are given again: nobody rests on what was not acknowledged."""
    if life.are_labels_pending:
        held = {where for _, where in process.app.decisions.held().labels}
        for where in sorted(life.labels.keys() - held):
            process.app.decisions.label(
                chain=life.chain_name, address=where, outflow_class="vendor", name="the vendor", by=BY, reason="contract 17"
            )
        life.are_labels_pending = False


def settle_issues(life: Life, process: Process, status: MonthStatus) -> None:
    """Label, mend or waive each blocking issue of the month."""
    app, rng, month = process.app, life.dice.stream("people"), status.month
    with app.stores.current() as store:
        state, assessed = app.months.assess(store, month)
    life.issues.update(assessed.enriched.issues["code"].to_list())
    for issue in blocking_issues(assessed.enriched.issues, state.waivers).to_dicts():
        code, ref = issue["code"], issue["ref"]
        if code == "unknown-outflow" and rng.random() < 0.4:
            vendor = life.vendor_paid(ref)
            if vendor is not None:
                life.labels[vendor] = "vendor"
                life.are_labels_pending = True
                label_anew(life, process)
                life.deeds["label"] += 1
                continue
        if rng.random() < 0.5 and life.office.mend(code, ref):
            life.deeds["mend"] += 1
            continue
        app.decisions.waive(month=month, issue=issue, by=BY, reason="looked into, and taken upon myself")
        life.deeds["waive"] += 1


def approve(life: Life, process: Process, status: MonthStatus) -> None:
    """Let the newest version go, where the plan asks for it, or the month is unusual or held past the 24th."""
    desk, month = process.desk, status.month
    told = desk.closing.diary.life(month)
    waits_for_a_name = status.step.act in (Act.PERSON, Act.WAIT) and told.blocking_draft is None
    if not (desk.plan.approvals or waits_for_a_name) or BY in told.approvals.get(told.version, {}):
        return
    event = Approved(
        id=f"approved:{month}:{told.version}:{BY}", month=str(month), version=told.version, digest=told.frozen[told.version].digest, by=BY,
        reason="compared with the ledger", at=process.app.now(),
    )  # fmt: skip
    try:
        desk.closing.diary.append(event)
    except StepAlreadyTaken:
        return
    life.deeds["approve"] += 1


def refile(life: Life, process: Process, status: MonthStatus) -> None:
    """A rejected version is filed once more: the simulated service rejects by whim."""
    desk, month = process.desk, status.month
    told = desk.closing.diary.life(month)
    last = told.submission
    if last is None or last.event.version != told.version or last.state is not State.REJECTED:
        return
    try:
        submit(desk.closing.diary, desk.months, desk.filing, process.app.pool, told, now=process.app.now(), by=BY, reason="their mistake")
    except StepAlreadyTaken:
        return
    life.deeds["refile"] += 1


def amend(life: Life, process: Process, status: MonthStatus) -> None:
    """A draft becomes the next version, once nothing blocks it."""
    app, month = process.app, status.month
    told = process.desk.closing.diary.life(month)
    if told.draft is None or told.draft.version != told.version + 1:
        return
    with app.stores.current() as store:
        state, assessed = app.months.assess(store, month)
        life.issues.update(assessed.enriched.issues["code"].to_list())
        blocking = blocking_issues(assessed.enriched.issues, state.waivers)
        if not blocking.is_empty():
            for issue in blocking.to_dicts():
                app.decisions.waive(month=month, issue=issue, by=BY, reason="looked into again")
                life.deeds["waive"] += 1
            return
        if assessed.unmet:
            return
        outcome = app.months.freeze(store, month, by=BY, reason="the facts changed")
    if outcome.is_new:
        life.deeds["amend"] += 1
