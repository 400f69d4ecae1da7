"""Chooses how calls inside transactions are traced, from the node's features and the operator's settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.model.message import message

from .errors import NotOffered, NotYetThere
from .features import NodeFeatures, Traces

InternalCalls = Literal["auto", "trace_block", "debug_trace", "ignore"]


@dataclass(frozen=True)
class CallTracing:
    """The method in use. `name` is recorded in the `watch` event."""

    name: str
    traces: Traces | None
    is_untraced_accepted: bool
    why: str
    other_traces: Traces | None = None
    """The other way, where the node offers both: payouts that rest on a trace are compared with it (`trace_check.py`)."""


def choose(wanted: InternalCalls, features: NodeFeatures, node: str) -> CallTracing:
    """The method to use. Raises NotOffered when the one in the settings is not available, NotYetThere when that can't be told yet.

    Without any, a pool of plain accounts can still be followed; payments into contracts can't, and are refused when they occur.
    """
    if wanted == "ignore":
        return CallTracing("ignored", None, True, 'the pool accepts not to see them (internal_calls = "ignore")')
    if wanted in features.undecided_traces or (wanted == "auto" and features.undecided_traces and not features.traces):
        raise NotYetThere(
            message(
                'the node at {node} lacks the state of its newest blocks, so it can\'t be told yet whether it shows calls inside transactions: it is asked again (a node that never shows them: internal_calls = "ignore")',
                node=node,
            )
        )
    if wanted == "auto":
        if features.traces:
            why = f"{features.version} offers {' and '.join(features.traces)}"
            return CallTracing(features.traces[0], features.traces[0], False, why, _other(features, features.traces[0]))
        return CallTracing("not-offered", None, False, f"{features.version} offers neither trace_block nor debug_traceBlockByHash")
    if wanted not in features.traces:
        raise NotOffered(
            f'the node at {node} does not offer {wanted}, which internal_calls asks for: use "auto", or a node that does '
            f"(it offers {' and '.join(features.traces) or 'none'})"
        )
    return CallTracing(wanted, wanted, False, "asked for in the settings", _other(features, wanted))


def _other(features: NodeFeatures, used: Traces) -> Traces | None:
    return next((way for way in features.traces if way != used), None)
