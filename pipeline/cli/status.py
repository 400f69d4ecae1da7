"""`esep status`: where everything stands, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.app.app import App
from pipeline.app.overview import ChainView, MonthView, Move, Overview, overview
from pipeline.model.message import counted, joined, message
from pipeline.model.months import almaty_words
from pipeline.service.chain_notes import span_words, trouble_of, trouble_words
from pipeline.texts import N_

from .decisions import parse_month
from .frame import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    command_line,
    field_width,
    now,
    print_json,
    progress,
    say,
    say_field,
    say_fields,
    settings_of,
    shown,
)
from .summary import move_words
from .words import amount_words, state_word


def status(
    month: Annotated[
        str | None, typer.Argument(help="One month, with every condition; those that are not filed when not given.", metavar="[MONTH]")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show where everything stands, and who acts next with which command.

    Of each month: its state, the days left, rows and sums, where its form lies and whether facts changed since; of one MONTH every condition of
    rule 8.1, too.

    [dim]esep status[/dim]

    [dim]esep status 2026-10 --json[/dim]
    """
    with App(settings_of(config), now) as app:
        app.decisions.record_settings_labels()
        with progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
            found = overview(
                app, store, [parse_month(month)] if month else None, lambda chain: trouble_of(app.settings.var, chain, app.now())
            )
        if as_json:
            print_json(as_data(found))
            return
        if month is None:
            _print_sources(app, found)
        for view in found.months:
            _print_month(view, config, in_full=month is not None)
        if not found.months:
            say(message("\nNo month has allocations yet."))
            say_field(
                message("next"),
                message("you: import the ledger\n{command_line}", command_line=command_line("esep import allocations FILE", config)),
                indent=2,
            )


def as_data(found: Overview) -> dict[str, Any]:
    """The overview as JSON."""
    return {
        "log": found.log,
        "root": found.root,
        "unsigned": found.unsigned,
        "not_authentic": found.not_authentic,
        "published": found.published,
        "lag": found.lag,
        "copy_fault": found.copy_fault,
        "chains": [asdict(chain) for chain in found.chains],
        "ledger_complete_through": str(found.ledger_complete_through) if found.ledger_complete_through else None,
        "registry_version": found.registry_version,
        "months": [_month_data(view) for view in found.months],
    }


def _month_data(view: MonthView) -> dict[str, Any]:
    last = view.submission
    told = (
        {
            "id": last.event.submission_id,
            "version": last.event.version,
            "state": str(last.state),
            "words": last.summary,
            "receipt": last.receipt,
        }
        if last
        else None
    )
    return {
        "month": str(view.month), "state": str(view.state), "submission": told, "changed": view.changed or None,
        "due": str(view.month.deadline), "days_left": view.days_left, "is_filed": view.is_filed, "versions": view.versions,
        "rows": view.rows, "totals": view.totals, "pdf": view.pdf, "outbox": view.outbox,
        "conditions": [condition.for_manifest() for condition in view.conditions], "next": [asdict(move) for move in view.moves],
    }  # fmt: skip


# --- the sources


def _print_sources(app: App, found: Overview) -> None:
    fields: list[tuple[str, str]] = []
    for chain in found.chains:
        fields.append((chain.chain, _chain_words(chain)))
        if chain.trouble:
            fields.append(("", trouble_words(chain.trouble)))
    through, version = found.ledger_complete_through, found.registry_version
    complete = (
        message("complete through {through}", through=through) if through else message("never declared complete (esep import complete DAY)")
    )
    imported = (
        message("version {registry_version}", registry_version=version) if version else message("none imported (esep import registry DIR)")
    )
    fields += [(message("ledger"), complete), (message("registry"), imported), (message("log"), _log_words(app, found))]
    if found.root is not None:
        fields.append((message("keys"), _keys_words(found)))
    say_fields([*fields, (message("copy"), found.copy_fault or _lag_words(app, found.lag))])


def _log_words(app: App, found: Overview) -> str:
    """Where the log is, and how many events it holds; on a cluster how far its partitions go, whose offsets have gaps."""
    where = app.settings.log if app.settings.log.startswith("kafka:") else shown(app.settings.log_path)
    reach = ", ".join(f"{place} {offset}" for place, offset in sorted(found.log.items()))
    unsigned = message("; not authenticated: no root key ([keys] root)") if found.root is None else ""
    return message("{where}: {reach}{unsigned}", where=where, reach=reach, unsigned=unsigned)


def _keys_words(found: Overview) -> str:
    unsigned = message("; not signed yet: {unsigned} (esep keys start)", unsigned=", ".join(found.unsigned)) if found.unsigned else ""
    strange = (
        message("; {not_authentic} event(s) are not authentic and count for nothing (esep issues)", not_authentic=found.not_authentic)
        if found.not_authentic
        else ""
    )
    return message(
        "only what keys under {root}… signed counts{unsigned}{strange}", root=str(found.root)[:16], unsigned=unsigned, strange=strange
    )


