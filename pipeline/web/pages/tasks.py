"""Long work that a page started: how far it is, and then its result's page."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.tasks import Task
from pipeline.model.message import message
from pipeline.web.access import AsViewer
from pipeline.web.layout import page
from pipeline.web.parts import Console

router = APIRouter()
_WITH_TASK: Final = re.compile(r"[?&]task=[^&]*$")


def to_task(task: Task) -> Response:
    """To the page that follows a task."""
    return RedirectResponse(f"/tasks/{task.id}", 303)


@router.get("/tasks")
def tasks(request: Request, parts: Console, _: AsViewer) -> Response:
    """What was worked on since the console began."""
    return page(request, "tasks.html", tasks=parts.app.tasks.listed())


@router.get("/tasks/{name}")
def task(request: Request, name: str, parts: Console, _: AsViewer) -> Response:
    """How far a task is; to its result once it is done. Asks for itself every half second."""
    found = parts.app.tasks.find(name)
    if found is None and request.headers.get("hx-request") == "true":
        return Response(headers={"HX-Redirect": f"/tasks/{quote(name, safe='')}"})  # the page that follows it says that it is gone
    if found is None:
        raise HTTPException(
            404, message("This work is not kept any more: the console was started anew, or it is long done. Begin it again from its page.")
        )
    if found.state == "done":
        if request.headers.get("hx-request") == "true":
            return Response(headers={"HX-Redirect": found.then})
        return RedirectResponse(found.then, 303)
    return page(request, "task.html", task=found, back=_WITH_TASK.sub("", found.then))
