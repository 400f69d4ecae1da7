"""A chain with two nodes, one of them in trouble: the other one is followed, what is read is the same, and each node's trouble is told (ADR 20)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.bitcoin.node_side import BitcoinSide
from connectors.evm import EvmChain, EvmConnector
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.follow.connector import NodeLogin
from pipeline.follow.nodes import NodeReport
from pipeline.log.events.chain import Connect, Disagreed, Disconnect, Stretch, WatchedWallet, Witnessed
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

    def connector(self, **changes: Any) -> BitcoinConnector:
        login = NodeLogin(rpc_url=self.urls[1], user="u", password="p")
        chain = BitcoinChain(
            pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=self.urls[0], user="u", password="p", wallets=WALLETS,
            start_height=1, blocks_a_step=8, further_nodes=[login], **changes,
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

    def connector(self, *urls: str, **changes: Any) -> EvmConnector:
        first, *further = urls or [served.url for served in self.served]
        chain = EvmChain(
            pool_id="p", chain="c", asset="ETH", network=f"evm:{evm_world.CHAIN_ID}", rpc_url=first, start_height=1, finality=5, blocks_a_step=8,
            wallets=[WatchedWallet(name="hot", addresses=[HOT])], tokens={evm_world.TOKEN: "USDT"},
            further_nodes=[NodeLogin(rpc_url=url) for url in further], **changes,
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


def of_another_block(method: str, params: list[Any], answers: evm_world.Answer) -> Any:
    """As if the main chain changed between two questions, each time."""
    found = answers(method, params)
    return [{**receipt, "blockHash": "0x" + 64 * "9"} for receipt in found] if method == "eth_getBlockReceipts" and found else found


@pytest.mark.parametrize(
    "between", [busy, wrong_receipt, of_another_block], ids=["rate limit", "wrong receipts", "receipts of another block"]
)
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


@pytest.mark.parametrize(("difficulty", "followed"), [("0x2", 0), ("0x0", 1), (None, 1), ("zz", 1)])
def test_of_two_nodes_the_one_with_most_work_is_followed_where_blocks_have_work(
    held: ExitStack, difficulty: str | None, followed: int
) -> None:
    """The second node's branch is higher and has less work."""
    two = TwoEvm(held)
    branch = two.served[1].world = copy.copy(two.world)
    branch.blocks = two.world.blocks[:30]
    branch.salt = 99
    branch.mine_some([HOT], 15)

    def with_work(total: int) -> Callable[..., Any]:
        def between(method: str, params: list[Any], answers: evm_world.Answer) -> Any:
            found = answers(method, params)
            if method == "eth_getBlockByNumber" and not params[1] and found:
                return {**found, "difficulty": difficulty, "totalDifficulty": hex(total)}
            return found

        return between

    two.served[0].between, two.served[1].between = with_work(1000), with_work(900)
    connector = two.connector()
    until_idle(connector)
    assert [report.is_followed for report in connector.describe().nodes] == [followed == 0, followed == 1]
    assert max(told(two.log)) == (40, 44)[followed]


def test_a_node_of_another_network_is_never_followed(held: ExitStack) -> None:
    two = TwoEvm(held)
    two.served[0].between = lambda method, params, answers: "0x63" if method == "eth_chainId" else answers(method, params)
    connector = two.connector()
    until_idle(connector)
    assert told(two.log) == two.of_one_node()
    assert "is of network evm:99" in (connector.describe().nodes[0].trouble or "")


# --- final blocks read from a second node ------------------------------------------------------------------------------


def witnessed(log: MemoryLog) -> list[Witnessed]:
    return [event for event in events_of(log) if isinstance(event, Witnessed)]


def disagreed(log: MemoryLog) -> list[Disagreed]:
    return [event for event in events_of(log) if isinstance(event, Disagreed)]


def test_ranges_are_witnessed_once_and_merged(held: ExitStack) -> None:
    two = Two(held)
    connector = two.connector(witnesses=2)
    until_idle(connector)
    found = witnessed(two.log)
    assert [event.height for event in found] == [1, *(event.last + 1 for event in found[:-1])] and found[-1].last == 40 - 6 + 1
    assert all(event.nodes == two.urls and event.reason == "" for event in found)
    n_events = len(events_of(two.log))
    for _ in range(5):
        until_idle(connector)
    assert len(events_of(two.log)) == n_events and connector.describe().witnessed_to_height == 35


