"""The sandbox's HTTP: `POST /submissions`, `GET /submissions/ID`, its OpenAPI document, and a page of what it received.

Enters: the received submissions, faults, a clock. Listens on 127.0.0.1 only, with a thread per connection. Answers JSON, or SOAP to a SOAP
request. Left out: TLS; a login is required only if a token is given.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from connectors.transport.server import HangUp, HttpServer, Request, Response

from .faults import Faults
from .openapi import document
from .submissions import Conflict, Entry, ReceivedSubmissions

_MOST_BYTES = 64 << 20


class Sandbox:
    """The filing service's answers. `hang_s`: seconds after which a call without an answer is cut off."""

    url = "http://127.0.0.1"
    """Its address, as its own document names it."""

    def __init__(
        self,
        submissions: ReceivedSubmissions,
        faults: Faults,
        now: Callable[[], int],
        *,
        token: str = "",
        hang_s: float = 30.0,
        questions: int = 2,
    ) -> None:
        self.submissions, self.faults, self.now, self.token, self.hang_s, self.questions = (
            submissions,
            faults,
            now,
            token,
            hang_s,
            questions,
        )
        self.closing = threading.Event()

    def answer(self, request: Request) -> Response | HangUp:
        """The answer to a request, correct or as the injected fault demands."""
        match request.method, request.target:
            case "GET", "/openapi.json":
                return _response(request, 200, document(self.url))
            case "GET", "/":
                return self._page()
            case "GET", target if target.startswith("/submissions/"):
                return self._status(request, target.removeprefix("/submissions/"))
            case "POST", "/submissions":
                return self._take(request)
            case _:
                return _response(request, 404, {"status": "no-such-address"})

    def _take(self, request: Request) -> Response | HangUp:
        fault = self.faults.next(self.now())
        if fault == "down":
            return HangUp()
        if "content-length" not in request.headers:
            return _response(request, 411, {"status": "refused", "message": "a Content-Length is needed, of at most 64 MiB"})
        if not self._may_enter(request):
            return _response(request, 401, {"status": "who-are-you"})
        if fault == "error-before":
            return _response(request, 503, {"status": "busy"})
        submission_id = request.headers.get("idempotency-key") or _message_id(request.body)
        if not submission_id:
            return _response(request, 400, {"status": "refused", "message": "no Idempotency-Key and no messageId"})
        questions = self.questions if fault == "slow" else 0
        try:
            entry, is_known = self.submissions.receive(
                submission_id, request.body, now=self.now(), questions=questions, rejects=fault == "rejected-rows"
            )
        except Conflict as error:
            return _response(request, 422, {"status": "conflict", "message": str(error)})
        except ValueError as error:
            return _response(request, 400, {"status": "refused", "message": str(error)})
        return self._tell(request, entry, fault, is_known=is_known)

    def _tell(self, request: Request, entry: Entry, fault: str | None, *, is_known: bool) -> Response | HangUp:
        """Answer a received submission, correctly or as the injected fault demands."""
        told = _told(entry)
        if fault == "timeout":
            return self._hang()
        if fault == "cut":
            return HangUp(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"status": "acc')
        if fault == "error-after":
            return _response(request, 502, {"status": "bad-gateway"})
        if fault == "garbage":
            return _response(request, 200, None)
        if is_known or fault == "duplicate":
            return _response(request, 409, {"status": "duplicate", "message": "we have it already"})
        if fault == "lost-receipt":
            return _response(request, 200, told | {"receipt": ""})
        return _response(request, {"rejected": 422, "received": 202}.get(entry.state, 201), told)

    def _status(self, request: Request, submission_id: str) -> Response | HangUp:
        fault = self.faults.next(self.now())
        if fault == "down":
            return HangUp()
        if not self._may_enter(request):
            return _response(request, 401, {"status": "who-are-you"})
        if fault in ("error-before", "error-after"):
            return _response(request, 503, {"status": "busy"})
        if fault == "timeout":
            return self._hang()
        if fault == "garbage":
            return _response(request, 200, None)
        entry = self.submissions.status_of(submission_id)
        if entry is None:
            return _response(request, 404, {"status": "not-found"})
        return _response(request, 200, _told(entry) | ({"receipt": ""} if fault == "lost-receipt" else {}))

    def _hang(self) -> HangUp:
        self.closing.wait(self.hang_s)
        return HangUp()

    def _may_enter(self, request: Request) -> bool:
        return not self.token or request.headers.get("authorization") == f"Bearer {self.token}"

    def _page(self) -> Response:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"
            for cells in (
                (
                    datetime.fromtimestamp(e.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                    e.month,
                    e.version,
                    e.state,
                    e.receipt,
                    e.amends,
                    e.times_sent,
                    e.submission_id,
                )
                for e in reversed(list(self.submissions.entries.values()))
            )
        )
        head = "".join(f"<th>{name}</th>" for name in ("at", "month", "version", "state", "receipt", "amends", "times sent", "submission"))
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Esep sandbox</title>"
            "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:left;border-bottom:1px solid #ccc}</style>"
            f"<h1>What the sandbox received</h1><p>{len(self.submissions.entries)} submission(s). "
            f'<a href="/openapi.json">OpenAPI document</a></p><table><tr>{head}</tr>{rows}</table></html>'
        )
        return Response(200, page.encode(), "text/html; charset=utf-8")


class SandboxServer(Sandbox):
    """The sandbox on 127.0.0.1, from `start` to `close`."""

    def __init__(
        self,
        submissions: ReceivedSubmissions,
        faults: Faults,
        now: Callable[[], int],
        *,
        port: int = 0,
        token: str = "",
        hang_s: float = 30.0,
        questions: int = 2,
    ) -> None:
        super().__init__(submissions, faults, now, token=token, hang_s=hang_s, questions=questions)
        self._http = HttpServer("127.0.0.1", port, self.answer, name="sandbox", max_body_bytes=_MOST_BYTES)
        self.url = f"http://127.0.0.1:{self._http.port}"

    def start(self) -> None:
        self._http.start()

    def close(self) -> None:
        self.closing.set()
        self._http.close()

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _response(request: Request, status: int, told: dict[str, Any] | None) -> Response:
    """A response with `told` as JSON, or as SOAP to a SOAP request; a body that is neither for None."""
    is_soap = "xml" in request.headers.get("content-type", "")
    content = b"<html>it works" if told is None else _soap(told) if is_soap else json.dumps(told, ensure_ascii=False).encode()
    return Response(status, content, "text/xml; charset=utf-8" if is_soap else "application/json")


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "status": entry.state,
        "receipt": entry.receipt if entry.state == "accepted" else "",
        "message": entry.message,
        "rows": entry.rows,
        "submission_id": entry.submission_id,
    }


def _message_id(content: bytes) -> str:
    """The messageId of a SOAP envelope."""
    _, mark, after = content.partition(b"<messageId>")
    return after.partition(b"</messageId>")[0].decode("utf-8", "replace") if mark else ""


def _soap(told: dict[str, Any]) -> bytes:
    rows = "".join(f"<rows><n>{html.escape(r['n'])}</n><message>{html.escape(r['message'])}</message></rows>" for r in told.get("rows", []))
    fields = "".join(f"<{name}>{html.escape(str(told.get(name, '')))}</{name}>" for name in ("status", "receipt", "message"))
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
        f"<SendMessageResponse><response><responseData><data>{fields}{rows}</data></responseData></response></SendMessageResponse>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()
