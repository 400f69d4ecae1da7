"""`/metrics`, `/healthz`, `/readyz` over HTTP, for Prometheus and whatever supervises the process.

Enters: an address, the process's metrics. Leaves: text, answered from memory by threads of their own. 200 when all is well, 503 with one
fault a line when not. Only GET and HEAD; nothing can be changed here. Left out: TLS and passwords: listen on loopback, or behind
what gives them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import structlog
from prometheus_client.exposition import choose_encoder

from pipeline.model.errors import SettingsError

from .metrics import Metrics

_journal = structlog.get_logger("esep")


@contextlib.contextmanager
def serve_probes(listen: str, metrics: Metrics) -> Iterator[str]:
    """Serve them at `HOST:PORT` (port 0: any free one) while within; gives the address. With an empty `listen` nothing is served.

    Raises SettingsError when the address can't be listened on.
    """
    if not listen:
        yield ""
        return
    try:
        host, port = _parsed(listen)
        server = _Server((host, port), _handler(metrics))
    except OSError as error:
        raise SettingsError(
            [f"metrics.listen: can't listen on {listen}: {error.strerror or error}: choose a free port of this machine"]
        ) from None
    address = f"{listen.rpartition(':')[0]}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
    thread.start()
    _journal.info("serving", metrics=f"http://{address}/metrics")
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parsed(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        if parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise SettingsError([f"metrics.listen: {listen!r} must be HOST:PORT, such as 127.0.0.1:9464"])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's trouble."""


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "esep"
        sys_version = ""

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, encode(metrics.registry), kind)
            elif path in ("/healthz", "/readyz"):
                faults = metrics.health.stalled() if path == "/healthz" else metrics.health.behind()
                self._answer(503 if faults else 200, ("\n".join(faults) or "ok").encode() + b"\n")
            else:
                self._answer(404, b"here are /metrics, /healthz and /readyz\n")

        do_HEAD = do_GET

        def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are not news."""

    return Handler
