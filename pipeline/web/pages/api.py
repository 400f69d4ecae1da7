"""The API: what pages show, as JSON, for programs with a token (`Authorization: Bearer`). Its document is `/api/openapi.json`, and docs/console.openapi.json.

Amounts are texts, as printed (rule 2.2). A token is made in one's account; it is for some of the person's roles, and ends with them.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from pipeline.app.books import Book
from pipeline.app.life_view import life_view
from pipeline.app.miner import statement_of
from pipeline.app.overview import MonthView
from pipeline.model.errors import MonthError
from pipeline.model.message import message, text_of
from pipeline.model.months import Month
from pipeline.store.form_index import FormQuery, Sort
from pipeline.web.access import AsOperator, AsViewer
from pipeline.web.numbers import guarded, may_see_numbers
from pipeline.web.parts import Console, Parts, Viewer

from .months import Version, printed_row, printed_sums

router = APIRouter(prefix="/api/v1", tags=["months"])


class ConditionOut(BaseModel):
    """A condition of rule 8.1."""

    name: str
    is_met: bool
    detail: str


class MoveOut(BaseModel):
    """Who acts next, and what is to be done."""

    who: str = Field(description="you, esep, filing service, nobody")
    what: str
    command: str
    at: int | None = Field(description="Unix seconds from which on, where that is known")


class MonthOut(BaseModel):
    """A month as it stands."""

    month: str
    state: str
    due: str = Field(description="the day, YYYY-MM-DD")
    days_left: int = Field(description="below 0: late")
    is_filed: bool
    rows: int
    totals: dict[str, Any] = Field(description="sums by asset and currency, as printed texts")
    conditions: list[ConditionOut]
    next: list[MoveOut]


class MonthsOut(BaseModel):
    """The months that are open or not filed, and the newest frozen one."""

    snapshot: int = Field(description="grows with each change")
    at: int = Field(description="when it was made, Unix seconds")
    months: list[MonthOut]


class Refusal(BaseModel):
    """Why a request is refused."""

    detail: str


_REFUSED = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 422: "Unprocessable Content", 503: "Service Unavailable",
}  # fmt: skip
"""Said here (RFC 9110, section 15): Python's own names differ between its versions, and the document must not."""
REFUSALS: dict[int | str, dict[str, Any]] = {code: {"model": Refusal, "description": name} for code, name in _REFUSED.items()}


@router.get("/months", responses=REFUSALS)
def months(parts: Console, _: AsViewer) -> MonthsOut:
    """Every month on the board."""
    snapshot = parts.reading.snapshot()
    return MonthsOut(snapshot=snapshot.number, at=snapshot.at, months=[_month(view) for view in snapshot.overview.months])


@router.get("/months/{month}", responses=REFUSALS)
def month(parts: Console, _: AsViewer, month: str) -> MonthOut:
    """One month of the board."""
    for view in parts.reading.snapshot().overview.months:
        if str(view.month) == month:
            return _month(view)
    raise HTTPException(404, message("{month} is not on the board", month=month))


def _month(view: MonthView) -> MonthOut:
    return MonthOut(
        month=str(view.month),
        state=str(view.state),
        due=str(view.month.deadline),
        days_left=view.days_left,
        is_filed=view.is_filed,
        rows=view.rows,
        totals=view.totals,
        conditions=[ConditionOut(name=str(one.name), is_met=one.is_met, detail=str(one.detail)) for one in view.conditions],
        next=[MoveOut(who=move.who, what=str(move.what), command=move.command, at=move.at) for move in view.moves],
    )


class RowsOut(BaseModel):
    """Rows of the form."""

    month: str
    version: int | None = Field(description="null: a draft")
    digest: str = Field(description="SHA-256 of the frozen report; empty for a draft")
    positions: dict[str, int] = Field(description="how far of the log it comes from")
    count: int = Field(description="how many rows fit")
    offset: int
    sums: list[dict[str, Any]] = Field(description="of the rows that fit: asset, n_rows, amount, settled")
    rows: list[dict[str, Any]] = Field(description="the form's columns and what links a row to its facts; days as YYYY-MM-DD")


