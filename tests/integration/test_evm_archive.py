"""Two nodes of an account chain, of which the first keeps the states of its newest blocks only: the second, an archive node, is asked for the older ones,
and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.evm import EvmConnector, Idle
from connectors.evm.errors import StateMissing
from connectors.standins.log_memory import MemoryLog
from pipeline.follow.connector import NodeLogin
from pipeline.log.events import decode
from pipeline.log.events.chain import Balances
from pipeline.model.errors import SourceError

from ..simulation.evm_world import BATCH, NodeFault, Served, Spend, World, address
from .test_evm_node_troubles import HOT, connector, told

KEPT = 24
"""Blocks whose states the first node still has."""


class Pair:
    """A chain of some 90 blocks at two nodes."""

    def __init__(self, held: ExitStack) -> None:
        self.world = World(7)
        self.world.mine_some([HOT], 30)
        self.world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 2), (BATCH, address(32), 4)])])
        self.world.mine_some([HOT], 60)
        self.pruned, self.archive = held.enter_context(Served(self.world)), held.enter_context(Served(self.world))
        self.pruned.between = self.forgets
        self.asked: list[int] = []
        """Heights of the blocks that the archive node was asked for whole."""
        self.archive.between = self.counts

    def forgets(self, method: str, params: list[Any], answers: Any) -> Any:
        height = self.height_of(method, params)
        if height is not None and height < self.world.height - KEPT:
            raise NodeFault(-32000, f"missing trie node 00 (path ) state of block {height} is not available")
        return answers(method, params)

    def height_of(self, method: str, params: list[Any]) -> int | None:
        """The block whose state the question needs."""
        if method == "trace_block":
            return int(params[0], 16) - 1
        if method == "debug_traceBlockByHash":
            block = self.world.by_hash(params[0])
            return block.height - 1 if block else None
        return self.world.state_of(params[-1]).height if method in ("eth_getBalance", "eth_getCode", "eth_call") else None

    def counts(self, method: str, params: list[Any], answers: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[1]:
            self.asked.append(int(params[0], 16))
        return answers(method, params)

    def connector(self, log: MemoryLog, *served: Served) -> EvmConnector:
        first, *further = served
        return connector(first, log, blocks_a_step=8, further_nodes=[NodeLogin(rpc_url=each.url) for each in further])


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as held:
        yield Pair(held)


def balances(log: MemoryLog) -> list[Balances]:
    return [event for event in (decode(record.value) for record in log.read({})) if isinstance(event, Balances)]


def read_on(evm: EvmConnector) -> None:
    for _ in range(100):
        if isinstance(evm.step(), Idle):
            return
    raise AssertionError("never at the tip")


def test_the_archive_node_is_asked_for_the_old_blocks_and_the_first_one_for_the_rest(pair: Pair) -> None:
    alone, log = MemoryLog(), MemoryLog()
    with pair.connector(alone, pair.archive) as evm:
        read_on(evm)
    pair.asked.clear()
    with pair.connector(log, pair.pruned, pair.archive) as evm:
        read_on(evm)
        assert (told(log), balances(log)) == (told(alone), balances(alone))
        assert max(pair.asked) <= pair.world.height - KEPT + 8, "what the first node has is asked there"
        first, second = evm.describe().nodes
        assert first.is_followed and "no longer has the state of block" in (first.trouble or "") and second.trouble is None
        pair.asked.clear()
        for _ in range(4):
            pair.world.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 6)])])
            read_on(evm)
        assert not pair.asked, "at the tip nothing is asked of the archive node"
        assert max(height for height, _ in _times(log)) == pair.world.height


def _times(log: MemoryLog) -> list[tuple[int, str]]:
    events = (decode(record.value) for record in log.read({}))
    return [(event.height, event.hash) for event in events if type(event).__name__ == "Connect"]  # type: ignore[union-attr]


def test_without_an_archive_node_it_is_said(pair: Pair) -> None:
    with pair.connector(MemoryLog(), pair.pruned) as evm, pytest.raises(StateMissing, match="no longer has the state of block") as raised:
        read_on(evm)
    assert "add an archive node" in str(raised.value)


def test_two_nodes_that_both_lack_it_are_one_trouble_and_no_loop(pair: Pair) -> None:
    pair.archive.between = pair.forgets
    with (
        pair.connector(MemoryLog(), pair.pruned, pair.archive) as evm,
        pytest.raises(SourceError, match="no node of eth can be followed") as raised,
    ):
        read_on(evm)
    assert raised.value.is_retryable and str(raised.value).count("no longer has the state of block") == 2
    assert len(pair.pruned.asked) < 2000


def test_a_block_that_is_final_after_its_state_went_is_not_read_twice_and_stops_nothing(pair: Pair) -> None:
    """Finality of thousands of blocks at a node that keeps the states of some hundred."""
    log = MemoryLog()
    with connector(pair.archive, log, blocks_a_step=8, finality=40) as evm:
        read_on(evm)
        n_told = len(told(log))
        pair.archive.between = pair.forgets
        for _ in range(50):
            pair.world.mine([Spend(HOT, address(33), 5)])
            read_on(evm)
    assert len(told(log)) == n_told + 50
