"""What a bundle's evidence is read from: headers and raw transactions of the main chain."""

from __future__ import annotations

import duckdb
import polars as pl

from ..freeze.evidence import HEADERS, Evidence, Proof
from .store import text


def read_evidence(connection: duckdb.DuckDBPyConnection, transactions: pl.DataFrame) -> Evidence:
    """Proofs of `transactions` (chain, txid) and the headers from the oldest of their blocks to the tip."""
    rows = _rows(connection, "evidence_proofs.sql", transactions.select("chain", "txid").unique())
    proofs = [
        Proof(chain=chain, txid=txid, block_hash=block_hash, height=height, position=position, branch=branch, raw=raw)
        for chain, txid, block_hash, height, position, branch, raw in rows
    ]
    oldest: dict[str, int] = {}
    for proof in proofs:
        oldest[proof.chain] = min(oldest.get(proof.chain, proof.height), proof.height)
    statement = text("evidence_headers.sql")
    headers = [connection.execute(statement, {"chain": chain, "height": height}).pl() for chain, height in sorted(oldest.items())]
    return Evidence(pl.concat(headers) if headers else pl.DataFrame(schema=HEADERS), proofs)


def _rows(connection: duckdb.DuckDBPyConnection, name: str, wanted: pl.DataFrame) -> list[tuple[str, str, str, int, int, list[str], str]]:
    connection.register("wanted", wanted.to_arrow())
    try:
        return connection.execute(text(name)).fetchall()
    finally:
        connection.unregister("wanted")
