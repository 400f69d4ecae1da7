"""Logs of contracts that claim to move tokens out of a pool wallet say who signed, and what the contract says was held (ADR 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm import Contradicted, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events.chain import Input

from ..simulation.evm_world import TOKEN, NodeFault, Served, Spend, World, address
from .test_evm_node_troubles import connector, told

HOT, POISONER, FORGED = address(1), address(25), address(950)


@pytest.fixture
def world() -> World:
    world = World(5)
    world.mine()
    world.mine([Spend(POISONER, address(950 + n), logs=[(address(950 + n), (HOT, address(30), 5))]) for n in range(60)])
    world.mine([Spend(HOT, FORGED, logs=[(FORGED, (HOT, address(30), 6))])])
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def claims(served: Served, balance: Any = None, **changes: Any) -> list[Input]:
    """The inputs of tokens as told, with a contract that answers `balanceOf` in its own way; the block is read on to finality and beyond."""

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_call" and params[0]["to"] == FORGED and balance is not None:
            if isinstance(balance, NodeFault):
                raise balance
            return balance
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log, **changes) as evm:
        for _ in range(10):
            while not isinstance(step := evm.step(), Idle):
                assert not isinstance(step, Contradicted), step
            served.world.mine()
            balance = "0x" + 64 * "f"  # what the contract says later changes nothing
    return [spent for some in told(log) for one in some for spent in one.inputs if spent.asset != "ETH"]


def test_each_says_who_signed_and_that_nothing_was_held(served: Served) -> None:
    *forged, signed = claims(served)
    assert len(forged) == 60
    assert {(spent.held, spent.held_after, spent.signed_by, spent.address) for spent in forged} == {
        ("0", "0", to_checksum(POISONER), to_checksum(HOT))
    }
    assert (signed.held, signed.held_after, signed.signed_by) == (None, None, None), "the pool signed it: nothing is asked"


@pytest.mark.parametrize(
    ("balance", "held"),
    [
        ("0x" + 64 * "0", "0"),
        ("0x" + 62 * "0" + "05", "5"),
        ("0x" + 64 * "f", str(10**38 - 1)),
        ("0x", "0"),
        ("0x05", "0"),
        (NodeFault(3, "execution reverted"), "0"),
        (NodeFault(-32000, "invalid opcode: INVALID"), "0"),
        (NodeFault(-32000, "missing trie node 12ab"), None),
        (NodeFault(-32000, "some trouble"), None),
    ],
)
def test_what_its_contract_says_was_held_before(served: Served, balance: Any, held: str | None) -> None:
    first = next(spent for spent in claims(served, balance) if spent.asset == to_checksum(FORGED))
    assert (first.held, first.held_after, first.signed_by) == (held, held, to_checksum(POISONER))


def test_tokens_that_settings_name_are_not_asked_about(served: Served, world: World) -> None:
    world.mine([Spend(POISONER, TOKEN, tokens=[(HOT, address(30), 5)])])
    [known] = [spent for spent in claims(served) if spent.asset == "USDT"]
    assert (known.held, known.signed_by) == (None, None)