def test_blocks_that_leave_the_main_chain_are_witnessed_anew(held: ExitStack) -> None:
    two = Two(held)
    connector = two.connector(witnesses=2)
    until_idle(connector)
    two.world.extend(14, two.world.chain()[30])
    until_idle(connector)
    assert witnessed(two.log)[-1].hash == two.world.chain()[39].hash
    assert connector.describe().witnessed_to_height == 39
    with two.connector(witnesses=2) as again:
        assert again.step() == Idle(44), "all of it is in the log"


@pytest.mark.parametrize("place", [0, 1])
def test_a_node_that_leaves_out_what_is_ours_is_a_disagreement_until_both_agree(
    held: ExitStack, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters that miss a block: nothing in the headers shows it."""
    two = Two(held)
    connector = two.connector(witnesses=2)
    height = next(height for height, (*_, ours) in two.world.facts(10).items() if ours)
    liar = two.urls[place]
    read, is_lying = BitcoinSide.choose, True

    class Missing:
        name, blocks_a_step = "missing", 8

        def __init__(self, strategy: Any) -> None:
            self._strategy = strategy

        def read(self, blocks: Any, *rest: Any) -> Any:
            found = self._strategy.read(blocks, *rest)
            return {at: told for at, told in found.items() if at != height or not is_lying}

    def choose(side: BitcoinSide, start_height: int) -> Any:
        choice, is_new = read(side, start_height)
        return (choice._replace(strategy=Missing(choice.strategy)), is_new) if side.name == liar else (choice, is_new)

    monkeypatch.setattr(BitcoinSide, "choose", choose)
    monkeypatch.setattr("pipeline.follow.witness.FIRST_WAIT_S", 0.0)
    for _ in range(60):
        connector.step()
    (told_apart,) = disagreed(two.log)
    assert (told_apart.height, told_apart.nodes) == (height, two.urls)
    answers = [json.loads(text) for text in told_apart.answers]
    assert answers[place] == [] and [tx["txid"] for tx in answers[1 - place]]
    assert not any(event.height <= height <= event.last for event in witnessed(two.log)), "no two agree on it"
    is_lying = False
    until_idle(connector)
    assert told(two.log) == of_one_node(two.world), "what the followed node left out was read anew"
    assert any(event.height <= height <= event.last for event in witnessed(two.log))
    assert connector.describe().witnessed_to_height == 35


def test_without_a_second_node_the_log_says_so_after_the_wait_and_asks_it_when_it_is_back(held: ExitStack) -> None:
    two = Two(held)
    two.behaves[1] = hang_up
    patient = two.connector(witnesses=2, witness_wait_s=3600.0)
    until_idle(patient)
    assert witnessed(two.log) == []
    patient.close()
    connector = two.connector(witnesses=2, witness_wait_s=0.0)
    until_idle(connector)
    (alone,) = witnessed(two.log)
    assert (alone.nodes, alone.height, alone.last) == (two.urls[:1], 1, 35) and two.urls[1] in alone.reason
    two.behaves[1] = two.nodes[1].behave
    connector._nodes.worked(connector._nodes.sides[1])
    connector._witnesses._read_at = None  # type: ignore[union-attr]
    until_idle(connector)
    assert all(event.nodes == two.urls for event in witnessed(two.log)[1:]) and connector.describe().witnessed_to_height == 35


@pytest.mark.parametrize("place", [0, 1])
def test_a_wrong_trace_at_one_node_is_found_by_the_other(held: ExitStack, place: int) -> None:
    two = TwoEvm(held)
    for served in two.served:
        served.between = without_state

    def lies(method: str, params: list[Any], answers: evm_world.Answer) -> Any:
        found = without_state(method, params, answers)
        if method in ("trace_block", "debug_traceBlockByHash") and found:
            return json.loads(json.dumps(found).replace(evm_world.address(30).lower()[2:], evm_world.address(29).lower()[2:]))
        return found

    two.served[place].between = lies
    connector = two.connector(witnesses=2)
    for _ in range(40):
        connector.step()
    found = disagreed(two.log)
    # Which of them is followed may change: a slow answer is a trouble like any other.
    assert found and all(sorted(event.nodes) == sorted(served.url for served in two.served) for event in found)
    said = dict(zip(found[0].nodes, found[0].answers, strict=True))
    lied, honest = said[two.served[place].url], said[two.served[1 - place].url]
    wrong, right = (to_checksum(evm_world.address(number)) for number in (29, 30))
    assert wrong in lied and right in honest and right not in lied


def without_state(method: str, params: list[Any], answers: evm_world.Answer) -> Any:
    """A node that keeps no state of old blocks: recipients' balances can't tell which trace is right."""
    if method in ("eth_getBalance", "eth_getProof") and params[0].lower() != HOT.lower():
        raise evm_world.NodeFault(-32000, "missing trie node")
    return answers(method, params)
