"""A month's issues: what to do, facts beside each other, and decisions with what they would change shown before they are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.acts import Changed, LabelEffect, Seen, label, label_effect, seen, waive
from pipeline.app.issues import IssueGroup, IssueView
from pipeline.app.previews import changes_since
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message, text_of
from pipeline.model.months import Month, almaty_date
from pipeline.settings.models import RESERVED_CLASSES
from pipeline.web.access import AsDecider, AsViewer
from pipeline.web.forms import Name, PerhapsReason, Reason, checked_reason
from pipeline.web.layout import page
from pipeline.web.numbers import may_see_numbers
from pipeline.web.parts import Console, Viewer

from .months import MonthPath, masked, masked_text
from .tasks import to_task

router = APIRouter()
SHOWN = 200
"""Issues of a group that are shown."""
CLASSES = ("vendor", "exchange", "treasury", "payroll", "refund", "poisoning")
"""Offered for labels; any other word is taken, too."""
Digest = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
"""Of what the page of the issue showed (`Seen.digest`)."""
Written = dict[str, str]
"""What a person wrote into a form that was refused: the reasons of a waiver and of a label, the label's class, and whose the address is."""
_EMPTY: Final[Written] = {"waiver": "", "label": "", "outflow_class": "", "whose": ""}


def groups_of(parts: Console, month: Month) -> list[IssueGroup]:
    """The month's issues by the newest snapshot. An answer 404 for a month that is not worked out."""
    found = parts.reading.snapshot().groups.get(month)
    if found is None:
        parts.reading.book(month)  # a month without rows is told so
        raise HTTPException(404, message("{month} is frozen, and not worked out anew: its issues stand in its bundle", month=month))
    return found


def issue_of(parts: Console, month: Month, name: str) -> IssueView:
    """The issue with this short name."""
    for group in groups_of(parts, month):
        for issue in group.issues:
            if issue.name == name:
                return issue
    raise HTTPException(404)


def _as_seen(parts: Console, month: Month, name: str, digest: str) -> Seen:
    """The issue, if it still is what the person saw, by all that the log holds now. Raises `Changed`."""
    parts.await_shown()
    try:
        now = seen(parts.app, month, issue_of(parts, month, name))
    except HTTPException:
        raise Changed(
            message("Not recorded: the issue is there no longer, for the facts changed since you looked. Below are the issues of now.")
        ) from None
    if now.digest == digest:
        return now
    if now.issue.waived_by:
        raise Changed(message("Not recorded: {name} waived this issue meanwhile. Below is how it stands now.", name=now.issue.waived_by))
    raise Changed(
        message("Not recorded: the facts changed since you looked. Below is how it stands now: decide again, if it is still right.")
    )


def _age(parts: Console) -> Callable[[IssueView], int]:
    """How many days ago the thing happened that an issue is about."""
    today = almaty_date(parts.app.now())
    return lambda issue: (today - issue.day).days if issue.day else 0


@router.get("/months/{month}/issues")
def issues(
    request: Request, month: MonthPath, parts: Console, viewer: AsViewer,
    code: Annotated[str, Query(max_length=60)] = "", severity: Annotated[str, Query(pattern="^(blocking|warning)?$")] = "",
) -> Response:  # fmt: skip
    """The issues, blocking ones first."""
    return _list(request, parts, month, viewer, code, severity)


def _list(
    request: Request, parts: Console, month: Month, viewer: Viewer, code: str = "", severity: str = "", changed: str = ""
) -> Response:
    """`changed`: why a decision was refused, whose issue is there no longer."""
    found = groups_of(parts, month)
    shown = [group for group in found if code in ("", group.code.value) and severity in ("", group.code.severity.value)]
    snapshot, life = parts.reading.snapshot(), parts.app.diary.life(month)
    return page(
        request, "issues.html", month=month, tab="issues", groups=shown, codes=sorted({group.code.value for group in found}), code=code, severity=severity,
        snapshot=snapshot, versions=[event.version for event in life.versions], book=parts.reading.book(month), draft=life.draft,
        age=_age(parts), masked=lambda number: masked(number, viewer), masked_text=lambda text: masked_text(text, viewer), has_numbers=may_see_numbers(viewer),
        may_decide="operator" in viewer.roles, most=SHOWN, blocking=Severity.BLOCKING, unknown=IssueCode.UNKNOWN_OUTFLOW, classes=CLASSES,
        changed=changed, status=409 if changed else 200, at=f"/months/{month}/issues",
    )  # fmt: skip


