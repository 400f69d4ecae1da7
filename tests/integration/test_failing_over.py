"""A chain with two nodes, one of them in trouble: the other one is followed, what is read is the same, and each node's trouble is told (ADR 20)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.evm import EvmChain, EvmConnector
from connectors.standins.log_memory import MemoryLog
from pipeline.follow.connector import NodeLogin
from pipeline.follow.nodes import NodeReport
from pipeline.log.events.chain import Connect, Disconnect, Stretch, WatchedWallet
from pipeline.model.errors import SourceError

from ..simulation import evm_world
from ..simulation.bitcoin_world import OURS, World
from .raw_server import Behaviour, always, answer, hang_up
from .scripted_node import ScriptedNode, listening, with_result
from .test_bitcoin_follow import events_of

WALLETS = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in OURS])]


def with_work(node: ScriptedNode) -> ScriptedNode:
    """The node tells the work of its chain: that of regtest's blocks."""
    node.alter = lambda method, reply: (
        with_result(reply, chainwork=f"{2 * (node.world.tip.height + 1):064x}") if method == "getblockchaininfo" else reply
    )
    return node


class Two:
    """A chain of 40 blocks and two nodes of it; what each does may be changed."""

    def __init__(self, held: ExitStack) -> None:
        self.world, self.log = World(5), MemoryLog()
        self.world.extend(40)
        self.nodes = [with_work(ScriptedNode(self.world)), with_work(ScriptedNode(self.world))]
        self.behaves: list[Behaviour] = [node.behave for node in self.nodes]
        self.urls = [held.enter_context(listening(self._behave(place))) for place in (0, 1)]
        self.held = held

    def _behave(self, place: int) -> Behaviour:
        return lambda client, request: self.behaves[place](client, request)

    def connector(self) -> BitcoinConnector:
        login = NodeLogin(rpc_url=self.urls[1], user="u", password="p")
        chain = BitcoinChain(
            pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=self.urls[0], user="u", password="p", wallets=WALLETS,
            start_height=1, blocks_a_step=8, further_nodes=[login],
        )  # fmt: skip
        return self.held.enter_context(BitcoinConnector(self.log, chain))

    def lagging(self, place: int, height: int) -> World:
        """From now on that node has a world of its own, in which the chain ends at this height."""
        node = self.nodes[place]
        node.world = copy.copy(self.world)
        node.world.tip = self.world.chain()[height]
        return node.world


def until_idle(connector: BitcoinConnector | EvmConnector) -> None:
    for _ in range(200):
        if isinstance(connector.step(), Idle):
            return
    raise AssertionError("never at the tip")


def told(log: MemoryLog) -> dict[int, Any]:
    """What the log says of each block of the main chain."""
    chain: dict[int, Any] = {}
    for event in events_of(log):
        match event:
            case Connect():
                chain[event.height] = (event.hash, event.transactions)
            case Stretch():
                chain |= {event.height + n: (block_hash, []) for n, block_hash in enumerate(event.hash)}
            case Disconnect():
                del chain[event.height]
    return chain


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def of_one_node(world: World) -> dict[int, Any]:
    """What the log says where one honest node is followed."""
    with ExitStack() as held:
        log = MemoryLog()
        url = held.enter_context(listening(ScriptedNode(world).behave))
        chain = BitcoinChain(
            pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=url, user="u", password="p", wallets=WALLETS, start_height=1
        )
        until_idle(held.enter_context(BitcoinConnector(log, chain)))
        return told(log)


BY_ANSWER: dict[str, tuple[Behaviour, str]] = {
    "killed": (hang_up, "closed the connection"),
    "rate limit": (always(answer(b"slow down", "429 Too Many Requests")), "overloaded"),
    "no login": (always(answer(b"", "401 Unauthorized")), "does not accept the user and password"),
    "no node": (always(answer(b"<html>")), "is rpc_url the node's RPC port"),
}


@pytest.mark.parametrize("way", BY_ANSWER)
@pytest.mark.parametrize("place", [0, 1])
def test_one_of_two_nodes_is_in_trouble_from_some_block_on(held: ExitStack, way: str, place: int) -> None:
    two = Two(held)
    connector = two.connector()
    connector.step()
    two.behaves[place], says = BY_ANSWER[way]
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)
    reports = connector.look_at_nodes()
    assert [report.is_in_trouble for report in reports] == [place == 0, place == 1]
    assert says in (reports[place].trouble or "") and reports[1 - place].trouble is None
    assert [report.is_followed for report in reports] == [place == 1, place == 0]
    assert reports[1 - place].height == 40 and reports[1 - place].version == "/Satoshi:31.99.0/ (319900)"
    assert reports[1 - place].ways[0] == "rest"
    two.behaves[place] = two.nodes[place].behave
    two.world.extend(3)
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)
    assert [report.is_in_trouble for report in connector.look_at_nodes()] == [False, False]


def test_a_node_that_gives_other_bytes_for_a_block_is_left(held: ExitStack) -> None:
    two = Two(held)
    altered = next(block_hash for height, (block_hash, *_, ours) in two.world.facts(1).items() if height > 15 and ours)
    two.nodes[0].alter_rest = lambda path, status, body: (status, body[:-1] + b"\1") if f"block/{altered}" in path else (status, body)
    connector = two.connector()
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)
    first, second = connector.describe().nodes
    assert first.is_in_trouble and altered in (first.trouble or "") and second.is_followed


