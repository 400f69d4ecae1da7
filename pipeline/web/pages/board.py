"""The months: a board of what can be filed, what is in the way, and who acts next."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.app.life_view import reached
from pipeline.closing.calendar import Point
from pipeline.closing.submission import State
from pipeline.model.errors import EsepError
from pipeline.web.access import AsViewer
from pipeline.web.layout import page
from pipeline.web.parts import Console, Parts

router = APIRouter()
PATH: Final = (State.OPEN, State.CLOSABLE, State.FROZEN, State.SIGNED, State.SUBMITTING, State.ACCEPTED)
"""The states that a month passes when nothing goes wrong."""


@router.get("/")
def board(request: Request, parts: Console, _: AsViewer) -> Response:
    """The board of months."""
    snapshot, lives = parts.reading.snapshot(), parts.app.diary
    blocking = {month: [one for one in groups if one.open_count] for month, groups in snapshot.groups.items()}
    return page(
        request, "board.html", snapshot=snapshot, path=PATH, trouble=parts.reading.trouble, blocking=blocking,
        reached=lambda month: reached(lives.life(month)), calendar=_to_come(parts),
    )  # fmt: skip


def _to_come(parts: Parts) -> list[Point]:
    """The calendar's points to come, the next three months' among them, but for reminders; empty where the settings allow none (the machine room says why)."""
    try:
        points = [entry.point for entry in parts.app.desk.calendar()]
    except EsepError:
        return []
    return [point for point in points if point.at > parts.app.now() and not point.days_before]
