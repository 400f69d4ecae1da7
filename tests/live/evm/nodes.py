"""Two real EVM nodes under one hand: blocks of exactly these transactions, at exactly these instants, and branches that lose.

Enters: the programs' paths, a genesis. Leaves: `Node.mine`, which makes the block and waits for nothing else, and
`Node.reorganise`, which takes the last blocks back in favour of others. anvil is told by its own methods. geth is driven as a
consensus client drives it, over the engine API; a second geth, the builder, makes the blocks, so that the one which is read gets
a branch whole and has its reorganisation in the way that a node on a network has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ...ports import free_ports
from ..regtest_node import end

START_TIMEOUT_S = 240.0
CHAIN_ID = 31337
GAS_LIMIT = 30_000_000
NOBODY = "0x" + "00" * 20
ROOT = "0x" + "00" * 32
REQUESTS = ("0x00000961Ef480Eb55e80D19ad83579A64c007002", "0x0000BBdDc7CE488642fb579F8B00f3a590007251")
"""System contracts that Prague calls after each block, for withdrawals and consolidations: here they say nothing."""


def genesis(at: int, balances: dict[str, int]) -> dict[str, Any]:
    """A chain's first block with all forks up to Prague in force, for both nodes alike."""
    forks = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul", "berlin", "london")
    return {
        "config": {
            "chainId": CHAIN_ID,
            **{f"{fork}Block": 0 for fork in forks},
            **{f"{fork}Time": 0 for fork in ("shanghai", "cancun", "prague")},
            "terminalTotalDifficulty": 0,
            "terminalTotalDifficultyPassed": True,
            "blobSchedule": {name: {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716} for name in ("cancun", "prague")},
        },
        "nonce": "0x0",
        "timestamp": hex(at),
        "extraData": "0x",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x0",
        "mixHash": ROOT,
        "coinbase": NOBODY,
        "baseFeePerGas": hex(10**9),
        "alloc": {address: {"balance": hex(balance)} for address, balance in balances.items()}
        | {address: {"balance": "0x0", "code": "0x00"} for address in REQUESTS},
    }


class NodeError(AssertionError):
    """The node refused what the scenario asks of it: the scenario is wrong."""


@dataclass(frozen=True)
class Block:
    """What a mined block is known by."""

    number: int
    hash: str
    at: int


class Rpc:
    """JSON-RPC over HTTP, with the engine's token when there is a secret."""

    def __init__(self, url: str, secret: bytes | None = None) -> None:
        self.url = url
        self._secret = secret
        self._client = httpx.Client(timeout=120)
        self._ids = itertools.count()

    def call(self, method: str, *params: Any) -> Any:
        headers = {"authorization": f"Bearer {_token(self._secret)}"} if self._secret else {}
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        answer = self._client.post(self.url, json=body, headers=headers).json()
        if "error" in answer:
            raise NodeError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._client.close()


