"""An account chain's node with its own view of the chain: late, rolled back, restarting, half-answering, lying, forgetting, of two minds.

Enters: requests at the connection's lowest seam. Leaves: bytes, or the failure of a transport. Its lies are such as can be seen: cut, damaged or
foreign answers, told by hashes, roots, blooms and balances. What it says once and otherwise the next time is remembered in `changed`: of that
no root knows, and only a second reading shows it. States that it has forgotten are remembered in `forgotten`.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.evm.errors import NodeUnreachable
from connectors.evm.rpc import NodeConnection

from ..evm_blocks import Answers, Block, NodeFault
from .account_chain import GWEI, OWN, PAYERS, TOKEN, AccountBlock, AccountChain
from .dice import Dice

REMEMBERED_STATES = 4
"""Of how many newest blocks the state is there while older ones are forgotten."""
Reply = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """What the node offers, as nodes differ."""

    trace_block: bool
    debug_trace: bool
    trace_filter: bool
    block_receipts: bool
    state_by_hash: bool

    @property
    def shows_calls(self) -> bool:
        return self.trace_block or self.debug_trace

    @classmethod
    def draw(cls, rng: random.Random) -> Offer:
        traces = rng.choice([(True, True), (True, False), (True, False), (False, True), (False, True), (False, False)])
        return cls(
            *traces, trace_filter=traces[0] and rng.random() < 0.5, block_receipts=rng.random() < 0.8, state_by_hash=rng.random() < 0.8
        )


class View(Answers):
    """The chain as the node knows it: the world's, with a tip of its own."""

    token = TOKEN

    def __init__(self, world: AccountChain) -> None:
        self._world = world
        self.tip: AccountBlock = world.tip
        self.oldest_state = 0
        """Below that height states are forgotten."""
        self.forgotten: set[str] = set()
        self._found: list[Block] = []

    @property
    def blocks(self) -> list[Block]:  # type: ignore[override]
        if not self._found or self._found[-1] is not self.tip:
            found: list[Block] = []
            block: AccountBlock | None = self.tip
            while block is not None:
                found.append(block)
                block = block.parent
            self._found = found[::-1]
        return self._found

    def _with_hash(self, block_hash: str) -> Block | None:
        return self._world.blocks.get(block_hash)

    def state_of(self, where: Any) -> Block:
        block = super().state_of(where)
        if block.height < self.oldest_state:
            self.forgotten.add(block.hash[2:])
            raise NodeFault(-32000, f"missing trie node {block.hash[2:]} (path ) state is not available")
        return block

    def answer(self, method: str, params: list[Any]) -> Any:
        if method == "debug_traceBlockByHash":  # it runs the block again, on the state before it
            block = self.by_hash(params[0])
            if block is not None and block.height - 1 < self.oldest_state:
                raise NodeFault(-32000, "required historical state unavailable")
        return super().answer(method, params)


