"""Every field of every answer of a Bitcoin node, replaced by what it should not be: never another error than one of the source's.

Each answer is well-formed HTTP, so the node stands in where HTTP ends (`SimulatedNode`); what a node does below that is `test_transport`'s.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Waiting
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SourceError

from ..simulation.bitcoin_world import OURS, REGTEST, SimBlock, World
from .scripted_node import Reply, ScriptedNode

WALLETS = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in OURS])]
MISSING = object()
ODD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, 1.5, "", "0x", "zz", "abc", "é", "00", "f" * 64, [], {}, [None], {"a": None}, MISSING,
]  # fmt: skip


class FullNode(ScriptedNode):
    """A node like Bitcoin Core 31 without REST, with what each way of reading needs."""

    def _getnetworkinfo(self) -> dict:
        return {"version": 310000, "subversion": "/Satoshi:31.0.0/"}

    def _getindexinfo(self) -> dict:
        height = self.world.tip.height
        return {name: {"synced": True, "best_block_height": height} for name in ("txindex", "basic block filter index")}

    def _scanblocks(self, action: str, objects: list[str], first: int, last: int, kind: str) -> dict:
        named = [block.hash for block in self.world.chain()[first : last + 1]]
        return {"from_height": first, "to_height": last, "relevant_blocks": named, "completed": True}

    def _getblock(self, block_hash: str, verbosity: object) -> Any:
        block = self.world.blocks[block_hash]
        return _verbose(block) if verbosity == 3 else block.raw.hex()


class OldNode(FullNode):
    """A node that does not list its indexes, as Dogecoin Core."""

    def _reply(self, call: dict) -> Reply:
        if call["method"] == "getindexinfo":
            return {"result": None, "error": {"code": -32601, "message": "Method not found"}, "id": call["id"]}
        return super()._reply(call)

    def _getblock(self, block_hash: str, verbosity: object) -> Any:
        if verbosity is True:
            return {"tx": [tx.txid for tx in self.world.blocks[block_hash].txs]}
        return super()._getblock(block_hash, verbosity)


def _verbose(block: SimBlock) -> dict:
    raw = block.raw
    txs = []
    for tx in block.txs:
        vin: list[dict] = [
            {"prevout": {"value": value / 10**8, "scriptPubKey": {"hex": script.hex()}}} for _, value, script in tx.spends
        ] or [{"coinbase": "00"}]
        txs.append({"hex": tx.raw.hex(), "vin": vin})
    return {
        "version": int.from_bytes(raw[:4], "little"), "previousblockhash": raw[4:36][::-1].hex(), "merkleroot": raw[36:68][::-1].hex(),
        "time": int.from_bytes(raw[68:72], "little"), "bits": raw[72:76][::-1].hex(), "nonce": int.from_bytes(raw[76:80], "little"), "tx": txs,
    }  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within, itself first; of a list its first and last entries."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} if value else set()):
            yield from places(value[place], (*path, place))


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return None if odd is MISSING else odd
    changed = copy.copy(value)
    if len(path) > 1:
        changed[path[0]] = replaced(value[path[0]], path[1:], odd)
    elif odd is MISSING:
        del changed[path[0]]
    else:
        changed[path[0]] = odd
    return changed


STRATEGIES = ["scanblocks-rpc", "rpc-verbose", "rpc-raw", "own-outputs", "txindex", "rest", "old"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_field_of_any_answer_raises_another_error(strategy: str) -> None:
    """One answer of each method is altered at a time, at each place of it; what the connector then says is a step or an error of the source."""
    world = World(11)
    world.extend(24)
    assert any(tx.spends and tx.spends[0][2] in OURS for block in world.chain() for tx in block.txs), "something of ours is spent"
    kind = {"rest": ScriptedNode, "old": OldNode}.get(strategy, FullNode)
    node = kind(world, has_rest=strategy == "rest")
    seen: dict[str, Any] = {}

    def look(method: str, reply: Reply) -> Reply:
        size = len(json.dumps(reply["result"]))
        if reply["error"] is None and size >= len(json.dumps(seen.get(method))):
            seen[method] = reply["result"]
        return reply

    node.alter = look
    assert not isinstance(follow(node, strategy), str)
    tried = 0
    for method, result in seen.items():
        for path in places(result):
            for odd in ODD:
                if odd is MISSING and path and isinstance(path[-1], int):
                    continue

                def alter(called: str, reply: Reply, method: str = method, path: tuple[Any, ...] = path, odd: Any = odd) -> Reply:
                    if called != method or reply["error"] is not None:
                        return reply
                    try:
                        return {**reply, "result": replaced(reply["result"], path, odd)}
                    except (LookupError, TypeError):
                        return reply

                node.alter = alter
                follow(node, strategy)
                tried += 1
    assert tried > 100


def follow(node: ScriptedNode, strategy: str) -> object:
    """Some steps over a fresh log; the last step, or what the error said. Any error but the source's goes through."""
    chain = BitcoinChain(
        pool_id="p", chain="c", asset="BTC", network=REGTEST.name, rpc_url="http://127.0.0.1:1", user="u", password="p", wallets=WALLETS,
        start_height=1, strategy="txindex" if strategy == "old" else strategy, rest="auto" if strategy == "rest" else "off", timeout_s=5,
    )  # fmt: skip
    with BitcoinConnector(MemoryLog(), chain, connection=node) as following:
        try:
            for _ in range(3):
                step = following.step()
                if isinstance(step, Waiting):
                    return step
        except SourceError as error:
            return str(error)
    return step


BODIES = [b"", b"\x00", b"\xff" * 9, b"null", b"<html>", b"\x01" + b"\xfd\xff\xff" * 40, b"\xfe\xff\xff\xff\xff" * 30, b"\xff" * 200]
REST = ["/rest/headers/", "/rest/block/", "/rest/spenttxouts/"]


@pytest.mark.parametrize("path", REST)
def test_no_bytes_of_a_rest_answer_raise_another_error(path: str) -> None:
    """Each kind of REST answer, cut at any of some places, followed by more, replaced, or answered with another status."""
    world = World(11)
    world.extend(24)
    node = ScriptedNode(world)
    alters = [lambda status, body, odd=odd, code=code: (code, odd) for odd in BODIES for code in (200, 404, 500, 503)]
    alters += [lambda status, body, cut=cut: (status, body[: len(body) * cut // 16]) for cut in range(16)]
    alters += [lambda status, body, place=place: (status, body[:80] + b"\xff" * place + body[80 + place :]) for place in (1, 4, 9, 40)]
    alters += [lambda status, body: (status, body + b"\x00"), lambda status, body: (status, body * 2)]
    for alter in alters:
        node.alter_rest = lambda asked, status, body, alter=alter: alter(status, body) if asked.startswith(path) else (status, body)
        follow(node, "rest")
    n_tried = len(alters)
    assert n_tried > 50
