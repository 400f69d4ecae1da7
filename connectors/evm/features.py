"""What a node offers, found by trying each method on its newest block that has transactions.

Enters: a connection, the node's status, what is known of the node. Leaves: its features. A way is offered when its answer has the right shape there, not when it
is refused. Where the node lacks that block's state, or the block itself (the newest one, at another machine behind the same address), nothing is learnt of the
way: it stays undecided, and is tried again alone. What is known of a node stays known. Left out: when to try again (`node_side.py`), which way of tracing
is used (`call_tracing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from pipeline.model.message import message

from .answers import Listed, number
from .errors import AnswerUnreadable, RpcError
from .rpc import Call, NodeConnection, lacks_state, shows_nothing

Traces = Literal["trace_block", "debug_trace"]
TRACES: tuple[Traces, ...] = ("trace_block", "debug_trace")
"""The ways of tracing, the preferred one first."""
Way = Literal["trace_block", "debug_trace", "receipts", "state_by_hash", "trace_filter", "account_proofs"]
TRACE_TIMEOUT = "120s"
"""What a node may take for one transaction: by default some give up after five seconds."""
CALL_TRACER = {"tracer": "callTracer", "timeout": TRACE_TIMEOUT}
BLOCKS_TRIED = 64
"""The newest blocks among which one with transactions is looked for."""
_NOBODY = "0x" + 40 * "0"


@dataclass(frozen=True)
class NodeStatus:
    """The node's tip and its progress."""

    height: int
    hash: str
    syncing: tuple[int, int] | None
    """The height where a synchronising node is, and the one it is heading for."""
    work: int | None = None
    """Of the whole chain, on a chain of proof of work whose node tells it (`totalDifficulty`)."""


@dataclass(frozen=True)
class NodeFeatures:
    """The optional methods that the node supports."""

    version: str
    traces: tuple[Traces, ...]
    """The methods of tracing calls inside transactions, the preferred one first."""
    block_receipts_by: Literal["hash", "number"] | None
    """How a block is named to `eth_getBlockReceipts`; None where the node does not answer it."""
    has_state_by_hash: bool
    """State can be asked for by a block's hash (EIP-1898)."""
    has_trace_filter: bool
    has_account_proofs: bool
    """What an account held can be proved by the header (EIP-1186)."""
    undecided: tuple[Way, ...] = ()
    """The methods that could not be tried, because the node lacked the state of the block that they were tried on. They count as not offered above."""

    @property
    def has_block_receipts(self) -> bool:
        return self.block_receipts_by is not None

    @property
    def undecided_traces(self) -> tuple[Traces, ...]:
        return tuple(way for way in TRACES if way in self.undecided)

    def may_have(self, way: Literal["trace_filter", "account_proofs"]) -> bool:
        """Whether to ask: offered, or undecided. Who asks does without where it is refused."""
        return way in self.undecided or (self.has_trace_filter if way == "trace_filter" else self.has_account_proofs)


class _Shown(NamedTuple):
    """The block on which the node's methods are tried."""

    height: int
    hash: str
    has_transactions: bool


def probe(connection: NodeConnection, status: NodeStatus, known: NodeFeatures | None) -> NodeFeatures:
    """The node's features. Of a node of which some are `known` only what is undecided is tried."""
    shown = _newest_with_transactions(connection, status)
    calls = _calls(shown)
    if known is not None:
        calls = {name: call for name, call in calls.items() if name in known.undecided}
    found = dict(zip(calls, connection.ask(list(calls.values())), strict=True))
    receipts, is_late = _receipts(connection, shown, found)
    offered = {way for way in _SHAPES if way in found and _has_shape(way, found[way], shown)}
    undecided: list[Way] = [way for way in _SHAPES if way in found and way not in offered and lacks_state(found[way])]
    undecided += ["receipts"] if is_late else []
    version = found.get("version")
    if known is not None:
        said = known.version
    else:
        said = "unknown" if version is None or isinstance(version, RpcError) else connection.read(version, "web3_clientVersion", str)
    return NodeFeatures(
        version=said,
        traces=tuple(way for way in TRACES if way in offered or (known is not None and way in known.traces)),
        block_receipts_by=receipts or (known.block_receipts_by if known is not None else None),
        has_state_by_hash="state_by_hash" in offered or (known is not None and known.has_state_by_hash),
        has_trace_filter="trace_filter" in offered or (known is not None and known.has_trace_filter),
        has_account_proofs="account_proofs" in offered or (known is not None and known.has_account_proofs),
        undecided=tuple(undecided),
    )


