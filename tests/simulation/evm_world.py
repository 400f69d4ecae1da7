"""A small account chain with true headers, tries, receipts and blooms, and a node that serves it over HTTP, honest or not.

Enters: transfers, calls and rewards, block by block, from a seed or by hand. Leaves: JSON-RPC answers as nodes give them; and the truth: what
every address holds after every block. A block may be replaced by another at any depth. Faults are put between the node and whoever
asks. Calls and balances are the world's own books, kept apart from anything that the connector computes.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.evm.coding import keccak256
from pipeline.evm.headers import header_rlp
from pipeline.evm.receipts import TRANSFER_TOPIC, receipt_rlp
from pipeline.evm.transactions import transaction_rlp
from pipeline.evm.trie import trie_root

CHAIN_ID = 4242
GAS_PRICE, BASE_FEE = 30, 20
EMPTY_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
OPENING, UNITS = 10**15, 10**12
"""What every address holds in the beginning, of the chain's asset; and the pool's of TOKEN."""

Answer = Callable[[str, list[Any]], Any]
"""How a method is answered."""


def address(number: int) -> str:
    """An address of one's own, in lower case."""
    return "0x" + keccak256(b"address %d" % number)[12:].hex()


NOBODY = address(0)
TOKEN = address(900)
"""A token's contract."""
BATCH = address(901)
"""A contract that passes on what it is paid."""


def bloom_of(*values: bytes) -> int:
    """The filter of some logged values, bit by bit as the Yellow Paper says."""
    bits = 0
    for value in values:
        digest = keccak256(value)
        for place in (0, 2, 4):
            bits |= 1 << ((digest[place] << 8 | digest[place + 1]) & 2047)
    return bits


@dataclass
class Spend:
    """A transaction to be mined."""

    sender: str
    to: str
    value: int = 0
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    """From, to and value of calls inside, one below the other's sibling."""
    tokens: list[tuple[str, str, int]] = field(default_factory=list)
    """Sender, receiver and units of `Transfer` logs of TOKEN."""
    is_failed: bool = False


@dataclass
class Block:
    """A block with everything that a node could say of it."""

    body: dict[str, Any]
    receipts: list[dict[str, Any]]
    traces: list[dict[str, Any]]
    wei: dict[str, int]
    units: dict[str, int]
    contracts: set[str]

    @property
    def hash(self) -> str:
        return str(self.body["hash"])

    @property
    def height(self) -> int:
        return int(self.body["number"], 16)


