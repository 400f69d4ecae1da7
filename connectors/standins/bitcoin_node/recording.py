"""A recorded capture of a node: its blocks and the order in which they joined and left the main chain.

Enters a directory with `chain.jsonl.gz` and `sequence.jsonl.gz` (`rpc.jsonl` too, if there is one); leaves a `Recording`:
every block parsed, with what each of its transactions spends, and the events of the sequence. Everything is checked against
everything: a block's hash, time, height, parent and Merkle root, each event against the tip it meets, each input against
the outputs before it. What does not hold raises SourceError with the file and the line. Left out: proofs of work and scripts.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from pipeline.chains.bitcoin.merkle import MerkleTree, target_of
from pipeline.chains.bitcoin.networks import NETWORKS, Network, network
from pipeline.chains.bitcoin.wire import Block, Tx, parse_block
from pipeline.model.errors import SourceError
from pipeline.model.typed import decoder

_MEDIAN_SPAN = 11  # blocks that the median time past looks back on

_Line = TypeVar("_Line")


class Coin(NamedTuple):
    """An output as it is spent: what it holds, and where it came from."""

    value: int
    script: bytes
    height: int
    is_coinbase: bool


class RecordedBlock:
    """A block with what its place in the chain gives it. `spent` has a list per transaction, empty for the coinbase."""

    __slots__ = ("block", "chainwork", "hash", "height", "mediantime", "parent", "spent", "tx_count")

    def __init__(self, block: Block, parent: RecordedBlock | None) -> None:
        self.block = block
        self.hash = block.header.hash.hex()
        self.parent = parent
        self.height: int = parent.height + 1 if parent else 0
        self.mediantime = _mediantime(block, parent)
        self.chainwork: int = (parent.chainwork if parent else 0) + (1 << 256) // (target_of(block.header.bits) + 1)
        self.tx_count: int = (parent.tx_count if parent else 0) + len(block.transactions)
        self.spent: list[list[Coin]] = []

    @property
    def transactions(self) -> list[Tx]:
        return self.block.transactions

    def is_ancestor_of(self, other: RecordedBlock) -> bool:
        """Whether `other` builds on this block (or is it)."""
        ancestor: RecordedBlock | None = other
        while ancestor is not None and ancestor.height > self.height:
            ancestor = ancestor.parent
        return ancestor is self


class ChainEvent(NamedTuple):
    """A block joins or leaves the main chain, at an instant of the node's clock (Unix seconds)."""

    is_connect: bool
    block: RecordedBlock
    at: int


class Recording(NamedTuple):
    """A capture, ready to be played."""

    network: Network
    genesis: RecordedBlock
    events: list[ChainEvent]
    answers: dict[tuple[str, str], bytes]  # recorded responses by method and parameters (canonical JSON)

    def recorded_result(self, method: str) -> Any:
        """The recorded result of a method without parameters; None where there is none."""
        response = self.answers.get((method, "[]"))
        return None if response is None else msgspec.json.decode(response).get("result")


class _BlockLine(msgspec.Struct):
    hash: str
    height: int
    prev: str | None
    time: int
    mediantime: int
    raw: str


class _EventLine(msgspec.Struct):
    at: int
    event: str
    hash: str


class _AnswerLine(msgspec.Struct):
    method: str
    params: Any
    response: str


def load(directory: Path) -> Recording:
    """The recording in `directory`. Raises SourceError, with file and line, for anything that does not hold together."""
    network_, blocks = _load_blocks(directory / "chain.jsonl.gz")
    genesis = next(iter(blocks.values()))
    events = _load_events(directory / "sequence.jsonl.gz", genesis, blocks)
    return Recording(network_, genesis, events, _load_answers(directory / "rpc.jsonl"))


