"""Wrapped coins (WETH9): `Deposit` and `Withdrawal` are told as a mint and a burn, and the wallet's balance is what the chain says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm import Connected, Contradicted, EvmConnector, Idle, Reorganised, Rescanned, Rescanning
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events import decode
from pipeline.log.events.chain import Connect, Disconnect, Transaction, Watch

from ..simulation.evm_world import TOKEN, UNITS, Served, Spend, World, address
from .test_evm_node_troubles import connector

HOT, ROUTER = address(1), address(940)
WETH = to_checksum(TOKEN)


@pytest.fixture
def world() -> World:
    world = World(5)
    world.mine()
    world.mine([Spend(HOT, TOKEN, 70, wraps=[(HOT, 70)])])
    world.mine([Spend(HOT, TOKEN, tokens=[(HOT, address(30), 20)])])
    world.mine([Spend(HOT, TOKEN, wraps=[(HOT, -40)], calls=[(TOKEN, HOT, 40)])])
    # A stranger's transaction has a contract wrap for the pool: nothing but the log names the wallet.
    world.mine([Spend(address(25), ROUTER, 5, calls=[(ROUTER, TOKEN, 5)], wraps=[(HOT, 5)])])
    world.mine([Spend(address(25), TOKEN, 9, wraps=[(address(25), 9)])])
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def follow(served: Served, log: MemoryLog, **changes: Any) -> EvmConnector:
    settings = {"tokens": {TOKEN: "WETH"}, "wrapped": frozenset((TOKEN,))} | changes
    with connector(served, log, **settings) as evm:
        while not isinstance(step := evm.step(), Idle):
            assert isinstance(step, Connected | Reorganised | Rescanned | Rescanning) and not isinstance(step, Contradicted), step
    return evm


def main_chain(log: MemoryLog) -> list[Transaction]:
    blocks: dict[str, list[Transaction]] = {}
    for record in log.read({}):
        match decode(record.value):
            case Connect() as event:
                blocks[event.hash] = event.transactions
            case Disconnect() as event:
                blocks.pop(event.hash, None)
    return [one for some in blocks.values() for one in some]


def units_held(log: MemoryLog) -> int:
    """What the wallet gained of the wrapped coin, by the events."""
    told = main_chain(log)
    got = sum(int(output.value) for one in told for output in one.outputs if output.wallet and output.asset == "WETH")
    return got - sum(int(spent.value) for one in told for spent in one.inputs if spent.asset == "WETH")


def test_wrapping_and_unwrapping_are_told_and_add_up(served: Served, world: World) -> None:
    log = MemoryLog()
    follow(served, log)
    wrap, _, unwrap, routed = main_chain(log)
    assert [(o.asset, o.value, o.address, o.wallet, o.ref) for o in wrap.outputs] == [
        ("ETH", "70", WETH, None, "tx"), ("WETH", "70", to_checksum(HOT), "hot", "log:0"),
    ]  # fmt: skip
    assert [(o.asset, o.value, o.address, o.wallet) for o in unwrap.outputs] == [
        ("ETH", "40", to_checksum(HOT), "hot"), ("WETH", "40", WETH, None),
    ]  # fmt: skip
    assert next((spent.asset, spent.value) for spent in unwrap.inputs) == ("WETH", "40")
    assert [(o.asset, o.value, o.wallet) for o in routed.outputs] == [("WETH", "5", "hot")]
    assert [one.other_inputs for one in (wrap, unwrap, routed)] == [0, 0, 0], "nobody else pays in them"
    assert units_held(log) == world.blocks[-1].units[HOT] - UNITS == 70 - 20 - 40 + 5


def test_of_a_token_that_is_not_named_as_wrapped_such_logs_move_nothing(served: Served) -> None:
    log = MemoryLog()
    follow(served, log, wrapped=frozenset())
    assert units_held(log) == -20
    [watch] = [event for event in (decode(record.value) for record in log.read({})) if isinstance(event, Watch)]
    assert watch.wrapped == []


def test_a_token_named_as_wrapped_later_has_what_was_read_read_again(served: Served, world: World) -> None:
    log = MemoryLog()
    follow(served, log, wrapped=frozenset())
    follow(served, log)
    assert units_held(log) == world.blocks[-1].units[HOT] - UNITS
    watches = [event for event in (decode(record.value) for record in log.read({})) if isinstance(event, Watch)]
    assert [watch.wrapped for watch in watches] == [[], [WETH]]
    n_events = len(list(log.read({})))
    follow(served, log)
    assert len(list(log.read({}))) == n_events, "once"
