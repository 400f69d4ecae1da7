"""A node that is still building an index when it is first looked at: not remembered as one without it, told with how far it is, waited for where reading needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.bitcoin.errors import IndexBeingBuilt, NotOffered
from connectors.standins.log_memory import MemoryLog
from pipeline.app.begin import NodeLogin, ask_node
from pipeline.app.doctor import _nodes
from pipeline.chains.networks import OURS
from pipeline.log.events.chain import WatchedWallet

from ..simulation.bitcoin_world import OURS as OUR_SCRIPTS
from ..simulation.bitcoin_world import World
from .scripted_node import Reply, ScriptedNode, error_reply, listening
from .test_bitcoin_fuzz import FullNode, OldNode
from .test_nodes_asked_aside import AskedNode

INDEXED = "No such mempool transaction. Blockchain transactions are still in the process of being indexed. Use gettransaction for wallet transactions."


class Building:
    """What a node says of its indexes, as the test has it."""

    def __init__(self, **built: int) -> None:
        """`built`: the height up to which each index stands that is still being built."""
        self.built, self.asked = built, 0

    def __call__(self, method: str, reply: Reply) -> Reply:
        if method != "getindexinfo":
            return reply
        self.asked += 1
        names = {"txindex": "txindex", "filters": "basic block filter index"}
        told = {names[name]: {"synced": False, "best_block_height": height} for name, height in self.built.items()}
        return {**reply, "result": {**reply["result"], **told}}


@pytest.fixture
def world() -> World:
    world = World(11)
    world.extend(24)
    return world


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def following(held: ExitStack, node: ScriptedNode, **settings: Any) -> BitcoinConnector:
    wallets = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in OUR_SCRIPTS])]
    chain = {"start_height": 1, "rest": "off", **settings}
    url = held.enter_context(listening(node.behave))
    return held.enter_context(
        BitcoinConnector(
            MemoryLog(),
            BitcoinChain(pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=url, user="u", wallets=wallets, **chain),
        )
    )


def read_on(connector: BitcoinConnector) -> None:
    while not isinstance(connector.step(), Idle):
        pass


def told(connector: BitcoinConnector) -> tuple[list[str], list[tuple[str, int | None, int | None]]]:
    [node] = connector.describe().nodes
    return list(node.ways), [(each.way, each.height, each.of_height) for each in node.pending]


def test_the_index_of_transactions_is_looked_for_again_at_the_next_blocks(world: World, held: ExitStack) -> None:
    node = ScriptedNode(world, has_rest=False)
    node.alter = building = Building(txindex=7)
    connector = following(held, node)
    read_on(connector)
    assert told(connector) == (["own-outputs"], [("txindex", 7, 24)])
    connector.step()
    assert building.asked == 1, "asked once for each new tip"
    building.built["txindex"] = 19
    world.extend(1)
    read_on(connector)
    assert told(connector) == (["own-outputs"], [("txindex", 19, 25)])
    building.built.clear()
    world.extend(1)
    read_on(connector)
    assert told(connector) == (["own-outputs", "txindex"], [])
    world.extend(1)
    read_on(connector)
    assert building.asked == 3, "what is whole is not asked about again"


@pytest.mark.parametrize("settings", [{"strategy": "txindex"}, {"start_height": 3}], ids=["by name", "no other way"])
def test_what_needs_it_waits_for_it(world: World, held: ExitStack, settings: dict[str, Any]) -> None:
    node = ScriptedNode(world, has_rest=False)
    node.alter = building = Building(txindex=7)
    connector = following(held, node, **settings)
    with pytest.raises(
        IndexBeingBuilt, match=r"still building its index of transactions \(txindex\), up to block 7: waiting for it"
    ) as trouble:
        connector.step()
    assert trouble.value.is_retryable
    building.built.clear()
    read_on(connector)
    assert told(connector)[0][0] == "txindex" and connector.describe().height == 24


def test_a_node_without_the_index_is_refused_as_before(world: World, held: ExitStack) -> None:
    node = ScriptedNode(world, has_rest=False)
    node.alter = lambda method, reply: {**reply, "result": {}} if method == "getindexinfo" else reply
    with pytest.raises(NotOffered, match="there is no index of transactions"):
        following(held, node, strategy="txindex").step()


def test_filters_are_used_as_far_as_they_are_built_and_told_so(world: World, held: ExitStack) -> None:
    node = FullNode(world, has_rest=False)
    node.alter = building = Building(filters=5)
    connector = following(held, node)
    read_on(connector)
    ways, pending = told(connector)
    assert ways[0] == "scanblocks-rpc" and pending == [("blockfilterindex", 5, 24)] and connector.describe().height == 24
    building.built.clear()
    world.extend(1)
    read_on(connector)
    assert told(connector)[1] == []


def test_a_node_that_lists_no_indexes_says_it_when_a_transaction_is_looked_up(world: World, held: ExitStack) -> None:
    node = OldNode(world, has_rest=False)
    node.alter = lambda method, reply: error_reply(reply, -5, INDEXED) if method == "getrawtransaction" else reply
    connector = following(held, node, strategy="txindex")
    with pytest.raises(IndexBeingBuilt, match="it does not say how far"):
        connector.step()
    node.alter = lambda _, reply: reply
    read_on(connector)
    assert connector.describe().height == 24


def test_an_index_that_is_not_whole_after_all_is_waited_for(world: World, held: ExitStack) -> None:
    """Restarted with its index lost: the look-up of a stranger's output says so, not `getindexinfo` of before."""
    node = ScriptedNode(world, has_rest=False)
    node.alter = lambda method, reply: error_reply(reply, -5, INDEXED) if method == "getrawtransaction" else reply
    connector = following(held, node)
    with pytest.raises(IndexBeingBuilt) as trouble:
        read_on(connector)
    assert trouble.value.is_retryable
    node.alter = lambda _, reply: reply
    read_on(connector)
    assert connector.describe().height == 24


def test_the_doctor_says_how_far_it_is(world: World, held: ExitStack) -> None:
    node = AskedNode(world, has_rest=False)
    node.alter = Building(txindex=7)
    url = held.enter_context(listening(node.behave))
    assert [(each.name, each.height) for each in ask_node(NodeLogin(url, user="u", password="p")).building] == [("txindex", 7)]
    chain = SimpleNamespace(
        network="regtest", password=None, cookie_file=None, user="u", rpc_url=[url], secret_headers=dict, start_height=1
    )
    app: Any = SimpleNamespace(settings=SimpleNamespace(chains={"c": chain}, known_networks=OURS), now=lambda: world.tip.time)
    [found] = [each for each in _nodes(app) if each.name == "node of c"]
    assert (found.health, found.detail.partition("; ")[2]) == ("look", "it is still building its indexes: txindex up to block 7")


@pytest.mark.parametrize("alter", [
    lambda reply: {**reply, "result": 7},
    lambda reply: error_reply(reply, -32604, "Method not enabled"),
], ids=["nonsense", "refused"])  # fmt: skip
def test_who_a_node_is_does_not_need_its_indexes(world: World, held: ExitStack, alter: Any) -> None:
    node = AskedNode(world, has_rest=False)
    node.alter = lambda method, reply: alter(reply) if method == "getindexinfo" else reply
    found = ask_node(NodeLogin(held.enter_context(listening(node.behave)), user="u", password="p"))
    assert (found.height, found.building) == (24, ())