def _token(secret: bytes) -> str:
    """A JSON web token of now (HS256), as the engine API wants it."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claim = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + "." + part(json.dumps({"iat": int(time.time())}).encode())
    return claim + "." + part(hmac.new(secret, claim.encode(), hashlib.sha256).digest())


class NodeProcess:
    """A node's process, which answers once it is started and is gone once it is stopped."""

    def __init__(self, command: Sequence[str], log: Path, rpc: Rpc, *others: Rpc) -> None:
        """`others`: what else it answers at, with a listener of its own that may open later."""
        self._log, self._rpc, self._command = log, rpc, command
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        for each in (rpc, *others):
            self._wait(each)

    def _wait(self, rpc: Rpc) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                rpc.call("eth_blockNumber")
                return
            except (httpx.HTTPError, json.JSONDecodeError):
                if self._process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise NodeError(f"{self._command[0]} did not start: {self._log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        self._rpc.close()
        end(self._process)


class Node(ABC):
    """A node that mines what it is told. `internal_calls` names the method by which it shows calls inside transactions."""

    name: str
    internal_calls: str
    can_withdraw = False
    """Whether blocks can carry withdrawals of the consensus layer (EIP-4895)."""

    def __init__(self) -> None:
        self.rpc: Rpc

    @property
    def url(self) -> str:
        return self.rpc.url

    @abstractmethod
    def mine(self, transactions: Sequence[str], at: int, fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()) -> Block:
        """The next block: these signed transactions in this order, its header's time, who gets the priority fees; addresses and gwei."""

    @abstractmethod
    def reorganise(self, fork: int, branch: Sequence[tuple[Sequence[str], int]]) -> list[Block]:
        """Put this branch (transactions and time of each block) in place of all blocks above height `fork`."""

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def block(self, tag: str = "latest") -> Block:
        found = self.rpc.call("eth_getBlockByNumber", tag, False)
        return Block(int(found["number"], 16), found["hash"], int(found["timestamp"], 16))

    def _made(self, transactions: Sequence[str], at: int) -> Block:
        """The newest block, which must be the one asked for."""
        found = self.rpc.call("eth_getBlockByNumber", "latest", False)
        if len(found["transactions"]) != len(transactions) or int(found["timestamp"], 16) != at:
            raise NodeError(
                f"{self.name} left transactions out: {len(found['transactions'])} of {len(transactions)} at {found['timestamp']}"
            )
        return Block(int(found["number"], 16), found["hash"], at)


class Anvil(Node):
    """anvil, which mines only when told and keeps every state."""

    name = "anvil"
    internal_calls = "trace_block"

    def __init__(self, program: Path, folder: Path, first: dict[str, Any]) -> None:
        super().__init__()
        (port,) = free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "genesis.json").write_text(json.dumps(first))
        command = [str(program), "--port", str(port), "--host", "127.0.0.1", "--init", str(folder / "genesis.json")]
        command += ["--chain-id", str(CHAIN_ID), "--hardfork", "prague", "--gas-limit", str(GAS_LIMIT), "--no-mining", "--order", "fifo"]
        command += ["--accounts", "1", "--balance", "0", "--timestamp", str(int(first["timestamp"], 16)), "--quiet"]
        command += ["--disable-default-create2-deployer", "--cache-path", str(folder)]
        self.rpc = Rpc(f"http://127.0.0.1:{port}")
        self._process = NodeProcess(command, folder / "anvil.log", self.rpc)

    def mine(self, transactions: Sequence[str], at: int, fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()) -> Block:
        assert not withdrawals, "anvil's blocks carry no withdrawals"
        self.rpc.call("anvil_setCoinbase", fee_recipient)
        for transaction in transactions:
            self.rpc.call("eth_sendRawTransaction", transaction)
        self.rpc.call("evm_setNextBlockTimestamp", at)
        self.rpc.call("evm_mine")
        return self._made(transactions, at)

    def reorganise(self, fork: int, branch: Sequence[tuple[Sequence[str], int]]) -> list[Block]:
        self.rpc.call("anvil_rollback", self.block().number - fork)
        self.rpc.call("anvil_dropAllTransactions")
        return [self.mine(transactions, at) for transactions, at in branch]

    def stop(self) -> None:
        self._process.stop()


