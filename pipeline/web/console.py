"""The console's ASGI application: its routes, its errors as pages, its headers.

Enters: the running console's parts. Leaves: an application for uvicorn. Routes are in `pages`; a new module of pages is added to `ROUTERS`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.app.deed_words import role_words
from pipeline.app.reading import Moved
from pipeline.model.errors import EsepError, LogError, MonthError, StoreError
from pipeline.model.message import Message, message, text_of
from pipeline.texts import texts

from .access import API, READING, ConfirmNeeded, Forbidden, Needs, SignInNeeded, viewer_of
from .body_limit import BodyLimit
from .forms import faults_of
from .headers import SecurityHeaders, headers_of
from .layout import page
from .pages import (
    account,
    api,
    approving,
    audit,
    board,
    bring_in,
    close,
    confirming,
    issues,
    live,
    machine,
    miners,
    months,
    preferences,
    rules,
    sign_in,
    source_items,
    static,
    tasks,
    users,
)
from .parts import Parts, language_of, parts_of
from .return_to import page_asked_for, page_of_act, sign_in_at

WRITTEN: Final = ("reason", "whose", "name", "receipt", "user")
"""The fields of forms whose text is given back where the form is refused."""
ROUTERS: Final[tuple[APIRouter, ...]] = (
    static.router,
    sign_in.router,
    preferences.router,
    live.router,
    board.router,
    account.router,
    users.router,
    confirming.router,
    audit.router,
    approving.router,
    months.router,
    rules.router,
    issues.router,
    miners.router,
    close.router,
    tasks.router,
    api.router,
    api.document,
    source_items.router,
    bring_in.router,
    machine.router,
)


def console(parts: Parts) -> FastAPI:
    """The application."""
    made = FastAPI(title="Esep", version="1", docs_url=None, redoc_url=None, openapi_url=None, separate_input_output_schemas=False)
    made.state.parts = parts
    made.openapi = document  # type: ignore[method-assign]
    made.add_middleware(BodyLimit, refuse=_told)
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts_of(parts), www_redirect=False)
    made.add_middleware(SecurityHeaders, is_tls=parts.is_tls)
    for router in ROUTERS:
        made.include_router(router)
    made.add_exception_handler(SignInNeeded, _sign_in_needed)
    made.add_exception_handler(Forbidden, _forbidden)
    made.add_exception_handler(ConfirmNeeded, _confirm_needed)
    made.add_exception_handler(EsepError, _refused)
    made.add_exception_handler(HTTPException, _http_error)
    made.add_exception_handler(RequestValidationError, _not_understood)
    made.add_exception_handler(Exception, _defect)
    return made


def document() -> dict[str, Any]:
    """The API's OpenAPI document: its routes alone, and how a token is sent."""
    found = get_openapi(title="Esep", version="1", description="What the console shows, for programs.", routes=api.router.routes)
    found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    return found


def hosts_of(parts: Parts) -> list[str]:
    """The names that the console answers to; a request for another one was led here by somebody else's name (DNS rebinding)."""
    ours = parts.app.settings.console
    named = [urlsplit(ours.address).hostname or "", ours.listen.rpartition(":")[0].strip("[]")]
    return ["localhost", "127.0.0.1", *(name for name in named if name not in ("", "0.0.0.0", "::"))]  # noqa: S104 - left out, not listened on


def need_of(route: object) -> Needs | None:
    """What a route needs, as its dependencies say; None for one that says nothing, which the tests refuse."""
    dependant = getattr(route, "dependant", None)
    found = [one.call for one in dependant.dependencies if isinstance(one.call, Needs)] if dependant else []
    return found[0] if found else None


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith(API) or "application/json" in request.headers.get("accept", "")


def _told(request: Request, status: int, told: str, written: list[str] | None = None, sign_in: str = "") -> Response:
    """A refusal, as a page or as JSON; in the reader's language. `written`: what the person had written into the form, to be copied. `sign_in`: where they sign in again."""
    if _wants_json(request):
        return JSONResponse({"detail": texts(language_of(request)).tell(told)}, status)
    return page(
        request,
        "error.html",
        status=status,
        told=told,
        written=written or [],
        sign_in=sign_in,
        has_form=request.method not in ("GET", "HEAD"),
    )


