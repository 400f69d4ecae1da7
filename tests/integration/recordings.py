"""Small recordings made by hand: valid blocks in every shape that a capture may have, written as a capture's directory."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from pathlib import Path

from ..unit.chains.bitcoin.chains import compact_size, transaction

GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4adae5494dffff7f2002000000"
    "0101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f"
    "4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f205"
    "2a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d57"
    "8a4c702b6bf11d5fac00000000"
)
GENESIS_HASH = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
GENESIS_TIME = 1296688602
START = 1_790_000_000


def double(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def txid_of(raw_without_witness: bytes) -> bytes:
    """In the customary order, as `chains.transaction` takes it."""
    return double(raw_without_witness)[::-1]


class Chain:
    """Blocks of a regtest chain, and the sequence in which a node saw them."""

    def __init__(self) -> None:
        self.blocks: dict[str, dict] = {
            GENESIS_HASH: {
                "hash": GENESIS_HASH,
                "height": 0,
                "prev": None,
                "time": GENESIS_TIME,
                "mediantime": GENESIS_TIME,
                "raw": GENESIS.hex(),
            }
        }
        self.events: list[dict] = []
        self.tip = GENESIS_HASH
        self.clock = START

    def mine(
        self, *payments: bytes, script: bytes = b"\x51", value: int = 50_0000_0000, time: int | None = None, prev: str | None = None
    ) -> str:
        """A block with these transactions on `prev`, or on the tip; it joins no chain yet."""
        parent = self.blocks[prev or self.tip]
        height = parent["height"] + 1
        coinbase = self.coinbase(height, script, value, salt=len(self.blocks))
        transactions = [coinbase, *payments]
        time = self.clock if time is None else time
        root = self._root([double(tx) for tx in transactions])
        head = (4).to_bytes(4, "little") + bytes.fromhex(parent["hash"])[::-1] + root + time.to_bytes(4, "little")
        head += (0x207FFFFF).to_bytes(4, "little") + bytes(4)
        raw = head + compact_size(len(transactions)) + b"".join(transactions)
        hash_ = double(head)[::-1].hex()
        times, place = [time], parent
        while place is not None and len(times) < 11:
            times.append(place["time"])
            place = self.blocks.get(place["prev"])
        mediantime = sorted(times)[len(times) // 2]
        self.blocks[hash_] = {
            "hash": hash_,
            "height": height,
            "prev": parent["hash"],
            "time": time,
            "mediantime": mediantime,
            "raw": raw.hex(),
        }
        return hash_

    @staticmethod
    def coinbase(height: int, script: bytes, value: int, salt: int = 0) -> bytes:
        mark = b"\x03" + height.to_bytes(3, "little") + b"\x04" + salt.to_bytes(4, "little")
        return transaction([(bytes(32), 0xFFFFFFFF, mark, 0xFFFFFFFF)], [(value, script)])

    def coinbase_txid(self, hash_: str) -> bytes:
        """Of a block mined here: its first transaction, which has no witness."""
        raw = bytes.fromhex(self.blocks[hash_]["raw"])
        count = raw[80]
        assert count < 0xFD
        size = len(self.coinbase(1, b"\x51", 0))
        return txid_of(raw[81 : 81 + size])

    def connect(self, hash_: str) -> str:
        assert self.blocks[hash_]["prev"] == self.tip
        self.events.append({"at": self.clock, "event": "connect", "hash": hash_})
        self.tip = hash_
        return hash_

    def disconnect(self) -> str:
        self.events.append({"at": self.clock, "event": "disconnect", "hash": self.tip})
        left = self.tip
        self.tip = self.blocks[left]["prev"]
        return left

    def extend(self, count: int) -> list[str]:
        """`count` empty blocks, ten minutes apart, each joining the main chain."""
        made = []
        for _ in range(count):
            self.clock += 600
            made.append(self.connect(self.mine()))
        return made

    def write(self, directory: Path) -> Path:
        directory.mkdir(exist_ok=True)
        for name, rows in (("chain", self.blocks.values()), ("sequence", self.events)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (directory / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 1, mtime=0))
        return directory

    @staticmethod
    def _root(level: list[bytes]) -> bytes:
        while len(level) > 1:
            level += level[len(level) // 2 * 2 :]
            level = [double(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
        return level[0]
