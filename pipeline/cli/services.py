"""`esep run`, `watch`, `ingest`: the processes that follow chains, fill the store and close months."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from pipeline.app.app import App
from pipeline.app.closer import sole_closer
from pipeline.app.open_log import is_on_kafka, open_leases
from pipeline.log.lease import LocalLeases, PoolLease
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.service.following import catch_up, follow_chain
from pipeline.service.health import Health, Limits
from pipeline.service.inbox import follow_inbox
from pipeline.service.loops import follow_log, refresh, run_loops, stopped_by_signals
from pipeline.service.metrics import Metrics
from pipeline.service.probes import serve_probes
from pipeline.service.share import share_pools
from pipeline.service.sources import source_loop
from pipeline.settings import Settings
from pipeline.settings.models import MetricsSettings

from .frame import (
    DEFAULT_CONFIG,
    DEFAULT_CONFIGS,
    ConfigOption,
    ConfigsOption,
    now,
    progress,
    say,
    settings_of,
)
from .logs import configure_logs

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        envvar="ESEP_LISTEN",
        help="Serve /metrics, /healthz and /readyz here, instead of \\[metrics] listen.",
        metavar="HOST:PORT",
    ),
]


def run(listen: ListenOption = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run everything in one process: follow all chains, fill the store, publish the analysts' copy, and close months where
    [closing] in_run is true. Ends cleanly on SIGTERM.

    Logs to stderr, as JSON when that is no terminal. Import files, label, waive and freeze meanwhile from another
    terminal: they go through the log.

    [dim]esep run[/dim]
    """
    configure_logs(verbose=True)
    settings = settings_of(config)
    metrics = measured(settings.metrics)
    stop = threading.Event()
    with ExitStack() as held:
        check = held.enter_context(sole_closer(settings)) if settings.closing.in_run else None
        app = held.enter_context(App(settings, now))
        loops = {name: follow_chain(app, name, metrics) for name in settings.chains} | {"store": follow_log(app, metrics)}
        if check is not None:
            from pipeline.service.closing import close_in_run

            loops["closing"] = close_in_run(app, check, metrics)
        loops |= {f"source {name}": source_loop(app, name, metrics) for name in settings.sources}
        if settings.console.listen:
            from pipeline.web.serve import console_loop  # FastAPI takes half a second to import

            loops["console"] = console_loop(app, metrics)
        if settings.inbox.folder is not None:
            loops["inbox"] = follow_inbox(app, metrics)
        held.enter_context(probes(metrics, settings.metrics, listen))
        with stopped_by_signals(stop):
            run_loops(loops, stop)


