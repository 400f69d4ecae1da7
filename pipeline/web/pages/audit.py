"""Sign-ins, failures, and who saw whose number: the audit topic, for who manages users (ADR 24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.app.deed_words import deed_word, way_word
from pipeline.log.events.audit import AuditEvent, NumbersSeen, SignedIn, SignedOut, SignInFailed
from pipeline.model.message import counted, joined, message
from pipeline.web.access import AsAdmin
from pipeline.web.layout import page
from pipeline.web.numbers import masked
from pipeline.web.parts import Console

router = APIRouter()
MOST: Final = 500
SHOWN_NUMBERS: Final = 5


@dataclass(frozen=True)
class Line:
    """An entry as the page shows it."""

    at: int
    by: str
    what: str
    detail: str


@router.get("/sign-ins")
def sign_ins(request: Request, parts: Console, _: AsAdmin) -> Response:
    """The newest entries of the audit topic."""
    entries = parts.app.audit.entries()
    return page(request, "sign_ins.html", lines=[_line(entry) for entry in entries[:MOST]], count=len(entries), most=MOST)


def _line(entry: AuditEvent) -> Line:
    match entry:
        case SignedIn() | SignInFailed():
            parts = [way_word(entry.way), entry.address, *([entry.reason] if isinstance(entry, SignInFailed) and entry.reason else [])]
            detail = joined(", ", parts)
        case SignedOut():
            detail = message("session of {whose}", whose=entry.whose)
        case NumbersSeen():
            shown = ", ".join(map(masked, entry.numbers[:SHOWN_NUMBERS]))
            more = message("a file with all that stand in it")
            if entry.numbers:
                more = counted("{count} number: {shown}", "{count} numbers: {shown}", len(entry.numbers), shown=shown)
            detail = joined(": ", [entry.page, more])
    return Line(entry.at, entry.by, deed_word(str(type(entry).__struct_config__.tag)), detail)
