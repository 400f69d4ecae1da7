"""Which transactions carry an authorization of code (EIP-7702) by a watched address, whoever sent them: it uses up one of the address's numbers (nonces).

Enters: the transactions of a block, as searched or as read whole. Leaves: whether, or which ones. The account is recovered from each entry's signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pipeline.chains.evm.authorizations import authorities_told
from pipeline.model.typed import decoder

from .answers import LightTransaction
from .watch import WatchList


def may_authorize(transactions: Sequence[LightTransaction], watch_list: WatchList) -> bool:
    """Whether one of the transactions has an authorization by a watched address, or a list that can't be read: reading the whole block says what is wrong with it."""
    for transaction in transactions:
        if len(transaction.authorization_list) <= len(b"[]"):
            continue
        try:
            entries = decoder(list[dict[str, Any]] | None).decode(transaction.authorization_list)
            if entries and not authorities_told(entries).isdisjoint(watch_list.addresses):
                return True
        except (ValueError, msgspec.MsgspecError):
            return True
    return False


def carriers(transactions: Sequence[Mapping[str, Any]], watch_list: WatchList) -> dict[int, set[str]]:
    """Indexes of the transactions that have an authorization by a watched address, with those addresses. Raises ValueError for a malformed entry."""
    return {
        place: given
        for place, transaction in enumerate(transactions)
        if (entries := transaction.get("authorizationList")) and (given := authorities_told(entries) & watch_list.addresses.keys())
    }