class TroubledAccountNode(NodeConnection):
    """Answers by its view, unless the dice say otherwise."""

    def __init__(self, world: AccountChain, dice: Dice, offer: Offer) -> None:
        super().__init__("http://127.0.0.1:1")
        self._world, self._dice, self.offer = world, dice, offer
        self._view = View(world)
        self._down = 0
        self._lag = 0
        self.changed: dict[str, set[str]] = defaultdict(set)
        """Blocks of which it said two things: hash without 0x, and to which questions."""
        missing = {"trace_block": offer.trace_block, "debug_traceBlockByHash": offer.debug_trace, "trace_filter": offer.trace_filter,
                   "eth_getBlockReceipts": offer.block_receipts}  # fmt: skip
        self._missing = {method for method, is_offered in missing.items() if not is_offered}

    @property
    def forgotten(self) -> set[str]:
        """Blocks, by hash without 0x, whose state it was asked for and no longer had."""
        return self._view.forgotten

    def tick(self) -> None:
        """Time has passed: the view follows the world, or not."""
        dice, view = self._dice, self._view
        if dice.happens("node-lags"):
            self._lag = 2
        self._lag = max(0, self._lag - 1) if not dice.is_calm else 0
        if not self._lag:
            view.tip = self._world.tip
        if dice.happens("node-rolls-back"):
            blocks: list[Any] = view.blocks
            view.tip = blocks[-1 - min(dice.stream("node").randint(1, 9), len(blocks) - 14)] if len(blocks) > 15 else blocks[-1]
        if dice.happens("node-restarts"):
            self._down = dice.stream("node").randint(2, 6)
        view.oldest_state = view.height + 1 - REMEMBERED_STATES if dice.happens("node-loses-state") else 0

    def show(self, tip: AccountBlock) -> None:
        """The node's tip, by hand."""
        self._view.tip = tip

    def _exchange(self, body: bytes) -> tuple[int, bytes, str | None]:
        dice, whims = self._dice, self._dice.stream("node-whims")
        if self._down:
            self._down -= 1
            if self._down % 2:
                raise NodeUnreachable(f"nothing listens at {self.name}: the node is not running, or its RPC port is another one")
            return 503, b"starting", None
        if dice.happens("node-unreachable"):
            raise NodeUnreachable(f"the node at {self.name} did not answer within 60 s: it is busy, or unreachable")
        if dice.happens("node-busy"):
            limit = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"rate limit exceeded"}}'
            return whims.choice([(503, b"", None), (429, limit, "1"), (200, limit, None)])
        request = json.loads(body)
        replies = [self._reply(call) for call in (request if isinstance(request, list) else [request])]
        if dice.happens("node-lies"):
            replies = damaged(replies, whims, shows_calls=self.offer.shows_calls)
        answer = json.dumps(replies if isinstance(request, list) else replies[0] if replies else None).encode()
        if dice.happens("node-breaks-off"):
            if whims.random() < 0.5:
                raise NodeUnreachable(f"the node at {self.name} broke off in the middle of an answer: it was stopped, or the line is bad")
            return 200, answer[: whims.randrange(len(answer))], None
        if dice.happens("node-garbage"):
            bodies = [b"", b"<html>", b"null", b"[]", b"{}", b"\xff", b'{"result":{}}', b'[{"jsonrpc":"2.0","id":0,"result":"0x"}]' * 2]
            return whims.choice([200, 404, 429, 500, 503]), whims.choice(bodies), None
        return 200, answer, None

    def _reply(self, call: dict[str, Any]) -> Reply:
        method, params = call["method"], call["params"]
        head = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            if method in self._missing:
                raise KeyError(method)
            if not self.offer.state_by_hash and any(isinstance(p, dict) and "blockHash" in p for p in params):
                raise NodeFault(-32602, "invalid argument 1: hex string without 0x prefix")
            return head | {"result": self._two_minds(method, params, self._view.answer(method, params))}
        except NodeFault as fault:
            return head | {"error": {"code": fault.code, "message": fault.message}}
        except KeyError:
            return head | {"error": {"code": -32601, "message": f"the method {method} does not exist/is not available"}}
        except IndexError:
            return head | {"error": {"code": -32000, "message": "block not found"}}

    # --- answers that change -----------------------------------------------------------------------------------------

    def _two_minds(self, method: str, params: list[Any], result: Any) -> Any:
        """The answer, or once for each block and question something else that no root denies: a call left out, another price of gas."""
        change, block = _changes.get(method), self._asked_of(method, params)
        if change is None or block is None or method in self.changed.get(block.hash[2:], ()):
            return result
        other = change(json.loads(json.dumps(result)))
        if other == result or not self._dice.happens("node-changes-answer"):
            return result
        self.changed[block.hash[2:]].add(method)
        return other

    def _asked_of(self, method: str, params: list[Any]) -> Block | None:
        if method == "trace_block":
            return self._view.blocks[int(params[0], 16)]
        return self._view.by_hash(params[0]) if method in _changes else None


