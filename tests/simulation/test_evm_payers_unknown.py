"""What a node says of a payer's transaction and no root denies at once: that it knows none, or that another block has it (rule 10.2, ADR 18)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.evm import LookedUp
from connectors.evm.errors import AnswerUnreadable
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import Connect, NotTraced, Retold, Sought

from .evm_world import BATCH, NodeFault, Served, Spend, World
from .test_evm_payers import MINERS, PAYER, Book, connector, ids_of, seen_in, sought_in_store, steps_with
from .test_evm_reorganisations import events, to_tip

DAY_S = 86_400
Between = Callable[[str, list[Any], Any], Any]


def knows_none(*ids: str) -> Between:
    """A node that has not these ids in its index."""

    def between(method: str, params: list[Any], answer: Any) -> Any:
        is_asked = method in ("eth_getTransactionByHash", "eth_getBlockByHash") and params[0][2:] in ids
        return None if is_asked else answer(method, params)

    return between


def without_bodies(method: str, params: list[Any], answer: Any) -> Any:
    """A node that leaves the transactions out of what it gives by number."""
    found = answer(method, params)
    return {**found, "transactions": []} if method == "eth_getBlockByNumber" and params[1] and found else found


def honest(method: str, params: list[Any], answer: Any) -> Any:
    return answer(method, params)


def sought(log: MemoryLog) -> list[tuple[list[str], list[str]]]:
    """What each `sought` event names, and what of it was unknown."""
    return [(sorted(event.txids), event.unknown) for event in events(log) if isinstance(event, Sought)]


def test_what_the_node_did_not_know_is_asked_for_again_after_a_restart(tmp_path: Path) -> None:
    """A node that is still catching up, or one of several behind an address: it knows none, however often it is asked at once."""
    world, log = World(20), MemoryLog()
    book, never = Book(world), "ab" * 32
    with Served(world) as served:
        book.mine([Spend(PAYER, MINERS[2], 1)])  # the first of all, by which the connector tries how far back the index reaches
        batch = ids_of(book.mine([Spend(PAYER, BATCH, 30, calls=[(BATCH, miner, 5) for miner in MINERS])]))[0][2:]
        credited = world.mine(withdrawals=[(MINERS[1], 3)]).hash[2:]
        plain = ids_of(book.mine([Spend(PAYER, MINERS[0], 7)]))[0][2:]
        steps_with(log, served, set())
        named = {batch, credited, plain, never}
        served.between = knows_none(batch, credited)
        steps_with(log, served, named)
        assert sought(log) == [(sorted(named), sorted({batch, credited, never}))]
        steps_with(log, served, named)
        assert len(sought(log)) == 1  # that it still knows none is no event
        served.between = honest
        steps = steps_with(log, served, named)
        assert [(step.n_sought, step.n_found) for step in steps if isinstance(step, LookedUp)] == [(2, 2)]
        assert sought(log)[1:] == [(sorted({batch, credited}), [])]
        n_events = len(events(log))
        steps_with(log, served, named)
        assert len(events(log)) == n_events
    assert {t.txid for event in events(log) if isinstance(event, Retold) for t in event.transactions} == {batch, credited, plain}
    for size in (1000, 1 << 20):
        assert seen_in(log, named, batch=size) == book.truth(named) | {credited: Counter({(MINERS[1], "ETH"): 3 * 10**9})}
    assert sought_in_store(log, tmp_path) == named


def test_an_unknown_id_costs_ever_less_and_nothing_once_it_is_known() -> None:
    world, log, now_s = World(21), MemoryLog(), 0.0
    book = Book(world)
    with Served(world) as served:
        book.mine([Spend(PAYER, MINERS[2], 1)])
        txid = ids_of(book.mine([Spend(PAYER, MINERS[0], 7)]))[0][2:]
        steps_with(log, served, set(), finality=2)
        served.between = knows_none(txid)
        with connector(log, served, {txid}, finality=2, now_s=lambda: now_s) as evm:
            to_tip(evm)

            def asked_in(days: float, *, every_s: float) -> list[float]:
                """The instants at which the id was asked for, in so many days with a block each `every_s` seconds."""
                nonlocal now_s
                found, end_s = [], now_s + days * DAY_S
                while now_s < end_s:
                    now_s += every_s
                    world.mine()
                    before = served.asked.count("eth_getTransactionByHash")
                    to_tip(evm)
                    if served.asked.count("eth_getTransactionByHash") > before:
                        found.append(now_s)
                return found

            first = asked_in(1, every_s=300)
            assert first == [600, 1800, 4200, 9000, 18_600, 37_800, 76_200]
            later = asked_in(10, every_s=7200)
            assert 9 <= len(later) <= 11  # a day at most between two questions
            served.between = honest
            last = asked_in(1.5, every_s=7200)
            assert len(last) == 1 and [t.txid for e in events(log) if isinstance(e, Retold) for t in e.transactions] == [txid]
            assert asked_in(3, every_s=7200) == []


@pytest.mark.parametrize("is_found_first", [True, False])
def test_a_block_without_the_transaction_in_its_body_is_made_up_for(is_found_first: bool) -> None:
    """A body from which a transaction was left out is compared with its root only where it is read whole: the id stays to be asked for."""
    world, log = World(22), MemoryLog()
    book = Book(world)
    book.mine([Spend(PAYER, MINERS[0], 7)])
    txid = ids_of(world.blocks[-1])[0][2:]
    world.replace(1)
    world.salt -= 1  # the same transaction comes again

    with Served(world) as served:
        steps_with(log, served, {txid})
        assert sought(log) == [([txid], [txid])]
        book.mine([Spend(PAYER, MINERS[0], 7)])
        served.between = honest if is_found_first else without_bodies
        steps_with(log, served, {txid})
        served.between = honest
        steps_with(log, served, {txid})
    assert [t.txid for event in events(log) for t in getattr(event, "transactions", [])] == [txid]
    assert sought(log)[1:] == ([] if is_found_first else [([txid], [])])


def test_what_left_the_chain_is_unknown_until_a_block_has_it_again() -> None:
    """Where the body of its new block lacks it, the node's index is asked for it."""
    world, log = World(26), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        spends = [Spend(PAYER, MINERS[0], 7), Spend(PAYER, MINERS[1], 8)]
        named = {txid[2:] for txid in ids_of(book.mine(spends))}
        with connector(log, served, named) as evm:
            to_tip(evm)
            assert [t.txid for event in events(log) if isinstance(event, Connect) for t in event.transactions]
            served.between = without_bodies
            world.replace(1)
            world.salt -= 1  # the same transactions come again, in another block
            assert {txid[2:] for txid in ids_of(world.mine(spends, after_s=13))} == named
            world.mine()
            to_tip(evm)
            world.mine()
            to_tip(evm)
    told = [(event.height, {t.txid for t in event.transactions}) for event in events(log) if isinstance(event, Retold)]
    assert told == [(1, named)]
    assert sought(log)[1:] == [(sorted(named), [])]


