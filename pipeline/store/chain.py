"""Chain events into rows: which blocks are in the main chain, and their contents.

In: chain events in the log's order, and the store. Out: rows of raw_block, raw_transaction, raw_input, raw_output,
raw_watch, raw_balance, raw_account_proof, raw_doubt, raw_witness, raw_disagreement and raw_chain_tip. Rules: a chain's events are numbered without gaps; a block joins on top of the main
chain's last block, and only that one leaves. Anything else is a broken assumption (`ChainBroken`): ingest stops. Left out:
duplicates, which `pipeline.store.ingest` has dropped before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import duckdb
import msgspec
import polars as pl

from pipeline.enrich.frames import UNITS
from pipeline.log.events.chain import (
    Accounts,
    Balances,
    ChainEvent,
    Connect,
    Disagreed,
    Disconnect,
    Doubt,
    Stretch,
    Transaction,
    Watch,
    Witnessed,
)
from pipeline.log.protocol import Record

from .facts import Shape, insert

BLOCK: Shape = {
    "chain": pl.String, "hash": pl.String, "height": pl.Int64, "prev": pl.String, "time": pl.Int64, "mediantime": pl.Int64,
    "header": pl.String, "is_main": pl.Boolean,
}  # fmt: skip
TRANSACTION: dict[str, Any] = {
    "chain": pl.String, "block_hash": pl.String, "txid": pl.String, "position": pl.Int32, "is_coinbase": pl.Boolean, "other_inputs": pl.Int32,
    "other_inputs_value": pl.String, "fee": pl.String, "fee_asset": pl.String, "raw": pl.String, "branch": pl.List(pl.String),
    "fee_wallet": pl.String, "receipt": pl.String, "transaction_proof": pl.List(pl.String), "receipt_proof": pl.List(pl.String),
}  # fmt: skip
INPUT: Shape = {
    "chain": pl.String, "block_hash": pl.String, "txid": pl.String, "spent_txid": pl.String, "spent_vout": pl.Int32, "value": pl.String,
    "address": pl.String, "wallet": pl.String, "asset": pl.String, "held": pl.String, "held_after": pl.String, "signed_by": pl.String,
}  # fmt: skip
OUTPUT: Shape = {
    "chain": pl.String, "block_hash": pl.String, "txid": pl.String, "vout": pl.Int32, "value": pl.String, "address": pl.String,
    "wallet": pl.String, "asset": pl.String, "script_type": pl.String, "is_unspendable": pl.Boolean, "ref": pl.String,
}  # fmt: skip
WATCH: Shape = {
    "chain": pl.String,
    "seq": pl.Int64,
    "network": pl.String,
    "start_height": pl.Int64,
    "wallets": pl.String,
    "internal_calls": pl.String,
    "payees": pl.List(pl.String),  # type: ignore[dict-item]
}
BALANCE: Shape = {
    "chain": pl.String, "seq": pl.Int64, "height": pl.Int64, "block_hash": pl.String, "wallet": pl.String, "address": pl.String, "asset": pl.String,
    "value": pl.String,
}  # fmt: skip
ACCOUNT: dict[str, Any] = {
    "chain": pl.String, "seq": pl.Int64, "height": pl.Int64, "block_hash": pl.String, "header": pl.String, "asset": pl.String, "wallet": pl.String,
    "address": pl.String, "value": pl.String, "proof": pl.List(pl.String),
}  # fmt: skip
DOUBT: Shape = {
    "chain": pl.String, "seq": pl.Int64, "height": pl.Int64, "hash": pl.String, "time": pl.Int64, "detail": pl.String,
    "txid": pl.String,
}  # fmt: skip
WITNESS: dict[str, Any] = {
    "chain": pl.String, "seq": pl.Int64, "height": pl.Int64, "last": pl.Int64, "hash": pl.String, "nodes": pl.List(pl.String), "reason": pl.String,
    "is_main": pl.Boolean,
}  # fmt: skip
DISAGREEMENT: dict[str, Any] = {
    "chain": pl.String, "seq": pl.Int64, "height": pl.Int64, "hash": pl.String, "time": pl.Int64, "nodes": pl.List(pl.String),
    "answers": pl.List(pl.String), "is_main": pl.Boolean,
}  # fmt: skip
TIP: Shape = {"chain": pl.String, "seq": pl.Int64, "hash": pl.String, "height": pl.Int64}
AMOUNTS = ("value", "fee", "other_inputs_value", "held", "held_after")

_KNOWN = "SELECT b.* EXCLUDE (header) FROM raw_block b SEMI JOIN named USING (chain, hash)"
_MOVE = "UPDATE raw_block SET is_main = moved.is_main FROM moved WHERE raw_block.chain = moved.chain AND raw_block.hash = moved.hash"
_LEAVE = (
    "UPDATE raw_witness SET is_main = false WHERE is_main AND chain = $chain AND last >= $height",
    "UPDATE raw_disagreement SET is_main = false WHERE is_main AND chain = $chain AND height >= $height",
)
_FORGET = (
    "DELETE FROM raw_transaction t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
    "DELETE FROM raw_input t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
    "DELETE FROM raw_output t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
)


class ChainBroken(Exception):
    """A chain event does not follow from the events before it; `record` is its record."""

    def __init__(self, record: Record, message: str) -> None:
        self.record = record
        super().__init__(message)


class _Block(NamedTuple):
    """A known block, and whether it is in the main chain."""

    height: int
    prev: str
    time: int
    mediantime: int
    is_main: bool


class _Tip(NamedTuple):
    seq: int
    hash: str | None
    height: int | None


Key = tuple[str, str]
"""Chain and hash of a block."""


class ChainBatch:
    """Follows the chains through a batch of events, then writes what changed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, events: Sequence[ChainEvent]) -> None:
        """`connection` within a transaction; `events`: those to be passed to `follow`, so that their blocks are looked up at once."""
        self._connection = connection
        rows = connection.execute("SELECT chain, seq, hash, height FROM raw_chain_tip").fetchall()
        self._tips = {chain: _Tip(seq, hash_, height) for chain, seq, hash_, height in rows}
        self._blocks = self._read_known(events)
        self._stored = frozenset(self._blocks)
        self._headers: dict[Key, str | None] = {}
        self._transactions: dict[Key, Sequence[Transaction]] = {}
        self._watches: list[tuple[Any, ...]] = []
        self._balances: list[tuple[Any, ...]] = []
        self._accounts: list[tuple[Any, ...]] = []
        self._doubts: list[tuple[Any, ...]] = []
        self._witnesses: list[Witnessed] = []
        self._disagreements: list[Disagreed] = []
        self._left: dict[str, int] = {}
        """The lowest height at which a block left the main chain, by chain."""
        self._touched: dict[Key, None] = {}

    def _read_known(self, events: Sequence[ChainEvent]) -> dict[Key, _Block]:
        named = [(event.chain, hash_) for event in events for hash_ in _hashes(event)]
        if not named:
            return {}
        frame = pl.DataFrame(named, schema={"chain": pl.String, "hash": pl.String}, orient="row").unique().to_arrow()
        self._connection.register("named", frame)
        rows = self._connection.execute(_KNOWN).fetchall()
        self._connection.unregister("named")
        return {(row[0], row[1]): _Block(*row[2:]) for row in rows}

    def follow(self, record: Record, event: ChainEvent) -> None:
        """Apply one event. Raises `ChainBroken` when it does not follow from the events before."""
        tip = self._tips.get(event.chain)
        expected = 0 if tip is None else tip.seq + 1
        if event.seq != expected:
            what = "events are missing before it" if event.seq > expected else "it contradicts the event of that number read before"
            raise ChainBroken(record, f"event {event.seq} of chain {event.chain!r} where number {expected} must follow: {what}")
        last = tip or _Tip(-1, None, None)
        match event:
            case Watch():
                wallets = msgspec.json.encode(event.wallets).decode()
                self._watches.append(
                    (event.chain, event.seq, event.network, event.start_height, wallets, event.internal_calls, event.payees or None)
                )
                after = last._replace(seq=event.seq)
            case Balances() | Accounts():
                after = self._observe(record, event, last)
            case Doubt():
                self._doubts.append((event.chain, event.seq, event.height, event.hash, event.time, event.detail, event.txid))
                after = last._replace(seq=event.seq)
            case Witnessed():
                self._require_main(record, event, event.last)
                self._witnesses.append(event)
                after = last._replace(seq=event.seq)
            case Disagreed():
                self._require_main(record, event, event.height)
                self._disagreements.append(event)
                after = last._replace(seq=event.seq)
            case Connect():
                block = _Block(event.height, event.prev, event.time, event.mediantime, True)
                after = self._connect(record, event, last, event.hash, block, event.header, event.transactions)
            case Stretch():
                after, prev = last, event.prev
                for place, (hash_, time, mediantime, header) in enumerate(
                    zip(event.hash, event.time, event.mediantime, event.header, strict=True)
                ):
                    block = _Block(event.height + place, prev, time, mediantime, True)
                    after, prev = self._connect(record, event, after, hash_, block, header, ()), hash_
                after = after._replace(seq=event.seq)
            case Disconnect():
                after = self._disconnect(record, event, last)
        self._tips[event.chain] = after

    def _connect(
        self,
        record: Record,
        event: Connect | Stretch,
        tip: _Tip,
        hash_: str,
        block: _Block,
        header: str | None,
        transactions: Sequence[Transaction],
    ) -> _Tip:
        key = (event.chain, hash_)
        if tip.hash is not None and block.prev != tip.hash:
            raise ChainBroken(record, f"block {hash_} joins on {block.prev}, but the main chain of {event.chain!r} ends with {tip.hash}")
        if tip.height is not None and block.height != tip.height + 1:
            raise ChainBroken(
                record, f"block {hash_} has height {block.height}, but the main chain of {event.chain!r} ends at {tip.height}"
            )
        known = self._blocks.get(key)
        if known is not None and known != block._replace(is_main=False):
            raise ChainBroken(record, f"block {hash_} of {event.chain!r} is in the main chain already, or was told with another header")
        self._blocks[key] = block
        self._touched[key] = None
        self._headers[key] = header
        self._transactions[key] = transactions
        return _Tip(event.seq, hash_, block.height)

    def _disconnect(self, record: Record, event: Disconnect, tip: _Tip) -> _Tip:
        if (event.hash, event.height) != (tip.hash, tip.height):
            raise ChainBroken(
                record,
                f"block {event.hash} ({event.height}) leaves, but the main chain of {event.chain!r} ends with {tip.hash} ({tip.height})",
            )
        key = (event.chain, event.hash)
        block = self._blocks.get(key)
        if block is None:
            raise ChainBroken(record, f"block {event.hash} of {event.chain!r} leaves, but it was never read: reading began above it")
        if event.prev != block.prev:
            raise ChainBroken(record, f"block {event.hash} leaves for {event.prev}, but it had joined on {block.prev}")
        self._blocks[key] = block._replace(is_main=False)
        self._touched[key] = None
        self._left[event.chain] = min(event.height, self._left.get(event.chain, event.height))
        self._witnesses = [known for known in self._witnesses if known.chain != event.chain or known.last < event.height]
        self._disagreements = [known for known in self._disagreements if known.chain != event.chain or known.height < event.height]
        return _Tip(event.seq, event.prev, event.height - 1)

    def _require_main(self, record: Record, event: Witnessed | Disagreed, height: int) -> None:
        """What nodes said is of a block in the main chain (ADR 20)."""
        block = self._blocks.get((event.chain, event.hash))
        if block is None or not block.is_main or block.height != height:
            raise ChainBroken(record, f"block {event.hash} ({height}) is told of, and is not in the main chain of {event.chain!r}")

    def _observe(self, record: Record, event: Balances | Accounts, tip: _Tip) -> _Tip:
        """Balances must refer to the main chain's last block, or to the one before the first block read (ADR 7)."""
        if tip.hash is not None and (event.hash, event.height) != (tip.hash, tip.height):
            raise ChainBroken(
                record,
                f"balances after block {event.hash} ({event.height}), but the main chain of {event.chain!r} ends with {tip.hash} ({tip.height})",
            )
        where = event.chain, event.seq, event.height, event.hash
        if isinstance(event, Accounts):
            rows = event.rows
            self._accounts += [
                (*where, event.header, event.asset, *row) for row in zip(rows.wallet, rows.address, rows.value, rows.proof, strict=True)
            ]
        else:
            found = zip(event.rows.wallet, event.rows.address, event.rows.asset, event.rows.value, strict=True)
            self._balances += [(*where, *row) for row in found]
        return tip._replace(seq=event.seq)

    def write(self) -> int:
        """Write the changes into the open transaction; the number of rows added."""
        connection = self._connection
        new = [key for key in self._touched if key not in self._stored]
        moved = [(*key, self._blocks[key].is_main) for key in self._touched if key in self._stored]
        again = [key for key in self._transactions if key in self._stored]
        if moved:
            connection.register("moved", pl.DataFrame(moved, schema=["chain", "hash", "is_main"], orient="row").to_arrow())
            connection.execute(_MOVE)
            connection.unregister("moved")
        if again:  # a block that joins again: its rows are replaced by those of the newest event
            connection.register("again", pl.DataFrame(again, schema=["chain", "hash"], orient="row").to_arrow())
            for statement in _FORGET:
                connection.execute(statement)
            connection.unregister("again")
        blocks = ((chain, hash_, b.height, b.prev, b.time, b.mediantime, self._headers[chain, hash_], b.is_main)
                  for (chain, hash_) in new for b in (self._blocks[chain, hash_],))  # fmt: skip
        rows = _insert_rows(connection, "raw_block", BLOCK, blocks)
        found = [(key, transaction) for key, transactions in self._transactions.items() for transaction in transactions]
        rows += _insert_rows(connection, "raw_transaction", TRANSACTION, _transaction_rows(found))
        rows += _insert_rows(connection, "raw_input", INPUT, _input_rows(found))
        rows += _insert_rows(connection, "raw_output", OUTPUT, _output_rows(found))
        rows += _insert_rows(connection, "raw_watch", WATCH, self._watches)
        rows += _insert_rows(connection, "raw_balance", BALANCE, self._balances)
        rows += _insert_rows(connection, "raw_account_proof", ACCOUNT, self._accounts)
        rows += _insert_rows(connection, "raw_doubt", DOUBT, self._doubts)
        for chain, height in self._left.items():
            for statement in _LEAVE:
                connection.execute(statement, {"chain": chain, "height": height})
        told = ((w.chain, w.seq, w.height, w.last, w.hash, w.nodes, w.reason, True) for w in self._witnesses)
        rows += _insert_rows(connection, "raw_witness", WITNESS, told)
        differing = ((d.chain, d.seq, d.height, d.hash, d.time, d.nodes, d.answers, True) for d in self._disagreements)
        rows += _insert_rows(connection, "raw_disagreement", DISAGREEMENT, differing)
        tips = pl.DataFrame([(chain, *tip) for chain, tip in self._tips.items()], schema=dict(TIP), orient="row")
        connection.execute("DELETE FROM raw_chain_tip")
        insert(connection, "raw_chain_tip", tips)
        return rows


