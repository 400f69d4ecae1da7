"""Fetches blocks and the outputs they spend: by REST, by `getblock` 3, or as raw blocks and single transactions.

Enters: block hashes. Leaves: parsed and checked blocks, each with the outputs its transactions spend. JSON amounts are decoded as
`Decimal` and converted to base units (law 7). Left out: which blocks to fetch (`strategies.py`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import NamedTuple, TypeVar

import msgspec

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import Block, TxOutput, parse_spent_outputs, parse_transaction
from pipeline.model.message import message

from .errors import BEING_INDEXED, AnswerUnreadable, BlockNotThere, ChainMoved, IndexBeingBuilt, NodeBusy, NotOffered, RpcError
from .node import rest_body
from .read_blocks import parsed_block
from .rpc import NodeConnection

T = TypeVar("T")
COIN = 10**8

FETCHERS = 3
"""Threads that prefetch: the node reads the next blocks from disk while this one is searched."""
READ_AHEAD = 8
"""Blocks prefetched into memory."""

BUSY_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses before retrying when the node's work queue is full, as prefetching can make it."""


class FetchedBlock(NamedTuple):
    """A block and, by transaction position, the outputs spent."""

    block: Block
    spent: Mapping[int, Sequence[TxOutput]]


class _Script(msgspec.Struct):
    hex: str


class _Prevout(msgspec.Struct):
    value: Decimal
    script: _Script = msgspec.field(name="scriptPubKey")


class _VerboseInput(msgspec.Struct):
    prevout: _Prevout | None = None
    coinbase: str | None = None


class _VerboseTx(msgspec.Struct):
    hex: str
    vin: list[_VerboseInput]


class _VerboseBlock(msgspec.Struct):
    """The fields of `getblock HASH 3` needed to rebuild the block's bytes, and the outputs it spends."""

    version: int
    merkleroot: str
    time: int
    nonce: int
    bits: str
    tx: list[_VerboseTx]
    previousblockhash: str = "0" * 64


