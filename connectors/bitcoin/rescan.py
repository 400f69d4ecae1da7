"""Rescans for new watched scripts, added by configuration or because a ranged descriptor's last addresses came into use.

Enters: the configured wallets, those the log watches, the scripts used so far. Leaves: a `Rescan`: the new watch list, the scripts that
are new on it, and how far the blocks already read have been searched for them. Events are repeated from the first block that contains
a new script. After a crash the search goes on from its last place in the log (`searched`), unless what is searched for is no longer due.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.chains.bitcoin.networks import Network
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.journal import Journal

from .chain_state import ChainState
from .strategies import BlockRef, Strategy, Watching, watching_for
from .watch import WatchList, union, watch_list

_journal = Journal("bitcoin")


@dataclass
class Rescan:
    """A pending watch list, and the search of the blocks already read for its new scripts."""

    target: WatchList
    new: Watching
    next_height: int
    added: tuple[str, ...] = ()
    """The payees among what is new, in order."""
    first_hit: int | None = None
    n_steps: int = 0

    @property
    def n_added(self) -> int:
        return len(self.new.scripts)

    def named(self) -> dict[str, Any]:
        return {"wallets": list(self.target.wallets), "payees": list(self.added)}

    def search(self, state: ChainState, strategy: Strategy, tip_height: int, size: int) -> bool:
        """Search some more blocks; whether the search is over."""
        last = min(self.next_height + size - 1, state.height)
        blocks = [BlockRef(height, state.hash_at(height) or "") for height in range(self.next_height, last + 1)]
        if blocks and self.new.scripts:
            found = strategy.read(blocks, self.new, lambda _: None, tip_height)
            if found:
                self.first_hit = min(found)
        self.next_height = last + 1 if self.new.scripts else state.height + 1
        return self.first_hit is not None or self.next_height > state.height


class RescanFinder:
    """Decides after each step whether the watch list must grow."""

    def __init__(self, configured: WatchList, network: Network, asset: str, *, gap: int | None) -> None:
        self._configured, self._network, self._asset, self._gap = configured, network, asset, gap
        self._is_union_done = False
        self._n_used = -1

    def find(self, state: ChainState, current: WatchList, payees: Collection[str] = ()) -> Rescan | None:
        """The rescan that is due, if any. `payees`: addresses that other payers pay, as far as they are known now (rule 10.2)."""
        wallets = self._by_configuration(current.wallets) or self._by_use(state, current)
        followed = {*current.payees, *payees}
        if wallets is None and len(followed) == len(current.payees):
            return None
        due = self._rescan(wallets or current.wallets, followed, current, state.start_height)
        return self._from_place(state, current, due) or due

    def _from_place(self, state: ChainState, current: WatchList, due: Rescan) -> Rescan | None:
        """The search that a crash ended, from its place on, where all that it searched for is still due; what is due besides is found after it."""
        place = state.searched
        if place is None:
            return None
        begun = self._rescan(place.wallets, {*current.payees, *place.payees}, current, place.height + 1)
        if any(due.target.scripts.get(script) != wallet for script, wallet in begun.new.scripts.items()):
            return None
        self._is_union_done, self._n_used = False, -1
        _journal.info("search-continued", from_height=begun.next_height, n_added=begun.n_added)
        return begun

    def _rescan(self, wallets: Sequence[WatchedWallet], payees: Collection[str], current: WatchList, from_height: int) -> Rescan:
        target = watch_list(wallets, self._network, payees)
        added = tuple(sorted(set(target.payees) - set(current.payees)))
        return Rescan(target, watching_for(target.changed_since(current), self._asset), from_height, added)

    def _by_configuration(self, logged: Sequence[WatchedWallet]) -> Sequence[WatchedWallet] | None:
        if self._is_union_done:
            return None
        self._is_union_done = True
        wallets, warnings = union(self._configured.wallets, logged)
        for warning in warnings:
            _journal.warning("still-watched", reason=warning)
        return wallets if _content(wallets) != _content(logged) else None

    def _by_use(self, state: ChainState, current: WatchList) -> Sequence[WatchedWallet] | None:
        if len(state.used) == self._n_used:
            return None
        self._n_used = len(state.used)
        return current.extended(state.used, gap=self._gap)


def _content(wallets: Sequence[WatchedWallet]) -> object:
    return sorted((w.name, sorted(w.addresses), sorted(w.descriptors), w.descriptor_range) for w in wallets)