def test_both_in_trouble_is_one_error_with_both_words_and_over_when_one_is_back(held: ExitStack) -> None:
    two = Two(held)
    connector = two.connector()
    two.behaves = [hang_up, always(answer(b"", "401 Unauthorized"))]
    with pytest.raises(SourceError, match=r"no node of c can be followed: .*closed the connection.*does not accept the user") as raised:
        connector.step()
    assert raised.value.is_retryable
    two.behaves[0] = two.nodes[0].behave
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)


def test_a_node_behind_the_log_is_left_for_the_one_at_the_tip(held: ExitStack) -> None:
    two = Two(held)
    connector = two.connector()
    until_idle(connector)
    two.lagging(0, 25)
    two.world.extend(2)
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)
    assert [report.is_followed for report in connector.describe().nodes] == [False, True]
    assert [report.height for report in connector.look_at_nodes()] == [25, 42]


def test_a_stale_branch_with_less_work_writes_nothing(held: ExitStack) -> None:
    two = Two(held)
    connector = two.connector()
    until_idle(connector)
    two.lagging(0, 30).extend(4)
    n_events = len(events_of(two.log))
    assert isinstance(connector.step(), Idle)
    assert len(events_of(two.log)) == n_events, "no block of ours was disconnected"
    assert [report.is_followed for report in connector.describe().nodes] == [False, True]


def test_a_node_that_stands_still_is_left_after_two_looks(held: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.follow.nodes.LOOK_EVERY_S", 0)
    two = Two(held)
    connector = two.connector()
    until_idle(connector)
    two.lagging(0, 40)
    two.world.extend(3)
    assert connector.step() == Idle(40), "the next block may only not have reached it yet"
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world)


def test_with_one_node_nothing_else_is_asked_and_its_error_is_its_own(held: ExitStack) -> None:
    two = Two(held)
    chain = BitcoinChain(
        pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=two.urls[0], user="u", password="p", wallets=WALLETS, start_height=1
    )
    connector = held.enter_context(BitcoinConnector(two.log, chain))
    two.behaves[0] = always(answer(b"", "401 Unauthorized"))
    with pytest.raises(SourceError, match=r"^the node at .* does not accept the user and password") as raised:
        connector.step()
    assert not raised.value.is_retryable


# --- account chains ----------------------------------------------------------------------------------------------------

HOT = evm_world.address(1)


class TwoEvm:
    """An account chain of 40 blocks and two nodes of it."""

    def __init__(self, held: ExitStack) -> None:
        self.world, self.log = evm_world.World(7), MemoryLog()
        self.world.mine_some([HOT], 40)
        self.served = [held.enter_context(evm_world.Served(self.world)) for _ in range(2)]
        self.held = held

    def connector(self, *urls: str) -> EvmConnector:
        first, *further = urls or [served.url for served in self.served]
        chain = EvmChain(
            pool_id="p", chain="c", asset="ETH", network=f"evm:{evm_world.CHAIN_ID}", rpc_url=first, start_height=1, finality=5, blocks_a_step=8,
            wallets=[WatchedWallet(name="hot", addresses=[HOT])], tokens={evm_world.TOKEN: "USDT"},
            further_nodes=[NodeLogin(rpc_url=url) for url in further],
        )  # fmt: skip
        return self.held.enter_context(EvmConnector(self.log, chain))

    def of_one_node(self) -> dict[int, Any]:
        with ExitStack() as held:
            other = TwoEvm.__new__(TwoEvm)
            other.world, other.log, other.held = self.world, MemoryLog(), held
            until_idle(other.connector(held.enter_context(evm_world.Served(self.world)).url))
            return told(other.log)


def busy(_method: str, _params: list[Any], _answer: evm_world.Answer) -> Any:
    raise evm_world.NodeFault(-32005, "daily request count exceeded, request rate limited")


def wrong_receipt(method: str, params: list[Any], answers: evm_world.Answer) -> Any:
    found = answers(method, params)
    if method == "eth_getBlockReceipts" and found:
        return [{**receipt, "logs": []} for receipt in found]
    return found


@pytest.mark.parametrize("between", [busy, wrong_receipt], ids=["rate limit", "wrong receipts"])
@pytest.mark.parametrize("place", [0, 1])
def test_one_of_two_nodes_of_an_account_chain_is_in_trouble(held: ExitStack, between: Callable[..., Any], place: int) -> None:
    two = TwoEvm(held)
    connector = two.connector()
    connector.step()
    two.served[place].between = between
    until_idle(connector)
    assert told(two.log) == two.of_one_node()
    reports: tuple[NodeReport, ...] = connector.describe().nodes
    assert [report.is_followed for report in reports] == [place == 1, place == 0]
    if place == 0:
        assert reports[0].trouble is not None and two.served[0].url in reports[0].trouble


def test_a_node_of_another_network_is_never_followed(held: ExitStack) -> None:
    two = TwoEvm(held)
    two.served[0].between = lambda method, params, answers: "0x63" if method == "eth_chainId" else answers(method, params)
    connector = two.connector()
    until_idle(connector)
    assert told(two.log) == two.of_one_node()
    assert "is of network evm:99" in (connector.describe().nodes[0].trouble or "")
