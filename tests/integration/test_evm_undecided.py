"""A node that lacks its newest block, or that block's state, while its methods are tried is not remembered as one that refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.evm import EvmConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.follow.connector import NodeLogin
from pipeline.log.events import decode
from pipeline.log.events.chain import Balances, WatchedWallet

from ..simulation.evm_world import BATCH, NodeFault, Served, Spend, World, address
from .test_evm_node_troubles import HOT, connector, read_all, told
from .test_evm_poisoning import FORGED, POISONER, claims
from .test_evm_poisoning import world as poisoned
from .test_evm_wordings import GONE, OF_A_PLAN, answered

LACKING = [*GONE, NodeFault(-32000, "header not found"), NodeFault(-32001, "Block not found"), NodeFault(-32000, "unknown block")]
WAYS = {
    "eth_getProof": "proofs of accounts",
    "trace_filter": "trace_filter",
    "eth_getBlockReceipts": "receipts of a block",
    "debug_traceBlockByHash": "debug_trace",
}
"""Methods, and what `esep nodes` calls them."""


@pytest.fixture
def world() -> World:
    world = World(7)
    world.mine_some([HOT], 6)
    world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 2), (BATCH, address(32), 4)])])
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def proving(method: str, params: list[Any], answer: Any) -> Any:
    """A node that has proofs of accounts, too; they prove nothing of this world, whose state has no trie."""
    return {"accountProof": []} if method == "eth_getProof" else answer(method, params)


def read_on(evm: EvmConnector) -> None:
    while not isinstance(evm.step(), Idle):
        pass


def pending(evm: EvmConnector) -> list[str]:
    [node] = evm.describe().nodes
    return [each.way for each in node.pending]


def ways(evm: EvmConnector) -> list[str]:
    [node] = evm.describe().nodes
    return list(node.ways)


@pytest.mark.parametrize("lacking", LACKING, ids=str)
@pytest.mark.parametrize("method", WAYS)
def test_what_could_not_be_tried_is_tried_again_at_the_next_blocks(served: Served, method: str, lacking: Any) -> None:
    served.between = proving
    honest = read_all(served)
    is_lacking = True

    def between(asked: str, params: list[Any], answer: Any) -> Any:
        return answered(lacking) if is_lacking and asked == method else proving(asked, params, answer)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        read_on(evm)
        assert told(log) == honest and WAYS[method] not in ways(evm) and pending(evm) == [WAYS[method]]
        served.world.mine()
        read_on(evm)
        assert WAYS[method] not in ways(evm) and pending(evm) == [WAYS[method]]
        is_lacking = False
        for _ in range(3):
            served.world.mine()
            read_on(evm)
        assert WAYS[method] in ways(evm) and len(ways(evm)) == 5 and not pending(evm)
        served.asked.clear()
        for _ in range(4):
            served.world.mine()
            read_on(evm)
        assert "web3_clientVersion" not in served.asked and "trace_filter" not in served.asked, "what is known is not tried again"


@pytest.mark.parametrize("words", OF_A_PLAN)
@pytest.mark.parametrize("method", WAYS)
def test_a_method_that_a_plan_lacks_is_tried_once(served: Served, method: str, words: str) -> None:
    def between(asked: str, params: list[Any], answer: Any) -> Any:
        if asked == method:
            raise NodeFault(-32000, words)
        return proving(asked, params, answer)

    served.between = between
    with connector(served) as evm:
        read_on(evm)
        served.asked.clear()
        for _ in range(70):
            served.world.mine()
        read_on(evm)
        assert method not in served.asked and WAYS[method] not in ways(evm) and not pending(evm)


def test_a_method_whose_state_never_comes_is_tried_ever_more_seldom(served: Served) -> None:
    served.between = lambda method, params, answer: None if method == "trace_filter" else proving(method, params, answer)
    with connector(served) as evm:
        read_on(evm)
        for _ in range(150):
            served.world.mine()
            read_on(evm)
    assert 5 < served.asked.count("trace_filter") < 12


@pytest.mark.parametrize("lacking", LACKING, ids=str)
def test_the_state_by_a_block_s_hash_is_tried_again(served: Served, lacking: Any) -> None:
    """Meanwhile the block is named by its number, and its hash asked for besides."""
    honest = read_all(served)
    is_lacking, by_hash = True, 0

    def between(method: str, params: list[Any], answer: Any) -> Any:
        nonlocal by_hash
        if method in ("eth_getBalance", "eth_getCode", "eth_call") and isinstance(params[-1], dict):
            by_hash += 1
            if is_lacking:
                return answered(lacking)
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        read_on(evm)
        assert told(log) == honest and by_hash <= 3, "a batch may be asked in halves"
        is_lacking, by_hash = False, 0
        for _ in range(3):
            served.world.mine()
            read_on(evm)
        assert by_hash > 4


@pytest.mark.parametrize("lacking", [None, NodeFault(-32000, "missing trie node"), NodeFault(-32000, "header not found")], ids=str)
def test_a_watched_contract_s_blocks_are_found_by_trace_filter_once_it_answers(served: Served, lacking: Any) -> None:
    wallets = [WatchedWallet(name="hot", addresses=[HOT]), WatchedWallet(name="safe", addresses=[BATCH])]
    honest = read_all(served, wallets=wallets)
    is_lacking = True

    def between(method: str, params: list[Any], answer: Any) -> Any:
        return answered(lacking) if is_lacking and method == "trace_filter" else answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log, wallets=wallets) as evm:
        read_on(evm)
        assert told(log) == honest and str(evm.describe().internal_transfers).startswith("every block traced")
        is_lacking = False
        for _ in range(3):
            served.world.mine()
            read_on(evm)
        assert evm.describe().internal_transfers == "trace_filter, balances compared"


@pytest.mark.parametrize("gone", [g for g in GONE if g is None or isinstance(g, NodeFault)], ids=str)
def test_what_a_forged_token_s_sender_held_is_asked_of_an_archive_node(gone: Any) -> None:
    with ExitStack() as held:
        world = poisoned.__wrapped__()  # type: ignore[attr-defined]
        pruned, archive = held.enter_context(Served(world)), held.enter_context(Served(world))
        pruned.between = lambda method, params, answer: (
            answered(gone) if method == "eth_call" and params[0]["to"] == FORGED else answer(method, params)
        )
        log = MemoryLog()
        with connector(pruned, log, further_nodes=[NodeLogin(rpc_url=archive.url)]) as evm:
            read_on(evm)
        forged = [spent for some in told(log) for one in some for spent in one.inputs if spent.asset != "ETH" and spent.signed_by]
    assert len(forged) == 60 and {(spent.held, spent.held_after) for spent in forged} == {("0", "0")}


def test_without_an_archive_node_it_is_not_known() -> None:
    with Served(poisoned.__wrapped__()) as served:  # type: ignore[attr-defined]
        served.between = lambda method, params, answer: (
            None if method == "eth_call" and params[0]["to"] == FORGED else answer(method, params)
        )
        log = MemoryLog()
        with connector(served, log) as evm:
            read_on(evm)
    held = [spent.held for some in told(log) for one in some for spent in one.inputs if spent.signed_by]
    assert held.count(None) == 1 and held.count("0") == 59


REASONS = [
    "execution reverted: rate limit exceeded, try again in 600 s",
    "execution reverted: missing trie node, state is pruned",
    "VM Exception while processing transaction: reverted with reason string 'too many requests'",
    "execution reverted: 429",
]


@pytest.mark.parametrize("code", [3, -32000])
@pytest.mark.parametrize("reason", REASONS)
def test_the_words_of_a_stranger_s_contract_are_not_the_node_s(reason: str, code: int) -> None:
    """Anybody can deploy a contract that reverts with any reason: it neither slows a chain down nor sends us to another node."""
    with Served(poisoned.__wrapped__()) as served:  # type: ignore[attr-defined]
        forged = claims(served, NodeFault(code, reason))
    assert {(spent.held, spent.held_after) for spent in forged if spent.signed_by} == {("0", "0")}


def test_an_error_that_is_told_once_is_asked_again() -> None:
    world = World(5)
    world.mine([Spend(POISONER, FORGED, logs=[(FORGED, (HOT, address(30), 5))])])
    left = 1

    def between(method: str, params: list[Any], answer: Any) -> Any:
        nonlocal left
        if method == "eth_call" and params[0]["to"] == FORGED and left:
            left -= 1
            raise NodeFault(-32603, "internal error")
        return answer(method, params)

    with Served(world) as served:
        served.between = between
        [told_once] = [spent for some in read_all(served) for one in some for spent in one.inputs if spent.signed_by]
    assert (told_once.held, told_once.held_after, left) == ("0", "0", 0)


@pytest.mark.parametrize("lacking", [None, NodeFault(-32000, "missing trie node")], ids=str)
def test_a_state_that_is_lacking_once_is_asked_for_again(served: Served, lacking: Any) -> None:
    """Of several machines behind one address one may be late: what it says once does not stand in the log for good as a balance that nobody knows."""
    honest = read_balances(served)
    seen: set[str] = set()

    def between(method: str, params: list[Any], answer: Any) -> Any:
        question = f"{method} {params}"
        if method in ("eth_getBalance", "eth_call", "eth_getCode") and question not in seen:
            seen.add(question)
            return answered(lacking)
        return answer(method, params)

    served.between = between
    assert read_balances(served) == honest and honest


def read_balances(served: Served) -> list[Balances]:
    log = MemoryLog()
    with connector(served, log) as evm:
        read_on(evm)
    return [event for event in (decode(record.value) for record in log.read({})) if isinstance(event, Balances)]
