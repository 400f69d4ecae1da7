"""Where a person goes after signing in: back to the page of ours that they asked for, and to no other host (ADR 24).

Enters: an address as a request brought it. Leaves: the same address where it names a page of ours, else the first page. Pure, but for reading a request.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request

HOME: Final = "/"
MOST_CHARACTERS: Final = 2000
_LOCAL: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
"""What a browser writes into an address: no backslash, no blank, no control character, which some browsers leave out or turn into a slash."""
_NO_PAGES: Final = ("/sign-in", "/sign-out", "/enter", "/invitation", "/live", "/api", "/static", "/language", "/theme", "/account/confirm")

_SAFE: Final = "/!$&'()*+,;=:@~"
_ACTS: Final = tuple(
    (re.compile(pattern), page)
    for pattern, page in (
        (r"(/months/[^/]+)/(?:preview|freeze|steps|outcome|approval(?:/.*)?)", r"\1/close"),
        (r"(/months/[^/]+/issues/[^/]+)/(?:waiver|label)", r"\1"),
        (r"(/account/confirm|/account|/users|/bring-in|/sign-in)/.*", r"\1"),
    )
)
"""Acts and the pages that they stand on; any other act stands on every page."""


def local_page(address: str) -> str:
    """The address, where it is a path of ours with its query; else `HOME`. Never raises."""
    if len(address) > MOST_CHARACTERS or not _LOCAL.fullmatch(address):
        return HOME
    path = address.partition("?")[0]
    for _ in range(4):  # an encoded slash is decoded by what stands between, perhaps twice
        if "//" in path or "\\" in path or not path.isprintable() or {".", ".."} & set(path.split("/")):
            return HOME
        path = unquote(path)
    if "%" in path or any(path == one or path.startswith(f"{one}/") for one in _NO_PAGES):
        return HOME
    return address


def page_asked_for(request: Request) -> str:
    """The page that the person had before them: of a GET its own address; of a form, or a part of a page, the page that it stood on."""
    if request.headers.get("hx-request") == "true":
        return _path_of(request, request.headers.get("hx-current-url", ""))
    if request.method not in ("GET", "HEAD"):
        return _path_of(request, request.headers.get("referer", ""))
    asked = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").partition("?")[0]
    query = request.scope.get("query_string", b"").decode("latin-1")
    return local_page(f"{asked}?{query}" if query else asked)


def page_of_act(path: str) -> str:
    """The page that an act stands on, for who comes to the act's own address by a link, a reload or a change of language: acts are sent, pages are looked at."""
    for pattern, page in _ACTS:
        if (found := pattern.fullmatch(path)) is not None:
            return local_page(quote(found.expand(page), safe=_SAFE))
    return HOME


def sign_in_at(then: str) -> str:
    """The sign-in's address that leads on to a page."""
    return "/sign-in" if then == HOME else f"/sign-in?then={quote(then, safe='/')}"


def _path_of(request: Request, address: str) -> str:
    """The path and query of a full address of this host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return HOME
    if parts.netloc != request.headers.get("host"):
        return HOME
    return local_page(f"{parts.path}?{parts.query}" if parts.query else parts.path)