class IssueOut(BaseModel):
    """One issue of a month."""

    name: str = Field(description="its short name, which `esep waive` takes")
    code: str
    severity: str
    is_blocking: bool = Field(description="whether it keeps the month from closing now")
    ref: str
    detail: str
    day: str | None
    amount: str
    miner_id: str
    facts: dict[str, str]
    waived_by: str


class IssuesOut(BaseModel):
    """The issues of a month by the facts of now."""

    month: str
    snapshot: int
    issues: list[IssueOut]


class WaitingOut(BaseModel):
    """What waits at a source."""

    item: str
    code: str
    day: str
    detail: str


class SourceOut(BaseModel):
    """A source of the ledger."""

    name: str
    kind: str
    last_look: int | None = Field(description="microseconds")
    newest: int | None = Field(description="the source's own time of its newest row, microseconds")
    rows: int
    complete_through: str | None
    waiting: list[WaitingOut]


class SourcesOut(BaseModel):
    """Every source of the ledger."""

    snapshot: int
    sources: list[SourceOut]


class HappenedOut(BaseModel):
    """One thing that happened to a version."""

    at: int
    what: str
    version: int
    by: str
    detail: str


class VersionOut(BaseModel):
    """A frozen version."""

    version: int
    digest: str
    at: int
    by: str
    reason: str
    approvals: list[str]
    is_signed: bool


class CloseOut(BaseModel):
    """Where a month stands on its way."""

    month: str
    state: str
    needs_approvals: int
    submission_id: str
    receipt: str
    changed: str = Field(description="what changed since the newest version was frozen, in words")
    versions: list[VersionOut]
    happened: list[HappenedOut]


class StatementOut(BaseModel):
    """A miner's act of reconciliation, as printed."""

    month: str
    version: int | None
    miner_id: str
    name: str
    rows: list[dict[str, Any]]
    debts: list[dict[str, Any]]


def _answer(request: Request, parts: Parts, viewer: Viewer, out: BaseModel) -> Response:
    """The answer, with numbers as this person may see them; those seen in full are said in the audit topic first."""
    return Response(guarded(parts, viewer, request.url.path, out.model_dump_json()), media_type="application/json")