def _hashes(event: ChainEvent) -> Iterable[str]:
    match event:
        case Connect() | Disconnect() | Witnessed() | Disagreed():
            return (event.hash,)
        case Stretch():
            return event.hash
    return ()


def _insert_rows(connection: duckdb.DuckDBPyConnection, table: str, shape: Shape, rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert rows (tuples in the order of `shape`) column by column: amounts go from text to Int128, exactly."""
    columns = list(zip(*rows, strict=True))
    if not columns:
        return 0
    frame = pl.DataFrame([pl.Series(name, values, dtype=dtype) for (name, dtype), values in zip(shape.items(), columns, strict=True)])
    return insert(connection, table, frame.with_columns(pl.col(name).cast(UNITS) for name in AMOUNTS if name in shape))


TransactionsByBlock = Sequence[tuple[Key, Transaction]]


def _transaction_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        yield (*key, t.txid, t.position, t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, t.fee_asset, t.raw, t.branch,
               t.fee_wallet, t.receipt, t.transaction_proof, t.receipt_proof)  # fmt: skip


def _input_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        for i in t.inputs:
            yield (*key, t.txid, i.txid, i.vout, i.value, i.address, i.wallet, i.asset, i.held, i.held_after, i.signed_by)


def _output_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        for o in t.outputs:
            yield (*key, t.txid, o.vout, o.value, o.address, o.wallet, o.asset, o.script_type, o.is_unspendable, o.ref)
