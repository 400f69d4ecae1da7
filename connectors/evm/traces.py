"""Decodes the two trace formats of nodes into `Calls`. Pure.

Enters: the answer to `debug_traceBlockByHash` with callTracer (a tree a transaction), or to `trace_block` (a list with paths). Leaves: for
each transaction of the block, in order, the calls that move value and were not undone. A failed frame takes all under it along.
DELEGATECALL, STATICCALL and CALLCODE move nothing to another account. Calls of precompiled contracts without value are not
counted in paths: some nodes show them and some don't. A transaction's own value is not here (path ()).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from connectors.transport.json_rpc import decode_deep
from pipeline.chains.evm.address import to_checksum
from pipeline.model.typed import decoder

from .answers import number
from .movements import Call, Calls
from .netting import MAX_UNITS

_PRECOMPILED = frozenset(range(1, 0x14)) | {0x100}
_Traced = TypeVar("_Traced")
_MOVING = frozenset(("CALL", "CREATE", "CREATE2", "SELFDESTRUCT"))


class Untraced(NamedTuple):
    """In place of a transaction's calls: why they can't be read."""

    why: str


class Frame(msgspec.Struct, rename="camel"):
    """A frame of callTracer."""

    type: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    value: str | None = None
    error: str | None = None
    calls: list[Frame] | None = None


class TracedTransaction(msgspec.Struct, rename="camel"):
    """callTracer's answer for one transaction of a block."""

    result: Frame | None = None
    error: str | None = None
    tx_hash: str | None = None


class Action(msgspec.Struct, rename="camel"):
    """What a frame of `trace_block` did."""

    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    value: str | None = None
    call_type: str | None = None
    address: str | None = None
    refund_address: str | None = None
    balance: str | None = None


class Created(msgspec.Struct):
    """What a creation made."""

    address: str | None = None


class FlatTrace(msgspec.Struct, rename="camel"):
    """A frame of `trace_block`."""

    type: str | None = None
    action: Action | None = None
    trace_address: list[int] = []
    error: str | None = None
    result: Created | None = None
    block_hash: str | None = None
    transaction_hash: str | None = None
    transaction_position: int | None = None


class _Node:
    """A frame, whichever node it came from."""

    __slots__ = ("children", "is_failed", "kind", "recipient", "sender", "value")

    def __init__(self, kind: str, sender: str | None, recipient: str | None, value: str | None, is_failed: bool) -> None:
        self.kind, self.sender, self.recipient = kind, sender, recipient
        self.value = number(value) if value and kind in _MOVING else 0
        if self.value > MAX_UNITS:
            raise ValueError(f"a call from {sender} moves {self.value} base units, more than any chain has")
        self.is_failed = is_failed
        self.children: list[_Node] = []

    @property
    def is_precompiled(self) -> bool:
        return self.value == 0 and self.recipient is not None and int(self.recipient, 16) in _PRECOMPILED and not self.children


def calls_of_tree(frame: Frame) -> Calls:
    """The calls of a transaction from callTracer's tree. Raises ValueError for what can't be read."""
    root = _node_of(frame)
    todo = [(root, frame)]
    while todo:
        node, parent = todo.pop()
        for child in parent.calls or ():
            below = _node_of(child)
            node.children.append(below)
            todo.append((below, child))
    return Calls(root.is_failed, list(_value_calls(root)))


def _node_of(frame: Frame) -> _Node:
    if frame.type is None:
        raise ValueError("a frame has no type")
    return _Node(frame.type.upper(), frame.sender, frame.to, frame.value, frame.error is not None)


