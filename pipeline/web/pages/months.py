"""A month: its figures, the form page by page, and each row's story."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from pipeline.app.books import Book
from pipeline.app.explain import explain_row
from pipeline.app.month_figures import MonthFigures, month_figures
from pipeline.app.reconciliation import source_proofs
from pipeline.app.tasks import Task, Told
from pipeline.model.amounts import from_units
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.store.form_index import SORTS, FormQuery, States
from pipeline.texts import N_, Texts, texts
from pipeline.web.access import AsViewer, Forbidden
from pipeline.web.charts import Band, Bars, day_chart, flow_chart
from pipeline.web.forms import day_of
from pipeline.web.layout import page
from pipeline.web.numbers import masked as hidden_number
from pipeline.web.numbers import may_see_numbers
from pipeline.web.parts import Console, Parts, Viewer

from .tasks import to_task

router = APIRouter()
_NUMBER: Final = re.compile(r"\b[0-9]{12}\b")
ROWS_A_PAGE: Final = 50
LISTED_OUTPUTS: Final = 200
LISTED_DIFFERENCES: Final = 50
STREAMS: Final = {
    "opening": N_("held at the beginning"),
    "mined": N_("mined"),
    "received": N_("received from others"),
    "fee": N_("network fees"),
    "closing": N_("held at the end"),
    "added": N_("added to what is held"),
    "drawn": N_("drawn from what is held"),
    "payout": N_("payouts to miners"),
    "unknown": N_("to nobody known"),
    "network-share": N_("share of the network"),
    "vendor": N_("vendors"),
    "exchange": N_("exchanges"),
    "treasury": N_("treasury"),
    "payroll": N_("payroll"),
    "refund": N_("refunds"),
    "poisoning": N_("address poisoning"),
}


def month_of(month: str) -> Month:
    """The month of the path. An answer 404 for anything else."""
    try:
        return Month.parse(month)
    except ValueError:
        raise HTTPException(404, message("The address names no month: a month is written like 2026-10.")) from None


MonthPath = Annotated[Month, Depends(month_of)]
Version = Annotated[int | None, Query(ge=1)]


def stream_name(name: str, words: Texts) -> str:
    """A stream in words, and a label's class of those that are proposed; a class in the operator's own word as it is."""
    return words.gettext(STREAMS[name]) if name in STREAMS else name


def masked(number: str | None, viewer: Viewer) -> str:
    """An IIN or BIN as this person may see it."""
    text = number or ""
    return text if may_see_numbers(viewer) else hidden_number(text)


def masked_text(text: str, viewer: Viewer) -> str:
    """A text with the numbers in it as this person may see them."""
    return text if may_see_numbers(viewer) else _NUMBER.sub(lambda found: masked(found[0], viewer), text)


def book_page(request: Request, template: str, parts: Console, book: Book, viewer: Viewer, *, tab: str, **content: Any) -> Response:
    """A page of a month, with what all of them show above."""
    life = parts.app.diary.life(book.month)
    snapshot = parts.reading.snapshot()
    return page(
        request, template, book=book, month=book.month, tab=tab, versions=[event.version for event in life.versions], snapshot=snapshot,
        masked=lambda number: masked(number, viewer), has_numbers=may_see_numbers(viewer), draft=life.draft, **content,
    )  # fmt: skip


@router.get("/months/{month}")
def month(request: Request, month: MonthPath, parts: Console, viewer: AsViewer, version: Version = None) -> Response:
    """The month in figures."""
    book = parts.reading.book(month, version)
    figures, words = month_figures(book), texts(viewer.language)
    proofs = source_proofs(parts.app.settings, parts.reading.snapshot().sources, month)
    return book_page(
        request, "month.html", parts, book, viewer, tab="figures", figures=figures, proofs=proofs, most_differences=LISTED_DIFFERENCES, day_charts=_day_charts(figures, words),
        flow_charts=_flow_charts(figures, words), stream_name=lambda name: stream_name(name, words),
    )  # fmt: skip


def _day_charts(figures: MonthFigures, words: Texts) -> dict[str, Any]:
    found = {}
    for asset, days in figures.days.items():
        bars = [
            Bars(
                str(day.day.day), day.allocated, day.transferred,
                words.gettext("allocated {allocated}, transferred {transferred}", allocated=words.amount(day.allocated_printed), transferred=words.amount(day.transferred_printed)),
            )
            for day in days
        ]  # fmt: skip
        title = words.gettext("Allocated and transferred by day, {asset}", asset=asset)
        found[asset] = day_chart(bars, title=title, description=words.gettext("The table below has the same numbers."))
    return found


def _flow_charts(figures: MonthFigures, words: Texts) -> dict[str, Any]:
    found = {}
    for flow in figures.flows:
        came, went = (
            [Band(stream_name(one.name, words), one.amount, words.amount(one.printed), f"is-{one.name}") for one in side]
            for side in (flow.net_came, flow.net_went)
        )
        title = words.gettext("Where the money came from and went, {asset}", asset=flow.asset)
        found[flow.asset] = flow_chart(came, went, title=title, description=words.gettext("The table below has the same numbers."))
    return found


@router.get("/months/{month}/outflows/{name}")
def outflows(request: Request, month: MonthPath, name: str, parts: Console, viewer: AsViewer, version: Version = None) -> Response:
    """The outputs of one class, the largest first."""
    book = parts.reading.book(month, version)
    rows = book.rows.rows("outflows.of_class", **{"class": name, "limit": LISTED_OUTPUTS})
    printed = [row | {"amount": from_units(row["amount"], book.decimals[row["asset"]])} for row in rows if row["asset"] in book.decimals]
    return book_page(
        request,
        "outflows.html",
        parts,
        book,
        viewer,
        tab="figures",
        rows=printed,
        name=stream_name(name, texts(viewer.language)),
        most=LISTED_OUTPUTS,
    )


@router.get("/months/{month}/form")
def form(  # noqa: PLR0913 - a query's parts are its parameters
    request: Request,
    month: MonthPath,
    parts: Console,
    viewer: AsViewer,
    version: Version = None,
    search: Annotated[str, Query(max_length=200)] = "",
    asset: Annotated[str, Query(max_length=40)] = "",
    state: Annotated[str, Query(pattern="^(settled|unsettled|carried|new)?$")] = "",
    miner: Annotated[str, Query(max_length=20)] = "",
    first: str = "",
    last: str = "",
    sort: str = "n",
    down: bool = False,
    number: Annotated[int, Query(ge=1, alias="page")] = 1,
) -> Response:
    """The form's rows, filtered and sorted by the store."""
    book = parts.reading.book(month, version)
    if miner and not may_see_numbers(viewer):
        raise Forbidden("operator")  # who may not see numbers must not find them by trying
    if not parts.app.books.is_form_ready(book):
        return to_task(_preparing(request, parts, book, viewer))
    query = FormQuery(
        search=search, miner_id=miner, asset=asset, state=cast("States", state), first=day_of(first), last=day_of(last),
        sort=sort if sort in SORTS else "n", is_descending=down,
        has_numbers=may_see_numbers(viewer),
    )  # fmt: skip
    index = parts.app.books.form(book)
    found = index.page(query, limit=ROWS_A_PAGE, offset=min(number - 1, index.height) * ROWS_A_PAGE)
    pages = max((found.count + ROWS_A_PAGE - 1) // ROWS_A_PAGE, 1)
    if number > pages:  # an address of when more rows fitted, or one that was typed
        number = pages
        found = index.page(query, limit=ROWS_A_PAGE, offset=(number - 1) * ROWS_A_PAGE)
    chosen = {
        "version": version,
        "search": search,
        "asset": asset,
        "state": state,
        "miner": miner,
        "first": first,
        "last": last,
        "sort": sort,
        "down": down or None,
    }

    def address(**changed: Any) -> str:
        kept = {
            name: value for name, value in (chosen | changed).items() if value not in (None, "", False) and (name, value) != ("sort", "n")
        }
        return f"/months/{month}/form" + (f"?{urlencode(kept)}" if kept else "")

    return book_page(
        request, "form.html", parts, book, viewer, tab="form", query=query, count=found.count,
        rows=[printed_row(row, book) for row in found.rows], sums=[printed_sums(one, book) for one in found.sums], address=address,
        number=number, before=number - 1 or None, after=number + 1 if number * ROWS_A_PAGE < found.count else None, pages=pages, miner=miner, first=first, last=last,
    )  # fmt: skip


def _preparing(request: Request, parts: Parts, book: Book, viewer: Viewer) -> Task:
    """The task that reads a large form into memory and then shows the page asked for; one for each version at a time."""
    title = message("Prepare the form of {month}, version {number}", month=book.month, number=book.version or 0)
    then = f"{request.url.path}?{request.url.query}"
    for task in parts.app.tasks.listed():
        if (task.title, task.then, task.is_over) == (title, then, False):
            return task

    def work(told: Told) -> None:
        count = book.rows.rows("form.count")[0]["n_rows"]
        told.step(message("read {count} rows", count=count))
        parts.app.books.form(book, lambda done: told.progress(done, count))

    return parts.app.tasks.start(title, work, by=viewer.person, then=then)


def printed_row(row: dict[str, Any], book: Book) -> dict[str, Any]:
    """A row of the form with its amounts as printed; empty where it has none."""
    pairs = (("amount", row["asset"]), ("transfer_amount", row["asset"]), ("commission_asset_amount", row["commission_asset"]))
    return row | {name: "" if row[name] is None else from_units(row[name], book.decimals[asset]) for name, asset in pairs}


def printed_sums(one: dict[str, Any], book: Book) -> dict[str, Any]:
    """Sums of one asset as printed."""
    return one | {name: from_units(one[name], book.decimals[one["asset"]]) for name in ("amount", "settled")}


@router.get("/months/{month}/rows/{n}")
def story(request: Request, month: MonthPath, n: int, parts: Console, viewer: AsViewer, version: Version = None) -> Response:
    """How a row came about; the same as `esep explain`."""
    book = parts.reading.book(month, version)
    told = explain_row(book.rows, parts.app.books.facts_of(book), n)
    return book_page(request, "story.html", parts, book, viewer, tab="form", story=told, before=n - 1 or None, after=n + 1)
