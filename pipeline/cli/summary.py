"""Prints what a frozen month came to, where its papers lie and who acts next: the end of `freeze`, `approve`, `close` and of the demo."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.app.overview import Move
from pipeline.app.summary import MonthSummary
from pipeline.model.months import ALMATY

from .frame import command_line, say, say_field, shown

WIDTH = 14
"""Of the names beside what they say."""
_TOTALS = {
    "allocated_in_month": "allocated",
    "carried_into_month": "carried in",
    "distinct_transfers": "transferred",
    "left_unsettled": "unsettled",
    "left_unsettled_of_older_months": "older debts",
    "commission_by_asset": "commission",
    "commission_by_currency": "commission in",
}


def print_summary(summary: MonthSummary, config: Path) -> None:
    """The month as a block of names and what they say."""
    say(f"{summary.month} v{summary.version} is {summary.state}")
    fields = [("digest", summary.digest), ("rows", f"{summary.rows}, of {summary.totals['distinct_transfers_count']} transfer(s)")]
    fields += [(name, text) for key, name in _TOTALS.items() if (text := amounts(summary.totals.get(key, {})))]
    fields += [("bundle", shown(summary.folder)), ("the form", _form(summary.papers))]
    fields += [("signed by", summary.signer)] if summary.signer else []
    fields += [("submission", summary.submission_id)] if summary.submission_id else []
    fields += [("receipt", summary.receipt)] if summary.receipt else []
    fields += [("outbox", shown(summary.outbox))] if summary.outbox is not None else []
    for name, text in [*fields, ("next", move_words(summary.next, config))]:
        say_field(name, text, indent=2, width=WIDTH)


def _form(papers: list[Path]) -> str:
    """The form itself with its path, and what lies beside it in other languages."""
    own = [path for path in papers if path.stem == "report"] or papers
    others = ", ".join(path.name for path in papers if path not in own)
    return "\n".join([*map(shown, own), *([f"beside them {others}"] if others else [])])


def amounts(totals: dict[str, str]) -> str:
    """Sums by asset or currency on one line."""
    return ", ".join(f"{amount} {name}" for name, amount in totals.items())


def move_words(move: Move, config: Path) -> str:
    """Who acts next and what is to be done; the command on a line of its own."""
    who = {"you": "you: ", "esep": "Esep: ", "filing service": "the filing service: ", "nobody": ""}[move.who]
    since = f", {datetime.fromtimestamp(move.at, ALMATY):%Y-%m-%d %H:%M} (Almaty)" if move.at is not None else ""
    return f"{who}{move.what}{since}" + (f"\n{command_line(move.command, config)}" if move.command else "")


def summary_data(summary: MonthSummary) -> dict[str, Any]:
    """The summary as JSON."""
    return asdict(summary) | {"month": str(summary.month)}
