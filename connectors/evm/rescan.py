"""Rescans for watched addresses that were added by configuration.

Enters: the configured wallets, those the log watches. Leaves: a `Rescan`: the new watch list, the addresses that are new on it, and how far
the blocks already read have been searched for them. Events are repeated from the first block with a new address; from the log's first block
if a new address had a balance before it, because then every month's balances must include it.
After a crash the search goes on from its last place in the log (`searched`), where it is of the same wallets and contracts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.log.events.chain import WatchedWallet
from pipeline.model.journal import Journal

from .chain_state import ChainState
from .internal_transfers import InternalTransferFinder
from .read_block import Watching
from .scan import Scanner
from .state import StateReader
from .watch import WatchList, union, watch_list

_journal = Journal("evm")


@dataclass
class Rescan:
    """A pending watch list, and the search of the blocks already read for its new addresses."""

    target: WatchList
    new: dict[str, str]
    """New addresses and their wallets."""
    next_height: int
    first_hit: int | None = None
    is_opening_known: bool = False
    wrapped: tuple[str, ...] = ()
    """The contracts of wrapped coins that are watched, in order."""
    n_steps: int = 0

    @property
    def n_added(self) -> int:
        return len(self.new)

    def named(self) -> dict[str, Any]:
        return {"wallets": list(self.target.wallets), "wrapped": list(self.wrapped)}

    def search(
        self,
        state: ChainState,
        scanner: Scanner,
        internal_transfers: InternalTransferFinder,
        reader: StateReader,
        watching: Watching,
        size: int,
    ) -> bool:
        """Search some more blocks; whether the search is complete. Raises ChainMoved when the node's main chain has left the log's."""
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


def find_rescan(configured: WatchList, current: WatchList, state: ChainState, wrapped: Collection[str] = ()) -> Rescan | None:
    """The rescan that is due, if any. A contract of `wrapped` that the log does not know as such has every address searched for anew."""
    assert state.watch is not None
    wallets, warnings = union(configured.wallets, current.wallets)
    is_wrapped_new = not set(wrapped) <= set(state.watch.wrapped)
    if _content(wallets) == _content(current.wallets) and not is_wrapped_new:
        return None
    for warning in warnings:
        _journal.warning("still-watched", reason=warning)
    target = watch_list(wallets)
    new = target.addresses if is_wrapped_new else target.changed_since(current)
    due = Rescan(target, new, state.start_height, wrapped=tuple(sorted(wrapped)))
    place = state.searched
    if place is not None and _content(place.wallets) == _content(target.wallets) and tuple(place.wrapped) == due.wrapped:
        due.next_height, due.is_opening_known = place.height + 1, True
        _journal.info("search-continued", from_height=due.next_height, n_added=due.n_added)
    return due


def _content(wallets: Sequence[WatchedWallet]) -> object:
    return sorted((wallet.name, sorted(wallet.addresses)) for wallet in wallets)
