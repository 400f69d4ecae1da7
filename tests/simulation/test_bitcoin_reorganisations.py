"""The connector in a world that reorganises between any two requests, and that kills it at any append.

Whatever happens, the log's main chain ends as the world's: same blocks, same median times, same facts.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle, Waiting
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import Stretch, WatchedWallet
from pipeline.log.protocol import NewEvent, Topic, Writer
from pipeline.model.errors import SourceError

from ..integration.test_bitcoin_follow import events_of, main_chain
from .bitcoin_world import OURS, SimulatedNode, World

WALLETS = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in OURS])]


class KilledError(Exception):
    """The process was killed."""


class MortalLog(MemoryLog):
    """Kills its writer at one append: just before it, or just after."""

    def __init__(self) -> None:
        super().__init__()
        self.n_appends = 0
        self.kill_before: int | None = None
        self.kill_after: int | None = None

    def append(self, topic: Topic, key: str, epoch: int, events: Sequence[NewEvent]) -> int:
        self.n_appends += 1
        if self.n_appends == self.kill_before:
            raise KilledError
        appended = super().append(topic, key, epoch, events)
        if self.n_appends == self.kill_after:
            raise KilledError
        return appended

    def writer(self, topic: Topic, key: str) -> Writer:
        return super().writer(topic, key)


def connector(log: MemoryLog, node: SimulatedNode, **changes: object) -> BitcoinConnector:
    given_ = {
        "pool_id": "p", "chain": "bitcoin", "asset": "BTC", "network": "regtest", "rpc_url": "http://127.0.0.1:1",
        "wallets": WALLETS, "start_height": 1, "blocks_a_step": 7,
    }  # fmt: skip
    return BitcoinConnector(log, BitcoinChain(**(given_ | changes)), connection=node)  # type: ignore[arg-type]


def finish(following: BitcoinConnector, world: World) -> None:
    """Step until nothing is new. A node that went back is waited for, until the world grows again."""
    for _ in range(500):
        match following.step():
            case Idle():
                return
            case Waiting(reason) if "lags" in reason:
                world.extend(1)
    raise AssertionError("it does not come to rest")


def told(log: MemoryLog) -> dict[int, tuple]:
    return {
        height: (
            block_hash, prev, time, mediantime,
            [
                (tx.txid, [(i.txid, i.vout, int(i.value)) for i in tx.inputs], tx.other_inputs, int(tx.other_inputs_value),
                 [(int(o.value), o.wallet is not None) for o in tx.outputs], int(tx.fee))
                for tx in transactions
            ],
        )
        for height, (block_hash, prev, time, mediantime, transactions) in main_chain(events_of(log)).items()
    }  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), has_rest=st.booleans(), restlessness=st.sampled_from([0.0, 0.03, 0.15]), start=st.integers(0, 2))
def test_a_restless_chain_ends_as_it_is(seed: int, has_rest: bool, restlessness: float, start: int):
    world = World(seed)
    world.extend(25)
    log, node = MemoryLog(), SimulatedNode(world, has_rest=has_rest, restlessness=restlessness)
    if not has_rest:
        start = min(start, 1)  # spends are known by what they spend: all of history is needed
    with connector(log, node, start_height=start, strategy="rest" if has_rest else "own-outputs") as following:
        for _ in range(20):
            world.move()
            following.step()
        world.is_still = True
        finish(following, world)
    assert told(log) == world.facts(start), f"seed {seed}"
    assert [event.seq for event in events_of(log)] == list(range(len(events_of(log))))


def _life(log: MortalLog, seed: int) -> World:
    """Twelve moves of the world, each followed; when killed, the connector starts again from the log."""
    world = World(seed)
    world.extend(15)
    node = SimulatedNode(world, has_rest=True)
    following = connector(log, node)
    try:
        for _ in range(12):
            world.move()
            try:
                finish(following, world)
            except KilledError:
                following.close()
                following = connector(log, node)
                finish(following, world)
        finish(following, world)
    finally:
        following.close()
    return world


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_every_append_it_resumes_from_the_log(seed: int):
    unharmed = MortalLog()
    world = _life(unharmed, seed)
    assert told(unharmed) == world.facts(1)
    assert unharmed.n_appends > 10
    for place in range(1, unharmed.n_appends + 1):
        for moment in ("kill_before", "kill_after"):
            log = MortalLog()
            setattr(log, moment, place)
            assert _life(log, seed).tip.hash == world.tip.hash
            assert told(log) == world.facts(1), f"seed {seed}, {moment} append {place}"


def test_reorganise_and_return_equals_never_reorganised():
    world = World(7)
    world.extend(30)
    node = SimulatedNode(world, has_rest=True)
    stayed, log = MemoryLog(), MemoryLog()
    with connector(stayed, node) as following:
        finish(following, world)
    with connector(log, node) as following:
        finish(following, world)
        before, chain = world.tip, world.chain()
        world.extend(20, chain[12])
        finish(following, world)
        assert told(log) != told(stayed)
        world.tip = before
        finish(following, world)
    assert told(log) == told(stayed) == world.facts(1)


def test_a_wallet_that_joins_while_the_chain_moves():
    for seed in range(6):
        world = World(seed)
        world.extend(40)
        node = SimulatedNode(world, has_rest=True, restlessness=0.1)
        log = MemoryLog()
        first = [WatchedWallet(name="pool", descriptors=WALLETS[0].descriptors[:2])]
        with connector(log, node, wallets=first) as following:
            for _ in range(10):
                following.step()
        with connector(log, node) as following:
            for _ in range(15):
                following.step()
            world.is_still = True
            finish(following, world)
        assert told(log) == world.facts(1), f"seed {seed}"


def test_long_quiet_runs_are_stretches_of_at_most_a_thousand():
    world = World(3)
    world.random.random = lambda: 1.0  # type: ignore[method-assign]  # coinbases go to strangers
    world.random.choice = lambda options: 0  # type: ignore[method-assign]  # and nobody pays anybody
    world.extend(1205)
    log = MemoryLog()
    with connector(log, SimulatedNode(world, has_rest=True), blocks_a_step=5000) as following:
        finish(following, world)
    runs = [len(event.hash) for event in events_of(log) if isinstance(event, Stretch)]
    assert runs == [1000, 205]


class LyingNode(SimulatedNode):
    """Now and then an answer is cut, damaged or replaced.

    Bodies of blocks by REST stay whole: real ones are cut visibly (their length is announced), and damage within is the one
    thing that a search of unread bytes can't see.
    """

    def _exchange(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        status, answer = super()._exchange(verb, path, body, timeout_s)
        whim = self._whims.random()
        if self.world.is_still or whim > 0.25:
            return status, answer
        place = self._whims.randrange(len(answer) + 1)
        is_body = path.startswith(("/rest/block", "/rest/spent"))
        if whim < 0.08 and not is_body:
            return status, answer[:place]
        if 0.08 <= whim < 0.12:
            return self._whims.choice([200, 404, 429, 500, 503]), self._whims.choice(
                [b"", b"<html>", b"null", b"[]", b"{}", b"\xff", b'{"result":{}}']
            )
        if whim < 0.16 and not is_body:
            return status, answer[:place] + self._whims.randbytes(3) + answer[place:]
        return status, answer


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), has_rest=st.booleans())
def test_a_node_that_answers_nonsense_is_survived(seed: int, has_rest: bool):
    world = World(seed)
    world.extend(25)
    log, node = MemoryLog(), LyingNode(world, has_rest=has_rest)
    node._whims.seed(seed)
    with connector(log, node, strategy="rest" if has_rest else "own-outputs") as following:
        for _ in range(30):
            world.move()
            try:
                following.step()
            except SourceError as trouble:
                assert str(trouble)
        world.is_still = True
        finish(following, world)
    assert told(log) == world.facts(1), f"seed {seed}"
