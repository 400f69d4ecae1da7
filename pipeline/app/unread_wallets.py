"""Addresses and descriptors that the settings name and that no chain was read for yet: a month closed without them would lack what they paid.

Enters: the settings, the wallets that each chain's newest watch list names. Leaves: a sentence for each wallet. A chain of which nothing was read is left out: rule 8.1 says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.log.events.chain import WatchedWallet
from pipeline.model.message import message

if TYPE_CHECKING:
    from pipeline.settings import Settings


def unread_wallets(settings: Settings, watched: Mapping[str, Sequence[WatchedWallet]]) -> list[str]:
    """What is still to be read, by chain and wallet. The connector adds a new address to the watch list when it has searched the blocks that the log has for it."""
    from pipeline.chains.bitcoin.descriptors import without_checksum

    found = []
    for chain, ours in settings.chains.items():
        if chain not in watched:
            continue
        known = {(one.name, what) for one in watched[chain] for what in (*one.addresses, *map(without_checksum, one.descriptors))}
        for wallet in ours.wallets:
            named = [*wallet.addresses, *map(without_checksum, wallet.descriptors)]
            count = sum((wallet.name, what) not in known for what in named)
            if count:
                found.append(
                    message(
                        "{chain} was not searched yet for {count} address(es) or descriptor(s) of wallet {wallet}, which the settings name: esep run, or esep watch, does so",
                        chain=chain,
                        count=count,
                        wallet=wallet.name,
                    )
                )
    return found