class World:
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

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    # --- making blocks ---------------------------------------------------------------------------------------------

    def mine(
        self, spends: list[Spend] | None = None, *, after_s: int = 12, miner: str = NOBODY, withdrawals: list[tuple[str, int]] | None = None
    ) -> Block:
        """Add a block. `withdrawals` are addresses and gwei."""
        self.now += after_s
        tip = self.blocks[-1]
        block = Block({}, [], [], dict(tip.wei), dict(tip.units), set(tip.contracts))
        for where, gwei in withdrawals or []:
            block.wei[where] = block.wei.get(where, 0) + gwei * 10**9
        return self._seal(block, spends or [], miner, withdrawals or [])

    def replace(self, depth: int) -> None:
        """The newest blocks leave the main chain."""
        assert 0 < depth <= self.height
        del self.blocks[-depth:]
        self.salt += 1
        self.now = int(self.blocks[-1].body["timestamp"], 16)

    def _seal(self, block: Block, spends: list[Spend], miner: str, withdrawals: list[tuple[str, int]] | None = None) -> Block:
        height, transactions, gas, n_logs, bloom = len(self.blocks), [], 0, 0, 0
        for place, spend in enumerate(spends):
            transaction = self._transaction(height, place, spend)
            used = 21_000 if not (spend.calls or spend.tokens) else 21_000 + 9_000 * (len(spend.calls) + len(spend.tokens))
            gas += used
            receipt = self._receipt(transaction, place, spend, used, gas, n_logs)
            n_logs += len(receipt["logs"])
            bloom |= int(receipt["logsBloom"], 16)
            self._book(block, spend, used, miner)
            transactions.append(transaction)
            block.receipts.append(receipt)
            block.traces.append(_trace(spend))
        block.body = {
            "parentHash": self.blocks[-1].hash if self.blocks else "0x" + 64 * "0", "sha3Uncles": EMPTY_UNCLES, "miner": miner,
            "stateRoot": "0x" + keccak256(json.dumps([block.wei, block.units, self.salt]).encode()).hex(),
            "transactionsRoot": "0x" + trie_root([transaction_rlp(t) for t in transactions]).hex(),
            "receiptsRoot": "0x" + trie_root([receipt_rlp(r) for r in block.receipts]).hex(), "logsBloom": f"0x{bloom:0512x}",
            "difficulty": "0x0", "number": hex(height), "gasLimit": hex(30_000_000), "gasUsed": hex(gas), "timestamp": hex(self.now),
            "extraData": "0x", "mixHash": "0x" + 64 * "0", "nonce": "0x" + 16 * "0", "baseFeePerGas": hex(BASE_FEE),
            "withdrawalsRoot": "0x" + 64 * "1", "uncles": [], "transactions": transactions,
            "withdrawals": [{"index": hex(n), "address": where, "amount": hex(gwei)} for n, (where, gwei) in enumerate(withdrawals or [])],
        }  # fmt: skip
        block.body["hash"] = "0x" + keccak256(header_rlp(block.body)).hex()
        for item in (*transactions, *block.receipts, *(log for receipt in block.receipts for log in receipt["logs"])):
            item["blockHash"] = block.hash
        self.blocks.append(block)
        self._every[block.hash] = block
        return block

    def _transaction(self, height: int, place: int, spend: Spend) -> dict[str, Any]:
        made = {
            "type": "0x2", "chainId": hex(CHAIN_ID), "nonce": hex(height * 1000 + place), "gas": hex(2_000_000), "maxFeePerGas": hex(100),
            "maxPriorityFeePerGas": hex(GAS_PRICE - BASE_FEE), "to": spend.to, "value": hex(spend.value), "accessList": [],
            "input": "0x" if not (spend.calls or spend.tokens) else "0x01020304", "yParity": "0x0", "r": hex(7 + self.salt), "s": "0x9",
            "from": spend.sender, "blockNumber": hex(height), "transactionIndex": hex(place), "gasPrice": hex(GAS_PRICE),
        }  # fmt: skip
        made["hash"] = "0x" + keccak256(transaction_rlp(made)).hex()
        return made

    def _receipt(self, transaction: dict[str, Any], place: int, spend: Spend, used: int, gas: int, first_log: int) -> dict[str, Any]:
        tokens = [] if spend.is_failed else spend.tokens
        logs: list[dict[str, Any]] = []
        bloom = 0
        for number, (sender, receiver, units) in enumerate(tokens):
            topics = [TRANSFER_TOPIC, *(bytes(12) + bytes.fromhex(party[2:]) for party in (sender, receiver))]
            bloom |= bloom_of(bytes.fromhex(TOKEN[2:]), *topics)
            logs.append(
                {
                    "address": TOKEN,
                    "topics": ["0x" + topic.hex() for topic in topics],
                    "data": f"0x{units:064x}",
                    "removed": False,
                    "blockNumber": transaction["blockNumber"],
                    "transactionHash": transaction["hash"],
                    "transactionIndex": hex(place),
                    "logIndex": hex(first_log + number),
                }
            )
        return {
            "type": "0x2", "status": "0x0" if spend.is_failed else "0x1", "cumulativeGasUsed": hex(gas), "logs": logs, "logsBloom": f"0x{bloom:0512x}",
            "transactionHash": transaction["hash"], "transactionIndex": hex(place), "blockNumber": transaction["blockNumber"], "gasUsed": hex(used),
            "effectiveGasPrice": hex(GAS_PRICE), "from": spend.sender, "to": spend.to, "contractAddress": None,
        }  # fmt: skip

    def _book(self, block: Block, spend: Spend, used: int, miner: str) -> None:
        """The truth, without a word of what the connector thinks."""
        block.wei[spend.sender] -= used * GAS_PRICE
        block.wei[miner] = block.wei.get(miner, 0) + used * (GAS_PRICE - BASE_FEE)
        if spend.is_failed:
            return
        for sender, receiver, value in [(spend.sender, spend.to, spend.value), *spend.calls]:
            block.wei[sender] = block.wei.get(sender, 0) - value
            block.wei[receiver] = block.wei.get(receiver, 0) + value
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

    # --- answering -------------------------------------------------------------------------------------------------

    def answer(self, method: str, params: list[Any]) -> Any:
        """An honest node's result. Raises KeyError for a method it does not know."""
        match method:
            case "eth_chainId":
                return hex(CHAIN_ID)
            case "eth_syncing":
                return False
            case "web3_clientVersion":
                return "World/1"
            case "eth_getBlockByNumber":
                height = self.height if params[0] == "latest" else int(params[0], 16)
                return self._shown(self.blocks[height], params[1]) if height <= self.height else None
            case "eth_getBlockByHash":
                found = self._by_hash(params[0])
                return self._shown(found, params[1]) if found else None
            case "eth_getBlockReceipts":
                found = self._by_hash(params[0])
                return found.receipts if found else None
            case "eth_getTransactionReceipt":
                return next((r for block in self.blocks for r in block.receipts if r["transactionHash"] == params[0]), None)
            case "eth_getLogs":
                return self._logs(params[0])
            case "trace_block":
                return [
                    frame
                    for place, trace in enumerate(self.blocks[int(params[0], 16)].traces)
                    for frame in self._flat(trace, int(params[0], 16), place)
                ]
            case "trace_filter":
                return self._filtered(params[0])
            case "debug_traceBlockByHash":
                found = self._by_hash(params[0])
                if found is None:
                    raise NodeFault(-32000, "block not found")
                return [{"txHash": t["hash"], "result": trace} for t, trace in zip(found.body["transactions"], found.traces, strict=True)]
            case "eth_getBalance":
                return hex(self._at(params[1]).wei.get(params[0], 0))
            case "eth_getCode":
                return "0x60" if params[0] in self._at(params[1]).contracts else "0x"
            case "eth_call":
                assert params[0]["to"] == TOKEN
                return f"0x{self._at(params[1]).units.get('0x' + params[0]['data'][-40:], 0):064x}"
        raise KeyError(method)

    def _by_hash(self, block_hash: str) -> Block | None:
        found = self._every.get(block_hash)
        return found if found is not None and found.height <= self.height and self.blocks[found.height] is found else None

    def _at(self, where: Any) -> Block:
        found = self._by_hash(where["blockHash"]) if isinstance(where, dict) else self.blocks[int(where, 16)]
        if found is None:
            raise NodeFault(-32000, "header not found")
        return found

    def _shown(self, block: Block, is_full: bool) -> dict[str, Any]:
        return block.body if is_full else {**block.body, "transactions": [t["hash"] for t in block.body["transactions"]]}

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for block in self.blocks[int(wanted["fromBlock"], 16) : int(wanted["toBlock"], 16) + 1]:
            for receipt in block.receipts:
                for log in receipt["logs"]:
                    if all(
                        want is None or (topic in want if isinstance(want, list) else topic == want)
                        for want, topic in zip(wanted["topics"], log["topics"], strict=False)
                    ):
                        found.append(log)
        return found

    def _filtered(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """The frames of `trace_filter`, of which this one asks for one side at a time."""
        (side, parties) = next((key, value) for key, value in wanted.items() if key in ("fromAddress", "toAddress"))
        heights = range(int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16) + 1)
        frames = [f for h in heights for place, trace in enumerate(self.blocks[h].traces) for f in self._flat(trace, h, place)]
        return [frame for frame in frames if frame["action"]["from" if side == "fromAddress" else "to"] in parties]

    def _flat(self, trace: dict[str, Any], height: int, place: int) -> list[dict[str, Any]]:
        """callTracer's tree as `trace_block` lists it."""
        block = self.blocks[height]
        frames = []
        todo: list[tuple[list[int], dict[str, Any]]] = [([], trace)]
        while todo:
            path, frame = todo.pop(0)
            shown: dict[str, Any] = {
                "type": "call", "traceAddress": path, "blockHash": block.hash, "blockNumber": height, "transactionPosition": place,
                "transactionHash": block.body["transactions"][place]["hash"],
                "action": {"from": frame["from"], "to": frame["to"], "value": frame["value"], "callType": "call"},
            }  # fmt: skip
            if "error" in frame:
                shown["error"] = frame["error"]
            frames.append(shown)
            todo += [([*path, n], below) for n, below in enumerate(frame.get("calls", []))]
        return frames


def _trace(spend: Spend) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "CALL", "from": spend.sender, "to": spend.to, "value": hex(spend.value)}
    if spend.is_failed:
        frame["error"] = "execution reverted"
    if spend.calls:
        frame["calls"] = [{"type": "CALL", "from": sender, "to": to, "value": hex(value)} for sender, to, value in spend.calls]
    return frame


class NodeFault(Exception):
    """The node's own error to a call."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


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
