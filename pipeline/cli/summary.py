"""Prints what a frozen month came to, where its papers lie and who acts next: the end of `freeze`, `approve`, `close` and of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.app.overview import Move
from pipeline.app.summary import MonthSummary
from pipeline.model.message import counted, joined, message
from pipeline.model.months import almaty_words
from pipeline.texts import N_

from .frame import command_line, say, say_fields, shown
from .words import state_word, sum_words

WIDTH = 14
"""Of the names beside what they say."""
_TOTALS = {
    "allocated_in_month": N_("allocated"),
    "carried_into_month": N_("carried in"),
    "distinct_transfers": N_("transferred"),
    "left_unsettled": N_("unsettled"),
    "left_unsettled_of_older_months": N_("older debts"),
    "commission_by_asset": N_("commission"),
    "commission_by_currency": N_("commission in"),
}


def print_summary(summary: MonthSummary, config: Path, more: Sequence[tuple[str, str]] = ()) -> None:
    """The month as a block of names and what they say; `more`: below it, in the same columns."""
    say(
        message(
            "{month} v{version} is {state}",
            month=summary.month,
            version=summary.version,
            state=message("in the outbox") if summary.outbox is not None else state_word(summary.state),
        )
    )
    transfers = summary.totals["distinct_transfers_count"]
    rows = counted("{rows}, of {count} transfer(s)", "{rows}, of {count} transfer(s)", transfers, rows=summary.rows)
    fields: list[tuple[str, str]] = [(message("digest"), summary.digest), (message("rows"), rows)]
    fields += [(message(name), text) for key, name in _TOTALS.items() if (text := amounts(summary.totals.get(key, {})))]
    fields += [(message("bundle"), shown(summary.folder)), (message("the form"), _form(summary.papers))]
    fields += [(message("signed by"), summary.signer)] if summary.signer else []
    fields += [(message("submission"), summary.submission_id)] if summary.submission_id else []
    fields += [(message("receipt"), summary.receipt)] if summary.receipt else []
    fields += [(message("outbox"), shown(summary.outbox))] if summary.outbox is not None else []
    say_fields([*fields, (message("next"), move_words(summary.next, config)), *more], indent=2, least=WIDTH)


def _form(papers: list[Path]) -> str:
    """The form itself with its path, and what lies beside it in other languages."""
    own = [path for path in papers if path.stem == "report"] or papers
    others = ", ".join(path.name for path in papers if path not in own)
    return joined("\n", [*map(shown, own), *([message("beside them {others}", others=others)] if others else [])])


def amounts(totals: dict[str, str]) -> str:
    """Sums by asset or currency on one line."""
    return sum_words(totals)


def move_words(move: Move, config: Path) -> str:
    """Who acts next and what is to be done; the command on a line of its own."""
    who = {"you": message("you: "), "esep": "Esep: ", "filing service": message("the filing service: "), "nobody": ""}[move.who]
    since = joined("", [", ", almaty_words(move.at)]) if move.at is not None else ""
    told = joined("", [who, move.what, since])
    return joined("\n", [told, command_line(move.command, config)]) if move.command else told


def summary_data(summary: MonthSummary) -> dict[str, Any]:
    """The summary as JSON."""
    return asdict(summary) | {"month": str(summary.month)}
