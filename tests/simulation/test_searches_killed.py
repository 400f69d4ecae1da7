"""A search of the blocks that the log has already, for what came later than they, is killed: it goes on from its last place in the log, and finds the same."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from connectors.bitcoin import BitcoinConnector, Idle
from connectors.evm import EvmConnector
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.follow.build_events import STEPS_A_PLACE
from pipeline.follow.connector import LookedUp, Rescanned, Rescanning
from pipeline.log.events.chain import Retold, Searched, Sought, Watch, WatchedWallet
from pipeline.store import Store
from pipeline.store.ingest import Ingest

from ..integration.test_bitcoin_follow import events_of
from . import bitcoin_world, test_evm_payers, test_evm_reorganisations
from .bitcoin_world import SimulatedNode
from .bitcoin_world import World as BitcoinWorld
from .evm_world import Served, Spend, World, address
from .test_bitcoin_reorganisations import WALLETS, KilledError, MortalLog, connector, finish, told
from .test_evm_payers import MINERS, PAYER, Book, ids_of
from .test_evm_reorganisations import events, to_tip

LATE = b"\x00\x14" + b"\xee" * 20
"""Nobody pays it before `paid_from`."""
STEP = 5
"""Blocks a step."""
ADDRESS = address_of(LATE, network("regtest"))
assert ADDRESS is not None
WITH_LATE = [*WALLETS, WatchedWallet(name="late", addresses=[ADDRESS])]
AsWallet = Callable[..., BitcoinConnector]


def as_wallet(log: MemoryLog, node: SimulatedNode) -> BitcoinConnector:
    return connector(log, node, wallets=WITH_LATE, blocks_a_step=STEP)


def as_payee(log: MemoryLog, node: SimulatedNode) -> BitcoinConnector:
    """The address is one that another payer pays (rule 10.2)."""
    found = connector(log, node, blocks_a_step=STEP)
    found._payees = lambda: {ADDRESS or ""}
    return found


@pytest.fixture
def paid_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(bitcoin_world, "THEIRS", [*bitcoin_world.THEIRS[:3], LATE])


def searched_to(steps: Collection[Any]) -> list[int]:
    return [step.height for step in steps if isinstance(step, Rescanning)]


def steps_of(following: BitcoinConnector, count: int) -> list[Any]:
    return [following.step() for _ in range(count)]


@pytest.mark.parametrize("begin", [as_wallet, as_payee])
def test_it_goes_on_from_its_place(begin: AsWallet, paid_from: Callable[[], None], tmp_path: Path) -> None:
    world, log = BitcoinWorld(3), MemoryLog()
    world.extend(130)
    paid_from()
    world.extend(20)
    node = SimulatedNode(world, has_rest=True)
    finish(connector(log, node, blocks_a_step=STEP), world)
    n_before = len(events_of(log))
    assert searched_to(steps_of(begin(log, node), STEPS_A_PLACE - 1))[-1] == STEP * (STEPS_A_PLACE - 1)
    assert len(events_of(log)) == n_before  # a short search leaves nothing in the log
    assert searched_to(steps_of(begin(log, node), STEPS_A_PLACE + 2))[:1] == [STEP]  # begun anew
    place = STEP * STEPS_A_PLACE
    assert [event.height for event in events_of(log) if isinstance(event, Searched)] == [place]
    following = begin(log, node)  # the last one was killed: it was never closed
    first = following.step()
    assert isinstance(first, Rescanning) and first.height == place + STEP
    finish(following, world)
    whole = MemoryLog()
    finish(begin(whole, node), world)
    assert told(log) == told(whole) and any(LATE.hex() in tx.raw for e in events_of(log) for tx in getattr(e, "transactions", ()))
    with Store.open(tmp_path / "store.duckdb") as store:
        assert Ingest(log, store).catch_up().bad_events == 0
        tip = store.connection.execute("SELECT seq FROM raw_chain_tip").fetchone()
        assert tip == (events_of(log)[-1].seq,)


@pytest.mark.parametrize("begin", [as_wallet, as_payee])
def test_blocks_below_a_reorganisation_stay_searched_and_those_above_it_do_not(begin: AsWallet, paid_from: Callable[[], None]) -> None:
    world, log = BitcoinWorld(4), MemoryLog()
    world.extend(100)
    node = SimulatedNode(world, has_rest=True)
    finish(connector(log, node, blocks_a_step=STEP), world)
    place = STEP * STEPS_A_PLACE
    steps_of(begin(log, node), STEPS_A_PLACE)
    paid_from()
    world.extend(75, world.chain()[place - 10])  # pays it in blocks that had been searched
    following = begin(log, node)
    steps = []
    while not isinstance(steps[-1] if steps else None, Rescanned):
        steps.append(following.step())
    assert all(height >= place - 10 for height in searched_to(steps))
    finish(following, world)
    whole = MemoryLog()
    finish(begin(whole, node), world)
    assert told(log) == told(whole)


@pytest.mark.parametrize("begin", [as_wallet, as_payee])
def test_killed_at_any_append_of_a_search_it_finds_the_same(begin: AsWallet, paid_from: Callable[[], None]) -> None:
    world = BitcoinWorld(5)
    world.extend(95)
    paid_from()
    world.extend(5)
    node, whole = SimulatedNode(world, has_rest=True), MemoryLog()
    finish(begin(whole, node), world)

    def life(log: MortalLog) -> None:
        finish(connector(log, node, blocks_a_step=STEP), world)
        for _ in range(2):
            try:
                finish(begin(log, node), world)
            except KilledError:
                continue

    unharmed = MortalLog()
    life(unharmed)
    places = [event.height for event in events_of(unharmed) if isinstance(event, Searched)]
    assert len(places) == 2
    for place in range(100 // STEP + 2, unharmed.n_appends + 1):
        for moment in ("kill_before", "kill_after"):
            log = MortalLog()
            setattr(log, moment, place)
            life(log)
            assert told(log) == told(whole), f"{moment} append {place}"


def test_what_is_no_longer_wanted_is_no_longer_searched_for() -> None:
    world, log = BitcoinWorld(6), MemoryLog()
    world.extend(100)
    node = SimulatedNode(world, has_rest=True)
    finish(connector(log, node, blocks_a_step=STEP), world)
    steps_of(as_wallet(log, node), STEPS_A_PLACE)
    assert connector(log, node).step() == Idle(100)
    again = as_payee(log, node)
    assert searched_to([again.step()]) == [STEP]  # another search: from the start


def test_what_came_besides_meanwhile_is_searched_for_afterwards(paid_from: Callable[[], None]) -> None:
    """A kill, and a wallet that is configured before the program starts again: the search goes on, and another one follows."""
    world, log = BitcoinWorld(7), MemoryLog()
    world.extend(100)
    paid_from()
    world.extend(10)
    node = SimulatedNode(world, has_rest=True)
    first = [WatchedWallet(name="pool", descriptors=WALLETS[0].descriptors[:3])]
    following = connector(log, node, wallets=first, blocks_a_step=STEP)
    finish(following, world)
    following._payees = lambda: {ADDRESS or ""}
    steps_of(following, STEPS_A_PLACE)
    following = as_payee(log, node)
    assert searched_to([following.step()]) == [STEP * (STEPS_A_PLACE + 1)]
    finish(following, world)
    assert [len(event.payees) for event in events_of(log) if isinstance(event, Watch)] == [0, 1, 1]
    whole = MemoryLog()
    finish(as_payee(whole, node), world)
    assert told(log) == told(whole)


def test_on_an_account_chain_too() -> None:
    world, log, late = World(8), MemoryLog(), "0x" + 40 * "c"
    wallets = [*test_evm_reorganisations.WALLETS, WatchedWallet(name="late", addresses=[late])]

    def begin(log: MemoryLog, served: Served) -> EvmConnector:
        return test_evm_reorganisations.connector(log, served, wallets=wallets, blocks_a_step=STEP)

    place = STEP * STEPS_A_PLACE
    with Served(world) as served:
        for _ in range(place + 20):
            world.mine([])
        world.mine([Spend(address(20), late, 9)])
        with test_evm_reorganisations.connector(log, served) as evm:
            to_tip(evm)
        evm = begin(log, served)
        for _ in range(STEPS_A_PLACE):
            evm.step()
        assert [event.height for event in events(log) if isinstance(event, Searched)] == [place]
        evm = begin(log, served)
        step = evm.step()
        assert isinstance(step, Rescanning) and step.height == place + STEP
        rewatched = next(step for step in to_tip(evm) if isinstance(step, Rescanned))
        assert rewatched.height == place + 20
        evm.close()


def test_a_look_up_of_transactions_goes_on_from_its_place() -> None:
    """In blocks of which the node has no index: what was found below the place is not read again, and is told."""
    world, log = World(4), MemoryLog()
    book, place = Book(world), STEP * STEPS_A_PLACE
    with Served(world) as served:
        for _ in range(place + 30):
            book.mine([Spend(PAYER, MINERS[0], 7)])

        def between(method: str, params: list[Any], answer: Any) -> Any:
            found = answer(method, params)
            return None if method == "eth_getTransactionByHash" and found and int(found["blockNumber"], 16) < place + 25 else found

        served.between = between
        test_evm_payers.steps_with(log, served, set())
        named = {ids_of(world.blocks[height])[0][2:] for height in (1, 6, place + 20)}
        evm = test_evm_payers.connector(log, served, named, blocks_a_step=STEP)
        for _ in range(STEPS_A_PLACE):
            evm.step()
        assert [event.height for event in events(log) if isinstance(event, Searched)] == [place]
        named |= {ids_of(world.blocks[height])[0][2:] for height in (3, place + 28)}  # a file that is imported meanwhile
        evm = test_evm_payers.connector(log, served, named, blocks_a_step=STEP)
        step = evm.step()
        assert isinstance(step, Rescanning) and step.height == place + STEP and step.n_added == 3
        assert [step.n_found for step in to_tip(evm) if isinstance(step, LookedUp)] == [3, 2]
        evm.close()
    assert {t.txid for event in events(log) if isinstance(event, Retold) for t in event.transactions} == named
    assert {txid for event in events(log) if isinstance(event, Sought) for txid in event.txids} == named
