"""A node of a chain that shares Ethereum's first blocks, or of another chain with its id, is refused by one block after the fork."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from connectors.evm import EvmChain, EvmConnector
from connectors.evm.errors import WrongChain
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.networks import network_of
from pipeline.follow.connector import Waiting
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SourceError

from .raw_server import Behaviour, answer, server

FIRST = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
ETHEREUM = {
    0: FIRST, 1_920_000: "4985f5ca3d2afbec36529aa96f74de3cc10a2a4a6c44f2157a57d2c6059a11bb",
    15_537_394: "56a9bb0302da44b8c0b3df540781424684c3af04d0b7a38d72842b762076a664",
}  # fmt: skip
CLASSIC = {0: FIRST, 1_920_000: "94365e3a8c0b35089c1d1195081fe7489b528a84b22199c916180db8b28ade7f", 15_537_394: "c1" * 32}
OTHER = 64 * "9"


def node(chain_id: int, blocks: dict[int, Any], *, tip_height: int = 20_000_000) -> Behaviour:
    """A node with those hashes by height; words with a space are an error's, with which it refuses that block."""

    def reply(call: dict[str, Any]) -> dict[str, Any]:
        method, params = call["method"], call["params"]
        head = {"jsonrpc": "2.0", "id": call["id"]}
        if method == "eth_chainId":
            return {**head, "result": hex(chain_id)}
        if method == "eth_syncing":
            return {**head, "result": False}
        if method == "eth_getBlockByNumber":
            height = tip_height if params[0] == "latest" else int(params[0], 16)
            found = blocks.get(height, "ab" * 32)
            if isinstance(found, str) and " " in found:
                return {**head, "error": {"code": 4444, "message": found}}
            return {**head, "result": found and {"hash": "0x" + found, "number": hex(height)}}
        return {**head, "error": {"code": -32601, "message": "no such method"}}

    def behave(client: socket.socket, request: bytes) -> None:
        calls = json.loads(request.partition(b"\r\n\r\n")[2])
        client.sendall(answer(json.dumps([reply(call) for call in calls] if isinstance(calls, list) else reply(calls)).encode()))

    return behave


def look(chain_id: int, blocks: dict[int, Any], **changes: Any) -> str | None:
    """What a first look says of the node as one of `evm:CHAIN_ID`: None where it passes."""
    known = changes.pop("known", None)
    with server(node(chain_id, blocks, **changes)) as (url, _):
        chain = EvmChain(
            pool_id="p", chain="c", asset="ETH", network=f"evm:{chain_id}", rpc_url=url, known=known, start_height=30_000_000, finality=1,
            wallets=[WatchedWallet(name="pool", addresses=["0x" + 40 * "1"])],
        )  # fmt: skip
        with EvmConnector(MemoryLog(), chain) as evm:
            try:
                assert isinstance(evm.step(), Waiting)
            except WrongChain as error:
                assert not error.is_retryable
                return str(error)
            except SourceError as error:
                raise AssertionError(error) from error
    return None


def test_the_right_nodes_pass() -> None:
    assert look(1, ETHEREUM) is None
    assert look(61, CLASSIC) is None
    assert look(4242, {0: OTHER}) is None, "a chain of which nothing is known"


def test_a_classic_node_with_ethereums_id_is_refused_and_the_other_way_round() -> None:
    said = look(1, CLASSIC)
    assert said and "94365e3a" in said and "at height 1920000" in said and "looks like a node of Ethereum Classic" in said
    said = look(61, ETHEREUM)
    assert said and "looks like a node of Ethereum;" in said and "point rpc_url at a node of evm:61" in said


def test_a_fork_that_nobody_named_is_refused_by_the_chains_own_block() -> None:
    said = look(1, ETHEREUM | {15_537_394: OTHER})
    assert said and "where evm:1 has 56a9bb" in said and "a fork of evm:1 that is not known here" in said
    said = look(1, {0: OTHER})
    assert said and "at height 0" in said and "another network" in said


@pytest.mark.parametrize("gone", [None, "pruned history unavailable"])
def test_a_node_that_dropped_old_blocks_is_told_by_a_later_one(gone: str | None) -> None:
    assert look(1, ETHEREUM | {1_920_000: gone}) is None
    said = look(1, CLASSIC | {1_920_000: gone})
    assert said and "at height 15537394" in said
    assert look(1, dict.fromkeys(ETHEREUM, gone)) is None, "nothing can be told: the chain's id decides"


def test_a_node_that_synchronises_is_looked_at_again_when_it_has_the_block() -> None:
    tip = [1000]
    with server(lambda client, request: node(1, CLASSIC, tip_height=tip[0])(client, request)) as (url, _):
        chain = EvmChain(
            pool_id="p", chain="c", asset="ETH", network="evm:1", rpc_url=url, start_height=30_000_000, finality=1,
            wallets=[WatchedWallet(name="pool", addresses=["0x" + 40 * "1"])],
        )  # fmt: skip
        with EvmConnector(MemoryLog(), chain) as evm:
            assert isinstance(evm.step(), Waiting)
            tip[0] = 2_000_000
            with pytest.raises(WrongChain, match="Ethereum Classic"):
                evm.step()


def test_the_operators_own_table_decides() -> None:
    known = network_of("evm:1")
    assert isinstance(known, AccountNetwork)
    assert look(1, CLASSIC, known=AccountNetwork(1)) is None
    assert [mark.height for mark in known.marks] == sorted(ETHEREUM)
