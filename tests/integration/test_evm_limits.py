"""An account chain's node that limits us, in whatever words and wherever it says so: the batch shrinks and grows again, and what was answered is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm.errors import NodeBusy, wait_in_answer_s
from connectors.evm.rpc import GROWS_AFTER, LONGEST_PAUSE_S, PATIENCE, NodeConnection

from ..simulation.evm_world import NodeFault, Served, World
from .test_evm_node_troubles import HOT, connector, read_all

WORDS = [
    NodeFault(429, "nope"),
    NodeFault(-32005, "Your app has exceeded its compute units per second capacity"),
    NodeFault(-32000, "call rate limit exhausted, retry in 10s"),
    NodeFault(-32007, "15/second request limit reached - reduce calls per second or upgrade your account"),
    NodeFault(-32603, "You've exceeded your throughput; slow down"),
]


@pytest.fixture
def served() -> Iterator[Served]:
    world = World(7)
    world.mine_some([HOT], 30)
    with Served(world) as served:
        yield served


class Limit:
    """Answers so many calls of each request, and refuses the rest."""

    def __init__(self, served: Served, allowed: int, fault: NodeFault) -> None:
        self.allowed, self.fault, self.left, self.sizes = allowed, fault, 0, list[int]()
        reply = served._reply

        def counted(request: Any) -> Any:
            self.left = self.allowed
            self.sizes.append(len(request) if isinstance(request, list) else 1)
            return reply(request)

        served._reply = counted  # type: ignore[method-assign]
        served.between = self.between

    def between(self, method: str, params: list[Any], answer: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.fault
        return answer(method, params)


CALLS = [("eth_getBlockByNumber", (hex(height), False)) for height in range(30)]


@pytest.mark.parametrize("fault", WORDS, ids=str)
def test_a_limit_inside_a_batch_is_met_by_smaller_ones_that_grow_again(served: Served, fault: NodeFault) -> None:
    limit, pauses = Limit(served, 7, fault), list[float]()
    connection = NodeConnection(served.url, pause=pauses.append)
    assert [bytes(answer) for answer in connection.ask(CALLS)] == [bytes(answer) for answer in connection.ask(CALLS)]
    assert connection.batch_size == 7 and max(limit.sizes[1:]) <= 29
    limit.allowed = 1000
    for _ in range(5 * GROWS_AFTER):
        connection.ask(CALLS * 4)
    assert connection.batch_size == 100
    connection.close()


def test_a_limit_of_http_is_waited_for_as_long_as_it_says_and_then_told(served: Served) -> None:
    pauses = list[float]()
    connection = NodeConnection(served.url, pause=pauses.append)
    served.replies = [(429, b"slow down", {"Retry-After": "3"}), (429, b"", {})]
    assert len(connection.ask(CALLS)) == 30
    assert pauses == [3.0, 1.0] and connection.batch_size < 30
    served.replies = [(429, b"", {})] * 20
    pauses.clear()
    with pytest.raises(NodeBusy):
        connection.ask(CALLS)
    assert len(pauses) == PATIENCE and max(pauses) <= LONGEST_PAUSE_S
    served.replies = [(429, b"", {"Retry-After": "600"})]
    with pytest.raises(NodeBusy) as raised:
        connection.ask(CALLS)
    assert raised.value.retry_after_s == 600 and len(pauses) == PATIENCE, "the loop waits that long, not the connection"
    connection.close()


@pytest.mark.parametrize(
    ("text", "data", "seconds"),
    [
        ("limit, retry in 10s", None, 10),
        ("Try again in 1.5 seconds", None, 1.5),
        ("retry after 250ms", None, 0.25),
        ("slow down", {"rate": {"backoff_seconds": 30}}, 30),
        ("please wait 2 minutes", None, 120),
        ("project ID request rate exceeded", None, None),
        ("15/second request limit reached", [], None),
    ],
)
def test_how_long_an_answer_asks_to_wait(text: str, data: object, seconds: float | None) -> None:
    assert wait_in_answer_s(text, data) == seconds


def test_the_whole_chain_is_followed_past_a_limit_and_what_is_known_of_the_node_is_kept(served: Served) -> None:
    honest = read_all(served)
    limit = Limit(served, 6, WORDS[0])
    assert read_all(served, calls_a_request=6) == honest
    limit.allowed = 1000
    with connector(served) as evm:
        evm.step()
        served.world.mine()
        served.replies = [(429, b"", {"Retry-After": "600"})]
        with pytest.raises(NodeBusy):
            evm.step()
        served.asked.clear()
        evm.step()
        assert "web3_clientVersion" not in served.asked, "the node's features are not tried anew"


@pytest.mark.parametrize(
    "fault", [NodeFault(-32701, "exceed maximum block range: 3"), NodeFault(-32701, "Please specify an address in your request")], ids=str
)
def test_a_range_of_logs_that_is_refused_is_halved(served: Served, fault: NodeFault) -> None:
    """As publicnode says it."""
    honest = read_all(served)
    spans: list[int] = []

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getLogs":
            spans.append(int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1)
            if spans[-1] > 3:
                raise fault
        return answer(method, params)

    served.between = between
    assert read_all(served) == honest
    assert max(spans) > 3 and min(spans) <= 3
