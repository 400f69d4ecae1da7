"""The rules by number, for whoever follows one from a page."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from pipeline.app.rule_words import RULES_IN_SHORT
from pipeline.app.rules_text import rules
from pipeline.model.message import message
from pipeline.web.access import AsViewer
from pipeline.web.layout import page

router = APIRouter()


@router.get("/rules/{number}")
def rule(request: Request, number: str, _: AsViewer) -> Response:
    """One rule, and its neighbours of the same chapter."""
    known = rules()
    if number not in known:
        raise HTTPException(404, message("There is no rule of this number: rules are numbered like 5.3."))
    chapter = number.partition(".")[0]
    told = {one: (*map(message, RULES_IN_SHORT[one]), text) for one, (_, text) in known.items() if one.partition(".")[0] == chapter}
    return page(request, "rule.html", rules=told, chosen=number)
