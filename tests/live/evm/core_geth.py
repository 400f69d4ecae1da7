"""core-geth on a chain by Ethereum Classic's rules, its eras some blocks long: it mines by a proof of work that nobody checks.

Enters: the program's path, balances of the first block. Leaves: `mine`, exactly so many blocks for a miner; `stale`, a block that its node loses to two others and a later
block includes as an uncle; `branch`, the last blocks given up for more of them. Blocks come at chance times, a second apart on average, as the program's own clock has them.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from ...ports import free_ports
from .nodes import CHAIN_ID, GAS_LIMIT, NOBODY, ROOT, NodeProcess, Rpc

ERA = 12
"""Blocks of an era: 5,000,000 on Ethereum Classic."""
MINED_TIMEOUT_S = 120.0
STARTED_ANEW_S = 3.0
"""Without a new block for so long, mining is started anew: the node passes over work whose header is that of the work it was stopped at (the same parent, miner and second), and makes
none for a later second unless a transaction comes."""
UNCLE_TRIES = 10
NEVER = 2**62
FORKS = (
    *("eip2F", "eip7F", "eip150", "eip155", "eip160", "eip161F", "eip170F", "eip100F", "eip140F", "eip198F", "eip211F", "eip212F", "eip213F", "eip214F"),
    *("eip658F", "eip145F", "eip1014F", "eip1052F", "eip152F", "eip1108F", "eip1344F", "eip1884F", "eip2028F", "eip2200F", "eip2565F", "eip2718F"),
    *("eip2929F", "eip2930F", "eip3529F", "eip3541F", "eip3651F", "eip3855F", "eip3860F", "eip6049F", "ecip1099F"),
)  # fmt: skip
"""What is in force on Ethereum Classic since Spiral (core-geth's params/config_classic.go): no base fee, no withdrawals."""


def classic_genesis(balances: dict[str, int]) -> dict[str, Any]:
    """A first block from which on all of the rules are in force, in core-geth's own form."""
    eras = {"ecip1017FBlock": ERA, "ecip1017EraRounds": ERA, "disposalBlock": 0}
    return {
        "config": {"networkId": CHAIN_ID, "chainId": CHAIN_ID, "ethash": {}, "requireBlockHashes": {}, **{f"{fork}Block": 0 for fork in FORKS}, **eras},
        "nonce": "0x0", "timestamp": hex(1_700_000_000), "extraData": "0x", "gasLimit": hex(GAS_LIMIT), "difficulty": hex(1 << 17), "mixHash": ROOT,
        "coinbase": NOBODY, "alloc": {address: {"balance": hex(balance)} for address, balance in balances.items()},
    }  # fmt: skip


class CoreGeth:
    """A node of its own, on the loopback only; an archive node that offers both ways of tracing."""

    def __init__(self, program: Path, folder: Path, balances: dict[str, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (first := folder / "genesis.json").write_text(json.dumps(classic_genesis(balances)))
        data, log, (port,) = folder / "data", folder / "core-geth.log", free_ports(1)
        with log.open("ab") as file:
            command = [str(program), "init", "--datadir", str(data), "--state.scheme", "hash", str(first)]
            subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        command = [
            str(program),
            "--datadir",
            str(data),
            "--networkid",
            str(CHAIN_ID),
            "--nodiscover",
            "--maxpeers",
            "0",
            "--port",
            "0",
            "--nat",
            "none",
        ]
        command += [
            "--ipcdisable",
            "--syncmode",
            "full",
            "--cache",
            "64",
            "--gcmode",
            "archive",
            "--state.scheme",
            "hash",
            "--verbosity",
            "2",
        ]
        command += ["--http", "--http.addr", "127.0.0.1", "--http.port", str(port), "--http.api", "eth,net,web3,debug,trace,admin,miner"]
        command += [
            "--authrpc.port",
            str(free_ports(1)[0]),
            "--fakepow.poisson",
            "--miner.gaslimit",
            str(GAS_LIMIT),
            "--miner.recommit",
            "500ms",
        ]
        self._folder = folder
        self._waiting: list[str] = []
        self.rpc = Rpc(f"http://127.0.0.1:{port}")
        self._process = NodeProcess(command, log, self.rpc)

    @property
    def url(self) -> str:
        return self.rpc.url

    def height(self) -> int:
        return int(self.rpc.call("eth_blockNumber"), 16)

    def send(self, raw: str) -> str:
        """A signed transaction, which the next `mine` waits for."""
        self._waiting.append(str(self.rpc.call("eth_sendRawTransaction", raw)))
        return self._waiting[-1]

    def mine(self, count: int, miner: str) -> None:
        """So many blocks, or more where it takes more till all that was sent stands in one. What it mines beyond them is undone."""
        wanted = self.height() + count
        self.rpc.call("miner_setEtherbase", miner)
        self.rpc.call("miner_start", 1)
        begun = grown = time.monotonic()
        height = wanted - count
        while (reached := self.height()) < max(wanted, *self._places()):
            now = time.monotonic()
            assert now < begun + MINED_TIMEOUT_S, "it mines nothing"
            if reached > height:
                height, grown = reached, now
            elif now > grown + STARTED_ANEW_S:
                self.rpc.call("miner_stop")
                self.rpc.call("miner_start", 1)
                grown = now
            time.sleep(0.05)
        self.rpc.call("miner_stop")
        wanted = max(wanted, *self._places())
        self._waiting.clear()
        self._back_to(wanted)

    def _places(self) -> list[int]:
        """The heights of what was sent; `NEVER` for what stands in no block yet."""
        receipts = [self.rpc.call("eth_getTransactionReceipt", sent) for sent in self._waiting]
        return [0, *(int(receipt["blockNumber"], 16) if receipt else NEVER for receipt in receipts)]

    def stale(self, loser: str, winner: str) -> None:
        """A block of the loser's, in whose place two of the winner's stand; the winner's next block has it as an uncle."""
        self.mine(1, loser)
        lost = bytes.fromhex(str(self.rpc.call("debug_getRawBlock", "latest"))[2:])
        self._back_to(self.height() - 1)
        self.mine(2, winner)
        (file := self._folder / "lost.rlp").write_bytes(lost)
        assert self.rpc.call("admin_importChain", str(file)) is True
        self.mine(1, winner)
        for _ in range(UNCLE_TRIES):  # the miner may have begun its block before it was told of the lost one
            if self.rpc.call("eth_getBlockByNumber", "latest", False)["uncles"]:
                return
            self._back_to(self.height() - 1)
            self.mine(1, winner)
        raise AssertionError("its blocks include no uncle")

    def branch(self, undone: int, mined: int, miner: str) -> None:
        """The last blocks undone, and others in their place."""
        self._back_to(self.height() - undone)
        self.mine(mined, miner)

    def _back_to(self, height: int) -> None:
        self.rpc.call("debug_setHead", hex(height))
        assert self.height() == height

    def stop(self) -> None:
        self._process.stop()

    def __enter__(self) -> CoreGeth:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
