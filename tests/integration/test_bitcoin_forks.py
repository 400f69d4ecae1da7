"""A node of Bitcoin Cash, eCash or Bitcoin SV shares Bitcoin's first block, and is refused as a node of Bitcoin."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector
from connectors.bitcoin.coins import NodeOfCoins
from connectors.bitcoin.errors import WrongChain
from connectors.standins.log_memory import MemoryLog
from pipeline.app.begin import NodeLogin, ask_node
from pipeline.chains.bitcoin.networks import network
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SourceError

from .raw_server import Behaviour, answer, server

UAHF = "000000000000000000651ef99cb9fcbe0dadde1d424bd9f15ff20136191a5eec"
STAYED = "0000000000000000004626ff6e3b936941d341c5932ece4357eeccac44e6d56c"
CHAINS: dict[str, tuple[str, dict[int, str]]] = {
    "Bitcoin Cash": (
        "/Bitcoin Cash Node:27.1.0/",
        {556767: STAYED, 661648: "0000000000000000029e471c41818d24b8b74c911071c4ef0b4a0509f9b5a8ce"},
    ),
    "eCash": ("/Bitcoin ABC:0.30.0/", {556767: STAYED, 661648: "000000000000000004284c9d8b2c8ff731efeaec6be50729bdc9bd07f910757d"}),
    "Bitcoin SV": ("/Bitcoin SV:1.0.16/", {556767: "000000000000000001d956714215d96ffc00e0afda4cd0a96c96f8d802b1662b"}),
}


def node(subversion: str, blocks: dict[int, str], *, tip_height: int = 870_000) -> Behaviour:
    hashes = {0: network("bitcoin").genesis, 478559: UAHF} | blocks

    def result(method: str, params: list[Any]) -> Any:
        if method == "getblockchaininfo":
            return {"chain": "main", "blocks": tip_height, "headers": tip_height, "bestblockhash": "0" * 60 + "beef"}
        if method == "getblockhash":
            return hashes.get(params[0], "0" * 60 + "cafe")
        if method == "getblockheader":
            return {"time": 1_700_000_000}
        return {"version": 270100, "subversion": subversion}

    def behave(client: socket.socket, request: bytes) -> None:
        calls = json.loads(request.partition(b"\r\n\r\n")[2])
        replies = [
            {"result": result(call["method"], call["params"]), "error": None, "id": call["id"]}
            for call in (calls if isinstance(calls, list) else [calls])
        ]
        client.sendall(answer(json.dumps(replies if isinstance(calls, list) else replies[0]).encode()))

    return behave


def connector(url: str) -> BitcoinConnector:
    wallets = [WatchedWallet(name="pool", addresses=["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"])]
    chain = BitcoinChain(
        pool_id="p", chain="c", asset="BTC", network="bitcoin", rpc_url=url, user="u", wallets=wallets, start_height=1, rest="off"
    )
    return BitcoinConnector(MemoryLog(), chain)


@pytest.mark.parametrize("name", CHAINS)
def test_a_fork_of_bitcoin_is_refused_by_name(name: str) -> None:
    with server(node(*CHAINS[name])) as (url, _), connector(url) as following:
        with pytest.raises(
            WrongChain, match=f"at height 478559, where bitcoin has .*: it looks like a node of {name}; point rpc_url at"
        ) as refused:
            following.step()
        assert following._log.end().get("chain/0", 0) == 0, "nothing was written"
        assert not refused.value.is_retryable
        with pytest.raises(WrongChain, match=f"looks like a node of {name};"):
            NodeOfCoins(url, None, [network("bitcoin")])


@pytest.mark.parametrize(
    ("name", "network_name", "chain"), [("Bitcoin Cash", "bitcoincash", ("bitcoincash", "BCH")), ("eCash", "ecash", ("ecash", "XEC"))]
)
def test_esep_init_and_doctor_tell_it_by_the_blocks_after_the_fork(name: str, network_name: str, chain: tuple[str, str]) -> None:
    with server(node(*CHAINS[name])) as (url, _):
        found = ask_node(NodeLogin(url, user="u", password="p"))
        assert (found.network, found.chain_and_asset) == (network_name, chain)
        assert ask_node(NodeLogin(url, user="u", password="p"), expected="bitcoin").network == network_name


def test_a_fork_that_is_not_known_is_taken_for_no_network() -> None:
    with server(node(*CHAINS["Bitcoin SV"])) as (url, _), pytest.raises(SourceError, match="no network that Esep knows"):
        ask_node(NodeLogin(url, user="u", password="p"))
