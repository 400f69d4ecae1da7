"""Queries to a node about coins (unspent outputs) of given scripts: the protocol and its values (ADR 15).

Enters and leaves: values only. A connector implements `CoinNode`; `verify.node` asks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

Outpoint = tuple[str, int]
"""A transaction's id, and the place of one of its outputs."""


class UnspentCoin(NamedTuple):
    """An unspent output."""

    txid: str
    vout: int
    value: int
    """Base units."""
    height: int
    """Of the block that created it."""


class Unspent(NamedTuple):
    """All of them for some scripts, after one block."""

    height: int
    coins: list[UnspentCoin]


class Spend(NamedTuple):
    """The transaction that spends a coin, and its block."""

    txid: str
    height: int


class CoinNode(Protocol):
    """One node of one network. Every call may raise SourceError."""

    @property
    def name(self) -> str:
        """Its address, without secrets."""

    @property
    def network_name(self) -> str:
        """The name of its network."""

    def tip_height(self) -> int:
        """The height of its main chain."""

    def hash_at(self, height: int) -> str:
        """The main chain's block there; the height is at most the tip's."""

    def unspent(self, scripts: Collection[bytes]) -> Unspent:
        """The unspent outputs that the scripts hold."""

    def spends(self, coins: Collection[Outpoint], after: int) -> dict[Outpoint, Spend]:
        """The transactions that spend the coins in blocks above the height `after`; coins not spent there are left out."""

    def created_at(self, txid: str) -> int | None:
        """The height of the transaction's block; None where the node keeps no index of transactions, or does not know it."""

    def filter_header(self, block_hash: str) -> str | None:
        """The header of the block's basic filter, hex (BIP 157); None where the node keeps no filters."""

    def touching(self, scripts: Collection[bytes], coins: Collection[Outpoint], first: int, last: int) -> Iterator[Spend]:
        """The transactions of the blocks from `first` to `last` that pay to the scripts, or spend the coins or outputs paid to the scripts in these blocks."""
