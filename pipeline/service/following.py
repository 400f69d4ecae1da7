"""Follows a chain: as a loop of a running service, or once up to the tip. The only module that reads a connector's steps and status.

Enters: an `App`, a configured chain's name. Leaves: the chain's events in the log (by its connector), metrics, lines in the process's log.
"""

from __future__ import annotations

import threading

import structlog

from pipeline.app.app import App
from pipeline.app.stores import Progress
from pipeline.follow.connector import ChainStatus, Connected, Contradicted, Idle, Reorganised, Step, Waiting, step_name
from pipeline.model.errors import EsepError, SourceError

from .loops import Loop
from .metrics import Metrics

_journal = structlog.get_logger("esep")

MOST_STEPS = 10_000_000
"""Steps after which catching up gives up: the node's tip advances faster than it is followed."""


def follow_chain(app: App, chain: str, metrics: Metrics) -> Loop:
    """The loop that appends a chain's events to the log."""
    name, poll_s = f"{app.pool} {chain}", float(app.settings.chains[chain].poll_s)

    def loop(stop: threading.Event) -> None:
        metrics.health.beat(name, patience_s=poll_s)
        try:
            with app.connector(chain) as connector:

                def on_progress(step: Step) -> None:
                    metrics.health.beat(name, patience_s=poll_s)
                    state = connector.describe()
                    log_step(step, state)
                    count_step(metrics, app.pool, chain, step, state)

                connector.run(stop, on_progress, poll_s=poll_s)
        except EsepError as error:
            metrics.chain_failed(app.pool, chain, error)
            raise

    return loop


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
                    raise SourceError(f"{chain}: {reason}", is_retryable=True)
            state = connector.describe()
            if state.height is not None and state.node_height is not None:
                on_progress(state.height, state.node_height)
    raise SourceError(f"{chain}: the node's tip moves away faster than it is followed")


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
