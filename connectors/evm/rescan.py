"""The watch list grows by configuration.

Enters: the configured wallets, those the log watches. Leaves: a `Rescan`: the list to come, the addresses that are new on it, and how far the
blocks already read have been searched for them. The first of those blocks that has one is the first whose facts must be stated again;
the first of all when a new address held something before it, because then every month's balance is to be told with it.
Nothing of this is stored: after a crash the search begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from pipeline.log.events.chain import WatchedWallet

from .chain_state import ChainState
from .internal_transfers import InternalTransferFinder
from .read_block import Watching
from .scan import Scanner
from .state import StateReader
from .watch import WatchList, union, watch_list

_journal = structlog.get_logger("evm")


@dataclass
class Rescan:
    """A watch list to come, while what was already read is searched for what is new on it."""

    target: WatchList
    new: dict[str, str]
    """New addresses and their wallets."""
    next_height: int
    first_hit: int | None = None
    is_opening_known: bool = False

    @property
    def n_added(self) -> int:
        return len(self.new)

    def search(
        self,
        state: ChainState,
        scanner: Scanner,
        internal_transfers: InternalTransferFinder,
        reader: StateReader,
        watching: Watching,
        size: int,
    ) -> bool:
        """Search some more blocks; whether the search is over. Raises ChainMoved when the main chain is not the log's any more."""
        if not self.new or state.height < state.start_height:
            return True
        narrow = replace(watching, watch_list=self.target.only(self.new))
        if not self.is_opening_known:
            self.is_opening_known = True
            before = state.hash_at(state.start_height - 1)
            assert before is not None
            held = reader.rows(narrow.watch_list, watching.asset, watching.tokens, state.start_height - 1, before)
            if any(value not in (None, "0") for value in held.value):
                self.first_hit = state.start_height
                return True
        last = min(self.next_height + size - 1, state.height)
        if self.next_height <= last:
            scanned = scanner.read(self.next_height, last, state.hash_at(self.next_height - 1), narrow)
            internal_transfers.complete(scanned, narrow)
            if scanned.found:
                self.first_hit = min(scanned.found)
            self.next_height = last + 1
        return self.first_hit is not None or self.next_height > state.height


def find_rescan(configured: WatchList, current: WatchList, state: ChainState) -> Rescan | None:
    """The rescan that is due, if any."""
    wallets, warnings = union(configured.wallets, current.wallets)
    if _content(wallets) == _content(current.wallets):
        return None
    for warning in warnings:
        _journal.warning("still-watched", reason=warning)
    target = watch_list(wallets)
    return Rescan(target, target.changed_since(current), state.start_height)


def _content(wallets: Sequence[WatchedWallet]) -> object:
    return sorted((wallet.name, sorted(wallet.addresses)) for wallet in wallets)
