"""A small world with a chain in it: blocks of real bytes, a tree of branches, and a node that serves them.

The node stands in at the connection's lowest seam, so every byte goes through the connector's own HTTP answers, JSON and parsers. The
world may move between any two requests. What is true is told by `facts`, from the world's own records, not from bytes.
"""

from __future__ import annotations

import json
import random
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.bitcoin.rpc import Credentials, NodeConnection
from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.wire import double_sha256

REGTEST = network("regtest")
GENESIS_RAW = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "dae5494dffff7f20020000000101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
    "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff"
    "0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d57"
    "8a4c702b6bf11d5fac00000000"
)
OURS = [b"\x00\x14" + bytes([n]) * 20 for n in range(1, 8)] + [b"\x51\x20" + b"\x07" * 32]
THEIRS = [b"\x00\x14" + bytes([n]) * 20 for n in range(100, 120)]
Outpoint = tuple[str, int]
Coins = dict[Outpoint, tuple[int, bytes]]


def transaction(spends: Sequence[Outpoint], pays: Sequence[tuple[int, bytes]], script_sig: bytes = b"") -> bytes:
    """A transaction's bytes; up to 65,535 outputs."""
    raw = struct.pack("<iB", 2, len(spends))
    for txid, vout in spends:
        raw += bytes.fromhex(txid)[::-1] + struct.pack("<IB", vout, len(script_sig)) + script_sig + b"\xff" * 4
    count = bytes([len(pays)]) if len(pays) < 0xFD else b"\xfd" + struct.pack("<H", len(pays))
    return raw + count + b"".join(struct.pack("<qB", value, len(script)) + script for value, script in pays) + b"\0\0\0\0"


@dataclass
class SimTx:
    """A transaction as the world knows it, and as bytes."""

    txid: str
    raw: bytes
    spends: list[tuple[Outpoint, int, bytes]]
    pays: list[tuple[int, bytes]]


@dataclass
class SimBlock:
    hash: str
    height: int
    raw: bytes
    time: int
    parent: SimBlock | None
    txs: list[SimTx] = field(default_factory=list)
    coins: Coins = field(default_factory=dict)


