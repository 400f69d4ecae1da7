"""`esep sources`, `esep capture`: databases and services that the ledger is read from (ADR 22)."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated, Literal

import typer

from pipeline.app.app import App
from pipeline.capture.follow_source import Stepped
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.months import almaty_words
from pipeline.service.capturing import capture_once
from pipeline.service.loops import run_loops, stopped_by_signals
from pipeline.service.sources import source_loop

from .decisions import ByOption, ReasonOption
from .frame import DEFAULT_CONFIG, ConfigOption, now, progress, say, settings_of
from .logs import configure_logs
from .services import ListenOption, measured, probes


def capture(
    sources: Annotated[list[str] | None, typer.Argument(help="The sources to read; all when not given.", metavar="SOURCE")] = None,
    once: Annotated[bool, typer.Option("--once", help="Read what is there now, then end.")] = False,
    listen: ListenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Read the ledger from where the pool keeps it: databases and services of [sources.NAME].

    A process of its own where `esep run` is too much. What was read stands in the log; after a crash it goes on from there. A
    source out of reach is tried again, and does not disturb the others.

    [dim]esep capture --once[/dim]
    """
    settings = settings_of(config)
    unknown = [name for name in sources or [] if name not in settings.sources]
    if unknown or not settings.sources:
        raise SettingsError([message("there is no [sources.{name}]", name=name) for name in unknown or ["NAME"]], source="esep capture")
    with App(settings, now) as app:
        named = sources or list(settings.sources)
        if once:
            for name in named:
                if settings.sources[name].kind == "push":
                    say(message("{name}: is pushed: it is served by esep capture without --once, and by esep run", name=name))
                    continue
                rows = 0

                def add(stepped: Stepped) -> None:
                    nonlocal rows
                    rows += stepped.rows

                last = capture_once(app, name, add)
                say(
                    message(
                        "{name}: {rows} row(s) new or changed; {open_items} item(s) wait", name=name, rows=rows, open_items=last.open_items
                    )
                )
            return
        configure_logs(verbose=True)
        stop, metrics = threading.Event(), measured(settings.metrics)
        with stopped_by_signals(stop), probes(metrics, settings.metrics, listen):
            run_loops({name: source_loop(app, name, metrics) for name in named}, stop)


def state(
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show each source: how far it was read, how late that is, what is not certain yet, what would be lost and when.

    [dim]esep sources list[/dim]
    """
    settings = settings_of(config)
    with App(settings, now) as app, progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
        states, items = app.sources.views(store), app.sources.items(store)
    if not settings.sources:
        say(message("no source is configured: files are imported, or name one as [sources.NAME]"))
        return
    for one in states:
        say(f"{one.name}  {one.kind}")
        if one.last_look is None:
            say(message("  never read: esep capture, or esep run"))
            continue
        say(message("  read        {said}, {now} ago", said=_said(one.last_look), now=_span(now() - one.last_look // 1000000)))
        say(message("  newest row  {said}", said=_said(one.newest)) if one.newest else message("  newest row  none"))
        say(message("  rows        {rows} there now", rows=one.rows))
        say(
            message(
                "  complete    {more}",
                more=message("through {complete_through}", complete_through=one.complete_through)
                if one.complete_through
                else message("no month yet"),
            )
        )
        if one.lost_at is not None:
            left = one.lost_at // 1_000_000 - now()
            say(
                message(
                    "  retention   rows are lost from {said} on, {more}",
                    said=_said(one.lost_at),
                    more=message("in {left}", left=_span(left)) if left > 0 else message("since then some may be"),
                )
            )
        waiting = [item for item in items if item.source == one.name]
        say(message("  waiting     {count} item(s)", count=len(waiting)))
    if items:
        # An item's name stands on a line of its own: it is long, and `decide` wants it whole.
        for item in items[:50]:
            say(f"\n{item.source} {item.item}")
            say(message("  {day}  {what}", day=item.day, what=item.detail), hang=2)
        if len(items) > 50:
            say(message('… and {count} more: esep query "FROM core_source_item"', count=len(items) - 50))


def decide(
    source: Annotated[str, typer.Argument(help="The source.", metavar="SOURCE")],
    item: Annotated[str, typer.Argument(help="The item, as `esep sources list` prints it.", metavar="ITEM")],
    outcome: Annotated[
        Literal["paid", "not-paid", "accept", "refuse", "dated"],
        typer.Argument(
            help="paid (with --txid) or not-paid of a payment; dated (with --day) of a change of the registry; accept or refuse of anything else.",
            metavar="OUTCOME",
        ),
    ],
    by: ByOption,
    reason: ReasonOption,
    txid: Annotated[str | None, typer.Option("--txid", help="Under which transaction it was paid.", metavar="TXID")] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="From which day on a change counts, in Almaty.", metavar="DAY")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End an item that waits, by name: a payment without an outcome, a restatement, a row unexplained, a hole, a change without a day.

    It stands in the log with your name. What follows from it (an allocation, a payment, nothing) is written at the source's next look.

    [dim]esep sources decide books payment:17 paid --txid 4a5e… --by "A. Person" --reason "seen in the wallet"[/dim]
    """
    settings = settings_of(config)
    with App(settings, now) as app, progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
        items, on_day = app.sources.items(store), day.date() if day else None
        app.sources.decide(items, source, item, outcome, txid=txid, day=on_day, by=by, reason=reason)
    say(message("decided: {source} {item}: {outcome}", source=source, item=item, outcome=outcome))


def _said(at_us: int) -> str:
    return almaty_words(at_us // 1_000_000)


def _span(seconds: int) -> str:
    minutes = seconds // 60
    if minutes < 120:
        return message("{minutes} min", minutes=minutes)
    return (
        message("{minutes} h {minutes_2} min", minutes=minutes // 60, minutes_2=minutes % 60)
        if minutes < 2880
        else message("{minutes} days", minutes=minutes // 1440)
    )
