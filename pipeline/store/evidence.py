"""Reads the evidence of a bundle from the store: headers and raw transactions of the main chain."""

from __future__ import annotations

import duckdb
import polars as pl

from pipeline.chains.evidence import HEADERS, AccountProof, Evidence, Proof

from .facts import read_frame
from .queries import account_proofs, block_at, chain_state, proofs, statements


def read_evidence(connection: duckdb.DuckDBPyConnection, transactions: pl.DataFrame) -> Evidence:
    """Proofs of `transactions` (chain, txid) and the headers from the oldest of their blocks to the tip.

    Where the log has proofs of what accounts held, they come with the headers from the block before that oldest one on, so that each changes from one to the next.
    """
    proven: list[Proof] = []
    held: list[AccountProof] = []
    headers = [pl.DataFrame(schema=HEADERS)]
    tips = chain_state(connection)
    for (chain,), wanted in transactions.unique().sort("chain", "txid").group_by("chain", maintain_order=True):
        of_chain = [
            Proof(
                chain=str(chain),
                txid=p.txid,
                block_hash=p.block_hash,
                height=p.height,
                position=p.position,
                branch=p.branch or [],
                raw=p.raw,
                receipt=p.receipt,
                transaction_proof=p.transaction_proof,
                receipt_proof=p.receipt_proof,
            )
            for p in proofs(connection, str(chain), wanted["txid"].to_list())
            if p.raw is not None and (p.branch is not None or p.transaction_proof is not None)
        ]
        if of_chain:
            oldest = min(proof.height for proof in of_chain)
            accounts = account_proofs(connection, str(chain))
            if accounts and block_at(connection, str(chain), oldest - 1) is not None:
                oldest -= 1
            oldest = min([oldest, *(told.height + 1 for told in accounts if told.header is not None)])
            held += [
                AccountProof(chain=str(chain), **told._asdict()) for told in accounts if told.height >= oldest or told.header is not None
            ]
            headers.append(_headers_between(connection, str(chain), oldest, tips[str(chain)].height or oldest))
        proven += of_chain
    return Evidence(pl.concat(headers), proven, held)


def _headers_between(connection: duckdb.DuckDBPyConnection, chain: str, first: int, last: int) -> pl.DataFrame:
    """The headers of the main chain's blocks of heights `first` … `last`, as HEADERS: never a Python object for each block of years."""
    return read_frame(connection, statements()["headers_between"], HEADERS, {"chain": chain, "first": first, "last": last})
