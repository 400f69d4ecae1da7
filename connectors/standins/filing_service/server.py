"""The sandbox's HTTP: `POST /submissions`, `GET /submissions/ID`, its OpenAPI document, and a page of what it received.

Enters: a desk, faults, a clock. On 127.0.0.1 alone, a thread a connection. What it answers is JSON, or SOAP for a SOAP request. It leaves
out TLS and asks no login unless a token is given.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .desk import Conflict, Desk, Entry
from .faults import Faults
from .openapi import document

_MOST_BYTES = 64 << 20


class SandboxServer:
    """Serves from `start` to `close`. `hang_s`: how long a call hangs that gets no answer."""

    def __init__(
        self,
        desk: Desk,
        faults: Faults,
        now: Callable[[], int],
        *,
        port: int = 0,
        token: str = "",
        hang_s: float = 30.0,
        questions: int = 2,
    ) -> None:
        self.desk, self.faults, self.now, self.token, self.hang_s, self.questions = desk, faults, now, token, hang_s, questions
        self.closing = threading.Event()
        server = self

        class Handler(_Handler):
            sandbox = server

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    sandbox: SandboxServer
    server_version = "esep-sandbox"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path == "/openapi.json":
            self._answer(200, document(self.sandbox.url))
        elif self.path == "/":
            self._page()
        elif self.path.startswith("/submissions/"):
            self._status(self.path.removeprefix("/submissions/"))
        else:
            self._answer(404, {"status": "no-such-address"})

    def do_POST(self) -> None:
        if self.path != "/submissions":
            self._answer(404, {"status": "no-such-address"})
            return
        sandbox = self.sandbox
        fault = sandbox.faults.next(sandbox.now())
        if fault == "down":
            self.close_connection = True
            return
        content = self._body()
        if content is None or not self._may_enter():
            return
        if fault == "error-before":
            self._answer(503, {"status": "busy"})
            return
        submission_id = self.headers.get("Idempotency-Key") or _message_id(content)
        if not submission_id:
            self._answer(400, {"status": "refused", "message": "no Idempotency-Key and no messageId"})
            return
        questions = sandbox.questions if fault == "slow" else 0
        try:
            entry, is_known = sandbox.desk.take(
                submission_id, content, now=sandbox.now(), questions=questions, rejects=fault == "rejected-rows"
            )
        except Conflict as error:
            self._answer(422, {"status": "conflict", "message": str(error)})
            return
        except ValueError as error:
            self._answer(400, {"status": "refused", "message": str(error)})
            return
        self._tell(entry, fault, is_known=is_known)

    def _tell(self, entry: Entry, fault: str | None, *, is_known: bool) -> None:
        """Answer a submission that was taken, truly or as the fault wants it."""
        told = _told(entry)
        if fault == "timeout":
            self.sandbox.closing.wait(self.sandbox.hang_s)
            self.close_connection = True
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"status": "acc')
            self.close_connection = True
        elif fault == "error-after":
            self._answer(502, {"status": "bad-gateway"})
        elif fault == "garbage":
            self._answer(200, None)
        elif is_known or fault == "duplicate":
            self._answer(409, {"status": "duplicate", "message": "we have it already"})
        elif fault == "lost-receipt":
            self._answer(200, told | {"receipt": ""})
        else:
            self._answer(422 if entry.state == "rejected" else 202 if entry.state == "received" else 201, told)

    def _status(self, submission_id: str) -> None:
        fault = self.sandbox.faults.next(self.sandbox.now())
        if fault == "down":
            self.close_connection = True
        elif not self._may_enter():
            return
        elif fault in ("error-before", "error-after"):
            self._answer(503, {"status": "busy"})
        elif fault == "timeout":
            self.sandbox.closing.wait(self.sandbox.hang_s)
            self.close_connection = True
        elif fault == "garbage":
            self._answer(200, None)
        else:
            entry = self.sandbox.desk.ask(submission_id)
            told = {"status": "not-found"} if entry is None else _told(entry)
            self._answer(404 if entry is None else 200, told | ({"receipt": ""} if fault == "lost-receipt" and entry else {}))

    def _may_enter(self) -> bool:
        if self.sandbox.token and self.headers.get("Authorization") != f"Bearer {self.sandbox.token}":
            self._answer(401, {"status": "who-are-you"})
            return False
        return True

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= _MOST_BYTES:
            self._answer(411, {"status": "refused", "message": "a Content-Length is needed, of at most 64 MiB"})
            return None
        return self.rfile.read(length)

    def _answer(self, status: int, told: dict[str, Any] | None) -> None:
        is_soap = "xml" in self.headers.get("Content-Type", "")
        content = b"<html>it works" if told is None else _soap(told) if is_soap else json.dumps(told, ensure_ascii=False).encode()
        self._send(status, content, "text/xml; charset=utf-8" if is_soap else "application/json")

    def _page(self) -> None:
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
                for e in reversed(list(self.sandbox.desk.entries.values()))
            )
        )
        head = "".join(f"<th>{name}</th>" for name in ("at", "month", "version", "state", "receipt", "amends", "times sent", "submission"))
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Esep sandbox</title>"
            "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:left;border-bottom:1px solid #ccc}</style>"
            f"<h1>What the sandbox received</h1><p>{len(self.sandbox.desk.entries)} submission(s). "
            f'<a href="/openapi.json">OpenAPI document</a></p><table><tr>{head}</tr>{rows}</table></html>'
        )
        self._send(200, page.encode(), "text/html; charset=utf-8")

    def _send(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the page shows what came."""


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
