"""Close and file: what a freeze would make, freeze, approve, take the due steps, the receipt, an unknown outcome's one safe step, and amendments."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.acts import Shown, amendment, freeze_amended, freeze_previewed, preview_month, take_due_steps
from pipeline.app.life_view import file_of, life_view, reached
from pipeline.app.outcome import note_outcome
from pipeline.app.previews import Amendment, Preview, changes_since, header_digest, is_later
from pipeline.app.reading import Snapshot
from pipeline.log.events.months import Drafted
from pipeline.model.message import message
from pipeline.texts import N_
from pipeline.web.access import AsDecider, AsFiler, AsOperator, AsViewer
from pipeline.web.forms import PerhapsReason, Reason, checked_reason
from pipeline.web.layout import page
from pipeline.web.numbers import taken
from pipeline.web.parts import Console

from .board import PATH
from .months import MonthPath
from .tasks import to_task

router = APIRouter()
Digest = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
KINDS: Final = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "json": "application/json"}
HAPPENED: Final = {
    "frozen": N_("frozen"), "approved": N_("approved"), "signed": N_("signed"), "submitted": N_("submission made"), "sent": N_("sent"),
    "answered": N_("answered"), "as-frozen": N_("to be filed as frozen"),
}  # fmt: skip


@router.get("/months/{month}/close")
def close(
    request: Request, month: MonthPath, parts: Console, viewer: AsViewer, task: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Where the month stands on its way, and what can be done now."""
    tasks, snapshot, life = parts.app.tasks, parts.reading.snapshot(), life_view(parts.app, month)
    view = next((one for one in snapshot.overview.months if one.month == month), None)
    looked = next((one for kind in (Preview, Amendment) if (one := tasks.result(task, kind)) is not None and one.month == month), None)
    of_log = parts.app.diary.life(month)
    draft = of_log.draft
    return page(
        request, "close.html", month=month, tab="close", book=parts.reading.book(month), snapshot=snapshot, view=view, life=life, path=PATH,
        versions=[one.version for one in reversed(life.versions)], draft=draft, happened=HAPPENED, reached=reached(of_log),
        preview=looked if isinstance(looked, Preview) else None, drafted=looked.drafted if isinstance(looked, Amendment) else None,
        is_same=isinstance(looked, Amendment) and looked.drafted is None, task=task, looked=looked, changes=_changes(looked, snapshot, draft),
        header=parts.app.settings.header(), header_digest=header_digest(parts.app.settings.header()),
        may_decide="operator" in viewer.roles, may_approve="approver" in viewer.roles,
    )  # fmt: skip


def _changes(looked: Preview | Amendment | None, snapshot: Snapshot, draft: Drafted | None) -> list[str]:
    """What is different by now from what is shown, in words; empty where it still is so."""
    if isinstance(looked, Preview):
        return changes_since(looked, snapshot.reports.get(looked.month))
    if looked is None:
        return []
    now = snapshot.reports.get(looked.month)
    is_other = now is not None and is_later(now.positions, looked.positions) and now.digest != looked.digest
    return [message("rows of the further version")] if is_other or (draft is not None and draft.digest != looked.digest) else []


@router.post("/months/{month}/preview")
def previewed(month: MonthPath, parts: Console, viewer: AsOperator) -> Response:
    """Work out exactly what a freeze would make: of a frozen month, what a further version would change."""
    app, then = parts.app, f"/months/{month}/close?task={{id}}"
    parts.reading.compare(month)
    if app.months.frozen(month):
        return to_task(
            app.tasks.start(
                message("What a further version would change"), lambda told: amendment(app, month, told), by=viewer.person, then=then
            )
        )
    return to_task(
        app.tasks.start(message("What would be frozen"), lambda told: preview_month(app, month, told), by=viewer.person, then=then)
    )


@router.post("/months/{month}/freeze")
def frozen(
    month: MonthPath, parts: Console, viewer: AsDecider, digest: Digest, header: Digest, task: Annotated[str, Form(max_length=40)] = "",
    reason: PerhapsReason = "",
) -> Response:  # fmt: skip
    """Freeze what was previewed, in the person's name; of a frozen month the further version that was shown. `digest` and `header` are of what the person saw, `task` names it."""
    app, by, then = parts.app, parts.app.people.decider(viewer.person), f"/months/{month}/close"
    preview = app.tasks.result(task, Preview)
    shown = Shown(digest, header, preview if preview is not None and (preview.month, preview.digest) == (month, digest) else None)
    if app.months.frozen(month):
        checked_reason(reason)
        return to_task(
            app.tasks.start(
                message("freezing"), lambda told: freeze_amended(app, month, shown, told, by=by, reason=reason), by=by, then=then
            )
        )
    why = reason or message("the month's report")
    return to_task(
        app.tasks.start(message("freezing"), lambda told: freeze_previewed(app, month, shown, told, by=by, reason=why), by=by, then=then)
    )


@router.post("/months/{month}/steps")
def stepped(month: MonthPath, parts: Console, viewer: AsFiler) -> Response:
    """Take the steps that are due now, as `esep close` does."""
    app = parts.app
    return to_task(
        app.tasks.start(message("closing"), lambda told: take_due_steps(app, told), by=viewer.person, then=f"/months/{month}/close")
    )


@router.post("/months/{month}/outcome")
def noted(
    month: MonthPath, parts: Console, viewer: AsDecider, reason: Reason,
    outcome: Annotated[Literal["accepted", "rejected", "received", "missing"], Form()], receipt: Annotated[str, Form(max_length=1000)] = "",
) -> Response:  # fmt: skip
    """Record what the person found out about the newest submission."""
    by = parts.app.people.decider(viewer.person)
    note_outcome(parts.app, month, outcome, receipt=receipt, by=by, reason=reason)
    parts.await_shown()
    return RedirectResponse(f"/months/{month}/close", 303)


@router.get("/months/{month}/v{version}/{name:path}")
def bundle_file(request: Request, month: MonthPath, version: int, name: str, parts: Console, viewer: AsOperator) -> Response:
    """A file of a frozen version, byte for byte."""
    content = file_of(parts.app, month, version, name)
    if content is None:
        raise HTTPException(404)
    taken(parts, viewer, request.url.path)
    kind = KINDS.get(name.rpartition(".")[2], "application/octet-stream")
    stem = quote(f"{month}-v{version}-{name.replace('/', '-')}")
    return Response(content, media_type=kind, headers={"Content-Disposition": f"attachment; filename*=UTF-8''{stem}"})