def watch(
    chains: Annotated[list[str] | None, typer.Argument(help="The chains to follow; all when not given.", metavar="CHAIN")] = None,
    once: Annotated[bool, typer.Option("--once", help="Catch up with the nodes' tips, then end.")] = False,
    listen: ListenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Follow chains: from the nodes into the log, reorganisations too. A process of its own where `esep run` is too much.

    Goes on from the last event in the log. A node that is starting, synchronising or out of reach is waited for. Any other
    trouble of a chain is told, shown by `esep status`, and tried again; the other chains go on. With --once it ends the
    command with its exit code.

    [dim]esep watch bitcoin --once[/dim]
    """
    settings = settings_of(config)
    unknown = [name for name in chains or [] if name not in settings.chains]
    if unknown:
        raise SettingsError([message("there is no [chains.{name}]", name=name) for name in unknown], source="esep watch")
    with App(settings, now) as app:
        named = chains or list(settings.chains)
        if once:
            for name in named:
                with progress(message("catching up with {name}", name=name)) as on_progress:
                    height = catch_up(app, name, on_progress)
                say(message("{name}: height {height}", name=name, height=height))
            return
        configure_logs(verbose=True)
        stop, metrics = threading.Event(), measured(settings.metrics)
        with stopped_by_signals(stop), probes(metrics, settings.metrics, listen):
            run_loops({name: follow_chain(app, name, metrics) for name in named}, stop)


def ingest(
    follow: Annotated[bool, typer.Option("--follow", help="Go on following the log until SIGTERM.")] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Share the pools with other processes that were given the same ones; follows. Needs Kafka.")
    ] = False,
    listen: ListenOption = None,
    config: ConfigsOption = DEFAULT_CONFIGS,
) -> None:
    """Bring the store up to the log's end, work out the open months, and publish the analysts' copy.

    Several pools: say --config several times, or name a folder of settings files (*.toml). With --share, any number of
    processes on any machines, each given the same pools, divide them up: a pool is filled by one of them at a time, and by
    another when that one ends. A pool that fails is tried again, and does not disturb the others.

    [dim]esep ingest --follow[/dim]

    [dim]esep ingest --share --config /etc/esep/pools[/dim]
    """
    paths = settings_files(config)
    if share or (follow and len(paths) > 1):
        _ingest_pools(paths, listen, is_shared=share)
        return
    for path in paths:
        settings = settings_of(path)
        metrics = measured(settings.metrics)
        with App(settings, now) as app:
            if follow:
                configure_logs(verbose=True)
                stop = threading.Event()
                with stopped_by_signals(stop), probes(metrics, settings.metrics, listen):
                    run_loops({"store": follow_log(app, metrics)}, stop)
                return
            app.decisions.record_settings_labels()
            with app.stores.live() as store:
                with progress(message("ingesting")) as on_progress:
                    events = app.stores.fill(store, on_progress=on_progress)
                refresh(app, store, metrics, PoolLease(app.pool))
            say(message("{events} event(s) read; published {published}", events=events, published=app.settings.store.published))


def _ingest_pools(paths: list[Path], listen: str | None, *, is_shared: bool) -> None:
    """Follow the log for several pools; `is_shared`: only those whose lease this process gets."""
    pools = pools_of(paths)
    configure_logs(verbose=True)
    first = next(iter(pools.values()))
    metrics = measured(first.metrics)
    stop = threading.Event()
    if is_shared and not is_on_kafka(first):
        raise SettingsError(
            [message("--share: the log is not on Kafka: leave --share out, one process fills all pools")], source="esep ingest"
        )
    leases = open_leases(first, list(pools)) if is_shared else LocalLeases(list(pools))
    with stopped_by_signals(stop), probes(metrics, first.metrics, listen):
        share_pools({key: partial(App, settings, now) for key, settings in pools.items()}, leases, metrics, stop)


def settings_files(configs: list[Path]) -> list[Path]:
    """The settings files named; of a folder every *.toml in it. Raises SettingsError for an empty folder."""
    found: list[Path] = []
    for path in configs:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise SettingsError([message("{path} has no settings file (*.toml) in it", path=path)], source="--config")
        found += inside
    return list(dict.fromkeys(found))


def pools_of(paths: list[Path]) -> dict[str, Settings]:
    """The settings by pool. Raises SettingsError if two are of one pool, share a store, or use different logs."""
    found: dict[str, Settings] = {}
    faults: list[str] = []
    for path in paths:
        settings = settings_of(path)
        for other in found.values():
            if other.pool.key == settings.pool.key:
                faults.append(message("{path}: pool.key: {key} is another file's too", path=path, key=repr(settings.pool.key)))
            if settings.store.path == other.store.path or settings.store.published == other.store.published:
                faults.append(
                    message(
                        "{path}: store: is the store of pool {key} too: give each pool a var of its own",
                        path=path,
                        key=repr(other.pool.key),
                    )
                )
            if not settings.log.startswith("kafka:") and settings.log_path.resolve() == other.log_path.resolve():
                faults.append(
                    message(
                        "{path}: log: is the log of pool {key} too: a log in a file is one pool's, give each pool a var of its own",
                        path=path,
                        key=repr(other.pool.key),
                    )
                )
            if settings.metrics.listen != other.metrics.listen:
                faults.append(
                    message(
                        "{path}: metrics.listen: differs from that of pool {key}: one process has one address",
                        path=path,
                        key=repr(other.pool.key),
                    )
                )
            if settings.log.startswith("kafka:") and settings.log != other.log:
                faults.append(
                    message(
                        "{path}: log: differs from that of pool {key}: pools of one process lie in one cluster, under one prefix",
                        path=path,
                        key=repr(other.pool.key),
                    )
                )
        found[settings.pool.key] = settings
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)), source="esep ingest")
    return found


def measured(settings: MetricsSettings) -> Metrics:
    """The process's metrics, in a registry of their own."""
    limits = Limits(float(settings.stalled_after_s), settings.ready_lag_events, settings.ready_lag_blocks)
    return Metrics(CollectorRegistry(), Health(time.monotonic, limits), version=version("esep"))


def probes(metrics: Metrics, settings: MetricsSettings, listen: str | None) -> AbstractContextManager[str]:
    """Serve the process's metrics where the settings, or `--listen`, say."""
    return serve_probes(settings.listen if listen is None else listen, metrics)
