"""What a node does not have: the transactions of strangers, blocks not downloaded yet, undo data. What is not needed is not asked for."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.bitcoin.errors import AnswerUnreadable, BlockNotThere, NodeBusy, NodeWarmingUp
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import Connect, WatchedWallet

from ..simulation.bitcoin_world import OURS, THEIRS, World
from .scripted_node import Reply, ScriptedNode, error_reply, listening
from .test_bitcoin_follow import events_of
from .test_bitcoin_fuzz import FullNode


def connector(url: str, scripts: list[bytes], strategy: str, rest: str = "off") -> BitcoinConnector:
    wallets = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in scripts])]
    return BitcoinConnector(
        MemoryLog(),
        BitcoinChain(
            pool_id="p", chain="c", asset="BTC", network="regtest", rpc_url=url, user="u", wallets=wallets, start_height=1, strategy=strategy,
            rest=rest,  # type: ignore[arg-type]
        ),
    )  # fmt: skip


def dusted() -> tuple[World, bytes]:
    """A world, and a script in it that strangers paid and that never paid anybody."""
    for seed in range(100):
        world = World(seed)
        world.extend(30)
        txs = [tx for block in world.chain() for tx in block.txs if tx.spends]
        for script in OURS + THEIRS:
            is_paid = any(script == paid for tx in txs for _, paid in tx.pays)
            if is_paid and not any(script == spent for tx in txs for _, _, spent in tx.spends):
                return world, script
    raise AssertionError("no such world")


def test_dust_from_a_stranger_asks_nothing_of_a_node_without_txindex() -> None:
    world, script = dusted()
    asked: list[str] = []

    def alter(method: str, reply: Reply) -> Reply:
        asked.append(method)
        if method == "getindexinfo":
            return {**reply, "result": {}}
        if method == "getrawtransaction":
            return error_reply(reply, -5, "No such mempool transaction. Use -txindex or provide a block hash")
        return reply

    with ExitStack() as held:
        node = ScriptedNode(world, has_rest=False)
        node.alter = alter
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), [script], "auto"))
        while not isinstance(following.step(), Idle):
            pass
        assert following.describe().method == "own-outputs"
        found = [tx for event in events_of(following._log) if isinstance(event, Connect) for tx in event.transactions if not tx.is_coinbase]
        assert found and all(not tx.inputs and tx.other_inputs and (tx.other_inputs_value, tx.fee) == ("0", "0") for tx in found)
        assert "getrawtransaction" not in asked


WORDS = [
    (-1, "Block not available (not fully downloaded)"),
    (-1, "Undo data expected but can't be read. This could be due to disk corruption."),
]


@pytest.mark.parametrize("strategy", ["rpc-verbose", "rpc-raw"])
@pytest.mark.parametrize(("code", "words"), WORDS)
def test_a_snapshot_node_s_missing_blocks_are_waited_for(strategy: str, code: int, words: str) -> None:
    world = World(11)
    world.extend(24)
    with ExitStack() as held:
        node = FullNode(world, has_rest=False)
        node.alter = lambda method, reply: error_reply(reply, code, words) if method == "getblock" else reply
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, strategy))
        with pytest.raises(BlockNotThere, match="does not have that block's data now; one that began from a snapshot") as told:
            following.step()
        assert told.value.is_retryable and "reindex" not in str(told.value)
        node.alter = lambda _, reply: reply
        while not isinstance(step := following.step(), Idle):
            pass
        assert step == Idle(24)


def test_undo_data_that_is_not_there_yet_is_waited_for() -> None:
    world = World(11)
    world.extend(24)

    def without_prevouts(method: str, reply: Reply) -> Reply:
        if method == "getblock":
            for tx in reply["result"]["tx"]:
                for vin in tx["vin"]:
                    vin.pop("prevout", None)
        return reply

    with ExitStack() as held:
        node = FullNode(world, has_rest=False)
        node.alter = without_prevouts
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, "rpc-verbose"))
        with pytest.raises(BlockNotThere, match="its undo data is not there") as told:
            while not isinstance(following.step(), Idle):
                pass
        assert told.value.is_retryable and "reindex" not in str(told.value)


@pytest.mark.parametrize("says", ["Block not available (not fully downloaded)", "Undo not available"])
def test_rest_says_so_too(says: str) -> None:
    world = World(11)
    world.extend(24)
    with ExitStack() as held:
        node = ScriptedNode(world)
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, "rest", rest="on"))
        assert not isinstance(following.step(), Idle)
        world.extend(1)
        node.alter_rest = lambda path, status, body: (404, f"{says}\r\n".encode()) if "spenttxouts" in path else (status, body)
        with pytest.raises(BlockNotThere, match=re.escape(says)):
            following.step()


NOT_NOW = [
    "{tip} undo not available",
    "{tip} not found",
    "Undo data expected but can't be read",
    "{tip} not available (not fully downloaded)",
]


@pytest.mark.parametrize("strategy", ["auto", "rest"])
@pytest.mark.parametrize("says", NOT_NOW)
def test_a_tip_without_undo_data_is_no_sign_of_an_old_node(says: str, strategy: str) -> None:
    """A node that has just loaded a snapshot lacks the undo data of its tip, on which `spenttxouts` is tried: meanwhile another way reads, or the named one waits."""
    world = World(11)
    world.extend(24)
    tip = world.tip.hash
    lacking = (404, f"{says.format(tip=tip)}\r\n".encode())
    with ExitStack() as held:
        node = FullNode(world, has_rest=True)
        node.alter_rest = lambda path, status, body: lacking if path == f"/rest/spenttxouts/{tip}.bin" else (status, body)
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, strategy, rest="on"))
        if strategy == "auto":
            while not isinstance(following.step(), Idle):
                pass
            assert following.describe().method == "scanblocks-rpc"
        else:
            with pytest.raises(BlockNotThere, match="one that began from a snapshot"):
                following.step()
        node.alter_rest = lambda _, status, body: (status, body)
        world.extend(1)
        while not isinstance(step := following.step(), Idle):
            pass
        assert (step, following.describe().method) == (Idle(25), "rest" if strategy == "rest" else "scanblocks-rest")


@pytest.mark.parametrize(
    ("says", "error"),
    [(b"Work queue depth exceeded", NodeBusy), (b"Service temporarily unavailable: Loading block index\r\n", NodeWarmingUp)],
)
@pytest.mark.parametrize("path", ["headers", "spenttxouts"])
def test_a_node_that_is_starting_or_overloaded_is_no_node_without_rest(path: str, says: bytes, error: type[Exception]) -> None:
    world = World(11)
    world.extend(24)
    with ExitStack() as held:
        node = ScriptedNode(world)
        node.alter_rest = lambda asked, status, body: (503, says) if f"/rest/{path}/" in asked else (status, body)
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, "auto", rest="auto"))
        with pytest.raises(error):
            following.step()
        node.alter_rest = lambda _, status, body: (status, body)
        while not isinstance(following.step(), Idle):
            pass
        assert following.describe().method == "rest"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, ""),
        (404, "<h1>Not Found</h1>The requested URL {path} was not found on this server."),
        (503, "<h1>503 Service Temporarily Unavailable</h1>"),
    ],
)
def test_a_node_without_rest_is_read_without_it(status: int, says: str) -> None:
    world = World(11)
    world.extend(24)
    with ExitStack() as held:
        node = ScriptedNode(world)
        node.alter_rest = lambda path, _, body: (status, says.format(path=path).encode())
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, "own-outputs", rest="auto"))
        while not isinstance(following.step(), Idle):
            pass
        assert following.describe().method == "own-outputs"


@pytest.mark.parametrize(
    "says", ["<h1>Not Found</h1>The requested URL was not found on this server.", "404 page not found", "{path} not found", ""]
)
def test_a_node_whose_rest_is_gone_later_is_read_without_it(says: str) -> None:
    """Only what names the block is about the block: a proxy's page was taken for a block that had left the main chain, again and again."""
    world = World(11)
    world.extend(24)
    with ExitStack() as held:
        node = FullNode(world, has_rest=True)
        following = held.enter_context(connector(held.enter_context(listening(node.behave)), OURS, "auto", rest="auto"))
        while not isinstance(following.step(), Idle):
            pass
        assert following.describe().method == "scanblocks-rest"
        node.alter_rest = lambda path, status, body: (404, says.format(path=path).encode())
        world.extend(3)
        with pytest.raises(AnswerUnreadable, match="was REST switched off"):
            following.step()
        while not isinstance(step := following.step(), Idle):
            pass
        assert step == Idle(27) and following.describe().method == "scanblocks-rpc"
