"""The frames that enter enrichment and those that leave it: their columns, types and units.

Amounts are Int128 whole base units. `…_date` is a day in Almaty. Chain instants are Int64 Unix seconds,
ledger instants Int64 microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

UNITS = pl.Int128

POOL_WALLETS = {"chain": pl.String, "wallet": pl.String}
"""Every wallet that the newest `watch` event of each chain names, used or not."""
BLOCKS = {"chain": pl.String, "hash": pl.String, "height": pl.Int64, "time": pl.Int64, "mediantime": pl.Int64}
"""The main chain only."""
TRANSACTIONS = {
    "chain": pl.String,
    "block_hash": pl.String,
    "txid": pl.String,
    "position": pl.Int32,
    "is_coinbase": pl.Boolean,
    "other_inputs": pl.Int32,
    "other_inputs_value": UNITS,
    "fee": UNITS,
    "fee_asset": pl.String,
    "fee_wallet": pl.String,
}
"""Of blocks of the main chain. `fee_wallet`: the pool wallet that bears the whole fee; null: inputs share it (rule 9.5)."""
INPUTS = {
    "chain": pl.String,
    "block_hash": pl.String,
    "txid": pl.String,
    "spent_txid": pl.String,
    "spent_vout": pl.Int32,
    "value": UNITS,
    "address": pl.String,
    "wallet": pl.String,
    "asset": pl.String,
    "held": UNITS,
    "held_after": UNITS,
    "signed_by": pl.String,
}
"""`held`, `held_after`, `signed_by`: of a token that no settings name, in a stranger's transaction: what its contract says that the address held before the block
and after it, and who signed; else null."""
OUTPUTS = {
    "chain": pl.String,
    "block_hash": pl.String,
    "txid": pl.String,
    "vout": pl.Int32,
    "value": UNITS,
    "address": pl.String,
    "wallet": pl.String,
    "asset": pl.String,
    "script_type": pl.String,
    "is_unspendable": pl.Boolean,
}
OBSERVATIONS = {
    "chain": pl.String,
    "height": pl.Int64,
    "block_hash": pl.String,
    "wallet": pl.String,
    "address": pl.String,
    "asset": pl.String,
    "value": UNITS,
}
"""Balances of addresses after a block of the main chain, or after the one below the first block read (ADR 7); null: the node's state was gone."""
PROVED_BALANCES = OBSERVATIONS
"""The same of single addresses and the chain's own asset, where the block's header proves it: around the pool's transactions, and at months' ends (ADR 7)."""
PAYEES = {"chain": pl.String, "address": pl.String}
"""Addresses that are followed besides the pool's, so that transactions of on-chain payers are found (rules 8.1, 10.8)."""
SOUGHT = {"chain": pl.String, "txid": pl.String}
"""Transactions that payments of on-chain payers name and that were looked for in the whole main chain, where the chain is searched by id (rules 8.1, 10.8)."""
DOUBTS = {"chain": pl.String, "height": pl.Int64, "hash": pl.String, "time": pl.Int64, "detail": pl.String, "txid": pl.String}
"""Blocks whose second reading differed; with `txid`: a transaction whose internal calls two witnesses tell differently (ADR 7). `time` is the header's."""
SOURCE_ITEMS = {"source": pl.String, "item": pl.String, "code": pl.String, "date": pl.Date, "detail": pl.String}
"""What waits at the ledger's sources (ADR 22), by the day whose month it blocks."""
WITNESSES = {
    "chain": pl.String,
    "seq": pl.Int64,
    "height": pl.Int64,
    "last": pl.Int64,
    "n_nodes": pl.Int64,
    "nodes": pl.String,
    "reason": pl.String,
}
"""How many nodes said the same of the blocks from `height` to `last` of the main chain (ADR 20). `nodes`: their addresses with spaces between."""
DISAGREEMENTS: dict[str, Any] = {
    "chain": pl.String,
    "seq": pl.Int64,
    "height": pl.Int64,
    "hash": pl.String,
    "time": pl.Int64,
    "nodes": pl.List(pl.String),
    "answers": pl.List(pl.String),
}
"""Blocks of the main chain of which two nodes said different things, with both answers (ADR 20)."""
ALLOCATIONS = {
    "allocation_id": pl.String,
    "account": pl.String,
    "asset": pl.String,
    "allocated_at": pl.Int64,
    "amount": UNITS,
    "commission_asset": pl.String,
    "commission_amount": UNITS,
    "commission_currency": pl.String,
    "commission_currency_amount": pl.String,
}
"""The version in force of each row."""
PAYMENTS = {
    "payment_id": pl.String,
    "account": pl.String,
    "asset": pl.String,
    "address": pl.String,
    "amount": UNITS,
    "txid": pl.String,
    "paid_at": pl.Int64,
    "payer": pl.String,
}
"""`payer`: null where the pool itself paid; `txid` is an off-chain payer's reference (rule 10)."""
OPENINGS = {"account": pl.String, "asset": pl.String, "amount": UNITS, "owed_at": pl.Int64}
MINERS = {"miner_id": pl.String, "name": pl.String}
LICENCES = {
    "miner_id": pl.String,
    "licence_number": pl.String,
    "issue_date": pl.Date,
    "valid_from": pl.Date,
    "valid_to": pl.Date,
    "suspended_from": pl.Date,
    "suspended_to": pl.Date,
}
ACCOUNTS = {"account": pl.String, "miner_id": pl.String, "valid_from": pl.Date, "valid_to": pl.Date}
WALLETS = {"address": pl.String, "chain": pl.String, "miner_id": pl.String, "valid_from": pl.Date, "valid_to": pl.Date}
LABELS = {"chain": pl.String, "address": pl.String, "outflow_class": pl.String}
"""The registry's counterparties, overridden by the newest label."""


