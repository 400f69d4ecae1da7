"""The least that each step's work needs, with the same libraries on the same data: the ceilings of the bench.

Enters: the log and the store that the bench made. Leaves: measurements. No rule is checked here, no issue raised, no
restatement looked for; amounts stay exact. What the pipeline takes beyond this is the price of its rules.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from connectors.log_sqlite.log import SqliteLog
from pipeline.enrich.frames import Facts
from pipeline.log.events import decode
from pipeline.log.protocol import advance
from pipeline.store import Store
from pipeline.store.facts import read_facts

from .measure import Measured, Measurements
from .synthetic import Size

TABLES = ("raw_block", "raw_transaction", "raw_input", "raw_output", "raw_allocation", "raw_payment",
          "raw_miner", "raw_licence", "raw_account", "raw_wallet")  # fmt: skip


def run_ingest(directory: Path, _: Size) -> list[Measured]:
    """SQLite alone reading the log, msgspec alone decoding it, DuckDB alone inserting the same Arrow tables, and selecting them."""
    measurements = Measurements()
    values: list[bytes] = []
    with SqliteLog(directory / "log.sqlite") as log, measurements.step("read log") as read:
        positions: dict[str, int] = {}
        while records := log.read(positions):
            values += [record.value for record in records]
            positions = advance(positions, records)
        read.rows = len(values)
    with measurements.step("decode") as decoded:
        for value in values:
            decode(value)
        decoded.rows = len(values)
    values.clear()
    with Store.open(directory / "store.duckdb") as store:
        tables = {name: store.connection.execute(f"SELECT * FROM {name}").to_arrow_table() for name in TABLES}
    path = directory / "bare.duckdb"
    path.unlink(missing_ok=True)
    connection = duckdb.connect(str(path))
    with measurements.step("duckdb insert") as insert:
        for name, rows in tables.items():
            connection.register("incoming", rows)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            connection.unregister("incoming")
            insert.rows += rows.num_rows
        connection.execute("CHECKPOINT")
    tables.clear()
    with measurements.step("duckdb select") as select:
        for name in TABLES:
            select.rows += connection.execute(f"SELECT * FROM {name}").pl().height
    connection.close()
    return measurements.taken


def run_month(directory: Path, _: Size) -> list[Measured]:
    """polars alone: cumulative sums, interval overlap, joins; and its own CSV."""
    measurements = Measurements()
    with Store.open(directory / "store.duckdb") as store:
        facts = read_facts(store.connection)
    with measurements.step("polars settle") as step:
        rows = settle(facts)
        step.rows = rows.height
    with measurements.step("polars write") as step:
        rows.write_csv(directory / "bare.csv")
        step.rows = rows.height
    return measurements.taken


def settle(facts: Facts) -> pl.DataFrame:
    """Allocations by payments, first in, first out: both as intervals of each miner's running sum, cut at every end."""
    miner = facts.accounts.select("account", "miner_id")
    debts = (
        facts.allocations.join(miner, on="account")
        .sort("miner_id", "allocated_at", "allocation_id")
        .with_row_index("debt")
        .with_columns(end=pl.col("amount").cum_sum().over("miner_id"))
    )
    credits = (
        facts.payments.join(miner, on="account")
        .sort("miner_id", "paid_at", "payment_id")
        .with_row_index("credit")
        .with_columns(end=pl.col("amount").cum_sum().over("miner_id"))
    )
    cuts = (
        pl.concat([debts.select("miner_id", "end", "debt"), credits.select("miner_id", "end", "credit")], how="diagonal")
        .sort("miner_id", "end")
        .with_columns(pl.col("debt", "credit").backward_fill().over("miner_id"))
        .with_columns(portion=pl.col("end") - pl.col("end").shift(1, fill_value=0).over("miner_id"))
        .filter(pl.col("portion") > 0, pl.col("debt").is_not_null())
    )
    licences = facts.licences.select("miner_id", "licence_number", "issue_date")
    paid = credits.select("credit", "txid", "address", transfer_amount=pl.col("amount"), transferred_at=pl.col("paid_at"))
    return (
        cuts.select("debt", "credit", "portion")
        .join(debts.drop("account", "end"), on="debt")
        .join(paid, on="credit", how="left")
        .join(facts.miners, on="miner_id")
        .join(licences, on="miner_id")
        .sort("miner_id", "allocated_at", "allocation_id", "transferred_at", "txid", "address")
    )
