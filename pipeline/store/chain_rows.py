"""The shapes of the tables of chain events, and transactions as their rows.

Enters: transactions by block, rows as tuples. Leaves: rows of raw_block, raw_transaction, raw_input, raw_output and the other tables of `pipeline.store.chain`, inserted column by column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import duckdb
import polars as pl

from pipeline.enrich.frames import UNITS
from pipeline.log.events.chain import Transaction

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
    "authorizations_from": pl.Int64,
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
SOUGHT: Shape = {"chain": pl.String, "seq": pl.Int64, "txid": pl.String, "is_sought": pl.Boolean}
AMOUNTS = ("value", "fee", "other_inputs_value", "held", "held_after")


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, shape: Shape, rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert rows (tuples in the order of `shape`) column by column: amounts go from text to Int128, exactly."""
    columns = list(zip(*rows, strict=True))
    if not columns:
        return 0
    frame = pl.DataFrame([pl.Series(name, values, dtype=dtype) for (name, dtype), values in zip(shape.items(), columns, strict=True)])
    return insert(connection, table, frame.with_columns(pl.col(name).cast(UNITS) for name in AMOUNTS if name in shape))


Key = tuple[str, str]
"""Chain and hash of a block."""
TransactionsByBlock = Sequence[tuple[Key, Transaction]]


def transaction_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        yield (*key, t.txid, t.position, t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, t.fee_asset, t.raw, t.branch,
               t.fee_wallet, t.receipt, t.transaction_proof, t.receipt_proof)  # fmt: skip


def input_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        for i in t.inputs:
            yield (*key, t.txid, i.txid, i.vout, i.value, i.address, i.wallet, i.asset, i.held, i.held_after, i.signed_by)


def output_rows(found: TransactionsByBlock) -> Iterator[tuple[Any, ...]]:
    for key, t in found:
        for o in t.outputs:
            yield (*key, t.txid, o.vout, o.value, o.address, o.wallet, o.asset, o.script_type, o.is_unspendable, o.ref)
