"""Every field of every answer of an account chain's node, replaced by what it should not be: never another error than a retryable one of the source's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.evm import EvmChain, EvmConnector, Waiting
from connectors.evm.errors import NotOffered, WrongChain
from connectors.evm.rpc import NodeConnection
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.networks import OURS
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SourceError

from ..simulation.evm_world import BATCH, CHAIN_ID, TOKEN, NodeFault, Spend, World, address
from .test_bitcoin_fuzz import MISSING, places, replaced

HOT, STRANGER = address(1), address(21)
ODD: list[Any] = [None, True, -1, 2**64, 1.5, "", "0x", "zz", "0xzz", "0x-1", "0x" + "f" * 66, "0x" + 40 * "é", [], {}, [None], {"a": None}, MISSING]  # fmt: skip
CONTRACT = [WatchedWallet(name="hot", addresses=[HOT]), WatchedWallet(name="safe", addresses=[BATCH])]
METHODS = (
    "eth_chainId", "eth_syncing", "web3_clientVersion", "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getBlockReceipts", "eth_getLogs",
    "eth_getUncleByBlockHashAndIndex", "eth_getBalance", "eth_getCode", "eth_call", "eth_getProof", "trace_block", "debug_traceBlockByHash",
)  # fmt: skip


def small_world() -> World:
    """A block with a payout through a contract, a failed one, a token's, a contract's creation, a withdrawal, and an uncle of the pool's."""
    world = World(3)
    world.mine()
    stale = world.mine(miner=HOT).body
    world.replace(1)
    world.mine([Spend(STRANGER, HOT, 5), Spend(HOT, address(33), 4)])
    world.mine(
        [
            Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 2), (BATCH, address(32), 4)]),
            Spend(HOT, address(34), 5, is_failed=True),
            Spend(HOT, TOKEN, tokens=[(HOT, address(32), 5)]),
        ],
        withdrawals=[(HOT, 3)], uncles=[stale], miner=HOT,
    )  # fmt: skip
    world.mine([Spend(STRANGER, BATCH, 5, calls=[(BATCH, HOT, 5)])])
    return world


class Node:
    """In place of the HTTP client: the bytes that a node of a world answers, one answer altered at one place. `largest`: of each method's, while none is altered."""

    def __init__(self, world: World, missing: frozenset[str] = frozenset()) -> None:
        self.world, self.missing, self.largest = world, missing, dict[str, Any]()
        self.method: str | None = None
        self.path: tuple[Any, ...] = ()
        self.odd: Any = None

    def request(self, verb: str, path: str, body: bytes, headers: object) -> tuple[int, bytes, str | None]:
        asked = json.loads(body)
        said = [self._reply(call) for call in asked] if isinstance(asked, list) else self._reply(asked)
        return 200, json.dumps(said).encode(), None

    def close(self) -> None: ...

    def _reply(self, call: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": call["id"]}
        if call["method"] in self.missing:
            return {**head, "error": {"code": -32601, "message": "the method does not exist/is not available"}}
        try:
            return {**head, "result": self._result(call["method"], call["params"])}
        except (NodeFault, LookupError) as error:
            return {**head, "error": {"code": -32000, "message": f"{error}: block not found"}}

    def _result(self, method: str, params: list[Any]) -> Any:
        if method == "eth_getProof":
            result: Any = {"accountProof": ["0xc0"], "balance": "0x0"}
        elif method == "eth_syncing":
            result = {"currentBlock": "0x1", "highestBlock": "0x9"}
        else:
            result = self.world.answer(method, params)
        if self.method is None and len(json.dumps(result)) >= len(json.dumps(self.largest.get(method))):
            self.largest[method] = result
        if method != self.method:
            return result
        try:
            return replaced(result, self.path, self.odd)
        except (LookupError, TypeError):
            return result


def follow(node: Node, *, named: frozenset[str] = frozenset(), **changes: Any) -> object:
    """Some steps over a fresh log; the last step, or what the error said. Any error but the source's goes through. `named`: by the ledger's payments."""
    settings: dict[str, Any] = {
        "pool_id": "p", "chain": "c", "asset": "ETH", "network": f"evm:{CHAIN_ID}", "rpc_url": "http://127.0.0.1:9", "tokens": {TOKEN: "USDT"},
        "wallets": [WatchedWallet(name="hot", addresses=[HOT])], "start_height": 1, "finality": 1, "block_reward": OURS.of("evm:61").facts.reward,
    }  # fmt: skip
    connection = NodeConnection("http://127.0.0.1:9")
    connection._http = node  # type: ignore[assignment]
    with EvmConnector(MemoryLog(), EvmChain(**(settings | changes)), connection=connection, named=lambda: named) as evm:
        try:
            for _ in range(3 if named else 2):
                step = evm.step()
        except SourceError as error:
            return error
    return step


NAMED = frozenset(
    {transaction["hash"].removeprefix("0x") for block in small_world().blocks for transaction in block.body["transactions"]} | {64 * "d"}
)
WAYS: dict[str, tuple[dict[str, Any], frozenset[str], tuple[str, ...]]] = {
    **{method: ({}, frozenset(), (method,)) for method in METHODS},
    "debug_trace": ({"internal_calls": "debug_trace"}, frozenset({"trace_block"}), ("debug_traceBlockByHash",)),
    "a watched contract": ({"wallets": CONTRACT}, frozenset(), ("trace_filter", "eth_getCode", "eth_getBalance")),
    "receipts one by one": ({}, frozenset({"eth_getBlockReceipts"}), ("eth_getTransactionReceipt",)),
    "payers' transactions": ({"named": NAMED}, frozenset(), ("eth_getTransactionByHash",)),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_field_of_any_answer_raises_another_error(way: str) -> None:
    """One answer of each method is altered at a time, at each place of it; what the connector then says is a step or an error of the source."""
    changes, missing, methods = WAYS[way]
    node = Node(small_world(), missing)
    assert not isinstance(step := follow(node, **changes), SourceError), step
    assert isinstance(step, Waiting) and "synchronising" in step.reason
    # A way that the settings demand and that gives no whole answer is not offered: the chain's loop tells that, and tries again.
    allowed = (WrongChain, NotOffered) if "internal_calls" in changes else WrongChain
    honest, tried, wrong = dict(node.largest), 0, list[Any]()
    for method in methods:
        for path in places(honest[method]):
            for odd in ODD:
                if odd is MISSING and path and isinstance(path[-1], int):
                    continue
                node.method, node.path, node.odd = method, path, odd
                said = follow(node, **changes)
                if isinstance(said, SourceError) and not said.is_retryable and not isinstance(said, allowed):
                    wrong.append((method, path, odd, type(said).__name__, str(said)[:200]))
                tried += 1
    assert wrong == []
    assert tried >= len(ODD)
