"""`/metrics`, `/healthz`, `/readyz` over HTTP, for Prometheus and the process's supervisor.

Enters: an address, the process's metrics. Leaves: text, answered from memory in separate threads. 200 if all is well, else 503 with one fault a
line. `/healthz` stays 200 while a chain or the store is in a trouble that is tried again, and says it below `ok`: a restart would not help. Only GET and HEAD; nothing can be changed here. Left out: TLS and passwords: listen on loopback, or behind a proxy that adds them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from prometheus_client.exposition import choose_encoder

from pipeline.app.serving import HttpServer, Request, Response
from pipeline.model.errors import SettingsError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.model.system_words import system_words

from .metrics import Metrics

_journal = Journal("esep")

IDLE_S = 10.0
"""Seconds after which an idle connection is closed."""
_NOT_KEPT = ("Cache-Control", "no-store")


@contextlib.contextmanager
def serve_probes(listen: str, metrics: Metrics) -> Iterator[str]:
    """Serve them at `HOST:PORT` (port 0: any free one) within the `with` block; gives the address. With an empty `listen` nothing is served.

    Raises SettingsError when the address can't be listened on.
    """
    if not listen:
        yield ""
        return
    try:
        host, port = _parsed(listen)
        server = HttpServer(host, port, lambda request: _answer(metrics, request), name="probes", max_body_bytes=0, idle_s=IDLE_S)
    except OSError as error:
        raise SettingsError(
            [
                message(
                    "metrics.listen: can't listen on {listen}: {strerror}: choose a free port of this machine",
                    listen=listen,
                    strerror=system_words(error) or error,
                )
            ]
        ) from None
    address = f"{listen.rpartition(':')[0]}:{server.port}"
    server.start()
    _journal.info("serving", metrics=f"http://{address}/metrics")
    try:
        yield address
    finally:
        server.close()


def _parsed(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        if parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise SettingsError([message("metrics.listen: {listen} must be HOST:PORT, such as 127.0.0.1:9464", listen=repr(listen))])


def _answer(metrics: Metrics, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return _text(405, "only GET and HEAD\n", ("Allow", "GET, HEAD"))
    path = urlsplit(request.target).path
    if path == "/metrics":
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(200, encode(metrics.registry), kind, (_NOT_KEPT,))
    if path in ("/healthz", "/readyz"):
        faults = metrics.health.stalled() if path == "/healthz" else metrics.health.behind()
        troubles = metrics.health.troubles() if path == "/healthz" else []
        return _text(503 if faults else 200, "\n".join([*(faults or ["ok"]), *troubles]) + "\n")
    return _text(404, "here are /metrics, /healthz and /readyz\n")


def _text(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8", (_NOT_KEPT, *headers))
