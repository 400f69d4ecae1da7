"""Nodes that are asked beside the following: who they are (`esep init`, doctor), whether they have a payment, what coins they hold (`esep verify --node`). Any
field of any answer may be what it should not be: never another error than one of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.bitcoin.coins import NodeOfCoins
from connectors.bitcoin.rpc import Credentials
from pipeline.app.ask_chain import transactions_on_chain
from pipeline.app.begin import NodeLogin, ask_node
from pipeline.app.doctor import _nodes
from pipeline.chains.networks import OURS as KNOWN
from pipeline.model.errors import EsepError

from ..simulation.bitcoin_world import OURS, REGTEST, World
from ..simulation.evm_world import Answer, Served
from ..simulation.evm_world import World as AccountWorld
from .scripted_node import Reply, listening, with_result
from .test_bitcoin_fuzz import FullNode
from .test_network_check import altered, with_odd


class AskedNode(FullNode):
    """A node with an index of transactions, and headers and transactions as objects."""

    def _getblockheader(self, block_hash: str, is_verbose: bool = True) -> Any:
        block = self.world.blocks[block_hash]
        return {"time": block.time, "mediantime": block.time, "height": block.height} if is_verbose else block.raw[:80].hex()

    def _getrawtransaction(self, txid: str, is_verbose: bool) -> Any:
        return {"blockhash": next(block.hash for block in self.world.chain() if txid in [tx.txid for tx in block.txs])}


LOGIN = Credentials(user="u", password="p")


def who(url: str, _: World) -> None:
    ask_node(NodeLogin(url, user="u", password="p"))


def payments(url: str, world: World) -> None:
    chain = SimpleNamespace(network="regtest", password=None, cookie_file=None, user="u", rpc_url=[url])
    app: Any = SimpleNamespace(settings=SimpleNamespace(chains={"c": chain}))
    transactions_on_chain(app, "c", [tx.txid for block in world.chain()[1:3] for tx in block.txs])


def coins(url: str, world: World) -> None:
    node = NodeOfCoins(url, LOGIN, [REGTEST])
    try:
        tip = node.tip_height()
        node.hash_at(len(world.chain()) - 1)
        list(node.touching(OURS, [], tip - 3, tip))
        node.spends([("11" * 32, 0)], tip - 3)
        node.created_at(world.tip.txs[0].txid)
        node.block(world.tip.hash)
    finally:
        node.close()


@pytest.mark.parametrize("ask", [who, payments, coins], ids=lambda ask: ask.__name__)
def test_of_coins(ask: Callable[[str, World], None]) -> None:
    world = World(5)
    world.extend(8)
    node, seen = AskedNode(world, has_rest=False), dict[str, Any]()

    def look(method: str, reply: Reply) -> Reply:
        if not reply["error"]:
            seen[method] = reply
        return reply

    with listening(node.behave) as url:
        node.alter = look
        ask(url, world)
        for method, reply in seen.items():
            for path, odd in altered(reply["result"]):
                node.alter = lambda asked, reply, method=method, path=path, odd=odd: (  # type: ignore[misc]
                    with_odd(reply, path, odd) if asked == method else reply
                )
                with contextlib.suppress(EsepError):
                    ask(url, world)
    assert seen


@pytest.mark.parametrize(("offset_s", "health"), [(-4000, "ill"), (61, "ill"), (60, "well"), (0, "well")])
def test_the_doctor_compares_the_node_s_clock_with_those_of_its_peers(offset_s: int, health: str) -> None:
    world = World(5)
    world.extend(8)
    node = AskedNode(world, has_rest=False)
    node.alter = lambda method, reply: with_result(reply, timeoffset=offset_s) if method == "getnetworkinfo" else reply
    with listening(node.behave) as url:
        chain = SimpleNamespace(
            network="regtest", password=None, cookie_file=None, user="u", rpc_url=[url], secret_headers=dict, start_height=1
        )
        app: Any = SimpleNamespace(settings=SimpleNamespace(chains={"c": chain}, known_networks=KNOWN), now=lambda: world.tip.time)
        [clock] = [found for found in _nodes(app) if found.name == "clock"]
    assert clock.health == health
    assert "its peers" in clock.detail if health == "well" else f"clocks that differ by {offset_s} s" in clock.detail


def test_of_an_account_chain() -> None:
    world = AccountWorld(1)
    world.mine()
    seen: dict[str, Any] = {}
    with Served(world) as served:

        def look(method: str, params: list[Any], answers: Answer) -> Any:
            seen[method] = answers(method, params)
            return seen[method]

        served.between = look
        assert ask_node(NodeLogin(served.url)).height == 1
        for method, path, odd in _all(dict(seen)):
            served.between = lambda asked, params, answers, method=method, path=path, odd=odd: (  # type: ignore[misc]
                with_odd({"result": answers(asked, params), "error": None}, path, odd)["result"]
                if asked == method
                else answers(asked, params)
            )
            with contextlib.suppress(EsepError):
                ask_node(NodeLogin(served.url))
    assert seen.keys() == {"eth_chainId", "web3_clientVersion", "eth_getBlockByNumber", "eth_syncing"}


def _all(seen: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    for method, result in seen.items():
        for path, odd in altered(result):
            yield method, path, odd


def test_a_node_that_became_shorter_is_asked_again() -> None:
    world = World(5)
    world.extend(8)
    with listening(FullNode(world, has_rest=False).behave) as url:
        node = NodeOfCoins(url, LOGIN, [REGTEST])
        with pytest.raises(EsepError, match="ask again"):
            node.hash_at(9)
        node.close()
