"""Refusals, states that are gone and strange traces of an account chain's node, in other nodes' words: another way is taken, and the report's facts are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm import Idle
from connectors.evm.errors import NotYetThere, StateMissing
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SourceError

from ..simulation.evm_world import BATCH, NodeFault, Served, Spend, World, address
from .test_evm_node_troubles import HOT, connector, read_all, told

STRANGER = address(21)


@pytest.fixture
def world() -> World:
    world = World(7)
    world.mine_some([HOT], 6)
    world.mine(
        [
            Spend(STRANGER, BATCH, 5, calls=[(BATCH, address(35), 5)]),
            Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 2), (BATCH, address(32), 4)]),
        ]
    )
    world.mine([Spend(STRANGER, BATCH, 7, calls=[(BATCH, HOT, 7)])])
    world.mine()
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


REFUSALS = [
    NodeFault(-32604, "Method not enabled"),
    NodeFault(-32600, "trace_block is not available on the Free tier - upgrade to Pay As You Go"),
    NodeFault(-32601, "rpc method is not whitelisted"),
    NodeFault(-32000, "Bitte wechseln Sie den Tarif"),
    NodeFault(403, "access denied"),
]
OF_A_PLAN = [
    "Archive, Debug and Trace API requests are not available on your current plan",
    "this method requires an archive plan",
    "pruned node: upgrade to an archive subscription",
    "the method trace_block does not exist/is not available",
]
WAYS = ["trace_block", "debug_traceBlockByHash", "eth_getBlockReceipts", "trace_filter", "eth_getProof"]


@pytest.mark.parametrize("fault", REFUSALS, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_in_any_words_means_the_next_way(served: Served, way: str, fault: NodeFault) -> None:
    wallets = [WatchedWallet(name="hot", addresses=[HOT]), WatchedWallet(name="safe", addresses=[BATCH])] if way == "trace_filter" else None
    changes = {"wallets": wallets} if wallets else {}
    honest = read_all(served, **changes)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == way:
            raise fault
        return answer(method, params)

    served.between = between
    assert read_all(served, **changes) == honest


@pytest.mark.parametrize("words", OF_A_PLAN)
def test_a_plan_without_traces_stops_no_pool_of_plain_accounts(words: str) -> None:
    world = World(7)
    world.mine([Spend(STRANGER, HOT, 900)])
    world.mine([Spend(HOT, address(31), 3)])

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method in ("trace_block", "debug_traceBlockByHash"):
            raise NodeFault(-32000, words)
        return answer(method, params)

    with Served(world) as served:
        honest = read_all(served)
        served.between = between
        assert read_all(served) == honest and honest


@pytest.mark.parametrize("said", [None, {}, "0x", []], ids=str)
@pytest.mark.parametrize("way", ["trace_block", "debug_traceBlockByHash", "eth_getBlockReceipts"])
def test_an_answer_of_another_shape_is_no_offer(served: Served, way: str, said: Any) -> None:
    honest = read_all(served)
    served.between = lambda method, params, answer: said if method == way else answer(method, params)
    assert read_all(served) == honest


def test_receipts_of_a_block_may_be_had_by_its_number_only(served: Served, world: World) -> None:
    honest = read_all(served)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts":
            if len(params[0]) == 66:
                raise NodeFault(-32602, "invalid argument 0: hex number > 64 bits")
            return world.blocks[int(params[0], 16)].receipts
        return answer(method, params)

    served.between = between
    served.asked.clear()
    assert read_all(served) == honest
    assert "eth_getTransactionReceipt" not in served.asked


@pytest.mark.parametrize(
    "fault",
    [NodeFault(-32000, "your plan's trial is over"), NodeFault(-32601, "Method not found"), NodeFault(-32000, "subscription not found")],
    ids=str,
)
def test_a_way_that_is_refused_later_is_left_for_the_other(served: Served, fault: NodeFault) -> None:
    honest = read_all(served)
    seen: set[str] = set()

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method in ("trace_block", "eth_getBlockReceipts"):
            if method in seen:
                raise fault
            seen.add(method)
        return answer(method, params)

    served.between = between
    assert read_all(served) == honest


GONE: list[Any] = [
    None,
    NodeFault(-32000, "World state unavailable"),
    NodeFault(-32603, "Block state is not available"),
    NodeFault(-32000, "missing trie node 00 (path ) state 0x00 is not available"),
    NodeFault(-32000, "state at block #5 is pruned"),
    NodeFault(-32000, "distance to target block exceeds maximum proof window"),
    NodeFault(4444, "old data not available due to pruning"),
    NodeFault(-32000, "required historical state unavailable (reexec=128)"),
]


def answered(gone: Any) -> Any:
    """What the node answers; a fault is raised."""
    if isinstance(gone, NodeFault):
        raise gone
    return gone


@pytest.mark.parametrize("gone", GONE, ids=str)
def test_a_state_that_is_gone_is_seen_in_any_words(served: Served, world: World, gone: Any) -> None:
    honest = read_all(served)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method in ("eth_getBalance", "eth_getCode", "eth_call", "eth_getProof") and params[-1] != {"blockHash": world.blocks[-1].hash}:
            return answered(gone)
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        while not isinstance(evm.step(), Idle):
            pass
        assert "no state of old blocks" in str(evm.describe().internal_transfers)
    assert told(log) == honest


@pytest.mark.parametrize("gone", [*GONE, []], ids=str)
def test_a_node_that_lacks_the_state_of_its_newest_block_is_asked_again_how_it_traces(served: Served, gone: Any) -> None:
    honest = read_all(served)
    is_gone = True

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if is_gone and method in ("trace_block", "debug_traceBlockByHash"):
            return answered(gone)
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        with pytest.raises(NotYetThere, match="can't be told yet whether it shows calls"):
            evm.step()
        assert not told(log), "nothing is read as if the node showed no calls"
        is_gone = False
        while not isinstance(evm.step(), Idle):
            pass
    assert told(log) == honest
    is_gone = True
    read_all(served, internal_calls="ignore")


@pytest.mark.parametrize("gone", [*GONE, []], ids=str)
def test_traces_that_are_gone_are_had_in_the_other_way_or_named(served: Served, world: World, gone: Any) -> None:
    honest = read_all(served)
    for _ in range(140):
        world.mine()
    world.mine([Spend(STRANGER, address(36), 1)])
    last, ways = hex(world.height), ["trace_block"]

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method in ways and params[0] not in (last, world.blocks[-1].hash):
            return answered(gone)
        return answer(method, params)

    served.between = between
    assert read_all(served) == honest
    ways.append("debug_traceBlockByHash")
    with connector(served) as evm, pytest.raises(StateMissing, match="no longer has the state of block"):
        evm.step()


def _with(frames: list[dict[str, Any]], place: int, change: Any) -> list[dict[str, Any]]:
    """The frames of `trace_block` with those of one transaction changed."""
    return [changed for frame in frames for changed in (change(frame) if frame["transactionPosition"] == place else [frame])]


STRANGE = {
    "missing frames": lambda frame: [],
    "its own frame missing": lambda frame: [frame] if frame["traceAddress"] else [],
    "a type of null": lambda frame: [{**frame, "type": None}],
    "no action": lambda frame: [{**frame, "action": None}],
    "an unknown type": lambda frame: [{**frame, "type": "weird"}],
    "a value that is none": lambda frame: [{**frame, "action": {**frame["action"], "value": "zz"}}],
}


@pytest.mark.parametrize("has_other", [True, False])
@pytest.mark.parametrize("place", [0, 1], ids=["a stranger's", "the pool's"])
@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_a_transaction_that_one_way_does_not_show(served: Served, change: Any, place: int, has_other: bool) -> None:
    honest = read_all(served)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "debug_traceBlockByHash" and not has_other:
            raise NodeFault(-32601, "method not found")
        result = answer(method, params)
        if method == "trace_block" and len({frame["transactionPosition"] for frame in result}) == 2:
            result = _with(result, place, change)
        return result

    served.between = between
    if has_other or place == 0:
        assert read_all(served) == honest
    else:
        with pytest.raises(SourceError, match="the traces of block 7") as raised:
            read_all(served)
        assert raised.value.is_retryable


def test_a_reward_without_action_and_a_transaction_that_took_too_long(served: Served) -> None:
    honest = read_all(served)
    timeouts: set[str] = set()

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "trace_block":
            return [*answer(method, params), {"type": "reward", "traceAddress": [], "blockHash": None}]
        if method == "debug_traceBlockByHash":
            timeouts.add(params[1]["timeout"])
            found = answer(method, params)
            return [{"txHash": found[0]["txHash"], "error": "execution timeout"}, *found[1:]] if len(found) == 2 else found
        return answer(method, params)

    served.between = between
    assert read_all(served) == honest
    assert read_all(served, internal_calls="debug_trace") == honest
    assert timeouts == {"120s"}