class World:
    """Blocks and branches. All chance comes from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.genesis = SimBlock(REGTEST.genesis, 0, GENESIS_RAW, 1296688602, None)
        self.blocks = {REGTEST.genesis: self.genesis}
        self.tip = self.genesis
        self.clock = 1_700_000_000
        self.counter = 0
        self.is_still = False

    def chain(self) -> list[SimBlock]:
        blocks, block = [], self.tip
        while block is not None:
            blocks.append(block)
            block = block.parent
        return blocks[::-1]

    def extend(self, count: int, parent: SimBlock | None = None) -> None:
        self.tip = parent or self.tip
        for _ in range(count):
            self.tip = self._block(self.tip)

    def move(self) -> None:
        """Something happens: blocks, a reorganisation, a return to an old branch, a step back."""
        chain, what = self.chain(), self.random.random()
        if what < 0.55 or len(chain) < 4:
            self.extend(self.random.randint(1, 4))
        elif what < 0.8:
            depth = self.random.randint(1, min(len(chain) - 2, 12))
            self.extend(depth + self.random.randint(0, 2), chain[-1 - depth])
        elif what < 0.92:
            self.tip = self.random.choice([block for block in self.blocks.values() if block.height >= 2])
        else:
            self.tip = chain[-1 - self.random.randint(1, min(len(chain) - 2, 5))]

    def _block(self, parent: SimBlock) -> SimBlock:
        self.clock += self.random.randint(-300, 900)
        self.counter += 1
        coins = dict(parent.coins)
        payee = self.random.choice(OURS + THEIRS) if self.random.random() < 0.5 else THEIRS[0]
        script_sig = struct.pack("<BI", 4, self.counter)
        coinbase = self._tx([("0" * 64, 0xFFFFFFFF)], script_sig, [(5_000_000_000, payee), (0, b"\x6a\x01x")], [])
        txs = [coinbase]
        for _ in range(self.random.choice([0, 0, 0, 1, 2, 4])):
            if not coins:
                break
            chosen = self.random.sample(sorted(coins), min(len(coins), self.random.randint(1, 3)))
            spends = [(outpoint, *coins.pop(outpoint)) for outpoint in chosen]
            total = sum(value for _, value, _ in spends)
            pays = []
            for _ in range(self.random.randint(1, 4)):
                value = self.random.randint(0, total)
                total -= value
                pays.append((value, self.random.choice(OURS + THEIRS + THEIRS)))
            tx = self._tx(chosen, b"", pays, spends)
            txs.append(tx)
            coins.update({(tx.txid, n): pay for n, pay in enumerate(pays)})
        coins[coinbase.txid, 0] = coinbase.pays[0]
        root = MerkleTree([bytes.fromhex(tx.txid) for tx in txs]).root[::-1]
        header = (
            struct.pack("<i", 0x20000000)
            + bytes.fromhex(parent.hash)[::-1]
            + root
            + struct.pack("<III", self.clock, 0x207FFFFF, self.counter)
        )
        raw = header + bytes([len(txs)]) + b"".join(tx.raw for tx in txs)
        block = SimBlock(double_sha256(header)[::-1].hex(), parent.height + 1, raw, self.clock, parent, txs, coins)
        self.blocks[block.hash] = block
        return block

    def _tx(
        self, inputs: list[Outpoint], script_sig: bytes, pays: list[tuple[int, bytes]], spends: list[tuple[Outpoint, int, bytes]]
    ) -> SimTx:
        raw = transaction(inputs, pays, script_sig)
        return SimTx(double_sha256(raw)[::-1].hex(), raw, spends, pays)

    def facts(self, start: int) -> dict[int, tuple]:
        """What is true of the main chain: by height the block, and what each transaction of ours did."""
        facts = {}
        for block in self.chain():
            if block.height < start:
                continue
            ours = []
            for tx in block.txs:
                mine = [(txid, vout, value) for (txid, vout), value, script in tx.spends if script in OURS]
                if mine or any(script in OURS for _, script in tx.pays):
                    others = [value for _, value, script in tx.spends if script not in OURS]
                    fee = sum(value for _, value, _ in tx.spends) - sum(value for value, _ in tx.pays) if mine else 0
                    # What strangers' inputs are worth is told only of a transaction that spends ours.
                    ours.append(
                        (
                            tx.txid,
                            mine,
                            len(others),
                            sum(others) if mine else 0,
                            [(value, script in OURS) for value, script in tx.pays],
                            fee,
                        )
                    )
            times = sorted(ancestor.time for ancestor in self.chain()[max(0, block.height - 10) : block.height + 1])
            facts[block.height] = (block.hash, block.parent.hash if block.parent else "0" * 64, block.time, times[len(times) // 2], ours)
        return facts


class SimulatedNode(NodeConnection):
    """Answers as a node would; before an answer, the world may move."""

    def __init__(self, world: World, *, has_rest: bool, restlessness: float = 0.0) -> None:
        super().__init__("http://127.0.0.1:1", Credentials(user="u", password="p"))
        self.world, self.has_rest, self.restlessness = world, has_rest, restlessness
        self._whims = random.Random(world.counter)  # its own: the world's history must not depend on who asks how often
        self._one_answer = threading.Lock()
        """The connector asks from several threads: the world moves between answers, never within one."""

    def close(self) -> None: ...

    def _exchange(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        with self._one_answer:
            if not self.world.is_still and self._whims.random() < self.restlessness:
                self.world.move()
            return self._answer(verb, path, body)

    def _answer(self, verb: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if verb == "GET":
            return self._rest(path) if self.has_rest else (404, b"")
        calls = json.loads(body or b"")
        if isinstance(calls, list):
            return 200, json.dumps([self._reply(call) for call in calls]).encode()
        return 200, json.dumps(self._reply(calls)).encode()

    def _reply(self, call: dict) -> dict:
        try:
            return {"result": getattr(self, "_" + call["method"])(*call["params"]), "error": None, "id": call["id"]}
        except LookupError as error:
            code, message = (-8, "Block height out of range") if isinstance(error, IndexError) else (-5, "Block not found")
            return {"result": None, "error": {"code": code, "message": message}, "id": call["id"]}

    def _getblockchaininfo(self) -> dict:
        tip = self.world.tip
        return {"chain": "regtest", "blocks": tip.height, "headers": tip.height, "bestblockhash": tip.hash, "initialblockdownload": False}

    def _getnetworkinfo(self) -> dict:
        return {
            "version": 319900 if self.has_rest else 210201,
            "subversion": "/Satoshi:31.99.0/" if self.has_rest else "/LitecoinCore:0.21.2.1/",
        }

    def _getindexinfo(self) -> dict:
        return {"txindex": {"synced": True, "best_block_height": self.world.tip.height}}

    def _getblockhash(self, height: int) -> str:
        chain = self.world.chain()
        if not 0 <= height < len(chain):
            raise IndexError
        return chain[height].hash

    def _getblockheader(self, block_hash: str, is_verbose: bool) -> str:
        assert not is_verbose
        return self.world.blocks[block_hash].raw[:80].hex()

    def _getblock(self, block_hash: str, verbosity: object) -> str:
        assert verbosity is False
        return self.world.blocks[block_hash].raw.hex()

    def _getrawtransaction(self, txid: str, is_verbose: bool) -> str:
        return next(tx.raw.hex() for block in self.world.blocks.values() for tx in block.txs if tx.txid == txid)

    def _rest(self, path: str) -> tuple[int, bytes]:
        _, _, what, *rest = path.removesuffix(".bin").split("/")
        block = self.world.blocks.get(rest[-1])
        if block is None:
            return 404, f"{rest[-1]} not found\r\n".encode()
        if what == "block":
            return 200, block.raw
        if what == "headers":
            chain = self.world.chain()
            is_main = block.height < len(chain) and chain[block.height] is block
            return 200, b"".join(b.raw[:80] for b in chain[block.height : block.height + int(rest[0])]) if is_main else b""
        spent = bytes([max(1, len(block.txs))]) + b"\0"
        for tx in block.txs[1:]:
            spent += bytes([len(tx.spends)]) + b"".join(struct.pack("<qB", value, len(script)) + script for _, value, script in tx.spends)
        return 200, spent