def _load_blocks(path: Path) -> tuple[Network, dict[str, RecordedBlock]]:
    """Every block by its hash, the genesis block first."""
    lines = {line.hash: (number, line) for number, line in _lines(path, _BlockLine)}
    network_ = _network_of(path, next((line for _, line in lines.values() if line.height == 0), None))
    blocks: dict[str, RecordedBlock] = {}
    for number, line in sorted(lines.values(), key=lambda numbered: numbered[1].height):
        where = f"{path.name}:{number}"
        parent = None if line.prev is None else blocks.get(line.prev)
        if (parent is None) != (line.height == 0):
            raise SourceError(f"{where}: the block before {line.hash} ({line.prev}) is missing: record the node again")
        try:
            recorded = RecordedBlock(parse_block(bytes.fromhex(line.raw), network_), parent)
            root = MerkleTree(recorded.block.txids).root
        except ValueError as error:
            raise SourceError(f"{where}: block {line.hash} can't be read: {error}") from error
        header = recorded.block.header
        found = (header.hash.hex(), recorded.height, header.time, recorded.mediantime, header.merkle_root)
        if found != (line.hash, line.height, line.time, line.mediantime, root) or (parent and header.prev.hex() != parent.hash):
            raise SourceError(f"{where}: block {line.hash} is not what its own bytes say (hash, height, time, median time or Merkle root)")
        blocks[line.hash] = recorded
    return network_, blocks


def _network_of(path: Path, genesis: _BlockLine | None) -> Network:
    if genesis is None:
        raise SourceError(f"{path.name}: it has no genesis block (height 0): record the node from its first block on")
    for name in NETWORKS:
        if network(name).genesis == genesis.hash:
            return network(name)
    raise SourceError(f"{path.name}: no network known here begins with block {genesis.hash}")


def _load_events(path: Path, genesis: RecordedBlock, blocks: dict[str, RecordedBlock]) -> list[ChainEvent]:
    """The sequence, played once to see that it holds and to find what each block spends."""
    events: list[ChainEvent] = []
    tip = genesis
    genesis.spent = [[] for _ in genesis.transactions]
    coins: dict[tuple[bytes, int], Coin] = {}  # a genesis block's own output can't be spent
    for number, line in _lines(path, _EventLine):
        where = f"{path.name}:{number}"
        block = blocks.get(line.hash)
        if block is None:
            raise SourceError(f"{where}: block {line.hash} is not in the recording: record the node again")
        if line.event == "connect" and block.parent is tip:
            _connect(block, coins, where)
            tip = block
        elif line.event == "disconnect" and block is tip and block.parent is not None:
            _disconnect(block, coins)
            tip = block.parent
        else:
            raise SourceError(f"{where}: can't {line.event} block {line.hash}: the tip is {tip.hash} at height {tip.height}")
        events.append(ChainEvent(line.event == "connect", block, line.at))
    return events


def _connect(block: RecordedBlock, coins: dict[tuple[bytes, int], Coin], where: str) -> None:
    spent: list[list[Coin]] = []
    for tx in block.transactions:
        taken: list[Coin] = []
        if not tx.is_coinbase:
            for spend in tx.inputs:
                coin = coins.pop((spend.txid, spend.vout), None)
                if coin is None:
                    raise SourceError(
                        f"{where}: transaction {tx.txid.hex()} spends {spend.txid.hex()}:{spend.vout}, which is nowhere unspent before it"
                    )
                taken.append(coin)
        spent.append(taken)
        txid, is_coinbase = tx.txid, tx.is_coinbase
        for vout, output in enumerate(tx.outputs):
            coins[txid, vout] = Coin(output.value, output.script, block.height, is_coinbase)
    block.spent = spent


def _disconnect(block: RecordedBlock, coins: dict[tuple[bytes, int], Coin]) -> None:
    for tx, spent in zip(reversed(block.transactions), reversed(block.spent), strict=True):
        for vout in range(len(tx.outputs)):
            del coins[tx.txid, vout]
        for spend, coin in zip(tx.inputs, spent, strict=False):  # a coinbase's only input spends nothing
            coins[spend.txid, spend.vout] = coin


def _load_answers(path: Path) -> dict[tuple[str, str], bytes]:
    if not path.exists():
        return {}
    return {
        (line.method, msgspec.json.encode(line.params, order="sorted").decode()): line.response.encode()
        for _, line in _lines(path, _AnswerLine)
    }


def _lines(path: Path, kind: type[_Line]) -> Iterator[tuple[int, _Line]]:
    """The numbered lines of a file of JSON, gzipped or not."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, decoder(kind).decode(line)
    except OSError as error:
        raise SourceError(f"{path}: can't be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise SourceError(f"{path.name}: broken off after line {number}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name}:{number}: {error}") from error


def _mediantime(block: Block, parent: RecordedBlock | None) -> int:
    times = [block.header.time]
    while parent is not None and len(times) < _MEDIAN_SPAN:
        times.append(parent.block.header.time)
        parent = parent.parent
    return sorted(times)[len(times) // 2]