def _is_partial(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


async def _written(request: Request) -> list[str]:
    """What a person wrote into the form of a request that is refused: reasons and names, never passwords."""
    if request.headers.get("content-type") != "application/x-www-form-urlencoded":
        return []
    if request._form is None:  # never read, or not to be read: to ask for more of it would wait for what does not come
        return []
    form = await request.form()
    return [value for name in WRITTEN for value in form.getlist(name) if isinstance(value, str) and value.strip()]


async def _sign_in_needed(request: Request, _: Exception) -> Response:
    """To the sign-in page, and from there back to the page that was asked for; htmx is told to load it whole. A page's stream of events is told by the status alone: a browser that follows it to a page would take that for a fault."""
    address = sign_in_at(page_asked_for(request))
    if _is_partial(request):
        return Response(status_code=401, headers={"HX-Redirect": address})
    if request.headers.get("accept") == "text/event-stream":
        return Response(status_code=401)
    if request.method in ("GET", "HEAD") and not _wants_json(request):
        return RedirectResponse(address, 303)
    answer = _told(
        request, 401, message("You are not signed in, or the session is over: sign in, then do it again."), await _written(request), address
    )
    if request.url.path.startswith(API):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _confirm_needed(request: Request, _: Exception) -> Response:
    """Ask again who it is, before somebody's way in is changed; what was written is given back. A script is told where that is asked."""
    back = confirming.place_of(request.url.path)
    if _wants_json(request):
        told = texts(language_of(request)).tell(message("This asks first who you are. Nothing was changed yet."))
        return JSONResponse({"detail": told, "confirm": confirming.confirm_at(back)}, 403)
    return confirming.confirm_page(request, parts_of(request), viewer_of(request), back, written=await _written(request))


def _forbidden(request: Request, error: Exception) -> Response:
    assert isinstance(error, Forbidden)
    return _told(request, 403, message("This needs the role “{role}”, which you do not have.", role=role_words(error.role)))


async def _refused(request: Request, error: Exception) -> Response:
    """What the program refuses, in its own words. A page whose draft was replaced while it was made is made again, of the newest one."""
    if isinstance(error, Moved) and request.method in ("GET", "HEAD"):
        return RedirectResponse(f"{request.url.path}?{request.url.query}".rstrip("?"), 307)
    is_absent = isinstance(error, MonthError) and request.method in READING  # a month, version or row that is not there
    status = 503 if isinstance(error, StoreError | LogError) else 404 if is_absent else 409
    return _told(request, status, text_of(error), await _written(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """What a route refuses, in its words. An address that no route has, or a route that gives no reason, is told in words of ours.

    A part of a page that asks for itself anew, whose subject is there no longer (an issue that was just decided), gets nothing: the page says that it is old.
    """
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and request.method == "GET" and request.headers.get("hx-request") == "true":
        return Response(status_code=204)
    if error.status_code == 405 and request.method == "GET" and not _wants_json(request):
        return RedirectResponse(page_of_act(request.url.path), 303)
    answer = _told(request, error.status_code, _words_of(error), await _written(request))
    answer.headers.update(error.headers or {})
    return answer


def _words_of(error: HTTPException) -> str:
    """What a route says, or words of ours where the framework refused by itself."""
    if isinstance(error.detail, Message):
        return error.detail
    if error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase:
        return message("There is no such page: the address is wrong, or what it showed is gone. Begin at the months.")
    if error.status_code == 405:
        return message("This address takes no request of this kind.")
    if error.status_code == 400:
        return message("The request can't be read: load the page anew and send the form again.")
    return error.detail


async def _not_understood(request: Request, error: Exception) -> Response:
    """A field that is missing or wrong, in the reader's words, with what they wrote; a program is told more exactly, in English."""
    assert isinstance(error, RequestValidationError)
    faults = faults_of(error.errors())
    if request.url.path.startswith(API):
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors())
    return _told(request, 422, message("The request is not understood: {faults}", faults=faults), await _written(request))


def _defect(request: Request, error: Exception) -> Response:
    """A defect of the program: a page of ours in place of the server's bare words. What went wrong is raised again, so that it stands in the log."""
    told = message("A defect of the program ({error}): it stands in the log of the process.", error=type(error).__name__)
    if request.method not in READING:
        told = message("{defect} Look whether it was done before you do it again.", defect=told)
    answer = _told(request, 500, told)  # the form was read by then, and is not here to be given back
    answer.headers.update(headers_of(is_tls=parts_of(request).is_tls) | {"Cache-Control": "no-store"})  # no middleware stands around this
    return answer
