"""The loop that all families of chains share: what it waits for, what it tries again, and what it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
import structlog

from connectors.standins.log_memory import MemoryLog
from pipeline.follow.build_events import EventBuilder
from pipeline.follow.connector import Connected, FollowedChain, Idle, Reorganised, Step, Waiting
from pipeline.follow.follower import MAX_RESTARTS, Follower, Rescan
from pipeline.follow.main_chain import MainChain
from pipeline.follow.node_errors import AccessRefused, ChainMoved, ChainUnsteady, NodeBusy, NodeUnreachable
from pipeline.log.events.chain import Connect, Watch, WatchedWallet
from pipeline.log.protocol import EventLog
from pipeline.model.errors import LogError, SettingsError

Does = Callable[["Scripted", MainChain], Step]


class Scripted(Follower[MainChain, Rescan]):
    """A family whose steps the test writes."""

    node_name = "http://node"

    def __init__(
        self, log: EventLog, steps: Sequence[Step | Exception | Does] = (), *, network: str = "mainnet", start_height: int = 5
    ) -> None:
        settings = FollowedChain(pool_id="p", chain="c", asset="C", network=network, rpc_url="", wallets=[], start_height=start_height)
        super().__init__(log, settings, EventBuilder("c"), journal=structlog.get_logger("test"))
        self.steps = list(steps)
        self.n_forgotten = 0
        self.resumed: list[int] = []

    def _step(self, state: MainChain) -> Step:
        does = self.steps.pop(0)
        if isinstance(does, Exception):
            raise does
        return does(self, state) if callable(does) else does

    def _forget_node(self) -> None:
        self.n_forgotten += 1

    def _close_node(self) -> None: ...

    def _empty_state(self) -> MainChain:
        return MainChain()

    def _resume(self, state: MainChain, watch: Watch) -> None:
        self.resumed.append(state.next_seq)


class Waits(threading.Event):
    """Stops after so many waits, without waiting."""

    def __init__(self, n_waits: int) -> None:
        super().__init__()
        self.n_waits = n_waits
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        if len(self.waited) == self.n_waits:
            self.set()
        return self.is_set()


def watch(seq: int = 0) -> Watch:
    return Watch(id=f"c:{seq}", seq=seq, chain="c", network="mainnet", start_height=5, wallets=[WatchedWallet(name="hot", addresses=["a"])])


def block(seq: int, height: int) -> Connect:
    return Connect(
        id=f"c:{seq}", seq=seq, chain="c", height=height, hash=f"{height:064x}", prev=f"{height - 1:064x}", time=height, mediantime=height,
        header="", transactions=[],
    )  # fmt: skip


def begins(follower: Scripted, state: MainChain) -> Step:
    follower._write(state, [watch(), *(block(1 + n, 5 + n) for n in range(3))])
    return Connected(3, state.height)


def test_troubles_are_waited_out_longer_each_time_and_as_long_as_the_node_asks() -> None:
    told: list[Step] = []
    busy = NodeBusy("slow down", retry_after_s=7)
    steps: list[Step | Exception | Does] = [
        NodeUnreachable("gone"), NodeUnreachable("gone"), busy, NodeBusy("full"), NodeUnreachable("gone"), Idle(1), NodeUnreachable("gone"),
    ]  # fmt: skip
    stop = Waits(7)
    Scripted(MemoryLog(), steps).run(stop, told.append, poll_s=2, longest_wait_s=4)
    assert stop.waited == [0.5, 1.0, 7, 4, 4, 2, 0.5]
    assert told[2] == Waiting("slow down") and told[5] == Idle(1)


def test_what_waiting_cannot_mend_ends_the_run() -> None:
    follower = Scripted(MemoryLog(), [AccessRefused("no")])
    with pytest.raises(AccessRefused):
        follower.run(Waits(1))
    assert follower.n_forgotten == 1


def test_a_chain_that_moves_under_a_step_begins_it_again_a_few_times() -> None:
    follower = Scripted(MemoryLog(), [ChainMoved("a"), ChainMoved("b"), Idle(1), *(ChainMoved("c") for _ in range(MAX_RESTARTS))])
    assert follower.step() == Idle(1)
    with pytest.raises(ChainUnsteady, match="the main chain of the node at http://node keeps changing: c") as trouble:
        follower.step()
    assert trouble.value.is_retryable, "waited for, and another node is asked"
    assert follower.n_forgotten == 1 and not follower.steps


def test_the_next_one_goes_on_from_the_log_and_fences_the_first() -> None:
    log = MemoryLog()
    first = Scripted(log, [begins, lambda follower, state: follower._disconnect(state, 6)])
    assert first.step() == Connected(3, 7)
    second = Scripted(log, [lambda follower, state: follower._disconnect(state, 5)])
    assert second.step() == Reorganised(2, 0, 5)
    assert second.resumed == [4]
    with pytest.raises(LogError):
        first.step()


def test_after_an_append_that_failed_the_log_says_what_is_in_it() -> None:
    log = MemoryLog()
    follower = Scripted(log, [begins, lambda follower, state: follower._disconnect(state, 6), Idle(7)])
    follower.step()
    assert follower._writer is not None
    append = follower._writer.append

    def fails(values: Sequence[bytes]) -> None:
        append(values)
        raise LogError("the answer was lost")

    follower._writer.append = fails  # type: ignore[method-assign,assignment]
    with pytest.raises(LogError, match="lost"):
        follower.step()
    assert follower.step() == Idle(7)
    assert follower.resumed == [5], "read again, with the disconnect that was written"


@pytest.mark.parametrize(
    ("network", "start_height", "says"), [("testnet", 5, "is of network mainnet, not testnet"), ("mainnet", 4, "is below 5")]
)
def test_another_network_or_an_earlier_start_is_refused(network: str, start_height: int, says: str) -> None:
    log = MemoryLog()
    with Scripted(log, [begins]) as follower:
        follower.step()
    with Scripted(log, network=network, start_height=start_height) as follower, pytest.raises(SettingsError, match=says):
        follower.step()
