"""Both forms of a node's traces give the same calls."""

from __future__ import annotations

import json

import msgspec
import pytest

from connectors.evm.movements import Call, Calls
from connectors.evm.traces import (
    FlatTrace,
    Frame,
    TracedTransaction,
    Untraced,
    calls_by_transaction,
    calls_of_list,
    calls_of_tree,
    calls_of_trees,
    decode_nested,
)

PRECOMPILED = "0x" + 39 * "0" + "2"
A, B, C = ("0x" + digit * 40 for digit in "123")


def frame(kind: str, sender: str, to: str, value: int, *calls: dict, error: str | None = None) -> dict:
    return {"type": kind, "from": sender, "to": to, "value": hex(value), "calls": list(calls), **({"error": error} if error else {})}


def flat(path: list[int], kind: str, action: dict[str, str], *, error: str | None = None, made: str | None = None) -> FlatTrace:
    told = {"type": kind, "traceAddress": path, "action": action, "result": {"address": made} if made else None, "error": error}
    return msgspec.convert(told, FlatTrace)


TREE = frame(
    "CALL", A, B, 9,
    frame("STATICCALL", B, PRECOMPILED, 0),
    frame("CALL", B, C, 5, frame("CALL", C, A, 1), error="execution reverted"),
    frame("DELEGATECALL", B, C, 9, frame("CALL", B, A, 2)),
    frame("CREATE2", B, C, 3, frame("SELFDESTRUCT", C, A, 4)),
    frame("CALLCODE", B, C, 8),
)  # fmt: skip
LIST = [
    flat([], "call", {"from": A, "to": B, "value": "0x9", "callType": "call"}),
    flat([0], "call", {"from": B, "to": C, "value": "0x5", "callType": "call"}, error="Reverted"),
    flat([0, 0], "call", {"from": C, "to": A, "value": "0x1", "callType": "call"}),
    flat([1], "call", {"from": B, "to": C, "value": "0x9", "callType": "delegatecall"}),
    flat([1, 0], "call", {"from": B, "to": A, "value": "0x2", "callType": "call"}),
    flat([2], "create", {"from": B, "value": "0x3"}, made=C),
    flat([2, 0], "suicide", {"address": C, "refundAddress": A, "balance": "0x4"}),
    flat([3], "call", {"from": B, "to": C, "value": "0x8", "callType": "callcode"}),
]
EXPECTED = [Call((1, 0), B, A, 2), Call((2,), B, C, 3), Call((2, 0), C, A, 4)]


def test_undone_and_borrowed_calls_move_nothing_in_either_form() -> None:
    tree = calls_of_tree(msgspec.convert(TREE, Frame))
    listed = calls_of_list(LIST)
    assert tree.inner == listed.inner == EXPECTED
    assert not tree.is_failed and not listed.is_failed


def test_a_precompiled_contract_that_is_listed_is_not_counted_either() -> None:
    shifted = [
        msgspec.structs.replace(trace, trace_address=[trace.trace_address[0] + 1, *trace.trace_address[1:]])
        if trace.trace_address
        else trace
        for trace in LIST
    ]
    shifted.append(flat([0], "call", {"from": B, "to": PRECOMPILED, "value": "0x0", "callType": "staticcall"}))
    assert calls_of_list(shifted).inner == EXPECTED


def test_a_failed_transaction_moves_nothing() -> None:
    failed = calls_of_tree(msgspec.convert({**TREE, "error": "out of gas"}, Frame))
    assert failed.is_failed and failed.inner == []


@pytest.mark.parametrize(
    ("traces", "reason"),
    [
        ([LIST[0], LIST[2]], "has no parent"),
        (LIST[1:], "has no parent"),
        ([LIST[0], LIST[0]], "two traces"),
        ([flat([], "weird", {})], "not known"),
    ],
)
def test_a_list_that_does_not_hang_together_is_refused(traces: list[FlatTrace], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        calls_of_list(traces)


def test_traces_of_another_block_or_of_too_few_transactions_are_refused() -> None:
    of_block = [msgspec.structs.replace(trace, block_hash="0x" + "aa" * 32, transaction_position=0) for trace in LIST]
    assert calls_by_transaction(of_block, "aa" * 32, ["11" * 32])[0] == Calls(is_failed=False, inner=EXPECTED)
    with pytest.raises(ValueError, match="is of block"):
        calls_by_transaction(of_block, "bb" * 32, ["11" * 32])
    first, second = calls_by_transaction(of_block, "aa" * 32, ["11" * 32, "22" * 32])
    assert isinstance(first, Calls) and second == Untraced("the transaction's own frame is missing")
    with pytest.raises(ValueError, match="1 of 2 transactions"):
        calls_of_trees([TracedTransaction(result=msgspec.convert(TREE, Frame))], ["11" * 32, "22" * 32])
    with pytest.raises(ValueError, match="stands in place"):
        calls_of_trees([TracedTransaction(result=msgspec.convert(TREE, Frame), tx_hash="0x" + "22" * 32)], ["11" * 32])
    assert calls_of_trees([TracedTransaction(error="late")], ["11" * 32]) == [Untraced("it could not be traced: late")]


def test_calls_a_thousand_deep_are_read() -> None:
    raw = b'{"type":"CALL","from":"%s","to":"%s","value":"0x1","calls":[' % (A.encode(), B.encode()) * 1023
    raw += json.dumps(frame("CALL", A, B, 1)).encode() + b"]}" * 1023
    calls = calls_of_tree(decode_nested(msgspec.Raw(raw), Frame))
    assert len(calls.inner) == 1023 and len(calls.inner[-1].path) == 1023
