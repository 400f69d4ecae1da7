"""The push API: a pool's own software hands in its ledger (ADR 23).

Enters: `POST /ledger/allocations`, `/ledger/payments`, `/ledger/complete` with a token. Leaves: events in the log, durable when the answer comes; what waits for a person is
named in it. Idempotent by id. Bad input is refused whole, each fault with its place.
"""

from __future__ import annotations

import contextlib
import hmac
import threading
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from pipeline.app.app import App
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.pushed import PushedRows
from pipeline.model.errors import LogError, MonthError, SettingsError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.settings.sources import PushSettings

from .capturing import step_through_fences
from .loops import Loop
from .metrics import Metrics

MOST_ROWS = 10_000
MOST_BYTES = 16 << 20
_journal = Journal("esep.push")

Id = Annotated[str, Field(min_length=1, max_length=200)]
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,39}(\.[0-9]{1,39})?$", description="as printed, as text: 0.01234560")]
Instant = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$", description="ISO 8601 with its zone")
]
State = Literal["final", "pending", "void"]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    account: Id
    asset: Id
    amount: Amount
    state: State = Field(default="final", description="pending waits and counts for nothing; void takes the row back")

    def content(self) -> dict[str, str | None]:
        """The row as evidence: every value a text."""
        found: dict[str, str | None] = {name: value for name, value in self.model_dump().items() if value is not None}
        return found


class AllocationIn(_Row):
    """What the pool credited a miner, after commission."""

    allocation_id: Id
    allocated_at: Instant
    commission_asset: Id | None = None
    commission_amount: Amount | None = None
    commission_currency: Id | None = None
    commission_currency_amount: Id | None = None
    cause: Annotated[str, Field(max_length=1000)] | None = Field(default=None, description="of a row that is void: why")


class PaymentIn(_Row):
    """What the pool, or a payer, paid."""

    payment_id: Id
    address: Annotated[str, Field(min_length=1, max_length=128)]
    txid: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(default=None, description="none while it is pending")
    paid_at: Instant
    payer: Id | None = Field(default=None, description="who paid, where it was not the pool itself (rule 10)")


class Allocations(BaseModel):
    """Rows of `POST /ledger/allocations`."""

    model_config = ConfigDict(extra="forbid")
    rows: Annotated[list[AllocationIn], Field(min_length=1, max_length=MOST_ROWS)]


class Payments(BaseModel):
    """Rows of `POST /ledger/payments`."""

    model_config = ConfigDict(extra="forbid")
    rows: Annotated[list[PaymentIn], Field(min_length=1, max_length=MOST_ROWS)]


class CompleteIn(BaseModel):
    """The day through which everything was handed in."""

    model_config = ConfigDict(extra="forbid")
    through: date = Field(description="the last day, in Almaty")


class Taken(BaseModel):
    """The answer: all rows are durable in the log."""

    rows: int
    changed: int = Field(description="rows that were new, or other than before")
    waiting: list[str] = Field(description="items of this source that wait, for a person or for their end")


class Declared(BaseModel):
    """The answer to `POST /ledger/complete`."""

    is_new: bool


def push_api(follower: SourceFollower, rows: PushedRows, token: str) -> FastAPI:
    """The API over one source. `follower` looks at `rows`."""
    lock = threading.Lock()

    def authorized(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(
                401, "the token is missing or wrong: send it as Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    def bounded(request: Request) -> None:
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            raise HTTPException(413, f"say how long the body is (Content-Length), at most {MOST_BYTES} bytes")

    api = FastAPI(
        title="Esep: push the ledger", version="1", dependencies=[Depends(authorized), Depends(bounded)], redoc_url=None, docs_url=None
    )

    @api.exception_handler(LogError)
    def _log_failed(_: Request, error: LogError) -> JSONResponse:
        _journal.error("push-failed", error=str(error))
        return JSONResponse({"detail": f"nothing of it may be in the log: {error}; send it again"}, 503)

    def take(table: str, name: str, listed: list[AllocationIn] | list[PaymentIn]) -> Taken:
        contents: dict[str, dict[str, str | None]] = {}
        for number, row in enumerate(listed):
            content = row.content()
            row_id = content.pop(name) or ""
            if contents.setdefault(row_id, content) != content:
                raise HTTPException(
                    422, [{"loc": ["body", "rows", number, name], "msg": f"{row_id!r} stands twice with different content"}]
                )
        with lock:
            rows.put(table, contents)
            stepped = step_through_fences(follower)
            waiting = sorted(follower.open_items())
        return Taken(rows=len(listed), changed=stepped.rows, waiting=waiting)

    @api.post("/ledger/allocations")
    def allocations(given: Allocations) -> Taken:
        """Hand in allocations. The same id again changes nothing with the same content, and restates the row with another."""
        return take("allocations", "allocation_id", given.rows)

    @api.post("/ledger/payments")
    def payments(given: Payments) -> Taken:
        """Hand in payments."""
        return take("payments", "payment_id", given.rows)

    @api.post("/ledger/complete")
    def complete(given: CompleteIn) -> Declared:
        """Declare that everything through a day was handed in."""
        with lock:
            try:
                return Declared(is_new=follower.declare(given.through))
            except MonthError as error:
                raise HTTPException(409, str(error)) from None

    return api


@contextlib.contextmanager
def serve_push(app: App, source: str) -> Iterator[str]:
    """Serve one source's API within the `with` block; gives its address. Raises SettingsError when the address can't be listened on."""
    ours = app.settings.sources[source]
    assert isinstance(ours, PushSettings) and ours.token is not None
    host, _, port = ours.listen.rpartition(":")
    rows, follower = app.sources.pushed(source)
    api = push_api(follower, rows, ours.token.get_secret_value())
    config = uvicorn.Config(
        api,
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        server_header=False,
        date_header=True,
        lifespan="off",
        timeout_keep_alive=10,
    )
    server = uvicorn.Server(config)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise SettingsError(
            [
                message(
                    "sources.{source}.listen: can't listen on {listen}: choose a free port of this machine",
                    source=source,
                    listen=ours.listen,
                )
            ]
        ) from None
    thread = threading.Thread(target=server.run, args=([listener],), name=f"push {source}")
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        follower.close()


def push_loop(app: App, source: str, metrics: Metrics) -> Loop:
    """The loop that serves a source's push API until it is asked to stop."""
    name = f"{app.pool} source {source}"

    def loop(stop: threading.Event) -> None:
        with serve_push(app, source) as address:
            _journal.info("serving", source=source, push=address)
            while not stop.wait(1.0):
                metrics.health.beat(name)
        metrics.health.ended(name)

    return loop


def openapi() -> dict[str, Any]:
    """The API's OpenAPI document."""
    return push_api(None, PushedRows(), "").openapi()  # type: ignore[arg-type]
