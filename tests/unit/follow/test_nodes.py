"""Which node is followed: a node that failed is left alone for a while, and asked again as soon as it is needed and answers."""

from __future__ import annotations

import pytest
import structlog

from pipeline.follow.node_errors import ChainMoved, NodeBusy, NodeUnreachable
from pipeline.follow.nodes import LONGEST_REST_S, Look, Nodes, PendingWay
from pipeline.model.errors import SourceError


class Side:
    """A node whose tip the test says."""

    version: str | None = None
    ways: tuple[str, ...] = ()
    pending: tuple[PendingWay, ...] = ()
    unproved: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.tip: Look | SourceError = Look(10, "aa")
        self.n_looks = 0

    def look(self) -> Look:
        self.n_looks += 1
        if isinstance(self.tip, SourceError):
            raise self.tip
        return self.tip

    def forget(self) -> None: ...

    def close(self) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


DEAD = NodeUnreachable("nothing listens")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sides() -> tuple[Side, Side]:
    return Side("first"), Side("second")


@pytest.fixture
def nodes(sides: tuple[Side, Side], clock: Clock) -> Nodes[Side]:
    return Nodes(sides, clock, structlog.get_logger("test"), "eth")


def kill(side: Side, nodes: Nodes[Side], clock: Clock, n_times: int) -> None:
    """The node does not answer, each time that it is asked."""
    side.tip = DEAD
    for _ in range(n_times):
        clock.now += LONGEST_REST_S
        nodes.follow_most_work(is_urgent=True)
    assert side not in nodes.others(), "it is left alone now"


def test_a_node_that_is_back_takes_over_at_once_however_long_it_was_left_alone(
    nodes: Nodes[Side], sides: tuple[Side, Side], clock: Clock
) -> None:
    first, second = sides
    kill(second, nodes, clock, 6)
    second.tip = Look(10, "aa")
    assert nodes.fail_over(DEAD) and nodes.current is second
    assert [report.is_in_trouble for report in nodes.reports()] == [True, False]
    first.tip = Look(10, "aa")
    assert nodes.fail_over(DEAD) is False, "the first one failed when it was asked for more than its tip: it is left alone"
    clock.now += 1.0
    assert nodes.fail_over(DEAD) and nodes.current is first


def test_a_node_that_tells_its_tip_to_the_operator_is_not_left_alone_any_longer(
    nodes: Nodes[Side], sides: tuple[Side, Side], clock: Clock
) -> None:
    _, second = sides
    nodes.failed(second, DEAD)
    assert nodes.others() == []
    nodes.look_at_all()
    assert nodes.others() == [second]


def test_a_node_that_lagged_is_followed_rather_than_none(nodes: Nodes[Side], sides: tuple[Side, Side]) -> None:
    _, second = sides
    nodes.failed(second, ChainMoved("it lags"), is_tip_missing=True)
    assert nodes.fail_over(DEAD) and nodes.current is second


def test_a_node_that_asks_for_a_pause_has_it(nodes: Nodes[Side], sides: tuple[Side, Side], clock: Clock) -> None:
    _, second = sides
    nodes.failed(second, NodeBusy("slower", retry_after_s=30.0), is_tip_missing=True)
    nodes.look_at_all()
    assert nodes.others() == [], "although it told its tip"
    assert nodes.fail_over(DEAD) is False
    clock.now += 30.0
    assert nodes.fail_over(DEAD) and nodes.current is second


def test_while_the_followed_node_only_asks_for_a_pause_a_dead_one_is_left_alone(
    nodes: Nodes[Side], sides: tuple[Side, Side], clock: Clock
) -> None:
    _, second = sides
    kill(second, nodes, clock, 3)
    n_looks = second.n_looks
    assert nodes.fail_over(NodeBusy("slower")) is False
    assert second.n_looks == n_looks


def test_a_node_that_tells_its_tip_and_nothing_else_is_left_alone_longer_each_time(
    nodes: Nodes[Side], sides: tuple[Side, Side], clock: Clock
) -> None:
    _, second = sides
    for rest_s in (1.0, 2.0, 4.0, 8.0):
        nodes.looked(second)
        nodes.failed(second, DEAD)
        clock.now += rest_s - 0.1
        assert nodes.others() == []
        clock.now += 0.1
        assert nodes.others() == [second]
    nodes.worked(second)
    nodes.failed(second, DEAD)
    clock.now += 1.0
    assert nodes.others() == [second], "it worked meanwhile"