def _lag_words(app: App, lag: Mapping[str, int] | None) -> str:
    where = shown(app.settings.store.published)
    if lag is None:
        return message("none for analysts was published yet ({where})", where=where)
    behind = sum(lag.values())
    return message(
        "{where}: {lag}",
        where=where,
        lag=counted("{count} event(s) behind the log", "{count} event(s) behind the log", behind)
        if behind
        else message("up to the log's end"),
    )


def _chain_words(chain: ChainView) -> str:
    if chain.height is None or chain.time is None:
        return message("{network}: no block was read yet (esep run)", network=chain.network)
    at = almaty_words(chain.time)
    calls = message("; calls inside transactions: {internal_calls}", internal_calls=chain.internal_calls) if chain.internal_calls else ""
    return message(
        "{network}: block {height} of {at}, {lag} ago{calls}",
        network=chain.network,
        height=chain.height,
        at=at,
        lag=span_words(chain.lag_s or 0),
        calls=calls,
    )


# --- the months


def _print_month(view: MonthView, config: Path, *, in_full: bool) -> None:
    versions = f" v{view.versions[-1]['version']}" if view.versions else ""
    say(
        message(
            "\n{month}{version} is {state}: {due}",
            month=view.month,
            version=versions,
            state=message("in the outbox") if view.outbox is not None else state_word(view.state),
            due=_due_words(view),
        )
    )
    fields = _month_fields(view, in_full=in_full)
    moves = [(message("next") if number == 0 else "", _move_words(view, move, config)) for number, move in enumerate(view.moves)]
    width = field_width(name for name, _ in [*fields, *moves])
    say_fields(fields, indent=2, least=width)
    for condition in view.conditions if in_full else ():
        say(
            message(
                "  {mark} {name}: {detail}",
                mark="[x]" if condition.is_met else "[ ]",
                name=condition.name,
                detail=condition.detail,
            ),
            hang=4,
        )
    say_fields(moves, indent=2, least=width)


def _month_fields(view: MonthView, *, in_full: bool) -> list[tuple[str, str]]:
    """What is known of the month, each with its name."""
    fields = [(message("sums"), sums_words(view.rows, view.totals))]
    last = view.submission
    if last is not None and view.outbox is None and (last.receipt or last.summary):
        receipt = message("receipt {number}", number=last.receipt) if last.receipt else ""
        fields.append((message("filed"), joined("; ", [part for part in (f"v{last.event.version}", receipt, last.summary) if part])))
    if view.outbox is not None:
        fields.append((message("outbox"), shown(view.outbox)))
    if view.pdf is not None:
        fields.append((message("form"), shown(view.pdf)))
    if view.changed:
        fields.append((message("changed"), view.changed))
    for version in view.versions if in_full else ():
        fields.append((message("v{version}", version=version["version"]), message("digest {digest}", digest=version["digest"])))
    return fields


def _move_words(view: MonthView, move: Move, config: Path) -> str:
    """Who acts next. What changed is told above, with what to do."""
    told = replace(move, what=_decide_words(view)) if view.changed and move.what == view.changed else move
    return move_words(told, config)


def _decide_words(view: MonthView) -> str:
    if view.is_filed:
        return message("the month differs from what was filed: decide")
    return message("decide about what changed")


def _due_words(view: MonthView) -> str:
    if view.is_filed:
        return message("filed; it was due by {deadline}", deadline=view.month.deadline)
    if view.accepted_version:
        return message(
            "v{version} is filed, and this one corrects it; it was due by {deadline}",
            version=view.accepted_version,
            deadline=view.month.deadline,
        )
    if view.is_before_first:
        return message("before closing.first_month, not filed by Esep; due by {deadline}", deadline=view.month.deadline)
    if view.days_left < 0:
        return counted(
            "LATE by {count} day(s), it was due by {deadline}",
            "LATE by {count} day(s), it was due by {deadline}",
            -view.days_left,
            deadline=view.month.deadline,
        )
    return message(
        "due by {deadline}, {left}",
        deadline=view.month.deadline,
        left=counted("{count} day(s) left", "{count} day(s) left", view.days_left) if view.days_left else message("TODAY"),
    )


def sums_words(rows: int, totals: Mapping[str, Any]) -> str:
    """Rows and sums by asset, a line for each asset."""
    lines: list[str] = []
    allocated, transferred, left = (totals[name] for name in ("allocated_in_month", "distinct_transfers", "left_unsettled"))
    for asset in sorted({*allocated, *transferred, *left}):
        parts = [
            message(word, amount=amount_words(amounts[asset]))
            for word, amounts in (
                (N_("allocated {amount}"), allocated),
                (N_("transferred {amount}"), transferred),
                (N_("unsettled {amount}"), left),
            )
            if asset in amounts
        ]
        lines.append(message("{asset}: {sums}", asset=asset, sums=joined(", ", parts)))
    transfers = totals["distinct_transfers_count"]
    head = [
        counted("{count} row(s)", "{count} row(s)", rows),
        counted("{count} transfer(s)", "{count} transfer(s)", transfers),
    ]
    return joined("\n", [joined(", ", head), *lines])
