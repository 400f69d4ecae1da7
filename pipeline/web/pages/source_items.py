"""What waits at the ledger's sources: a page for each item, what a decision would change, and the decision, as `esep sources decide` takes it (ADR 22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.advice import advice_of_code
from pipeline.app.pool_sources import fitting_outcomes
from pipeline.app.source_decisions import SourceEffect, source_effect
from pipeline.enrich.undated import doubt_of
from pipeline.model.message import message
from pipeline.store.queries import OpenItem
from pipeline.texts import N_, texts
from pipeline.web.access import AsDecider, AsViewer
from pipeline.web.forms import PerhapsReason, checked_reason
from pipeline.web.layout import page
from pipeline.web.parts import Console, Parts

from .months import masked_text
from .tasks import to_task

router = APIRouter()
SHOWN_LINES: Final = 200
Outcome = Literal["paid", "not-paid", "accept", "refuse", "dated"]
OUTCOMES: Final = {
    "paid": N_("it was paid, under this transaction"),
    "not-paid": N_("it was not paid"),
    "accept": N_("it counts as the source says"),
    "refuse": N_("it does not count"),
    "dated": N_("it counts from this day on"),
}


def address_of(source: str, item: str, task: str = "") -> str:
    """Where an item has its page."""
    asked = urlencode({"source": source, "item": item})
    return f"/bring-in/item?{asked}" + (f"&task={task}" if task else "")


def _waiting(parts: Parts) -> list[OpenItem]:
    return parts.reading.snapshot().sources.items


def _item(parts: Parts, source: str, item: str) -> OpenItem:
    """The item, where it waits. An answer 404 for any other."""
    for one in _waiting(parts):
        if (one.source, one.item) == (source, item):
            return one
    raise HTTPException(404)


@router.get("/bring-in/item")
def source_item(
    request: Request, parts: Console, viewer: AsViewer, source: Annotated[str, Query(max_length=100)], item: Annotated[str, Query(max_length=500)],
    task: Annotated[str, Query(max_length=40)] = "",
) -> Response:  # fmt: skip
    """One item: what is known of it, what can be said, and what that would change."""
    found, words = _item(parts, source, item), texts(viewer.language)
    title, hint = advice_of_code(found.code)
    effect, started = parts.app.tasks.result(task, SourceEffect), parts.app.tasks.find(task)
    if effect is not None and (effect.source, effect.item) != (source, item):
        effect = None
    return page(
        request, "source_item.html", item=found, title=title, hint=hint, snapshot=parts.reading.snapshot(), most=SHOWN_LINES,
        fitting=fitting_outcomes(item), doubt=doubt_of(item), outcomes={name: words.gettext(said) for name, said in OUTCOMES.items()},
        effect=effect, reason=effect.reason if effect is not None and started is not None and started.by == viewer.person else "",
        may_decide="operator" in viewer.roles and source in parts.app.settings.sources, masked_text=lambda text: masked_text(text, viewer),
    )  # fmt: skip


@router.post("/bring-in/item")
def decided(  # noqa: PLR0913 - a form's fields are its parameters
    parts: Console, viewer: AsDecider, source: Annotated[str, Form(max_length=100)], item: Annotated[str, Form(max_length=500)], outcome: Annotated[Outcome, Form()],
    txid: Annotated[str, Form(max_length=128)] = "", day: Annotated[date | Literal[""], Form()] = "", reason: PerhapsReason = "",
    act: Annotated[Literal["show", "decide"], Form()] = "show",
) -> Response:  # fmt: skip
    """Show what a decision would change, or take it in the person's name."""
    _item(parts, source, item)
    if source not in parts.app.settings.sources:
        raise HTTPException(409, message("source {source} is not in the settings: nobody would follow up the decision", source=source))
    on_day = day if outcome == "dated" and isinstance(day, date) else None
    named = txid.strip() if outcome == "paid" else None
    by = parts.app.people.decider(viewer.person)
    if act == "show":
        title = message("What changes about {item} if {outcome}", outcome=message(OUTCOMES[outcome]), item=item)
        return to_task(
            parts.app.tasks.start(
                title,
                lambda told: replace(source_effect(parts.app, told, source, item, outcome, txid=named, day=on_day, by=by), reason=reason),
                by=viewer.person,
                then=address_of(source, item, "{id}"),
            )
        )
    checked_reason(reason)
    parts.app.sources.decide(_waiting(parts), source, item, outcome, txid=named, day=on_day, by=by, reason=reason)
    parts.await_shown()
    return RedirectResponse("/bring-in?decided=true", 303)
