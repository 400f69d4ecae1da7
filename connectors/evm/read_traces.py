"""The calls inside a block's transactions, by whichever way of tracing shows them.

Enters: a block, the ways that the node offers. Leaves: the calls of each transaction. Where one way refuses the block or shows a transaction in a form that
can't be read, the other way is asked. A stranger's transaction that neither shows is counted as one without calls, and told once, in the journal and by `esep nodes`: what the
pool's accounts hold is compared all the same, so a payment hidden in it does not pass unseen. A transaction that the block needs must be shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.errors import SourceError
from pipeline.model.journal import Journal

from .answers import RawHeader
from .errors import NodeBusy, NodeUnreachable, NotShown
from .movements import Calls
from .node import Node
from .traces import Untraced
from .watching import Watching

_journal = Journal("evm")


def traced_calls(node: Node, header: RawHeader, txids: Sequence[str], watching: Watching, *, needed: frozenset[int]) -> list[Calls]:
    """The calls of each transaction, in order. `needed`: places of the pool's own transactions in which code ran.

    Raises NotShown when one of those is shown in neither way, and what `Node.calls` raises when no way shows the block.
    """
    assert watching.traces is not None
    found = _calls(node, header, txids, watching)
    unread = [place for place, calls in enumerate(found) if isinstance(calls, Untraced)]
    if unread and watching.other_traces is not None:
        try:
            other = node.calls(header, txids, watching.other_traces)
        except (NodeBusy, NodeUnreachable):
            raise
        except SourceError as error:
            _journal.warning("other-trace-not-read", way=watching.other_traces, height=header.height, detail=str(error))
        else:
            node.traced_otherwise.add(header.hash)
            for place in unread:
                found[place] = other[place]
    checked = []
    for place, calls in enumerate(found):
        if isinstance(calls, Untraced):
            if place in needed:
                why = f"the traces of block {header.height} {header.hash} at {node.name}: transaction {txids[place]}: {calls.why}"
                raise NotShown(why, txids[place])
            if (header.hash, txids[place]) not in node.told_untraced:
                node.told_untraced[header.hash, txids[place]] = f"block {header.height}, transaction {txids[place]}: {calls.why}"
                _journal.warning("transaction-not-traced", node=node.name, height=header.height, txid=txids[place], detail=calls.why)
            checked.append(Calls(is_failed=False, inner=()))
        else:
            checked.append(calls)
    return checked


def _calls(node: Node, header: RawHeader, txids: Sequence[str], watching: Watching) -> list[Calls | Untraced]:
    """By the way in use; by the other one where that refuses the block."""
    assert watching.traces is not None
    try:
        return node.calls(header, txids, watching.traces)
    except (NodeBusy, NodeUnreachable):
        raise
    except SourceError as error:
        if watching.other_traces is None:
            raise
        _journal.warning("trace-refused", node=node.name, way=watching.traces, height=header.height, detail=str(error))
        try:
            found = node.calls(header, txids, watching.other_traces)
        except SourceError as other:
            _journal.warning("other-trace-not-read", way=watching.other_traces, height=header.height, detail=str(other))
            raise error from other
        node.traced_otherwise.add(header.hash)
        return found
