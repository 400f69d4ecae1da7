"""How much a request may bring: little, but for the files of who is signed in. Larger ones are refused before they are read into memory or onto the disk.

Enters: requests. Leaves: the same with a body that is counted as it is read, or an answer 413. A framework reads a form before it asks who sends it, so that this stands in front.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import HTTPException, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.model.message import message

from .access import READING, viewer_of

MOST_BYTES: Final = 1 << 20
"""Of any request but one with files: a hundred times what the longest form has."""
FILES_BYTES: Final = 256 << 20
FILES_AT: Final = "/bring-in"
_OVERHEAD: Final = 1 << 20
_DRAINED: Final = 1 << 30
"""A browser shows an answer only after it has sent all: so much of a person's file that is too large is read and thrown away."""


class BodyLimit:
    """Middleware that refuses what is too large. `refuse` makes the answer: a request, a status and why."""

    def __init__(self, app: ASGIApp, *, refuse: Callable[[Request, int, str], Response]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        has_files = scope["path"] == FILES_AT and viewer_of(request).session is not None
        most = FILES_BYTES + _OVERHEAD if has_files else MOST_BYTES
        told = _too_large(has_files=has_files)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            if has_files:
                await _drain(receive)
            await self._refuse(request, 413, told)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            got = await receive()
            read += len(got.get("body", b""))
            if read > most:
                raise HTTPException(413, told)
            return got

        await self._app(scope, counted, send)


def _too_large(*, has_files: bool) -> str:
    if has_files:
        return message("the files are larger than {count} MiB", count=FILES_BYTES >> 20)
    return message("The request is larger than {count} MiB: nothing was done.", count=MOST_BYTES >> 20)


async def _drain(receive: Receive) -> None:
    """Read on and keep nothing, until all has come or it is too much."""
    left, is_more = _DRAINED, True
    while is_more and left > 0:
        got = await receive()
        is_more = got["type"] == "http.request" and bool(got.get("more_body", False))
        left -= len(got.get("body", b""))
