"""`esep watch`, `ingest`, `run`, `import …`: how facts come in."""

from __future__ import annotations

import threading
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from connectors.bitcoin.steps import Idle, Step
from connectors.files import Imported

from ..app import App
from ..errors import SettingsError, SourceError
from ..validate.ledger import LedgerKind
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, now, progress, say, settings_of
from .logs import configure_logs
from .loops import follow_chain, follow_log, journal_step, refresh, run_together, stopped_by_signals
from .months import print_json

FileArgument = Annotated[Path, typer.Argument(help="CSV, XLSX or Parquet.", metavar="FILE")]
SheetOption = Annotated[str | None, typer.Option("--sheet", help="The sheet of a workbook that has several.", metavar="NAME")]


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run everything in one process: follow all chains, fill the store, publish the analysts' copy. Ends cleanly on SIGTERM.

    Logs to stderr, as JSON when that is no terminal. Import files, label, waive and freeze meanwhile from another
    terminal: they go through the log.

    [dim]esep run[/dim]
    """
    configure_logs(verbose=True)
    with App(settings_of(config), now) as app:
        stop = threading.Event()
        loops = {name: follow_chain(app, name, journal_step) for name in app.settings.chains}
        with stopped_by_signals(stop):
            run_together(loops | {"store": follow_log(app)}, stop)


def watch(
    chains: Annotated[list[str] | None, typer.Argument(help="The chains to follow; all when not given.", metavar="[CHAIN]…")] = None,
    once: Annotated[bool, typer.Option("--once", help="Catch up with the nodes' tips, then end.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Follow chains: from the nodes into the log, reorganisations too. A process of its own where `esep run` is too much.

    Goes on from the last event in the log. A node that is starting, synchronising or out of reach is waited for; one that is
    on another network, or has pruned what we need, ends it with exit code 5.

    [dim]esep watch bitcoin --once[/dim]
    """
    settings = settings_of(config)
    unknown = [name for name in chains or [] if name not in settings.chains]
    if unknown:
        raise SettingsError([f"there is no [chains.{name}]" for name in unknown], source="esep watch")
    with App(settings, now) as app:
        named = chains or list(settings.chains)
        if once:
            for name in named:
                say(f"{name}: height {catch_up(app, name)}")
            return
        configure_logs(verbose=True)
        stop = threading.Event()
        with stopped_by_signals(stop):
            run_together({name: follow_chain(app, name, journal_step) for name in named}, stop)


def catch_up(app: App, chain: str) -> int:
    """Follow the chain up to its node's tip; the height reached. Raises SourceError when the node keeps us waiting."""
    with app.connector(chain) as connector, progress(f"catching up with {chain}") as tell:
        for _ in range(10_000_000):
            step: Step = connector.step()
            state = connector.describe()
            if isinstance(step, Idle):
                return step.height
            reason = getattr(step, "reason", None)
            if reason:
                raise SourceError(f"{chain}: {reason}", is_retryable=True)
            height, node_height = state["height"], state["node_height"]
            if isinstance(height, int) and isinstance(node_height, int):
                tell(height, node_height)
    raise SourceError(f"{chain}: the node's tip keeps running away")


def ingest(
    follow: Annotated[bool, typer.Option("--follow", help="Go on following the log until SIGTERM.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring the store up to the log's end, work out the open months, and publish the analysts' copy.

    [dim]esep ingest --follow[/dim]
    """
    with App(settings_of(config), now) as app:
        if follow:
            configure_logs(verbose=True)
            stop = threading.Event()
            with stopped_by_signals(stop):
                run_together({"store": follow_log(app)}, stop)
            return
        app.bring_settings_decisions()
        with app.live_store() as store:
            with progress("ingesting") as tell:
                events = app.fill(store, tell=tell)
            refresh(app, store)
        say(f"{events} event(s) read; published {app.settings.store.published}")


def _ledger(path: Path, kind: LedgerKind, sheet: str | None, config: Path, *, as_json: bool) -> None:
    with App(settings_of(config), now) as app, progress(f"reading {path.name}"):
        done: Imported = app.import_ledger(path, kind, sheet=sheet)
    if as_json:
        print_json(asdict(done))
    else:
        say(f"{done.source}: {done.new} new, {done.restated} restated, {done.unchanged} known already")


def allocations(file: FileArgument, sheet: SheetOption = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """What the pool credited to its miners.

    A file is taken whole or refused whole, with every fault by line (exit code 4). A row that is in the log already is passed
    over, a changed one restates it, and both versions stay. Other headings than ours: [ledger.columns.allocations].

    [dim]esep import allocations october.csv[/dim]
    """
    _ledger(file, "allocations", sheet, config, as_json=as_json)


def payments(file: FileArgument, sheet: SheetOption = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """What the pool's ledger believes it paid.

    As with allocations: whole or not at all, again and again without harm. Other headings than ours: [ledger.columns.payments].

    [dim]esep import payments october.xlsx --sheet Payouts[/dim]
    """
    _ledger(file, "payments", sheet, config, as_json=as_json)


def openings(file: FileArgument, sheet: SheetOption = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """What the pool owed when its records begin (rule 6.4).

    [dim]esep import openings openings.csv[/dim]
    """
    _ledger(file, "openings", sheet, config, as_json=as_json)


def registry(
    folder: Annotated[
        Path, typer.Argument(help="A folder with miners, licences, accounts, wallets, perhaps counterparties.", metavar="DIR")
    ],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """The registry of miners, licences, accounts and wallets: a whole version at a time.

    Each table is a CSV, XLSX or Parquet file of that name. What the rules will raise as issues is printed as warnings.

    [dim]esep import registry registry/[/dim]
    """
    with App(settings_of(config), now) as app, progress(f"reading {folder.name}"):
        done = app.import_registry(folder)
    if as_json:
        print_json(asdict(done))
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in done.rows.items())
    say(f"registry version {done.version} {'imported' if done.is_new else 'is in force already'}: {counts}")
    for warning in done.warnings:
        say(f"  warning: {warning}")


def complete(
    through: Annotated[str, typer.Argument(help="The last day, as 2026-10-31 (Asia/Almaty).", metavar="DAY")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Declare that the ledger holds everything through a day: a month can't close before its last day is declared (rule 8.1).

    [dim]esep import complete 2026-10-31[/dim]
    """
    try:
        day = date.fromisoformat(through)
    except ValueError:
        raise SettingsError([f"DAY: {through!r} is not a day: write it as 2026-10-31"], source="esep import complete") from None
    with App(settings_of(config), now) as app:
        is_new = app.declare_complete(day)
    say(f"the ledger is complete through {day}" + ("" if is_new else ", as was declared before"))
