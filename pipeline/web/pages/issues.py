"""A month's issues: what to do, facts beside each other, and decisions with what they would change shown before they are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.acts import LabelEffect, label_effect, waive
from pipeline.app.issues import IssueGroup, IssueView
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.settings.models import RESERVED_CLASSES
from pipeline.web.access import AsOperator, AsViewer
from pipeline.web.layout import page
from pipeline.web.numbers import may_see_numbers
from pipeline.web.parts import Console

from .months import MonthPath, masked, masked_text
from .tasks import to_task

router = APIRouter()
SHOWN = 200
"""Issues of a group that are shown."""
CLASSES = ("vendor", "exchange", "treasury", "payroll", "refund", "poisoning")
"""Offered for labels; any other word is taken, too."""
SHOW_S = 10.0
"""Seconds that an answer waits until what was just decided is shown."""
Reason = Annotated[str, Form(min_length=3, max_length=1000)]


def groups_of(parts: Console, month: Month) -> list[IssueGroup]:
    """The month's issues by the newest snapshot. An answer 404 for a month that is not worked out."""
    found = parts.reading.snapshot().groups.get(month)
    if found is None:
        raise HTTPException(404, message("{month} is filed, and not worked out anew: its issues stand in its bundle", month=month))
    return found


def issue_of(parts: Console, month: Month, name: str) -> IssueView:
    """The issue with this short name."""
    for group in groups_of(parts, month):
        for issue in group.issues:
            if issue.name == name:
                return issue
    raise HTTPException(404)


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
    found = groups_of(parts, month)
    shown = [group for group in found if code in ("", group.code.value) and severity in ("", group.code.severity.value)]
    snapshot, life = parts.reading.snapshot(), parts.app.diary.life(month)
    return page(
        request, "issues.html", month=month, tab="issues", groups=shown, codes=sorted({group.code.value for group in found}), code=code, severity=severity,
        snapshot=snapshot, versions=[event.version for event in life.versions], book=parts.reading.book(month), draft=life.draft,
        age=_age(parts), masked=lambda number: masked(number, viewer), masked_text=lambda text: masked_text(text, viewer), has_numbers=may_see_numbers(viewer),
        may_decide="operator" in viewer.roles, most=SHOWN, blocking=Severity.BLOCKING, unknown=IssueCode.UNKNOWN_OUTFLOW, classes=CLASSES,
    )  # fmt: skip


@router.get("/months/{month}/issues/{name}")
def issue(
    request: Request, month: MonthPath, name: str, parts: Console, viewer: AsViewer, task: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """One issue: its facts, and the decisions that it takes."""
    found = issue_of(parts, month, name)
    group = next(group for group in groups_of(parts, month) if found in group.issues)
    effect = parts.app.tasks.result(task, LabelEffect)
    return _issue_page(request, parts, month, viewer, found, group, effect)


def _issue_page(
    request: Request, parts: Console, month: Month, viewer: Any, found: IssueView, group: IssueGroup, effect: LabelEffect | None
) -> Response:
    snapshot, life = parts.reading.snapshot(), parts.app.diary.life(month)
    view = next((one for one in snapshot.overview.months if one.month == month), None)
    blocking = sum(one.open_count for one in snapshot.groups[month])
    return page(
        request, "issue.html", month=month, tab="issues", issue=found, group=group, snapshot=snapshot, versions=[event.version for event in life.versions],
        book=parts.reading.book(month), draft=life.draft, age=_age(parts), masked=lambda number: masked(number, viewer), masked_text=lambda text: masked_text(text, viewer),
        has_numbers=may_see_numbers(viewer), may_decide="operator" in viewer.roles, is_blocking=found.code.severity is Severity.BLOCKING,
        can_label=found.code is IssueCode.UNKNOWN_OUTFLOW, classes=CLASSES, effect=effect, others_open=max(blocking - 1, 0), view=view,
    )  # fmt: skip


@router.post("/months/{month}/issues/{name}/waiver")
def waived(month: MonthPath, name: str, parts: Console, viewer: AsOperator, reason: Reason) -> Response:
    """Waive one issue in the person's name."""
    waive(parts.app, month, issue_of(parts, month, name), by=parts.app.people.decider(viewer.person), reason=reason.strip())
    parts.reading.wait_for(parts.app.log.end(), SHOW_S)
    return RedirectResponse(f"/months/{month}/issues", 303)


@router.post("/months/{month}/issues/{name}/label")
def labelled(
    month: MonthPath, name: str, parts: Console, viewer: AsOperator, reason: Annotated[str, Form(max_length=1000)] = "",
    outflow_class: Annotated[str, Form(pattern="^[a-z][a-z0-9-]{0,39}$")] = "vendor", whose: Annotated[str, Form(min_length=1, max_length=200)] = "",
    act: Annotated[str, Form(pattern="^(show|label)$")] = "show",
) -> Response:  # fmt: skip
    """Show what a label would change, or give it: for all months."""
    facts = issue_of(parts, month, name).named_facts
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
        title = message("What the label {outflow_class} would change", outflow_class=outflow_class)
        task = parts.app.tasks.start(
            title, lambda told: label_effect(parts.app, chain, address, outflow_class, whose, told), by=viewer.person, then=f"/months/{month}/issues/{name}?task={{id}}"
        )  # fmt: skip
        return to_task(task)
    if len(reason.strip()) < 3:
        raise HTTPException(422, message("--reason: give a reason that an auditor can follow"))
    parts.app.decisions.label(
        chain=chain,
        address=address,
        outflow_class=outflow_class,
        name=whose,
        by=parts.app.people.decider(viewer.person),
        reason=reason.strip(),
    )
    parts.reading.wait_for(parts.app.log.end(), SHOW_S)
    return RedirectResponse(f"/months/{month}/issues", 303)
