"""The connector on a chain that moves, is interrupted and lies: in the end the log says what a fresh reading says, to the wei."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from connectors.evm import Contradicted, EvmChain, EvmConnector, Idle, Reorganised, Rescanned, Step
from connectors.evm.errors import AnswerChanged
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events import decode
from pipeline.log.events.chain import (
    Balances,
    Connect,
    Disconnect,
    Doubt,
    Stretch,
    Transaction,
    Watch,
    WatchedWallet,
)
from pipeline.model.errors import SourceError

from .evm_world import CHAIN_ID, OPENING, TOKEN, UNITS, NodeFault, Served, Spend, World, address

POOL = [address(1), address(2)]
NOVEMBER = 1_793_473_200
"""Its first instant in Almaty, 2026."""
WALLETS = [WatchedWallet(name="hot", addresses=[POOL[0]]), WatchedWallet(name="cold", addresses=[POOL[1]])]


def connector(log: MemoryLog, served: Served, **changes: Any) -> EvmConnector:
    settings: dict[str, Any] = {
        "pool_id": "pool", "chain": "eth", "asset": "ETH", "network": f"evm:{CHAIN_ID}", "rpc_url": served.url, "wallets": WALLETS,
        "tokens": {TOKEN: "USDT"}, "start_height": 1, "finality": 12, "blocks_a_step": 25, "timeout_s": 60.0,
    }  # fmt: skip
    return EvmConnector(log, EvmChain(**(settings | changes)))


def to_tip(evm: EvmConnector) -> list[Step]:
    steps = []
    for _ in range(1000):
        steps.append(evm.step())
        if isinstance(steps[-1], Idle):
            return steps
    raise AssertionError(f"no end after a thousand steps: {steps[-3:]}")


def events(log: MemoryLog) -> list[Any]:
    found = []
    positions: dict[str, int] = {}
    while records := log.read(positions):
        found += [decode(record.value) for record in records]
        positions[f"{records[-1].topic}/{records[-1].partition}"] = records[-1].offset + 1
    return found


def main_chain(log: MemoryLog) -> dict[str, list[Transaction]]:
    """What the log says is in the main chain: transactions by block hash; every seq, height and link is checked."""
    chain: list[tuple[int, str, list[Transaction]]] = []
    for seq, event in enumerate(events(log)):
        assert event.seq == seq
        match event:
            case Connect():
                assert not chain or (chain[-1][0], chain[-1][1]) == (event.height - 1, event.prev)
                chain.append((event.height, event.hash, event.transactions))
            case Stretch():
                assert not chain or (chain[-1][0], chain[-1][1]) == (event.height - 1, event.prev)
                chain += [(event.height + n, block_hash, []) for n, block_hash in enumerate(event.hash)]
            case Disconnect():
                assert chain.pop()[:2] == (event.height, event.hash)
    return {block_hash: transactions for _, block_hash, transactions in chain}


def assert_to_the_wei(log: MemoryLog, world: World) -> None:
    """The log's chain is the world's, and what it tells explains every balance."""
    chain = main_chain(log)
    assert list(chain) == [block.hash[2:] for block in world.blocks[1:]]
    held = {(a, "ETH"): OPENING for a in POOL} | {(a, "USDT"): UNITS for a in POOL}
    for transactions in chain.values():
        for transaction in transactions:
            for output in transaction.outputs:
                if output.wallet is not None:
                    assert output.address is not None
                    held[(output.address.lower(), output.asset)] += int(output.value)
            for taken in transaction.inputs:
                assert taken.address is not None
                held[(taken.address.lower(), taken.asset)] -= int(taken.value)
    tip = world.blocks[-1]
    assert held == {(a, "ETH"): tip.wei[a] for a in POOL} | {(a, "USDT"): tip.units.get(a, 0) for a in POOL}


@pytest.mark.parametrize("seed", range(4))
def test_whatever_moves_and_breaks_the_log_is_right_in_the_end(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    world, log = World(seed), MemoryLog()
    with Served(world) as served:
        way = chance.choice(["trace_block", "debug_trace"])
        evm = connector(log, served, internal_calls=way)
        for _ in range(8):
            world.mine_some(POOL, chance.randrange(1, 30))
            if chance.random() < 0.5:
                depth = chance.randrange(1, min(30, world.height) + 1)
                world.replace(depth)
                world.mine_some(POOL, depth + chance.randrange(0, 3))
            for _ in range(chance.randrange(0, 4)):
                evm.step()
            if chance.random() < 0.3:  # another process takes over
                evm.close()
                evm = connector(log, served, internal_calls=way, blocks_a_step=chance.choice([1, 7, 500]))
        to_tip(evm)
        evm.close()
        assert_to_the_wei(log, world)
        fresh = MemoryLog()
        other = "debug_trace" if way == "trace_block" else "trace_block"
        with connector(fresh, served, internal_calls=other, blocks_a_step=500) as again:
            to_tip(again)
        assert main_chain(fresh) == main_chain(log)


def test_a_reorganisation_thousands_deep_is_followed() -> None:
    world, log = World(1), MemoryLog()
    with Served(world) as served, connector(log, served, blocks_a_step=500) as evm:
        for _ in range(60):
            world.mine()
        world.mine([Spend(POOL[0], address(33), 5)])
        for _ in range(2000):
            world.mine()
        to_tip(evm)
        world.replace(2010)
        world.mine([Spend(POOL[0], address(34), 6)])
        for _ in range(2020):
            world.mine()
        served.asked.clear()
        step = evm.step()
        assert isinstance(step, Reorganised) and step.n_disconnected == 2010
        assert served.asked.count("eth_getBlockByNumber") < 500 + 150  # the new blocks, and few more to find the fork
        to_tip(evm)
        assert_to_the_wei(log, world)


def test_a_node_that_is_behind_or_was_rolled_back_takes_nothing_back() -> None:
    world, log = World(2), MemoryLog()
    with Served(world) as served, connector(log, served) as evm:
        world.mine_some(POOL, 40)
        to_tip(evm)
        n_events = len(events(log))
        gone = world.blocks[-5:]
        del world.blocks[-5:]
        step = evm.step()
        assert type(step).__name__ == "Waiting" and "below the log's 40" in str(step)
        assert len(events(log)) == n_events
        world.blocks += gone
        assert isinstance(evm.step(), Idle)


def test_an_answer_that_changes_is_contradicted_and_read_again() -> None:
    world, log = World(3), MemoryLog()
    hidden = [(address(901), address(31), 70)]
    with Served(world) as served, connector(log, served) as evm:
        world.mine([Spend(POOL[0], address(901), 70, calls=hidden)])
        lies = [True]

        def between(method: str, params: list[Any], answer: Any) -> Any:
            found = answer(method, params)
            if method == "trace_block" and params == ["0x1"] and lies[0]:
                return [frame for frame in found if not frame["traceAddress"]]
            if method.startswith("debug_") and lies[0]:
                return [{**one, "result": {**one["result"], "calls": []}} for one in found]
            return found

        served.between = between
        to_tip(evm)
        lies[0] = False
        for _ in range(20):
            world.mine()
        steps = to_tip(evm)
        doubted = next(step for step in steps if isinstance(step, Contradicted))
        assert doubted.contradicted_height == 1
        told = events(log)
        place = next(n for n, event in enumerate(told) if isinstance(event, Doubt) and event.txid is None)
        assert isinstance(told[place + 1], Disconnect)
        assert_to_the_wei(log, world)
        transaction = next(iter(main_chain(log).values()))[0]
        assert [(o.address, o.value, o.ref) for o in transaction.outputs] == [(to_checksum(address(31)), "70", "call:0")]


def without_calls_once(served: Served, height: str) -> None:
    """Of one block `trace_block` leaves the calls out the first time that it is asked."""
    asked = [0]

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method.startswith("debug_"):
            raise NodeFault(-32601, "the method does not exist/is not available")
        found = answer(method, params)
        if method == "trace_block" and params == [height]:
            asked[0] += 1
            return [frame for frame in found if not frame["traceAddress"]] if asked[0] == 1 else found
        return found

    served.between = between


def told_to(log: MemoryLog, height: int) -> list[str | None] | None:
    """Whom the log tells that the pool paid in a block of the main chain; None while it is not in the log."""
    told = list(main_chain(log).values())
    return [o.address for tx in told[height - 1] for o in tx.outputs] if len(told) >= height else None


@pytest.mark.parametrize("finality", [1, 2, 12])
@pytest.mark.parametrize("n_at_once", [1, 30])
def test_what_a_node_takes_back_was_never_final(finality: int, n_at_once: int) -> None:
    """Whether the log grows by a block at a time, or the block is read when many others stand on it already: a month may be frozen after any step."""
    world, log = World(3), MemoryLog()
    hidden = to_checksum(address(31))
    with Served(world) as served, connector(log, served, finality=finality) as evm:
        world.mine([Spend(POOL[0], address(32), 1)])
        to_tip(evm)
        without_calls_once(served, "0x2")
        world.mine([Spend(POOL[0], address(901), 70, calls=[(address(901), address(31), 70)])])
        for _ in range(n_at_once - 1):
            world.mine()
        for _ in range(40):
            for _ in range(2):
                with contextlib.suppress(AnswerChanged):
                    evm.step()
                confirmations = len(main_chain(log)) - 1
                if confirmations >= finality:
                    assert told_to(log, 2) == [hidden], f"at {confirmations} confirmations"
            if n_at_once == 1:
                world.mine()
        assert len(main_chain(log)) >= 30


def test_a_node_that_never_says_the_same_stops_the_connector() -> None:
    world, log = World(3), MemoryLog()
    with Served(world) as served, connector(log, served) as evm:
        world.mine([Spend(POOL[0], address(901), 70, calls=[(address(901), address(31), 70)])])
        for _ in range(30):
            world.mine()
        asked = [0]

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method.startswith("debug_"):
                raise NodeFault(-32601, "the method does not exist/is not available")
            found = answer(method, params)
            if method == "trace_block" and params == ["0x1"]:
                asked[0] += 1
                for frame in found:
                    if frame["traceAddress"]:
                        frame["action"]["value"] = hex(asked[0])
            return found

        served.between = between
        changed = 0
        with pytest.raises(SourceError, match="something else of block 1") as raised:
            for _ in range(1000):
                try:
                    evm.step()
                except AnswerChanged:
                    changed += 1
        assert not raised.value.is_retryable
        assert changed == 3
        assert main_chain(log) == {}


def test_balances_are_told_at_the_beginning_and_at_each_months_end() -> None:
    world, log = World(4, time=NOVEMBER - 12 * 20), MemoryLog()  # twenty blocks before November begins in Almaty
    with Served(world) as served, connector(log, served) as evm:
        world.mine_some(POOL, 1)
        for _ in range(40):
            world.mine([world.any_spend(POOL)])
        to_tip(evm)
        first, second = (event for event in events(log) if isinstance(event, Balances))
        assert (first.height, first.hash) == (0, world.blocks[0].hash[2:])
        ends = [
            b
            for b, c in zip(world.blocks, world.blocks[1:], strict=False)
            if int(b.body["timestamp"], 16) < NOVEMBER <= int(c.body["timestamp"], 16)
        ]
        assert [(second.height, second.hash)] == [(block.height, block.hash[2:]) for block in ends]
        rows = zip(second.rows.address, second.rows.asset, second.rows.value, strict=True)
        expected = {(a, "ETH"): ends[0].wei[a] for a in POOL} | {(a, "USDT"): ends[0].units.get(a, 0) for a in POOL}
        assert {(a.lower(), asset): int(value or -1) if value != "0" else 0 for a, asset, value in rows} == expected
        world.replace(world.height - second.height + 3)
        world.mine_some(POOL, 1)
        for _ in range(30):
            world.mine([world.any_spend(POOL)], after_s=30)
        to_tip(evm)
        assert_to_the_wei(log, world)
        third = [event for event in events(log) if isinstance(event, Balances)][2:]
        assert [world.blocks[event.height].hash[2:] for event in third] == [event.hash for event in third] and len(third) == 1


def test_a_wallet_added_later_is_told_from_the_first_block_that_has_it() -> None:
    world, log = World(5), MemoryLog()
    late = "0x" + 40 * "c"
    with Served(world) as served:
        with connector(log, served) as evm:
            world.mine_some(POOL, 30)
            world.mine([Spend(address(25), address(901), 9, calls=[(address(901), late, 9)])])  # seen by its balance alone
            world.mine_some(POOL, 30)
            to_tip(evm)
        with connector(log, served, wallets=[*WALLETS, WatchedWallet(name="late", addresses=[late])]) as evm:
            steps = to_tip(evm)
            rewatched = next(step for step in steps if isinstance(step, Rescanned))
            assert rewatched.n_added == 1 and rewatched.height == 30
        chain = main_chain(log)
        outputs = [o for t in chain[world.blocks[31].hash[2:]] for o in t.outputs if o.wallet == "late"]
        assert [(o.value, o.ref) for o in outputs] == [("9", "call:0")]
        assert [len(event.wallets) for event in events(log) if isinstance(event, Watch)] == [2, 3]
        with connector(log, served) as evm:  # and what was once watched stays watched
            to_tip(evm)
            assert [len(event.wallets) for event in events(log) if isinstance(event, Watch)] == [2, 3]


def test_a_wallet_that_held_something_before_is_told_from_the_beginning() -> None:
    world, log = World(6), MemoryLog()
    with Served(world) as served:
        with connector(log, served) as evm:
            world.mine_some(POOL, 40)
            to_tip(evm)
        with connector(log, served, wallets=[*WALLETS, WatchedWallet(name="late", addresses=[address(39)])]) as evm:
            rewatched = next(step for step in to_tip(evm) if isinstance(step, Rescanned))
            assert rewatched.n_disconnected == 40 and rewatched.height == 0
        last = [event for event in events(log) if isinstance(event, Balances)][-1]
        assert last.height == 0 and to_checksum(address(39)) in last.rows.address
