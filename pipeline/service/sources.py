"""The loop of one source of the ledger: it is looked at, or it is pushed and its API served."""

from __future__ import annotations

from pipeline.app.app import App

from .capturing import capture_source
from .loops import Loop
from .metrics import Metrics


def source_loop(app: App, source: str, metrics: Metrics) -> Loop:
    """The loop of one source: it is looked at, or it is pushed and its API served."""
    if app.settings.sources[source].kind == "push":
        # FastAPI takes half a second to import: only processes that serve it do.
        from .push import push_loop

        return push_loop(app, source, metrics)
    return capture_source(app, source, metrics)