_SHAPES: Mapping[Way, bytes] = {
    "trace_block": b"[", "debug_trace": b"[", "state_by_hash": b'"', "trace_filter": b"[", "account_proofs": b"{",
}  # fmt: skip
"""The JSON type of each way's answer, by its first byte."""


def _calls(shown: _Shown) -> dict[str, Call]:
    height, block_hash = hex(shown.height), "0x" + shown.hash
    return {
        "version": ("web3_clientVersion", ()),
        "trace_block": ("trace_block", (height,)),
        "debug_trace": ("debug_traceBlockByHash", (block_hash, CALL_TRACER)),
        "receipts": ("eth_getBlockReceipts", (block_hash,)),
        "state_by_hash": ("eth_getBalance", (_NOBODY, {"blockHash": block_hash})),
        "account_proofs": ("eth_getProof", (_NOBODY, (), height)),
        "trace_filter": ("trace_filter", ({"fromBlock": height, "toBlock": height, "fromAddress": [_NOBODY]},)),
    }


def _has_shape(way: Way, answer: msgspec.Raw | RpcError, shown: _Shown) -> bool:
    return _is_list(answer, is_filled=shown.has_transactions) if way in TRACES else _starts(answer, _SHAPES[way])


def _receipts(
    connection: NodeConnection, shown: _Shown, found: Mapping[str, msgspec.Raw | RpcError]
) -> tuple[Literal["hash", "number"] | None, bool]:
    """How a block is named to `eth_getBlockReceipts`, and whether that can't be told yet."""
    by_hash = found.get("receipts")
    if by_hash is None:
        return None, False
    if _is_list(by_hash, is_filled=shown.has_transactions):
        return "hash", False
    by_number = connection.ask([("eth_getBlockReceipts", (hex(shown.height),))])[0]
    if _is_list(by_number, is_filled=shown.has_transactions):
        return "number", False
    return None, lacks_state(by_hash) or lacks_state(by_number)


def _newest_with_transactions(connection: NodeConnection, status: NodeStatus) -> _Shown:
    """Of the newest blocks one that has transactions, or else the tip."""
    heights = range(status.height, max(-1, status.height - BLOCKS_TRIED), -1)
    for answer in connection.ask([("eth_getBlockByNumber", (hex(height), False)) for height in heights]):
        if isinstance(answer, RpcError) or is_null(answer):
            continue
        block = connection.read(answer, "eth_getBlockByNumber", Listed)
        if block.transactions:
            try:
                height = number(block.number)
            except ValueError as error:
                raise AnswerUnreadable(message("{field} at {name}: {error}", field=message("number of a block"), name=connection.name, error=error)) from error  # fmt: skip
            return _Shown(height, block.hash[2:].lower(), has_transactions=True)
    return _Shown(status.height, status.hash, has_transactions=False)


def _starts(answer: msgspec.Raw | RpcError, mark: bytes) -> bool:
    """Whether it is an answer of that JSON type."""
    return not isinstance(answer, RpcError) and bytes(answer).lstrip().startswith(mark)


def _is_list(answer: msgspec.Raw | RpcError, *, is_filled: bool) -> bool:
    """Whether it is a list, with at least one entry where `is_filled`."""
    return _starts(answer, b"[") and not (is_filled and isinstance(answer, msgspec.Raw) and shows_nothing(answer))


def is_null(answer: msgspec.Raw | RpcError) -> bool:
    return not isinstance(answer, RpcError) and bytes(answer) == b"null"