class Fetcher:
    """Fetches single blocks, prefetching in its own threads."""

    def __init__(self, connection: NodeConnection, network: Network) -> None:
        self._connection = connection
        self._network = network
        self._pool = ThreadPoolExecutor(FETCHERS, thread_name_prefix="bitcoin-read")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def prefetch(self, fetch: Callable[[str], T], hashes: Sequence[str]) -> Iterator[T]:
        """`fetch` of every hash, in order, prefetching a few."""
        pending: deque[Future[T]] = deque()
        try:
            for block_hash in hashes:
                pending.append(self._pool.submit(_retry_while_busy, fetch, block_hash))
                if len(pending) >= READ_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    # --- REST ------------------------------------------------------------------------------------------------------

    def rest_bytes(self, block_hash: str) -> tuple[bytes, bytes]:
        """The unparsed bytes of a block and of its spent outputs."""
        return self._get(f"/rest/block/{block_hash}.bin"), self._get(f"/rest/spenttxouts/{block_hash}.bin")

    def rest_raw(self, block_hash: str) -> bytes:
        return self._get(f"/rest/block/{block_hash}.bin")

    def rest(self, block_hash: str) -> FetchedBlock:
        return self.read_rest(block_hash, *self.rest_bytes(block_hash))

    def read_rest(self, block_hash: str, raw: bytes, raw_spent: bytes | None) -> FetchedBlock:
        """`raw_spent`: None where none of it is the pool's. Raises AnswerUnreadable."""
        block = parsed_block(raw, block_hash, self._network)
        if raw_spent is None:
            return FetchedBlock(block, {})
        try:
            spent = parse_spent_outputs(raw_spent)
        except ValueError as error:
            raise AnswerUnreadable(f"block {block_hash}: what the node says it spends can't be read: {error}") from error
        if len(spent) != len(block.transactions):
            raise AnswerUnreadable(
                f"block {block_hash} has {len(block.transactions)} transactions, and the node says what {len(spent)} spend"
            )
        return FetchedBlock(block, dict(enumerate(spent)))

    def _get(self, path: str) -> bytes:
        return rest_body(self._connection.name, path, *self._connection.get(path))

    # --- getblock 3 ------------------------------------------------------------------------------------------------

    def verbose(self, block_hash: str) -> FetchedBlock:
        """By `getblock HASH 3`; the block's bytes are rebuilt from it and checked."""
        try:
            verbose = self._connection.call("getblock", block_hash, 3, result=_VerboseBlock)
        except RpcError as error:
            raise chain_moved(error) from error
        count = len(verbose.tx)
        try:
            raw = b"".join(
                [
                    (verbose.version & 0xFFFFFFFF).to_bytes(4, "little"),
                    bytes.fromhex(verbose.previousblockhash)[::-1],
                    bytes.fromhex(verbose.merkleroot)[::-1],
                    verbose.time.to_bytes(4, "little"),
                    bytes.fromhex(verbose.bits)[::-1],
                    verbose.nonce.to_bytes(4, "little"),
                    bytes([count])
                    if count < 0xFD
                    else b"\xfd" + count.to_bytes(2, "little")
                    if count <= 0xFFFF
                    else b"\xfe" + count.to_bytes(4, "little"),
                    *(bytes.fromhex(tx.hex) for tx in verbose.tx),
                ]
            )
            block = parsed_block(raw, block_hash, self._network)
            spent = {position: _prevouts(tx, block_hash, self._connection.name) for position, tx in enumerate(verbose.tx) if position}
        except (ValueError, ArithmeticError) as error:
            raise AnswerUnreadable(f"getblock {block_hash} 3 at {self._connection.name}: {error}") from error
        return FetchedBlock(block, spent)

    # --- raw blocks and single transactions ------------------------------------------------------------------------

    def rpc_raw(self, block_hash: str) -> bytes:
        """A block's bytes by `getblock HASH false`, which every Bitcoin-like node understands."""
        try:
            text = self._connection.call("getblock", block_hash, False, result=str)
        except RpcError as error:
            raise chain_moved(error) from error
        try:
            return bytes.fromhex(text)
        except ValueError as error:
            raise AnswerUnreadable(f"getblock {block_hash} at {self._connection.name} gave no hex: {error}") from error

    def spent_by_txindex(self, outpoints: Sequence[tuple[bytes, int]]) -> dict[tuple[bytes, int], TxOutput]:
        """Outputs looked up by transaction id. Raises NotOffered where the node has no transaction index, IndexBeingBuilt where it is not whole yet."""
        txids = sorted({txid for txid, _ in outpoints})
        raws: dict[bytes, list[TxOutput]] = {}
        for start in range(0, len(txids), 200):
            part = txids[start : start + 200]
            try:
                texts = self._connection.batch("getrawtransaction", [(txid.hex(), False) for txid in part], result=str)
            except RpcError as error:
                if error.code != RpcError.NOT_FOUND:
                    raise
                if BEING_INDEXED in error.text.lower():
                    raise IndexBeingBuilt(self._connection.name, None) from error
                raise NotOffered(
                    message(
                        "the node at {node} can't look up a transaction that a block spends ({text}): start it with txindex=1",
                        node=self._connection.name,
                        text=error.text,
                    )
                ) from error
            for txid, text in zip(part, texts, strict=True):
                try:
                    tx = parse_transaction(bytes.fromhex(text), self._network)
                except ValueError as error:
                    raise AnswerUnreadable(f"getrawtransaction {txid.hex()} at {self._connection.name}: {error}") from error
                if tx.txid != txid:
                    raise AnswerUnreadable(f"getrawtransaction {txid.hex()} at {self._connection.name} gave {tx.txid.hex()}")
                raws[txid] = tx.outputs
        try:
            return {(txid, vout): raws[txid][vout] for txid, vout in outpoints}
        except IndexError as error:
            raise AnswerUnreadable(
                f"a block spends an output that its transaction, as {self._connection.name} gives it, does not have"
            ) from error


def _retry_while_busy(fetch: Callable[[str], T], block_hash: str) -> T:
    for wait_s in BUSY_WAITS_S:
        try:
            return fetch(block_hash)
        except NodeBusy:
            time.sleep(wait_s)
    return fetch(block_hash)


def chain_moved(error: RpcError) -> Exception:
    """ChainMoved for a block that is not found any more; otherwise the error itself."""
    return ChainMoved(str(error)) if error.code == RpcError.NOT_FOUND else error


def base_units(amount: Decimal) -> int:
    """An amount of a node's JSON, in coins, as base units. Raises ValueError for a fraction of one."""
    units = amount * COIN
    if units != int(units):
        raise ValueError(f"{amount} is not a whole number of units")
    return int(units)


def _prevouts(tx: _VerboseTx, block_hash: str, node: str) -> list[TxOutput]:
    outputs = []
    for vin in tx.vin:
        if vin.prevout is None:
            raise BlockNotThere(node, f"getblock {block_hash} 3", "it does not say what is spent, so its undo data is not there")
        outputs.append(TxOutput(base_units(vin.prevout.value), bytes.fromhex(vin.prevout.script.hex)))
    return outputs