_TOLD = {*OWN, *PAYERS.values()}
"""Whose transactions a report tells: the pool's, and those of payers."""


def _without_calls(frames: list[Any]) -> list[Any]:
    """`trace_block` without what the transactions that a report tells called."""
    own = {frame["transactionHash"] for frame in frames if not frame["traceAddress"] and frame["action"]["from"] in _TOLD}
    return [frame for frame in frames if not frame["traceAddress"] or frame["transactionHash"] not in own]


def _without_subcalls(trees: list[Any]) -> list[Any]:
    """`debug_traceBlockByHash` without them."""
    for tree in trees:
        if tree["result"]["from"] in _TOLD:
            tree["result"].pop("calls", None)
    return trees


def _cheaper(receipts: list[Any] | None) -> list[Any] | None:
    """Receipts in which the pool's own gas was a little cheaper: receipts' roots don't hold the price."""
    for receipt in receipts or []:
        if receipt["from"] in OWN:
            receipt["effectiveGasPrice"] = hex(int(receipt["effectiveGasPrice"], 16) - GWEI)
    return receipts


_changes: dict[str, Callable[[Any], Any]] = {
    "trace_block": _without_calls, "debug_traceBlockByHash": _without_subcalls, "eth_getBlockReceipts": _cheaper,
}  # fmt: skip


# --- lies that can be seen -------------------------------------------------------------------------------------------


def damaged(replies: list[Reply], whims: random.Random, *, shows_calls: bool) -> list[Reply]:
    """The replies with one of them spoilt, in a way that something else in what is read contradicts."""
    spoilt: list[Reply] = json.loads(json.dumps(replies))
    place = whims.randrange(len(spoilt))
    reply = spoilt[place]
    result = reply.get("result")
    ways = ["nothing", "lost", "another's", "error", "foreign"]
    if isinstance(result, dict) and "stateRoot" in result:
        ways += 3 * ["header"]
        # A payment left out of a body is seen by the balances, and they are looked at where calls are.
        if shows_calls and result["transactions"] and isinstance(result["transactions"][0], dict):
            ways += 3 * ["body"]
    if isinstance(result, list) and result and "cumulativeGasUsed" in result[0]:
        ways += 4 * ["receipt"]
    match whims.choice(ways):
        case "nothing":
            reply["result"] = None
        case "lost":
            del spoilt[place]
        case "another's":
            reply["id"] = 10_000
        case "error":
            spoilt[place] = {"jsonrpc": "2.0", "id": reply["id"], "error": {"code": -32603, "message": "internal error"}}
        case "foreign":
            reply["result"] = {"what": "is this"}
        case "header":
            _spoil_header(reply["result"], whims)
        case "body":
            reply["result"]["transactions"].pop()
        case "receipt":
            _spoil_receipt(whims.choice(reply["result"]), whims)
    return spoilt


def _spoil_header(block: dict[str, Any], whims: random.Random) -> None:
    name = whims.choice(["stateRoot", "parentHash", "hash", "number", "timestamp", "gasUsed", "miner", "transactionsRoot", "baseFeePerGas"])
    old = block[name]
    block[name] = (
        "0x" + whims.choice("123456789abcdef") + old[3:] if len(old) > 20 else hex(int(old, 16) + whims.choice((1, 7, -1)) & 2**60 - 1)
    )


def _spoil_receipt(receipt: dict[str, Any], whims: random.Random) -> None:
    name = whims.choice(["status", "gasUsed", "cumulativeGasUsed", "logs", "blockHash", "transactionIndex"])
    match name:
        case "status":
            receipt["status"] = "0x0" if receipt["status"] == "0x1" else "0x1"
        case "logs":
            receipt["logs"] = receipt["logs"][:-1] if receipt["logs"] else [{"address": TOKEN, "topics": [], "data": "0x"}]
        case "blockHash":
            receipt["blockHash"] = "0x" + 64 * "9"
        case _:
            receipt[name] = hex(int(receipt[name], 16) + 1)
