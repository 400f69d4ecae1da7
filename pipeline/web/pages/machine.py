"""The machine room, and who did what."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from pipeline.app.deeds import Deed, DeedFilter, as_csv, deeds_of_audit
from pipeline.app.machine import machine
from pipeline.service.chain_notes import pending_words, read_note, trouble_of, trouble_words, way_words
from pipeline.web.access import AsOperator, AsViewer
from pipeline.web.forms import day_of
from pipeline.web.layout import page
from pipeline.web.numbers import may_see_numbers
from pipeline.web.parts import Console, Viewer

from .months import masked_text

router = APIRouter()
MOST_DEEDS = 500
AUDIT_KINDS = ("signed-in", "sign-in-failed", "signed-out", "numbers-seen")


@router.get("/machine")
def machine_room(request: Request, parts: Console, viewer: AsViewer) -> Response:
    """Nodes, chains, log, copy, calendar, versions, settings."""
    snapshot, settings = parts.reading.snapshot(), parts.app.settings
    with parts.reading.connection() as connection:
        found = machine(parts.app, connection)
    notes = {chain: read_note(settings.var, chain) for chain in settings.chains}
    troubles = {chain: trouble_of(settings.var, chain, parts.app.now()) for chain in settings.chains}
    log = parts.app.log.end()
    behind = {place: offset - snapshot.positions.get(place, 0) for place, offset in log.items()}
    return page(
        request, "machine.html", machine=found, snapshot=snapshot, notes=notes, troubles=troubles, log=log, behind=behind, trouble=parts.reading.trouble,
        may_see_settings="operator" in viewer.roles or "admin" in viewer.roles, published=settings.store.published,
        way_words=way_words, pending_words=pending_words, trouble_words=trouble_words,
    )  # fmt: skip


def wanted_of(
    by: Annotated[str, Query(max_length=200)] = "", what: Annotated[str, Query(max_length=60)] = "", month: Annotated[str, Query(max_length=10)] = "",
    first: str = "", last: str = "", search: Annotated[str, Query(max_length=200)] = "",
) -> DeedFilter:  # fmt: skip
    """The filter that an address asks for."""
    return DeedFilter(by, what, month, day_of(first), day_of(last), search)


def _found(parts: Console, viewer: Viewer, wanted: DeedFilter) -> list[Deed]:
    """What is asked for; sign-ins and what was looked at only for those who may see more than a viewer."""
    found = parts.app.deeds.found(wanted)
    if may_see_numbers(viewer):
        found += [deed for deed in deeds_of_audit(parts.app.audit.entries()) if wanted.fits(deed)]
    return sorted(found, key=lambda deed: deed.at, reverse=True)


Wanted = Annotated[DeedFilter, Depends(wanted_of)]


@router.get("/deeds")
def deeds(request: Request, parts: Console, viewer: AsViewer, wanted: Wanted) -> Response:
    """Every decision, the newest first."""
    found = _found(parts, viewer, wanted)
    return page(
        request, "deeds.html", deeds=found[:MOST_DEEDS], count=len(found), most=MOST_DEEDS, wanted=wanted, people=parts.app.deeds.people(),
        kinds=sorted({*parts.app.deeds.kinds(), *AUDIT_KINDS}), export=f"/deeds.csv?{urlencode({name: value for name, value in asdict(wanted).items() if value})}",
        masked_text=lambda text: masked_text(text, viewer),
    )  # fmt: skip


@router.get("/deeds.csv")
def exported(parts: Console, viewer: AsOperator, wanted: Wanted) -> Response:
    """The same as CSV, all of them."""
    headers = {"Content-Disposition": 'attachment; filename="deeds.csv"'}
    return Response(as_csv(_found(parts, viewer, wanted)), media_type="text/csv; charset=utf-8", headers=headers)