@dataclass(frozen=True)
class Facts:
    """The input of enrichment: all that a month's report depends on, besides the rules' parameters."""

    pool_wallets: pl.DataFrame
    blocks: pl.DataFrame
    transactions: pl.DataFrame
    inputs: pl.DataFrame
    outputs: pl.DataFrame
    allocations: pl.DataFrame
    payments: pl.DataFrame
    openings: pl.DataFrame
    miners: pl.DataFrame
    licences: pl.DataFrame
    accounts: pl.DataFrame
    wallets: pl.DataFrame
    labels: pl.DataFrame
    observations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OBSERVATIONS))
    doubts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DOUBTS))
    proved_balances: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PROVED_BALANCES))
    payees: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAYEES))
    sought: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SOUGHT))
    source_items: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SOURCE_ITEMS))
    witnesses: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=WITNESSES))
    disagreements: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DISAGREEMENTS))


SHAPES: dict[str, dict[str, Any]] = {
    "pool_wallets": POOL_WALLETS,
    "blocks": BLOCKS,
    "transactions": TRANSACTIONS,
    "inputs": INPUTS,
    "outputs": OUTPUTS,
    "allocations": ALLOCATIONS,
    "payments": PAYMENTS,
    "openings": OPENINGS,
    "miners": MINERS,
    "licences": LICENCES,
    "accounts": ACCOUNTS,
    "wallets": WALLETS,
    "labels": LABELS,
    "observations": OBSERVATIONS,
    "doubts": DOUBTS,
    "proved_balances": PROVED_BALANCES,
    "payees": PAYEES,
    "sought": SOUGHT,
    "source_items": SOURCE_ITEMS,
    "witnesses": WITNESSES,
    "disagreements": DISAGREEMENTS,
}
MAY_BE_ABSENT: dict[str, tuple[str, ...]] = {
    "doubts": ("txid",), "inputs": ("held", "held_after", "signed_by"), "transactions": ("fee_wallet",), "payments": ("payer",),
}  # fmt: skip
"""Columns that a bundle leaves out when they are empty, by frame, so that bundles of chains without them keep their bytes."""
FRAMES_MAY_BE_ABSENT = frozenset(
    ("observations", "doubts", "proved_balances", "payees", "sought", "source_items", "witnesses", "disagreements")
)
"""Frames that a bundle leaves out when they have no row, for the same reason."""

ISSUES = {"code": pl.String, "severity": pl.String, "ref": pl.String, "detail": pl.String}
OUTFLOWS = {
    "chain": pl.String,
    "txid": pl.String,
    "vout": pl.Int32,
    "address": pl.String,
    "asset": pl.String,
    "amount": UNITS,
    "class": pl.String,
    "block_height": pl.Int64,
    "date": pl.Date,
}
"""Every output of the pool's transactions and coinbases, and a row for each fee (vout -1)."""
TRANSFERS = {
    "chain": pl.String,
    "txid": pl.String,
    "address": pl.String,
    "asset": pl.String,
    "miner_id": pl.String,
    "amount": UNITS,
    "credited": UNITS,
    "explanation": pl.String,
    "at": pl.Int64,
    "date": pl.Date,
    "block_hash": pl.String,
    "height": pl.Int64,
    "payer": pl.String,
}
"""`payer`: null where the pool itself paid. Of an off-chain payer `txid` is its reference, `at` the second of `paid_at`, block and height null (rule 10)."""
BALANCES = {
    "wallet": pl.String,
    "asset": pl.String,
    "opening": UNITS,
    "in": UNITS,
    "out": UNITS,
    "fee": UNITS,
    "closing": UNITS,
    "unspent": UNITS,
}
"""`unspent`: the sum of unspent outputs or, on a chain with observed balances, the observed balance. Null, like `opening`: unknown."""
REPORT = {
    "n": pl.Int64,
    "miner_id": pl.String,
    "miner_name": pl.String,
    "licence_number": pl.String,
    "licence_issue_date": pl.Date,
    "wallet": pl.String,
    "allocation_date": pl.Date,
    "asset": pl.String,
    "amount": UNITS,
    "transfer_amount": UNITS,
    "transfer_date": pl.Date,
    "commission_asset": pl.String,
    "commission_asset_amount": UNITS,
    "commission_currency": pl.String,
    "commission_currency_amount": pl.String,
    "allocation_id": pl.String,
    "txid": pl.String,
    "is_carried": pl.Boolean,
    "payer": pl.String,
}
"""The form's fifteen columns in order, then the columns that link a row to its facts."""

DEBTS = {
    "miner_id": pl.String,
    "asset": pl.String,
    "opening": UNITS,
    "allocated": UNITS,
    "settled": UNITS,
    "closing": UNITS,
    "advance": UNITS,
}
"""What the pool owes each miner: opening + allocated − settled = closing. `advance`: credits that have nothing to settle yet (rule 6.2)."""
