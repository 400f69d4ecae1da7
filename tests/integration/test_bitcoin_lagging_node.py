"""A node that lags on the log's own chain is waited for, and writes nothing; one with other blocks is followed."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Connected, Idle, Reorganised, Waiting
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import WatchedWallet

from ..simulation.bitcoin_world import OURS, World
from .scripted_node import ScriptedNode, listening
from .test_bitcoin_follow import events_of

WALLETS = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in OURS])]


class Followed:
    """A chain of 30 blocks, followed over HTTP."""

    def __init__(self, held: ExitStack, *, has_rest: bool) -> None:
        self.world, self.log = World(5), MemoryLog()
        self.world.extend(30)
        url = held.enter_context(listening(ScriptedNode(self.world, has_rest=has_rest).behave))
        chain = BitcoinChain(
            pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=url, user="u", password="p", wallets=WALLETS, start_height=1
        )
        self.connector = held.enter_context(BitcoinConnector(self.log, chain))
        while not isinstance(self.connector.step(), Idle):
            pass
        self.n_events = len(events_of(self.log))

    def new_events(self) -> int:
        return len(events_of(self.log)) - self.n_events


@pytest.mark.parametrize("has_rest", [True, False])
@pytest.mark.parametrize("n_behind", [3, 29])
def test_twenty_looks_at_a_node_that_lags_write_nothing(has_rest: bool, n_behind: int) -> None:
    with ExitStack() as held:
        followed = Followed(held, has_rest=has_rest)
        tip, chain = followed.world.tip, followed.world.chain()
        for _ in range(20):
            followed.world.tip = chain[-1 - n_behind]
            step = followed.connector.step()
            assert isinstance(step, Waiting) and f"at height {30 - n_behind}, below the log's 30: it lags" in step.reason
            followed.world.tip = tip
            assert followed.connector.step() == Idle(30)
        assert followed.new_events() == 0
        followed.world.extend(2)
        assert followed.connector.step() == Connected(2, 32)


def test_a_node_restored_from_a_snapshot_is_waited_for_while_it_catches_up() -> None:
    with ExitStack() as held:
        followed = Followed(held, has_rest=True)
        chain = followed.world.chain()
        for height in (3, 12, 29):
            followed.world.tip = chain[height]
            assert isinstance(followed.connector.step(), Waiting)
        followed.world.tip = chain[30]
        assert followed.connector.step() == Idle(30)
        assert followed.new_events() == 0


@pytest.mark.parametrize("n_other", [2, 3, 4])
def test_a_chain_of_other_blocks_is_followed_though_it_is_shorter_or_as_long(n_other: int) -> None:
    """Headers of a shorter chain may show more work; a node's main chain is always the one with the most."""
    with ExitStack() as held:
        followed = Followed(held, has_rest=True)
        followed.world.extend(n_other, followed.world.chain()[27])
        assert followed.connector.step() == Reorganised(3, n_other, 27 + n_other)
        assert followed.connector.step() == Idle(27 + n_other)
