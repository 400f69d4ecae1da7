"""The miners of a month, and one miner: registry with its dates, months, debts, rows, and the statement to print or take along."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from pipeline.app.miner import miner_view, statement_of
from pipeline.app.month_figures import month_figures
from pipeline.model.message import message
from pipeline.render.statement_formats import StatementFormat, statement_file, write_statement
from pipeline.web.access import AsOperator, AsViewer
from pipeline.web.numbers import may_see_numbers, taken
from pipeline.web.parts import Console

from .months import MonthPath, Version, book_page

router = APIRouter()
KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "receipt": "application/json",
}
MOST_MINERS = 500


@router.get("/months/{month}/miners")
def miners(
    request: Request,
    month: MonthPath,
    parts: Console,
    viewer: AsViewer,
    version: Version = None,
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Every miner that has a row or a debt, with what it comes to."""
    book = parts.reading.book(month, version)
    found = month_figures(book).miners
    wanted = search.strip().casefold()
    # Who may not see numbers must not find them by trying digits.
    has_numbers = may_see_numbers(viewer)
    rows = [one for one in found if wanted in one.name.casefold() or (has_numbers and wanted in one.miner_id)] if wanted else found
    return book_page(
        request, "miners.html", parts, book, viewer, tab="miners", rows=rows[:MOST_MINERS], count=len(rows), search=search, most=MOST_MINERS
    )


@router.get("/months/{month}/miners/{miner_id}")
def miner(request: Request, month: MonthPath, miner_id: str, parts: Console, viewer: AsOperator, version: Version = None) -> Response:
    """One miner."""
    book = parts.reading.book(month, version)
    view = miner_view(parts.app, parts.reading, book, miner_id)
    if view is None:
        raise HTTPException(404, message("{month} has no row and no debt of that miner", month=month))
    return book_page(request, "miner.html", parts, book, viewer, tab="miners", miner=view)


@router.get("/months/{month}/miners/{miner_id}/statement.{kind}")
def statement(
    request: Request, month: MonthPath, miner_id: str, kind: str, parts: Console, viewer: AsOperator, version: Version = None
) -> Response:
    """The act of reconciliation as a file, in the reader's language; of a frozen month from its bundle's own files."""
    if kind not in KINDS:
        raise HTTPException(404, message("The act of reconciliation is there as PDF, XLSX and CSV, and in no other format."))
    taken(parts, viewer, request.url.path)
    told = statement_of(parts.app, parts.reading.book(month, version), miner_id)
    if told is None:
        raise HTTPException(404, message("{month} has no row and no debt of that miner", month=month))
    made, receipt = told
    if kind == "receipt":
        if receipt is None:
            raise HTTPException(404, message("Only a frozen month has a receipt of the miner's rows: freeze it first."))
        return _file(msgspec.json.encode(receipt), f"{miner_id}-{made.label}.receipt.json", kind)
    format_ = cast("StatementFormat", kind)
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_statement(made, Path(folder), languages=[viewer.language], formats=[format_])
        return _file(path.read_bytes(), statement_file(made, format_, viewer.language), kind)


def _file(content: bytes, name: str, kind: str) -> Response:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=KINDS[kind], headers=headers)
