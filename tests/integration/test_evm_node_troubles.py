"""Every trouble of an account chain's node has its own message, and its own answer: try again, or stop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.evm import Connected, EvmChain, EvmConnector, Idle, Waiting
from connectors.evm.errors import NodeBusy
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.networks import OURS
from pipeline.log.events import decode
from pipeline.log.events.chain import Balances, Connect, WatchedWallet
from pipeline.model.errors import SettingsError, SourceError

from ..simulation.evm_world import BATCH, CHAIN_ID, NOBODY, TOKEN, NodeFault, Served, Spend, World, address

HOT = address(1)


@pytest.fixture
def world() -> World:
    world = World(7)
    world.mine_some([HOT], 20)
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def connector(served: Served, log: MemoryLog | None = None, **changes: Any) -> EvmConnector:
    settings: dict[str, Any] = {
        "pool_id": "pool", "chain": "eth", "asset": "ETH", "network": f"evm:{CHAIN_ID}", "rpc_url": served.url,
        "wallets": [WatchedWallet(name="hot", addresses=[HOT])], "tokens": {TOKEN: "USDT"}, "start_height": 1, "finality": 5, "timeout_s": 60.0,
    }  # fmt: skip
    return EvmConnector(log or MemoryLog(), EvmChain(**(settings | changes)))


def told(log: MemoryLog) -> list[Any]:
    return [
        event.transactions
        for event in (decode(record.value) for record in log.read({}))
        if isinstance(event, Connect) and event.transactions
    ]


def read_all(served: Served, **changes: Any) -> list[Any]:
    log = MemoryLog()
    with connector(served, log, **changes) as evm:
        while not isinstance(evm.step(), Idle):
            pass
    return told(log)


@pytest.mark.parametrize(
    ("status", "content", "headers", "message", "is_retryable"),
    [
        (429, b"slow down", {"Retry-After": "70"}, "overloaded or limits us", True),
        (503, b"", {}, "overloaded", True),
        (401, b"who are you", {}, "does not let us in", False),
        (403, b"", {}, "does not let us in", False),
        (200, b"<html>", {}, "no JSON-RPC reply", True),
        (200, b'[{"jsonrpc":"2.0","id":0,"result":"0x1"}]', {}, "1 answers to a batch of 3", True),
        (404, b"nothing", {}, "HTTP 404", True),
        (200, b"[]", {"content-length": "999999999999"}, "announced an answer", True),
        (
            200,
            b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"daily request count exceeded, request rate limited"}}',
            {},
            "more slowly",
            True,
        ),
    ],
)
def test_whole_replies_that_are_none(
    served: Served, status: int, content: bytes, headers: dict[str, str], message: str, is_retryable: bool
) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        served.replies = [(status, content, headers)] * 20
        with pytest.raises(SourceError, match=message) as raised:
            evm.step()
        assert raised.value.is_retryable is is_retryable
        if isinstance(raised.value, NodeBusy) and headers:
            assert raised.value.retry_after_s == 70
        served.replies = []
        assert isinstance(evm.step(), Connected)


def test_nothing_listens_and_a_wrong_chain(served: Served, world: World) -> None:
    with connector(served, rpc_url="http://127.0.0.1:9") as evm, pytest.raises(SourceError, match="nothing listens") as raised:
        evm.step()
    assert raised.value.is_retryable
    with connector(served, network="evm:1") as evm, pytest.raises(SourceError, match="is of network evm:4242") as raised:
        evm.step()
    assert not raised.value.is_retryable


def answering(served: Served, wanted: str, result: Any, times: int = 10**9) -> None:
    """Answer one method with something else, so many times."""
    left = [times]

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == wanted and left[0]:
            left[0] -= 1
            if isinstance(result, Exception):
                raise result
            return result(params, answer(method, params)) if callable(result) else result
        return answer(method, params)

    served.between = between


@pytest.mark.parametrize(
    ("method", "result", "message"),
    [
        ("eth_getBlockReceipts", lambda p, a: [None, *a[1:]], "has no receipt of transaction|receipts of the"),
        ("eth_getBlockReceipts", lambda p, a: a[1:], "gave .* receipts of the"),
        ("eth_getBlockReceipts", lambda p, a: [{**r, "status": "0x1", "gasUsed": "0x1"} for r in a], "is said to have used 1 gas"),
        (
            "eth_getBlockReceipts",
            lambda p, a: [{**r, "effectiveGasPrice": "0x1d"} for r in a],
            "said to have paid 29 for gas, and by its own fields paid 30",
        ),
        ("eth_getBlockByNumber", lambda p, a: {**a, "withdrawals": a["withdrawals"][:-1]} if p[1] else a, "commits to withdrawals of root"),
        (
            "eth_getBlockByNumber",
            lambda p, a: {**a, "withdrawals": [{**w, "amount": "0x9"} for w in a["withdrawals"]]} if p[1] else a,
            "commits to withdrawals",
        ),
        ("eth_getBlockByNumber", lambda p, a: {**a, "withdrawals": None} if p[1] else a, "commits to withdrawals"),
        ("eth_getBlockReceipts", lambda p, a: [{**r, "effectiveGasPrice": "0xffff"} for r in a], "said to have paid 65535 for gas"),
        (
            "eth_getBlockReceipts",
            lambda p, a: [{**r, "status": "0x0" if r["status"] == "0x1" else "0x1"} for r in a],
            "commits to receipts",
        ),
        ("eth_getBlockReceipts", lambda p, a: [{**r, "blockHash": "0x" + 64 * "9"} for r in a], "keeps changing"),
        ("eth_getBlockByNumber", lambda p, a: {**a, "gasUsed": "0x7"} if p[1] else a, "is said to have hash"),
        ("eth_getBlockByNumber", lambda p, a: {**a, "transactions": a["transactions"][:-1]} if p[1] else a, "commits to transactions"),
        ("eth_getBlockByNumber", lambda p, a: None if p[1] else a, "does not have block"),
        ("eth_getBalance", lambda p, a: 5, "something unexpected"),
        ("eth_getBalance", NodeFault(-32000, "internal error of some kind"), "internal error"),
        ("eth_getLogs", NodeFault(-32000, "database corrupted"), "database corrupted"),
    ],
)
def test_answers_that_cannot_be_true_are_never_told(served: Served, world: World, method: str, result: Any, message: str) -> None:
    world.mine(
        [Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 6)]), Spend(HOT, TOKEN, tokens=[(HOT, address(32), 5)])],
        withdrawals=[(HOT, 3), (NOBODY, 4)],
    )
    honest = read_all(served)
    log = MemoryLog()
    with connector(served, log) as evm:
        answering(served, method, result)
        try:
            step = evm.step()
            assert isinstance(step, Waiting)
            said = step.reason
        except SourceError as error:
            assert error.is_retryable
            said = str(error)
        assert re.search(message, said), said
        assert told(log) == []
        served.between = lambda method, params, answer: answer(method, params)
        while not isinstance(evm.step(), Idle):
            pass
    assert told(log) == honest


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("eth_getBlockByNumber", lambda p, a: {**a, "uncles": []} if p[1] else a),
        ("eth_getBlockByNumber", lambda p, a: {**a, "uncles": [*a["uncles"], *a["uncles"]]} if p[1] else a),
        ("eth_getUncleByBlockHashAndIndex", lambda p, a: {**a, "miner": NOBODY}),
        ("eth_getUncleByBlockHashAndIndex", lambda p, a: None),
    ],
)
def test_uncles_are_those_that_the_header_commits_to(method: str, result: Any) -> None:
    """The list decides what the miner and the uncle's miner are paid (ECIP-1017)."""
    world = World(3)
    stale = world.mine(miner=HOT)
    world.replace(1)
    world.mine()
    world.mine(miner=HOT, uncles=[stale.body])
    log = MemoryLog()
    with Served(world) as served, connector(served, log, block_reward=OURS.of("evm:61").facts.reward) as evm:
        answering(served, method, result)
        with pytest.raises(SourceError, match=r"uncle|is said to have hash") as raised:
            evm.step()
        assert raised.value.is_retryable
        assert told(log) == []
        served.between = lambda method, params, answer: answer(method, params)
        evm.step()
    [[paid]] = told(log)
    ether = 10**18
    assert [(output.ref, output.value) for output in paid.outputs] == [
        ("reward", str(5 * ether + 5 * ether // 32)),
        ("uncle:0", str(5 * ether * 7 // 8)),
    ]


def test_a_node_that_takes_little_at_once_is_asked_for_little(served: Served, world: World) -> None:
    honest = read_all(served)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 3:
            raise NodeFault(-32005, "query exceeds maximum block range 3")
        return answer(method, params)

    served.between, served.max_batch = between, 2
    assert read_all(served) == honest
    served.max_batch = 0  # a batch of one is refused too, a call alone is not
    assert read_all(served, user="a", password="b", headers={"X-Key": "k"}) == honest


def test_logs_that_are_cut_off_without_a_word_are_found_all_the_same(served: Served, world: World) -> None:
    for _ in range(3):
        world.mine([Spend(address(20), TOKEN, tokens=[(address(20), HOT, 1)] * 400)])
    honest = read_all(served)
    answering(served, "eth_getLogs", lambda p, a: a[:500])
    assert read_all(served) == honest
    answering(served, "eth_getLogs", lambda p, a: [])  # the header's own filter says that there is something
    assert read_all(served) == honest


def test_nodes_of_every_offer_tell_the_same(served: Served, world: World) -> None:
    world.mine([Spend(address(21), BATCH, 6, calls=[(BATCH, HOT, 6)])])
    honest = read_all(served)
    gone = {"eth_getBlockReceipts"}, {"trace_block"}, {"trace_filter", "web3_clientVersion", "eth_syncing"}
    for missing in gone:

        def between(method: str, params: list[Any], answer: Any, missing: set[str] = missing) -> Any:
            if method in missing:
                raise KeyError(method)
            return answer(method, params)

        served.between = between
        assert read_all(served) == honest, missing
    answering(served, "eth_getBalance", lambda p, a: a)

    def only_by_number(method: str, params: list[Any], answer: Any) -> Any:
        if (
            params
            and isinstance(params[-1], dict)
            and "blockHash" in params[-1]
            and method in ("eth_getBalance", "eth_getCode", "eth_call")
        ):
            raise NodeFault(-32602, "invalid argument 1: hex string without 0x prefix")
        return answer(method, params)

    served.between = only_by_number
    assert read_all(served) == honest


def test_a_watched_contract_is_followed_alike_with_a_filter_of_traces_without_and_with_one_that_lies(served: Served, world: World) -> None:
    for _ in range(3):
        world.mine([Spend(address(21), address(902), 6, calls=[(address(902), BATCH, 6), (BATCH, address(31), 6)])])  # in and out unseen
        world.mine([Spend(address(21), address(902), 9, calls=[(address(902), BATCH, 9)])])
        world.mine()
    wallets = [WatchedWallet(name="hot", addresses=[HOT]), WatchedWallet(name="safe", addresses=[BATCH])]
    with connector(served, wallets=wallets) as evm:
        evm.step()
        assert evm.describe().internal_transfers == "trace_filter, balances compared"
    honest = read_all(served, wallets=wallets)
    assert len(honest) >= 6
    answering(served, "trace_filter", NodeFault(-32000, "response too large"))
    assert read_all(served, wallets=wallets) == honest
    answering(served, "trace_filter", lambda p, a: [])
    with connector(served, wallets=wallets) as evm:
        evm.step()
        assert "unexplained" in str(evm.describe().internal_transfers)
    assert read_all(served, wallets=wallets) == honest


def test_a_pruned_state_is_a_balance_unknown_and_every_block_is_traced(served: Served, world: World) -> None:
    world.mine([Spend(address(21), BATCH, 6, calls=[(BATCH, HOT, 6)])])
    honest = read_all(served)

    def between(method: str, params: list[Any], answer: Any) -> Any:
        if method in ("eth_getBalance", "eth_getCode", "eth_call") and params[-1] != {"blockHash": world.blocks[-1].hash}:
            raise NodeFault(-32000, "missing trie node 00 (path ) state 0x00 is not available")
        return answer(method, params)

    served.between = between
    log = MemoryLog()
    with connector(served, log) as evm:
        while not isinstance(evm.step(), Idle):
            pass
        assert "no state of old blocks" in str(evm.describe().internal_transfers)
    assert told(log) == honest
    opening = next(event for event in (decode(record.value) for record in log.read({})) if isinstance(event, Balances))
    assert opening.rows.value == [None, None]


def test_without_any_view_into_calls_a_contract_is_refused(served: Served, world: World) -> None:
    def blind(method: str, params: list[Any], answer: Any) -> Any:
        if method in ("trace_block", "debug_traceBlockByHash"):
            raise KeyError(method)
        return answer(method, params)

    served.between = blind
    plain = World(8)
    plain.mine([Spend(HOT, address(33), 5)])
    served.world = plain
    assert len(read_all(served)) == 1  # plain accounts need none
    plain.mine([Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 6)])])
    with pytest.raises(SourceError, match="pays into a contract") as raised:
        read_all(served)
    assert not raised.value.is_retryable
    assert len(read_all(served, internal_calls="ignore")) == 2
    with pytest.raises(SourceError, match="is a contract"):
        read_all(served, wallets=[WatchedWallet(name="safe", addresses=[BATCH])])
    with pytest.raises(SourceError, match="does not offer trace_block"):
        read_all(served, internal_calls="trace_block")


def test_a_synchronising_node_is_followed_and_said_so(served: Served) -> None:
    answering(served, "eth_syncing", {"currentBlock": "0x14", "highestBlock": "0x64"})
    with connector(served) as evm:
        assert isinstance(evm.step(), Connected)
        step = evm.step()
        assert isinstance(step, Waiting) and "at block 20 of the 100 it knows of" in step.reason


def test_a_log_of_another_network_or_a_start_below_it_is_refused(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log, start_height=5) as evm:
        evm.step()
    with connector(served, log, network="evm:7", start_height=5) as evm, pytest.raises(SettingsError, match="is of network evm:4242"):
        evm.step()
    with connector(served, log, start_height=4) as evm, pytest.raises(SettingsError, match="below 5"):
        evm.step()


def test_another_chain_of_the_same_number_is_refused(served: Served) -> None:
    log = MemoryLog()
    with connector(served, log) as evm:
        evm.step()
        served.world = World(99, time=1_700_000_000)
        served.world.mine_some([HOT], 40)
        with pytest.raises(SourceError, match="does not contain block") as raised:
            evm.step()
        assert not raised.value.is_retryable


def test_settings_and_secrets_stay_out_of_messages() -> None:
    with pytest.raises(SettingsError, match=r"rpc_url must begin with https:// or http://"):
        EvmConnector(
            MemoryLog(),
            EvmChain(
                pool_id="p",
                chain="eth",
                asset="ETH",
                network="evm:1",
                rpc_url="ftp://x",
                wallets=[WatchedWallet(name="hot", addresses=[HOT])],
                start_height=1,
                finality=1,
            ),
        )
    evm = EvmConnector(
        MemoryLog(),
        EvmChain(
            pool_id="p",
            chain="eth",
            asset="ETH",
            network="evm:1",
            rpc_url="http://127.0.0.1:9/v3/key",
            user="me",
            password="secret",
            wallets=[WatchedWallet(name="hot", addresses=[HOT])],
            start_height=1,
            finality=1,
        ),
    )
    with evm, pytest.raises(SourceError) as raised:
        evm.step()
    assert "secret" not in str(raised.value) and "key" not in str(raised.value)
    assert str(evm.describe()).find("secret") == -1