class Geth(Node):
    """geth as a node of a network, and its builder."""

    name = "geth"
    internal_calls = "debug_trace"
    can_withdraw = True

    def __init__(self, program: Path, folder: Path, first: dict[str, Any], *, shows_calls: bool = True, is_archive: bool = True) -> None:
        """`is_archive`: the node that is read keeps every state, and not those of some 128 newest blocks only; the builder keeps all."""
        super().__init__()
        self._is_archive = is_archive
        self._commands: dict[str, tuple[list[str], Path, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "genesis.json").write_text(json.dumps(first))
        self._offers = "eth,net,web3,debug" if shows_calls else "eth,net,web3"
        secret = os.urandom(32)
        (folder / "secret").write_text(secret.hex())
        self._processes: list[NodeProcess] = []
        self._engines: dict[str, Rpc] = {}
        self._withdrawals = 0
        self._rpcs: dict[str, Rpc] = {}
        try:
            for role in ("read", "builder"):
                self._start(program, folder, role, secret)
        except BaseException:
            self.stop()
            raise
        self.rpc = self._rpcs["read"]

    def _start(self, program: Path, folder: Path, role: str, secret: bytes) -> None:
        data, log = folder / role, folder / f"{role}.log"
        with log.open("ab") as file:
            command = [str(program), "init", "--datadir", str(data), "--state.scheme", "hash", str(folder / "genesis.json")]
            subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        port, engine = free_ports(2)
        self._rpcs[role] = Rpc(f"http://127.0.0.1:{port}")
        self._engines[role] = Rpc(f"http://127.0.0.1:{engine}", secret)
        command = [str(program), "--datadir", str(data), "--networkid", str(CHAIN_ID), "--nodiscover", "--maxpeers", "0", "--port", "0"]
        command += [
            "--ipcdisable",
            "--nat",
            "none",
            "--syncmode",
            "full",
            "--cache",
            "64",
            "--gcmode",
            "archive" if self._is_archive or role == "builder" else "full",
            "--state.scheme",
            "hash",
            "--verbosity",
            "2",
        ]
        command += ["--http", "--http.addr", "127.0.0.1", "--http.port", str(port), "--http.api"]
        command += ["eth,debug,testing" if role == "builder" else self._offers]
        command += ["--authrpc.addr", "127.0.0.1", "--authrpc.port", str(engine), "--authrpc.jwtsecret", str(folder / "secret")]
        command += ["--miner.gaslimit", str(GAS_LIMIT)]
        self._commands[role] = command, log, port
        self._processes.append(NodeProcess(command, log, self._rpcs[role], self._engines[role]))

    def url_of(self, role: str) -> str:
        return f"http://127.0.0.1:{self._commands[role][2]}"

    def stop_one(self, role: str) -> None:
        """End the node that is read, or the builder."""
        self._processes[("read", "builder").index(role)].stop()

    def start_one(self, role: str) -> None:
        """Start it again over its data."""
        command, log, port = self._commands[role]
        self._rpcs[role] = Rpc(f"http://127.0.0.1:{port}")
        self._processes[("read", "builder").index(role)] = NodeProcess(command, log, self._rpcs[role], self._engines[role])
        if role == "read":
            self.rpc = self._rpcs[role]

    def build(self, transactions: Sequence[str], at: int) -> dict[str, Any]:
        """A block that the builder alone has."""
        return self._build(transactions, at)

    def give(self, built: dict[str, Any]) -> None:
        """The node that is read gets a block of the builder's."""
        self._take("read", built)
        self._choose("read", built["executionPayload"]["blockHash"])

    def mine(self, transactions: Sequence[str], at: int, fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()) -> Block:
        built = self._build(transactions, at, fee_recipient, withdrawals)
        self._take("read", built)
        self._choose("read", built["executionPayload"]["blockHash"])
        return self._made(transactions, at)

    def reorganise(self, fork: int, branch: Sequence[tuple[Sequence[str], int]]) -> list[Block]:
        self._rpcs["builder"].call("debug_setHead", hex(fork))
        payloads = [self._build(transactions, at) for transactions, at in branch]
        for built in payloads:
            self._take("read", built)
        self._choose("read", payloads[-1]["executionPayload"]["blockHash"])
        return [self.block(built["executionPayload"]["blockNumber"]) for built in payloads]

    def _build(
        self, transactions: Sequence[str], at: int, fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()
    ) -> dict[str, Any]:
        """The next block of the builder's, as an engine's envelope."""
        head = self._rpcs["builder"].call("eth_getBlockByNumber", "latest", False)["hash"]
        attributes = {
            "timestamp": hex(at),
            "prevRandao": ROOT,
            "suggestedFeeRecipient": fee_recipient,
            "withdrawals": [
                {"index": hex(self._withdrawals + place), "validatorIndex": "0x7", "address": address, "amount": hex(gwei)}
                for place, (address, gwei) in enumerate(withdrawals)
            ],
            "parentBeaconBlockRoot": ROOT,
        }
        self._withdrawals += len(withdrawals)
        built: dict[str, Any] = self._rpcs["builder"].call("testing_buildBlockV1", head, attributes, list(transactions), "0x")
        self._take("builder", built)
        self._choose("builder", built["executionPayload"]["blockHash"])
        return built

    def _take(self, role: str, built: dict[str, Any]) -> None:
        payload, requests = built["executionPayload"], built.get("executionRequests") or []
        answer = self._engines[role].call("engine_newPayloadV4", payload, [], ROOT, requests)
        if answer["status"] != "VALID":
            raise NodeError(f"geth did not take a block: {answer}")

    def _choose(self, role: str, head: str) -> None:
        """Make this block the head. No block is called safe or final: as on a chain whose consensus has no such thing."""
        state = {"headBlockHash": head, "safeBlockHash": ROOT, "finalizedBlockHash": ROOT}
        answer = self._engines[role].call("engine_forkchoiceUpdatedV3", state, None)
        if answer["payloadStatus"]["status"] != "VALID":
            raise NodeError(f"geth did not follow: {answer}")

    def stop(self) -> None:
        for process in self._processes:
            process.stop()
        for engine in self._engines.values():
            engine.close()
