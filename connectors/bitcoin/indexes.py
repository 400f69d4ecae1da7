"""The indexes that a node keeps (`getindexinfo`), and how far those are that it is still building.

Enters: a connection. Leaves: the two indexes that blocks are read by; the others are left out, as is what they are used for (`node.py`, `strategies.py`).
A node answers by an index of transactions only when it is whole; by the one of block filters up to where it is built.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pipeline.model.message import message

from .errors import BEING_INDEXED, AnswerUnreadable, RpcError
from .rpc import NodeConnection


class BuildingIndex(NamedTuple):
    """An index that is not whole yet."""

    name: str
    """Of the setting."""
    height: int | None
    """Built up to here; None where the node does not say."""


class Indexes(NamedTuple):
    """What a node has of the two."""

    has_transactions: bool
    """Every transaction of the main chain can be looked up by its id (-txindex)."""
    filters_height: int
    """The height up to which the filters are built (-blockfilterindex); -1 without them."""
    building: tuple[BuildingIndex, ...] = ()


class _Index(msgspec.Struct):
    synced: bool = False
    best_block_height: int = -1


class _Txids(msgspec.Struct):
    tx: list[str]


def read_indexes(connection: NodeConnection) -> Indexes:
    """The node's indexes now; of one that does not list them (before Bitcoin Core 0.21), whether a transaction can be looked up."""
    try:
        listed = connection.call("getindexinfo", result=dict[str, _Index])
    except RpcError as error:
        if error.code != RpcError.METHOD_NOT_FOUND:
            raise
        return _by_trying(connection)
    used = (("txindex", listed.get("txindex")), ("blockfilterindex", listed.get("basic block filter index")))
    building = tuple(BuildingIndex(name, max(0, index.best_block_height)) for name, index in used if index is not None and not index.synced)
    filters = used[1][1]
    return Indexes(
        has_transactions=used[0][1] is not None and used[0][1].synced,
        filters_height=filters.best_block_height if filters is not None else -1,
        building=building,
    )


def _by_trying(connection: NodeConnection) -> Indexes:
    """Looks up the coinbase of block 1, which a node without an index of transactions does not find."""
    first = connection.call("getblockhash", 1, result=str)
    txids = connection.call("getblock", first, True, result=_Txids).tx
    if not txids:
        raise AnswerUnreadable(message("getblock {first} at {name}: the block has no transactions", first=first, name=connection.name))
    try:
        connection.call("getrawtransaction", txids[0], False, result=str)
    except RpcError as error:
        is_building = BEING_INDEXED in error.text.lower()
        return Indexes(has_transactions=False, filters_height=-1, building=(BuildingIndex("txindex", None),) if is_building else ())
    return Indexes(has_transactions=True, filters_height=-1)
