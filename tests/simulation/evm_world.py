"""A small account chain that somebody mines by hand or by chance, and a node that serves it over HTTP, honest or not.

Enters: transfers, calls and rewards, block by block, from a seed or by hand. Leaves: JSON-RPC answers as nodes give them; and the truth: what
every address holds after every block. A block may be replaced by another at any depth. Faults are put between the node and whoever
asks.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .evm_blocks import (  # fmt: skip
    BATCH,
    CHAIN_ID,
    NOBODY,
    TIP,
    TOKEN,
    Answers,
    Block,
    NodeFault,
    Spend,
    address,
    placed,
    price_of,
    receipt_of,
    seal,
    trace_of,
    transaction_of,
)

__all__ = ["BATCH", "CHAIN_ID", "NOBODY", "OPENING", "TOKEN", "UNITS", "Block", "NodeFault", "Served", "Spend", "World", "address"]

BASE_FEE = 20
OPENING, UNITS = 10**15, 10**12
"""What every address holds in the beginning, of the chain's asset; and the pool's of TOKEN."""

Answer = Callable[[str, list[Any]], Any]
"""How a method is answered."""


class World(Answers):
    """A main chain; blocks that left it are forgotten, as a pruned fork is."""

    def __init__(self, seed: int = 0, *, time: int = 1_790_000_000) -> None:
        self.random = random.Random(seed)
        self.now = time
        self.salt = 0
        genesis = Block(
            {}, [], [], {address(number): OPENING for number in range(1, 40)}, {address(1): UNITS, address(2): UNITS}, {TOKEN, BATCH}
        )
        self.blocks: list[Block] = []
        self._every: dict[str, Block] = {}
        self._seal(genesis, [], NOBODY)

    def _with_hash(self, block_hash: str) -> Block | None:
        return self._every.get(block_hash)

    # --- making blocks ---------------------------------------------------------------------------------------------

    def mine(
        self,
        spends: list[Spend] | None = None,
        *,
        after_s: int = 12,
        miner: str = NOBODY,
        withdrawals: list[tuple[str, int]] | None = None,
        uncles: list[dict[str, Any]] | None = None,
    ) -> Block:
        """Add a block. `withdrawals` are addresses and gwei, `uncles` the bodies of stale blocks."""
        self.now += after_s
        tip = self.blocks[-1]
        block = Block({}, [], [], dict(tip.wei), dict(tip.units), set(tip.contracts))
        for where, gwei in withdrawals or []:
            block.wei[where] = block.wei.get(where, 0) + gwei * 10**9
        return self._seal(block, spends or [], miner, withdrawals or [], uncles or [])

    def replace(self, depth: int) -> None:
        """The newest blocks leave the main chain."""
        assert 0 < depth <= self.height
        del self.blocks[-depth:]
        self.salt += 1
        self.now = self.blocks[-1].time

    def _seal(
        self,
        block: Block,
        spends: list[Spend],
        miner: str,
        withdrawals: list[tuple[str, int]] | None = None,
        uncles: list[dict[str, Any]] | None = None,
    ) -> Block:
        height, transactions, gas, n_logs = len(self.blocks), [], 0, 0
        for place, spend in enumerate(spends):
            made = transaction_of(spend, height * 1000 + place, salt=self.salt)
            price = price_of(made, BASE_FEE)
            transaction = placed(made, height, place, price)
            gas += spend.gas_used
            receipt = receipt_of(spend, transaction, token=TOKEN, is_failed=spend.is_failed, price=price, gas=gas, first_log=n_logs)
            n_logs += len(receipt["logs"])
            self._book(block, spend, spend.gas_used, miner)
            transactions.append(transaction)
            block.receipts.append(receipt)
            block.traces.append(trace_of(spend, is_failed=spend.is_failed))
        seal(
            block, transactions, parent=self.blocks[-1] if self.blocks else None, time=self.now, miner=miner, base_fee=BASE_FEE,
            withdrawals=withdrawals or [], salt=self.salt, uncles=uncles or [],
        )  # fmt: skip
        self.blocks.append(block)
        self._every[block.hash] = block
        return block

    def _book(self, block: Block, spend: Spend, used: int, miner: str) -> None:
        """The truth, without a word of what the connector thinks."""
        block.wei[spend.sender] -= used * (BASE_FEE + TIP)
        block.wei[miner] = block.wei.get(miner, 0) + used * TIP
        if spend.is_failed:
            return
        for sender, receiver, value in [(spend.sender, spend.to, spend.value), *spend.calls]:
            block.wei[sender] = block.wei.get(sender, 0) - value
            block.wei[receiver] = block.wei.get(receiver, 0) + value
        for party, units in spend.wraps:
            block.units[party] = block.units.get(party, 0) + units
        for sender, receiver, units in spend.tokens:
            block.units[sender] = block.units.get(sender, 0) - units
            block.units[receiver] = block.units.get(receiver, 0) + units

    # --- by chance -------------------------------------------------------------------------------------------------

    def mine_some(self, pool: list[str], n_blocks: int) -> None:
        """Blocks with now and then something of every kind, the pool's or not."""
        for _ in range(n_blocks):
            some = self.random.choices((0, 1, 3), (6, 3, 1))[0]
            miner = self.random.choice(pool) if self.random.random() < 0.05 else NOBODY
            withdrawals = [(self.random.choice(pool), self.random.randrange(1, 99))] if self.random.random() < 0.03 else []
            self.mine(
                [self.any_spend(pool) for _ in range(some)], after_s=self.random.randrange(1, 90), miner=miner, withdrawals=withdrawals
            )

    def any_spend(self, pool: list[str]) -> Spend:
        """A transaction of some kind."""
        pick, value = self.random.choice, self.random.randrange(1, 1000)
        stranger, other, own = address(self.random.randrange(20, 30)), address(self.random.randrange(30, 40)), pick(pool)
        kinds = [
            Spend(own, other, value),
            Spend(stranger, own, value),
            Spend(stranger, other, value),
            Spend(own, other, value, is_failed=True),
            Spend(stranger, own, value, is_failed=True),
            Spend(own, BATCH, 3 * value, calls=[(BATCH, address(30 + n), value) for n in range(3)]),
            Spend(own, BATCH, 3 * value, calls=[(BATCH, other, value)]),
            Spend(stranger, BATCH, value, calls=[(BATCH, own, value)]),
            Spend(stranger, BATCH, 5, calls=[(BATCH, other, 5)]),
            Spend(own, TOKEN, tokens=[(own, other, value), (own, stranger, 3)]),
            Spend(stranger, TOKEN, tokens=[(stranger, own, value)]),
            Spend(stranger, TOKEN, tokens=[(stranger, other, value)]),
            Spend(own, TOKEN, tokens=[(own, other, value)], is_failed=True),
            Spend(own, pick(pool), value),
        ]
        return pick(kinds)


class Served:
    """A world behind HTTP. `between` may change any answer; `status` and `raw` any whole reply, once each that they are set."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.between: Callable[[str, list[Any], Answer], Any] = lambda method, params, answer: answer(method, params)
        self.replies: list[tuple[int, bytes, dict[str, str]]] = []
        """Replies given in place of the next ones."""
        self.asked: list[str] = []
        self.max_batch = 10_000
        self._lock = threading.Lock()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, content, headers = served._reply(json.loads(body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "content-length" not in headers:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _reply(self, request: Any) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            if self.replies:
                return self.replies.pop(0)
            if isinstance(request, dict):
                return 200, json.dumps(self._one(request)).encode(), {}
            if len(request) > self.max_batch:
                whole = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch too large"}}
                return 200, json.dumps(whole).encode(), {}
            return 200, json.dumps([self._one(call) for call in request]).encode(), {}

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(call["method"])
        try:
            result = self.between(call["method"], call["params"], self.world.answer)
        except NodeFault as fault:
            return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": fault.code, "message": fault.message}}
        except KeyError:
            error = {"code": -32601, "message": f"the method {call['method']} does not exist/is not available"}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error}
        return {"jsonrpc": "2.0", "id": call["id"], "result": result}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
