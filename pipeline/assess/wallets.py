"""The pool's addresses as a bundle lists them, each with what its owner signed (ADR 15).

Enters: facts and the signatures that the log holds. Leaves: the lines of `evidence/wallets.jsonl`. Pure. Left out: whether a signature holds, which is asked
before it is taken into the log and again by whoever verifies. Descriptors reveal addresses to come: they lie beside a bundle by a setting only, for its auditor (`descriptors.jsonl`), and are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
import polars as pl
from msgspec import Meta

from pipeline.enrich.frames import Facts
from pipeline.log.events.months import WalletSigned

MAX_RANGE = 1_000_000
"""Indexes of a wallet's descriptors: half a minute for each."""
WALLETS_JSONL = "evidence/wallets.jsonl"


DESCRIPTORS_JSONL = "descriptors.jsonl"
"""Beside an auditor's bundle, where the settings want it; the manifest does not name it, and nothing that is filed has it."""


class WalletDescriptors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the addresses of one of the pool's wallets come about."""

    chain: str
    wallet: str
    descriptors: list[str]
    descriptor_range: Annotated[int, Meta(ge=0, le=MAX_RANGE)]
    """Ranged ones stand for the indexes 0 … this - 1."""
    addresses: list[str]
    """Those that are watched besides, and follow from none."""


class ListedAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An address of the pool's, and the signature of its key over `ownership_message`."""

    chain: str
    wallet: str
    address: str
    signature: str | None = None
    signed_at: int | None = None
    """Unix seconds: when it was taken into the log, by the log's own word."""


def ownership_message(chain: str, address: str, pool_bin: str) -> str:
    """What the key of an address signs: so a signature is for one address of one pool and for nothing else."""
    return f"Esep: the {chain} address {address} is the mining pool's with the BIN {pool_bin}"


def pool_addresses(facts: Facts) -> pl.DataFrame:
    """Every address that the facts call the pool's, used so far: chain, wallet, address."""
    columns = ["chain", "wallet", "address"]
    told = pl.concat([facts.outputs.select(columns), facts.inputs.select(columns)])
    return told.filter(pl.col("wallet").is_not_null() & pl.col("address").is_not_null()).unique().sort(columns)


def listed_addresses(facts: Facts, signatures: Iterable[WalletSigned], pool_bin: str) -> list[ListedAddress]:
    """The addresses with the newest signature of each over the message for this pool."""
    newest = {(s.chain, s.address): s for s in signatures if s.message == ownership_message(s.chain, s.address, pool_bin)}
    return [
        ListedAddress(chain=chain, wallet=wallet, address=address)
        if (signed := newest.get((chain, address))) is None
        else ListedAddress(chain=chain, wallet=wallet, address=address, signature=signed.signature, signed_at=signed.at)
        for chain, wallet, address in pool_addresses(facts).iter_rows()
    ]


def encode_descriptors(wallets: Iterable[WalletDescriptors]) -> bytes:
    """`descriptors.jsonl`: a line a wallet that has descriptors."""
    return b"".join(msgspec.json.encode(wallet) + b"\n" for wallet in wallets)


def encode_addresses(addresses: Iterable[ListedAddress]) -> bytes:
    """`evidence/wallets.jsonl`: a line an address, by chain, wallet and address."""
    return b"".join(msgspec.json.encode(address) + b"\n" for address in addresses)
