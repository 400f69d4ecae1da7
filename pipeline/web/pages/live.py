"""The live state: a stream that says when something changed, by the number of the snapshot (ADR 24). Pages then ask for their parts anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from pipeline.web.access import AsViewer
from pipeline.web.parts import Console

router = APIRouter()
LOOK_S = 0.25


@router.get("/live", response_class=EventSourceResponse)
async def live(parts: Console, viewer: AsViewer, last_event_id: Annotated[int, Header(ge=0)] = 0) -> AsyncIterator[ServerSentEvent]:
    """An event `moved` for each new snapshot, its number as data. Ends with the session."""
    assert viewer.session is not None
    seen = last_event_id
    while not parts.stop.is_set() and parts.sessions.goes_on(viewer.session.digest):
        number = parts.reading.number
        if number > seen:
            seen = number
            yield ServerSentEvent(raw_data=str(number), event="moved", id=str(number))
        await asyncio.sleep(LOOK_S)