@router.get("/months/{month}/rows", responses=REFUSALS, response_model=RowsOut)
def form_rows(  # noqa: PLR0913 - a query's parts are its parameters
    request: Request, parts: Console, viewer: AsViewer, month: str, version: Version = None, search: Annotated[str, Query(max_length=200)] = "",
    asset: Annotated[str, Query(max_length=40)] = "", state: Annotated[Literal["", "settled", "unsettled", "carried", "new"], Query()] = "",
    first: date | None = None, last: date | None = None, sort: Annotated[Sort, Query()] = "n", down: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:  # fmt: skip
    """Rows of the form, filtered and sorted. The first answer of a large frozen form takes the seconds that reading it takes."""
    book = _book(parts, month, version)
    query = FormQuery(
        search=search, asset=asset, state=state, first=first, last=last, sort=sort, is_descending=down, has_numbers=may_see_numbers(viewer)
    )
    found = parts.app.books.form(book).page(query, limit=limit, offset=offset)
    out = RowsOut(
        month=str(book.month), version=book.version, digest=book.digest, positions=dict(book.positions), count=found.count, offset=offset,
        sums=[printed_sums(one, book) for one in found.sums], rows=[_texts(printed_row(row, book)) for row in found.rows],
    )  # fmt: skip
    return _answer(request, parts, viewer, out)


@router.get("/months/{month}/issues", responses=REFUSALS, response_model=IssuesOut)
def issues(request: Request, parts: Console, viewer: AsViewer, month: str) -> Response:
    """The issues of a month on the board, blocking ones first."""
    snapshot = parts.reading.snapshot()
    groups = snapshot.groups.get(_month_of(month))
    if groups is None:
        raise HTTPException(404, message("{month} is not on the board", month=month))
    found = [
        IssueOut(
            name=one.name, code=one.code.value, severity=one.code.severity.value, is_blocking=one.is_blocking, ref=one.ref, detail=str(one.printed_detail),
            day=str(one.day) if one.day else None, amount=one.amount, miner_id=one.miner_id, facts=one.named_facts, waived_by=one.waived_by,
        )
        for group in groups
        for one in group.issues
    ]  # fmt: skip
    return _answer(request, parts, viewer, IssuesOut(month=month, snapshot=snapshot.number, issues=found))


@router.get("/sources", responses=REFUSALS, response_model=SourcesOut)
def sources(request: Request, parts: Console, viewer: AsViewer) -> Response:
    """How far each source of the ledger was read, and what waits there."""
    snapshot, ours = parts.reading.snapshot(), parts.app.settings.sources
    held = {state.source: state for state in snapshot.sources.states}
    found = [
        SourceOut(
            name=name, kind=ours[name].kind if name in ours else "", last_look=state.last_look if state else None, newest=state.newest if state else None,
            rows=state.rows if state else 0, complete_through=str(state.complete_through) if state and state.complete_through else None,
            waiting=[
                WaitingOut(item=one.item, code=one.code, day=str(one.day), detail=one.detail) for one in snapshot.sources.items if one.source == name
            ],
        )
        for name in sorted({*ours, *held})
        for state in (held.get(name),)
    ]  # fmt: skip
    return _answer(request, parts, viewer, SourcesOut(snapshot=snapshot.number, sources=found))


@router.get("/months/{month}/close", responses=REFUSALS, response_model=CloseOut)
def close(request: Request, parts: Console, viewer: AsViewer, month: str) -> Response:
    """Where a month stands on its way: versions, approvals, signatures, submissions, answers."""
    named = _month_of(month)
    life = life_view(parts.app, named)
    if not life.versions and named not in parts.reading.snapshot().groups:
        raise HTTPException(404, message("{month} is not on the board", month=month))
    out = CloseOut(
        month=str(named), state=life.state.value, needs_approvals=life.needs_approvals, submission_id=life.submission_id, receipt=life.receipt, changed=str(life.changed),
        versions=[
            VersionOut(version=one.version, digest=one.digest, at=one.at, by=one.by, reason=one.reason, approvals=one.approvals, is_signed=one.is_signed)
            for one in life.versions
        ],
        happened=[HappenedOut(at=one.at, what=one.what, version=one.version, by=one.by, detail=one.detail) for one in life.happened],
    )  # fmt: skip
    return _answer(request, parts, viewer, out)


@router.get("/months/{month}/miners/{miner_id}/statement", responses=REFUSALS, response_model=StatementOut)
def statement(request: Request, parts: Console, viewer: AsOperator, month: str, miner_id: str, version: Version = None) -> Response:
    """A miner's act of reconciliation. Needs a token for `operator`."""
    book = _book(parts, month, version)
    told = statement_of(parts.app, book, miner_id)
    if told is None:
        raise HTTPException(404, message("{month} has no row and no debt of that miner", month=month))
    made, _ = told
    out = StatementOut(
        month=str(book.month), version=book.version, miner_id=miner_id, name=made.miner_name,
        rows=made.rows.to_dicts(), debts=made.debts.to_dicts(),
    )  # fmt: skip
    return _answer(request, parts, viewer, out)


def _month_of(text: str) -> Month:
    """The month of a path. An answer 404 for anything else."""
    try:
        return Month.parse(text)
    except ValueError:
        raise HTTPException(404, message("{month} is not on the board", month=text)) from None


def _book(parts: Parts, month: str, version: int | None) -> Book:
    """The month's book. An answer 404 for a month or version that there is not."""
    try:
        return parts.reading.book(_month_of(month), version)
    except MonthError as error:
        raise HTTPException(404, text_of(error)) from None


def _texts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, date) else value for name, value in row.items()}


document = APIRouter()


@document.get("/api/openapi.json")
def openapi(request: Request, _: AsViewer) -> JSONResponse:
    """The API's document."""
    return JSONResponse(request.app.openapi())