@router.get("/months/{month}/issues/{name}")
def issue(
    request: Request, month: MonthPath, name: str, parts: Console, viewer: AsViewer, task: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """One issue: its facts, and the decisions that it takes."""
    found, started = parts.app.tasks.result(task, LabelEffect), parts.app.tasks.find(task)
    own = found if started is not None and started.by == viewer.person else None  # what another person wrote is no draft of this one's
    return _issue_page(
        request, parts, month, viewer, issue_of(parts, month, name), found, written={"label": own.reason} if own is not None else None
    )


def _refused(request: Request, parts: Console, month: Month, viewer: Viewer, name: str, changed: str, written: Written) -> Response:
    """Why a decision was not recorded, above the page as it is now: of the issue, or of the month's issues where there is no such issue any more."""
    try:
        found = issue_of(parts, month, name)
    except HTTPException:
        return _list(request, parts, month, viewer, changed=changed)
    return _issue_page(request, parts, month, viewer, found, changed=changed, written=written)


def _changes(parts: Console, effect: LabelEffect | None) -> list[tuple[Month, list[str]]]:
    """What is different by now in the reports that a label's effect was worked out for, in words, by month; empty where it still is so."""
    reports = parts.reading.snapshot().reports
    found = [(was.month, changes_since(was, reports.get(was.month))) for was in effect.before] if effect else []
    return [(month, changes) for month, changes in found if changes]


def _issue_page(
    request: Request, parts: Console, month: Month, viewer: Viewer, found: IssueView, effect: LabelEffect | None = None, *,
    changed: str = "", written: Written | None = None,
) -> Response:  # fmt: skip
    shown, group = seen(parts.app, month, found), next(group for group in groups_of(parts, month) if found in group.issues)
    snapshot, life = parts.reading.snapshot(), parts.app.diary.life(month)
    view = next((one for one in snapshot.overview.months if one.month == month), None)
    blocking = sum(one.open_count for one in snapshot.groups[month])
    return page(
        request, "issue.html", month=month, tab="issues", issue=found, group=group, snapshot=snapshot, versions=[event.version for event in life.versions],
        book=parts.reading.book(month), draft=life.draft, age=_age(parts), masked=lambda number: masked(number, viewer), masked_text=lambda text: masked_text(text, viewer),
        has_numbers=may_see_numbers(viewer), may_decide="operator" in viewer.roles, is_blocking=found.code.severity is Severity.BLOCKING,
        can_label=found.code is IssueCode.UNKNOWN_OUTFLOW, classes=CLASSES, effect=effect, others_open=max(blocking - 1, 0), view=view,
        seen=shown, changed=changed, effect_changes=_changes(parts, effect), task=request.query_params.get("task", ""), written=_EMPTY | (written or {}), status=409 if changed else 200, at=f"/months/{month}/issues/{found.name}",
    )  # fmt: skip


@router.post("/months/{month}/issues/{name}/waiver")
def waived(request: Request, month: MonthPath, name: str, parts: Console, viewer: AsDecider, reason: Reason, digest: Digest) -> Response:
    """Waive one issue in the person's name, as they saw it."""
    by = parts.app.people.decider(viewer.person)
    try:
        known = _as_seen(parts, month, name, digest)
        waive(parts.app, month, known.issue, by=by, reason=reason, known=known)
    except Changed as error:
        return _refused(request, parts, month, viewer, name, text_of(error), {"waiver": reason})
    parts.await_shown()
    return RedirectResponse(f"/months/{month}/issues", 303)


@router.post("/months/{month}/issues/{name}/label")
def labelled(  # noqa: PLR0913 - a form's fields are its parameters
    request: Request, month: MonthPath, name: str, parts: Console, viewer: AsDecider, digest: Digest, whose: Name, reason: PerhapsReason = "",
    outflow_class: Annotated[str, Form(pattern="^[a-z][a-z0-9-]{0,39}$")] = "vendor", act: Annotated[str, Form(pattern="^(show|label)$")] = "show", task: Annotated[str, Form(max_length=40)] = "",
) -> Response:  # fmt: skip
    """Show what a label would change, or give it, as they saw the issue: for all months. `task`: what it would change, where that was shown."""
    written = {"label": reason, "outflow_class": outflow_class, "whose": whose}
    try:
        known = _as_seen(parts, month, name, digest)
    except Changed as error:
        return _refused(request, parts, month, viewer, name, text_of(error), written)
    facts = known.issue.named_facts
    chain, address = facts.get("chain", ""), facts.get("address", "")
    if outflow_class in RESERVED_CLASSES or not address:
        raise HTTPException(
            422,
            message(
                "{value} is a class that the rules give themselves: name what the address is, like vendor or exchange",
                value=repr(outflow_class),
            ),
        )
    if act == "show":
        parts.reading.compare(*parts.reading.snapshot().books)
        title = message("What the label {outflow_class} would change", outflow_class=outflow_class)
        started = parts.app.tasks.start(
            title, lambda told: label_effect(parts.app, chain, address, outflow_class, whose, told, reason=reason), by=viewer.person, then=f"/months/{month}/issues/{name}?task={{id}}"
        )  # fmt: skip
        return to_task(started)
    checked_reason(reason)
    if _changes(parts, parts.app.tasks.result(task, LabelEffect)):
        told = message(
            "Not recorded: the report is another one than when you were shown what the label changes. Show it anew, or label without looking."
        )
        return _refused(request, parts, month, viewer, name, told, written)
    try:
        label(parts.app, known, outflow_class, whose, by=parts.app.people.decider(viewer.person), reason=reason)
    except Changed as error:
        return _refused(request, parts, month, viewer, name, text_of(error), written)
    parts.await_shown()
    return RedirectResponse(f"/months/{month}/issues", 303)