def test_what_is_known_late_and_can_not_be_traced_counts_as_not_looked_for(tmp_path: Path) -> None:
    world, log = World(23), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        book.mine([Spend(PAYER, MINERS[2], 1)])
        batch = ids_of(book.mine([Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[0], 9)])]))[0][2:]
        for _ in range(5):
            book.mine([Spend(PAYER, MINERS[1], 1)])  # on the newest block the connector tries how calls can be traced
        steps_with(log, served, set())
        served.between = knows_none(batch)
        steps_with(log, served, {batch})
        assert sought_in_store(log, tmp_path) == {batch}

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method in ("trace_block", "debug_traceBlockByHash") and params[0] in ("0x2", world.blocks[2].hash):
                raise NodeFault(-32000, "missing trie node: state is not available")
            return answer(method, params)

        served.between = between
        steps_with(log, served, {batch})
        assert [event.txids for event in events(log) if isinstance(event, NotTraced)] == [[batch]]
        assert sought_in_store(log, tmp_path) == set()
        served.between = honest
        steps_with(log, served, {batch})
    assert sought_in_store(log, tmp_path) == {batch}
    assert seen_in(log, {batch}, batch=1 << 20) == {batch: Counter({(MINERS[0], "ETH"): 9})}


@pytest.mark.parametrize("told_height", [2, 4])
def test_a_transaction_in_a_block_that_does_not_have_it_is_refused(told_height: int) -> None:
    """In a block of the main chain that is another one: below the first block that is followed, or above."""
    world, log = World(24), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        for _ in range(6):
            book.mine([Spend(PAYER, MINERS[0], 7)])
        txid = ids_of(world.blocks[5])[0][2:]
        steps_with(log, served, set(), start_height=3)

        def between(method: str, params: list[Any], answer: Any) -> Any:
            found = answer(method, params)
            if method == "eth_getTransactionByHash" and found and found["hash"][2:] == txid:
                return {**found, "blockHash": world.blocks[told_height].hash, "blockNumber": hex(told_height)}
            return found

        served.between = between
        with (
            connector(log, served, {txid}, start_height=3) as evm,
            pytest.raises(AnswerUnreadable, match=f"{txid} into block {told_height} .*does not have it"),
        ):
            to_tip(evm)
        assert not sought(log)
        served.between = honest
        steps_with(log, served, {txid}, start_height=3)
    assert [t.txid for event in events(log) if isinstance(event, Retold) for t in event.transactions] == [txid]
    assert sought(log) == [([txid], [])]


def test_a_number_below_the_first_block_that_is_another_blocks_is_refused() -> None:
    world, log = World(25), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        for _ in range(6):
            book.mine([Spend(PAYER, MINERS[0], 7)])
        early, txid = (ids_of(world.blocks[height])[0][2:] for height in (1, 5))

        def between(method: str, params: list[Any], answer: Any) -> Any:
            found = answer(method, params)
            if method == "eth_getTransactionByHash" and found and found["hash"][2:] == txid:
                return {**found, "blockNumber": "0x1"}
            return found

        steps_with(log, served, set(), start_height=3)
        served.between = between
        with connector(log, served, {txid}, start_height=3) as evm, pytest.raises(AnswerUnreadable, match="does not have it"):
            to_tip(evm)
        served.between = honest
        steps_with(log, served, {txid, early}, start_height=3)
    assert sought(log) == [(sorted({txid, early}), [])]  # what is really earlier is known, and not asked for again
