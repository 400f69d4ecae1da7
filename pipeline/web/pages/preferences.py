"""The reader's language and theme, each in a cookie of its own. Nothing about a person is in them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.texts import Language
from pipeline.web.access import Anyone
from pipeline.web.parts import LANGUAGE_COOKIE, THEME_COOKIE, Theme

router = APIRouter()
_YEAR_S = 365 * 86_400


@router.post("/language")
def language(request: Request, _: Anyone, language: Annotated[Language, Form()]) -> Response:
    """Choose the language of the pages."""
    return _kept(request, LANGUAGE_COOKIE, language)


@router.post("/theme")
def theme(request: Request, _: Anyone, theme: Annotated[Theme, Form()]) -> Response:
    """Choose light or dark, or what the system has."""
    return _kept(request, THEME_COOKIE, theme)


def _kept(request: Request, name: str, value: str) -> Response:
    """Keep the choice, and go back to the page that it was made on."""
    answer = RedirectResponse(back_path(request), 303)
    answer.set_cookie(name, value, max_age=_YEAR_S, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def back_path(request: Request) -> str:
    """The path of our page that the request came from; the first page where it is another's."""
    came = urlsplit(request.headers.get("referer", ""))
    is_ours = came.netloc == request.headers.get("host") and came.path.startswith("/") and not came.path.startswith("//")
    return f"{came.path}?{came.query}" if is_ours and came.query else came.path if is_ours else "/"
