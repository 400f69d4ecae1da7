"""The evidence for transactions on a chain: headers, and each transaction's inclusion proof. Data types only.

`store.evidence` makes it from the store, `freeze` writes it into a bundle, `verify` reads and checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import polars as pl

from pipeline.chains.networks import AnyNetwork

HEADERS = {"chain": pl.String, "height": pl.Int64, "hash": pl.String, "mediantime": pl.Int64, "header": pl.String}


Networks = Mapping[str, AnyNetwork]
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


class AccountProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an account of an account chain held after a block: its place under the header's state root."""

    chain: str
    height: int
    block_hash: str
    address: str
    proof: list[str]
    """Nodes of the state's trie, root first, hex."""
    header: str | None = None
    """The block's header, hex, where it lies below the first block that was read."""


@dataclass(frozen=True)
class Evidence:
    """What a bundle proves its transfers with."""

    headers: pl.DataFrame
    proofs: list[Proof]
    accounts: list[AccountProof] = field(default_factory=list)