def calls_of_list(traces: Sequence[FlatTrace]) -> Calls:
    """The calls of a transaction from `trace_block`'s list. Raises ValueError when a frame's parent is missing."""
    nodes: dict[tuple[int, ...], _Node] = {}
    for trace in sorted(traces, key=lambda trace: trace.trace_address):
        path, action = tuple(trace.trace_address), trace.action
        failed = trace.error is not None
        if action is None:
            raise ValueError(f"the trace {list(path)} has no action")
        match trace.type:
            case "call":
                node = _Node((action.call_type or "call").upper(), action.sender, action.to, action.value, failed)
            case "create":
                node = _Node("CREATE", action.sender, trace.result.address if trace.result else None, action.value, failed)
            case "suicide" | "selfdestruct":
                node = _Node("SELFDESTRUCT", action.address, action.refund_address, action.balance, failed)
            case _:
                raise ValueError(f"a trace of type {trace.type!r} is not known to this program")
        if path in nodes:
            raise ValueError(f"two traces have the path {list(path)}")
        nodes[path] = node
        if path:
            if path[:-1] not in nodes:
                raise ValueError(f"the trace {list(path)} has no parent")
            nodes[path[:-1]].children.append(node)
    if () not in nodes:
        raise ValueError("the transaction's own frame is missing")
    return Calls(nodes[()].is_failed, list(_value_calls(nodes[()])))


def _value_calls(root: _Node) -> Iterator[Call]:
    """Calls with value below the root, in the order in which they began, without reverted ones."""
    todo: list[tuple[_Node, tuple[int, ...]]] = [(root, ())]
    while todo:
        node, path = todo.pop()
        if node.is_failed:
            continue
        if path and node.value:
            if not node.sender or not node.recipient:
                raise ValueError(f"the call {list(path)} moves {node.value} and does not say between whom")
            yield Call(path, to_checksum(node.sender), to_checksum(node.recipient), node.value)
        shown = [child for child in node.children if not child.is_precompiled]
        todo += [(child, (*path, place)) for place, child in reversed(list(enumerate(shown)))]


def calls_by_transaction(traces: Sequence[FlatTrace], block_hash: str, txids: Sequence[str]) -> list[Calls | Untraced]:
    """The calls of each transaction of a block, in order, from `trace_block`. Raises ValueError when they are not that block's.

    A transaction whose frames are missing or can't be read is an `Untraced`.
    """
    grouped: dict[int, list[FlatTrace]] = defaultdict(list)
    for trace in traces:
        if trace.block_hash is not None and trace.block_hash[2:].lower() != block_hash:
            raise ValueError(f"a trace is of block {trace.block_hash}")
        if trace.type == "reward" or trace.transaction_position is None:
            continue
        place = trace.transaction_position
        if not 0 <= place < len(txids) or (trace.transaction_hash is not None and trace.transaction_hash[2:].lower() != txids[place]):
            raise ValueError(f"a trace is of transaction {trace.transaction_hash} at place {place}, which the block has not there")
        grouped[place].append(trace)
    if not grouped and txids:
        raise ValueError(f"0 of {len(txids)} transactions are traced")
    return [_or_why(calls_of_list, grouped[place]) for place in range(len(txids))]


def _or_why(read: Callable[[_Traced], Calls], traced: _Traced) -> Calls | Untraced:
    try:
        return read(traced)
    except ValueError as error:
        return Untraced(str(error))


def calls_of_trees(answers: Sequence[TracedTransaction], txids: Sequence[str]) -> list[Calls | Untraced]:
    """The calls of each transaction of a block, in order, from callTracer. Raises ValueError when they are not that block's.

    A transaction that the node could not trace, or whose frames can't be read, is an `Untraced`.
    """
    if len(answers) != len(txids):
        raise ValueError(f"{len(answers)} of {len(txids)} transactions are traced")
    found: list[Calls | Untraced] = []
    for answer, txid in zip(answers, txids, strict=True):
        if answer.tx_hash is not None and answer.tx_hash[2:].lower() != txid:
            raise ValueError(f"the trace of {answer.tx_hash} stands in place of {txid}'s")
        if answer.result is None:
            found.append(Untraced(f"it could not be traced: {answer.error}"))
        else:
            found.append(_or_why(calls_of_tree, answer.result))
    return found


def decode_nested(answer: msgspec.Raw, kind: Any) -> Any:
    """Decode an answer that may be nested as deep as calls can be."""
    return decode_deep(decoder(kind).decode, answer)
