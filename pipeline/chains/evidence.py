"""What proves transactions against a chain: headers, and each transaction's place under one of them. Values only.

`store.evidence` makes it from the store, `freeze` writes it into a bundle, `verify` reads and checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.networks import AccountNetwork

HEADERS = {"chain": pl.String, "height": pl.Int64, "hash": pl.String, "mediantime": pl.Int64, "header": pl.String}


Networks = Mapping[str, Network | AccountNetwork]
"""The network of each chain."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One transaction's place in the chain; hashes are hex in the customary order."""

    chain: str
    txid: str
    block_hash: str
    height: int
    position: int
    branch: list[str]
    """Empty on account chains."""
    raw: str
    """Without witnesses: its double SHA-256 is the txid. On account chains signed: its Keccak-256 is."""
    receipt: str | None = None
    transaction_proof: list[str] | None = None
    receipt_proof: list[str] | None = None


@dataclass(frozen=True)
class Evidence:
    """What a bundle proves its transfers with."""

    headers: pl.DataFrame
    proofs: list[Proof]
