"""A payout inside a transaction has two witnesses: both ways of tracing, or a trace and the recipients' balances. What differs is told, and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm import Contradicted, EvmConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events import decode
from pipeline.log.events.chain import Connect, Doubt, Transaction

from ..simulation.evm_world import BATCH, NodeFault, Served, Spend, World, address
from .test_evm_node_troubles import connector

HOT, PAID, UNDONE = address(1), to_checksum(address(30)), to_checksum(address(31))


@pytest.fixture
def world() -> World:
    world = World(5)
    world.mine()
    # The batch pays one miner two; its call to the other with four was undone, and it keeps the money.
    world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(30), 2)])])
    world.mine([Spend(HOT, address(32), 9)])
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def undone_is_shown_as_paid(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Erigon and Besu list a call that ran out of gas inside: without its error."""
    batch = next((frame for frame in frames if frame["action"]["to"] == BATCH), None)
    if batch is None:
        return frames
    paid = {**batch, "traceAddress": [1], "action": {**batch["action"], "from": BATCH, "to": address(31), "value": "0x4"}}
    return [*frames, paid]


def lying(served: Served, *, offers: tuple[str, ...] = ("trace_block", "debug_traceBlockByHash"), has_state: bool = True) -> None:
    """A node whose `trace_block` tells the undone call as paid."""

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method.startswith(("trace_", "debug_")) and method not in offers:
            raise NodeFault(-32601, f"the method {method} does not exist/is not available")
        if method == "eth_getBalance" and not has_state:
            raise NodeFault(-32000, "missing trie node")
        found = answer(method, params)
        return undone_is_shown_as_paid(found) if method == "trace_block" else found

    served.between = between


def read_on(evm: EvmConnector) -> None:
    while not isinstance(step := evm.step(), Idle):
        assert not isinstance(step, Contradicted), step


def paid_and_doubts(log: MemoryLog) -> tuple[dict[str, int], list[Doubt]]:
    events = [decode(record.value) for record in log.read({})]
    paid: list[Transaction] = [one for event in events if isinstance(event, Connect) for one in event.transactions if event.height == 2]
    outputs = {output.address or "": int(output.value) for one in paid for output in one.outputs if output.wallet is None}
    return outputs, [event for event in events if isinstance(event, Doubt)]


TRUTH = {to_checksum(BATCH): 4, PAID: 2}
LIE = {PAID: 2, UNDONE: 4}


def test_of_two_ways_that_differ_the_one_that_balances_agree_with_is_told(served: Served, world: World) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        lying(served)
        read_on(evm)
        for _ in range(8):  # the block becomes final, and is read again: nothing new is said of it
            world.mine()
            read_on(evm)
    paid, [doubt] = paid_and_doubts(log)
    assert paid == TRUTH
    assert doubt.txid == world.blocks[2].body["transactions"][0]["hash"][2:]
    assert (doubt.height, doubt.hash) == (2, world.blocks[2].hash[2:])
    assert f"{UNDONE} gets 4 or 0 of ETH" in doubt.detail
    assert "what debug_trace shows is told, as the recipients' balances say" in doubt.detail


def test_the_way_in_use_is_told_when_it_is_the_right_one(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log, internal_calls="debug_trace") as evm:
        lying(served)
        read_on(evm)
    paid, [doubt] = paid_and_doubts(log)
    assert paid == TRUTH
    assert "what debug_trace shows is told, as the recipients' balances say" in doubt.detail


def test_with_one_way_alone_the_recipients_balances_contradict_it(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        lying(served, offers=("trace_block",))
        read_on(evm)
    paid, [doubt] = paid_and_doubts(log)
    assert paid == LIE
    assert f"{UNDONE} gets 4 wei in the block, and its balance changes by 0" in doubt.detail


def test_without_balances_two_ways_that_differ_are_told_as_such(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        lying(served, has_state=False)
        read_on(evm)
    paid, [doubt] = paid_and_doubts(log)
    assert paid == LIE
    assert "what trace_block shows is told, and the node can't tell the recipients' balances any more" in doubt.detail


def test_an_other_way_that_fails_gives_way_to_the_balances(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        lying(served)
        evm.step()
        honest = served.between

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method.startswith("debug_"):
                raise NodeFault(-32000, "execution timeout")
            return honest(method, params, answer)

        served.between = between
        served.world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(30), 2)])])
        read_on(evm)
    doubts = paid_and_doubts(log)[1]
    assert [doubt.height for doubt in doubts] == [2, 4]
    assert "shows what balances contradict" in doubts[1].detail


@pytest.mark.parametrize("offers", [("trace_block", "debug_traceBlockByHash"), ("trace_block",), ("debug_traceBlockByHash",)])
def test_an_honest_node_is_never_doubted(served: Served, world: World, offers: tuple[str, ...]) -> None:
    """Whatever else moves in the block: the recipients may pay, mine or withdraw there, too."""
    world.mine(
        [
            Spend(HOT, BATCH, 6, calls=[(BATCH, address(30), 2), (BATCH, address(31), 3)]),
            Spend(address(30), address(31), 1),
            Spend(address(31), BATCH, 1, calls=[(BATCH, address(33), 1)]),
            Spend(address(30), address(33), 5, is_failed=True),
        ],
        miner=address(31),
        withdrawals=[(address(30), 7)],
    )
    world.mine_some([HOT], 30)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method.startswith(("trace_block", "debug_")) and method not in offers:
            raise NodeFault(-32601, f"the method {method} does not exist/is not available")
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        read_on(evm)
    assert paid_and_doubts(log) == (TRUTH, [])


@pytest.mark.parametrize("refunded", [0, 25_000], ids=["dear", "cheap"])
def test_calls_are_read_however_little_gas_a_transaction_used(refunded: int) -> None:
    """What a contract clears is paid for: before EIP-3529 a self-destruct took half of the gas away, below what a plain payment costs."""
    world, log = World(5), MemoryLog()
    world.mine()
    world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(30), 6)], refunded_gas=refunded)])
    with Served(world) as served, connector(served, log) as evm:
        read_on(evm)
    paid, _ = paid_and_doubts(log)
    assert paid == {PAID: 6}
