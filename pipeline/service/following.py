"""Follows a chain: as a loop of a running service, or once up to the tip. The only module that reads a connector's steps and status.

Enters: an `App`, a configured chain's name. Leaves: the chain's events in the log (by its connector), metrics, lines in the process's log, news for
`esep status` (`chain_notes`). One chain's trouble never ends another's loop.
"""

from __future__ import annotations

import threading

from pipeline.app.app import App
from pipeline.app.stores import Progress
from pipeline.follow.connector import ChainConnector, ChainStatus, Connected, Contradicted, Idle, Reorganised, Step, Waiting, step_name
from pipeline.model.errors import DiskError, EsepError, HistoryBroken, LogError, SourceError
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .chain_notes import ChainNotes
from .loops import Loop
from .metrics import Metrics

_journal = Journal("esep")

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
"""Seconds between two tries of a chain that fails."""
MOST_STEPS = 10_000_000
"""Steps after which catching up gives up: the node's tip advances faster than it is followed."""


def follow_chain(app: App, chain: str, metrics: Metrics, *, first_pause_s: float = FIRST_PAUSE_S) -> Loop:
    """The loop that appends a chain's events to the log, until it is asked to stop.

    What goes wrong with this chain alone (its node, its settings, its history in the log, a defect met on its blocks) is logged, shown by
    `esep status` and the probes, and tried again after a wait that doubles from `first_pause_s` to `LONGEST_PAUSE_S`; the other chains go on.
    What concerns all loops is raised: a second writer, a log or a disk that fails.
    """
    name, poll_s = f"{app.pool} {chain}", float(app.settings.chains[chain].poll_s)
    notes = ChainNotes(app.settings.var, chain, app.now)
    pause_s = first_pause_s

    def follow(connector: ChainConnector, stop: threading.Event) -> None:
        def on_progress(step: Step) -> None:
            nonlocal pause_s
            is_waiting = isinstance(step, Waiting)
            if not is_waiting:
                pause_s = first_pause_s
            metrics.health.beat(name, patience_s=poll_s)
            state = connector.describe()
            log_step(step, state)
            count_step(metrics, app.pool, chain, step, state)
            notes.tell(step.reason if isinstance(step, Waiting) else None, state)

        connector.run(stop, on_progress, poll_s=poll_s)

    def failed(error: Exception, connector: ChainConnector | None) -> None:
        is_known = isinstance(error, EsepError)
        words = str(error) if is_known else f"a defect of the program, {type(error).__name__}: {error}; the process's log has its place"
        metrics.chain_failed(app.pool, chain, words)
        notes.tell(words, connector.describe() if connector is not None else None)
        if not concerns_all(error):
            _journal.error("chain-failed", chain=chain, error=words, next_try_s=pause_s, exc_info=None if is_known else error)

    def loop(stop: threading.Event) -> None:
        nonlocal pause_s
        connector: ChainConnector | None = None
        try:
            while not stop.is_set():
                metrics.health.beat(name, patience_s=poll_s)
                try:
                    connector = connector or app.connector(chain)
                    follow(connector, stop)
                except Exception as error:
                    failed(error, connector)
                    if concerns_all(error):
                        raise
                    if connector is not None and not isinstance(error, SourceError):
                        connector.close()
                        connector = None
                    metrics.health.beat(name, patience_s=pause_s)
                    stop.wait(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            if connector is not None:
                connector.close()

    return loop


def concerns_all(error: Exception) -> bool:
    """Whether an error is of more than one chain: a second writer, a log or a disk that fails, no memory left."""
    return isinstance(error, LogError | DiskError | MemoryError) and not isinstance(error, HistoryBroken)


def catch_up(app: App, chain: str, on_progress: Progress) -> int:
    """Follow the chain up to its node's tip; the height reached. `on_progress`: the log's height and the node's, after each step.

    Raises SourceError if the node is not ready.
    """
    with app.connector(chain) as connector:
        for _ in range(MOST_STEPS):
            match connector.step():
                case Idle(height):
                    return height
                case Waiting(reason):
                    raise SourceError(message("{chain}: {reason}", chain=chain, reason=reason), is_retryable=True)
            state = connector.describe()
            if state.height is not None and state.node_height is not None:
                on_progress(state.height, state.node_height)
    raise SourceError(message("{chain}: the node's tip moves away faster than it is followed", chain=chain))


def count_step(metrics: Metrics, pool: str, chain: str, step: Step, state: ChainStatus) -> None:
    """Record a chain's step in the metrics."""
    metrics.chain_stepped(
        pool,
        chain,
        step_name(step),
        height=state.height,
        node_height=state.node_height,
        n_disconnected=getattr(step, "n_disconnected", 0),
        trouble=step.reason if isinstance(step, Waiting) else None,
    )
    metrics.nodes_seen(pool, chain, state.nodes, state.witnessed_to_height)


def log_step(step: Step, state: ChainStatus) -> None:
    """Log a chain's step to the process's log; nothing if it found nothing new."""
    where = {"chain": state.chain, "height": state.height, "node_height": state.node_height}
    match step:
        case Idle():
            pass
        case Connected(n_blocks):
            _journal.info("connected", blocks=n_blocks, **where)
        case Reorganised(left, joined):
            _journal.warning("reorganised", left=left, joined=joined, **where)
        case Waiting(reason):
            _journal.info("waiting", reason=reason, **where)
        case Contradicted():
            _journal.warning("contradicted", detail=str(step), **where)
        case _:
            _journal.info(step_name(step), detail=str(step), **where)
