"""Documents to print in tests: the example month's report, and rows made to break things."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.model.months import Month
from pipeline.render import Document
from pipeline.render.form import COLUMNS
from pipeline.render.json_report import write_report_json
from pipeline.render.report_rows import ReportRows
from tests.reports import read_report_csv, report_csv

EXPECTED = Path(__file__).parents[3] / "docs" / "example" / "2026-10" / "expected"
HEADER = {
    "bin": "240440639442",
    "name": "ЖШС «Мысал пул»",
    "address": "010000, Астана қ., Мәңгілік Ел даңғылы, 55/22",
    "telephone": "+7 7172 55 00 00",
    "email": "esep@mysal-pool.example",
    "executor_name": "Әбдірахманова Гүлнұр Өмірзаққызы",
    "executor_telephone": "+7 701 555 00 11",
    "head_name": "Қасымов Ерұлан Ыбырайұлы",
}
FROZEN_AT = 1795561200

ROW: dict[str, str | None] = {
    "n": "1",
    "miner_id": "180141952211",
    "miner_name": "АҚ «Павлодар ДЦ 39»",
    "licence_number": "KZ60RAA42047845",
    "licence_issue_date": "2025-04-29",
    "wallet": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    "allocation_date": "2026-10-01",
    "asset": "BTC",
    "amount": "0.00237505",
    "transfer_amount": "0.01294317",
    "transfer_date": "2026-10-02",
    "commission_asset": "BTC",
    "commission_asset_amount": "0.00002399",
    "commission_currency": None,
    "commission_currency_amount": None,
}

HARD_ROWS: list[dict[str, str | None]] = [
    {"miner_name": '=HYPERLINK("http://example.org","Төлем")', "miner_id": "=1+1"},
    {"miner_name": "+7 701", "wallet": "-1", "licence_number": "@SUM(A1:A9)"},
    {"miner_name": "<r><t>бұл белгілеу емес</t></r>", "asset": "<b>&amp;"},
    {"miner_name": "Екі\nжол, «тырнақша», \"қос\" және 'жалғыз'", "licence_number": " бос орын "},
    {"miner_name": "CR\r\nLF\rұшы\tтаб", "licence_number": "_x0041_"},
    {"miner_name": "金山 Майнинг 🚀 \u200eLtd", "licence_issue_date": None},
    {"miner_name": "Әәғқңөұүһі ӘҒҚҢӨҰҮҺІ ₸ № Ъ"},
    {"miner_name": "Жауапкершілігішектеулісеріктестігіненүзілмейтінұзынатау" * 3},
    {"amount": "9" * 38, "transfer_amount": "123456789012345678901234567890.12345678"},
    {"asset": "ETH", "amount": "12.012345678901234567", "commission_asset_amount": "0.000000000000000001"},
    {"asset": "USDT", "amount": "1234567.123456", "wallet": "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"},
    {"amount": "0", "transfer_amount": None, "transfer_date": None, "commission_currency": "KZT", "commission_currency_amount": "19152.85"},
    {"commission_currency": "KZT", "commission_currency_amount": "1 000,50"},
    {"commission_currency": "KZT", "commission_currency_amount": "007.10", "licence_issue_date": "1899-12-31"},
    {"amount": "123456789012345", "transfer_amount": "1234567.12345678", "licence_issue_date": "2026-02-30"},
    {"amount": "1234567.123456789", "transfer_amount": "0." + "0" * 36 + "1", "wallet": "A" * 200},
]
"""What differs from `ROW`: formulas, markup, line breaks, missing glyphs, long texts, amounts that a float loses."""


class CountedRows:
    """A report's rows, and how often they were read."""

    def __init__(self, rows: ReportRows) -> None:
        self._rows, self.read = rows, 0
        self.height = rows.height

    def slice(self, offset: int, length: int | None = None) -> pl.DataFrame:
        self.read += 1
        return self._rows.slice(offset, length)

    def iter_slices(self, n_rows: int = 10_000) -> Iterator[pl.DataFrame]:
        self.read += 1
        return self._rows.iter_slices(n_rows)


def document(rows: list[dict[str, str | None]], **changes: Any) -> Document:
    """A document of rows given as what differs from `ROW`; they are numbered from 1."""
    frame = pl.DataFrame([{**ROW, **row, "n": str(number)} for number, row in enumerate(rows, 1)], schema=dict.fromkeys(COLUMNS, pl.String))
    return of_rows(frame, **changes)


def of_rows(rows: pl.DataFrame, **changes: Any) -> Document:
    """A document of a report's rows, with the example month's totals."""
    totals = json.loads((EXPECTED / "summary.json").read_bytes())["totals"]
    given: dict[str, Any] = {"header": HEADER, "version": 1, "totals": totals, **changes}
    return Document(month=Month(2026, 10), digest=hashlib.sha256(report_csv(rows)).hexdigest(), rows=rows, frozen_at=FROZEN_AT, **given)


def example() -> Document:
    """The example month, whole."""
    return of_rows(read_report_csv((EXPECTED / "report.csv").read_bytes()))


def hard() -> Document:
    """`HARD_ROWS`, with totals and header fields to match."""
    totals = {"allocated_in_month": {"BTC": "13.07542702", "ETH": "123.000000000000000001", "WEI": "9" * 38}, "of_another_kind": {"X": "1"}}
    return document(HARD_ROWS, totals=totals, version=2, header={**HEADER, "bin": "", "name": "Өте ұзын атаулы " * 9})


def report_json(made: Document) -> bytes:
    """The report as JSON, whole."""
    buffer = io.BytesIO()
    write_report_json(made, buffer)
    return buffer.getvalue()
