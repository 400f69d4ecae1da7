"""Events that every family of chains numbers and builds alike. Pure.

Enters: the state of the log. Leaves: ids, and the `disconnect` events that take the log's chain back, whose `seq` run on from the log's. What
a block's own event holds is each family's.
"""

from __future__ import annotations

from pipeline.log.events.chain import Disconnect

from .main_chain import MainChain

MAX_STRETCH = 1000
"""Blocks in one stretch event (ADR 1)."""


class EventBuilder:
    """Builds the events of one chain, as far as all families share them."""

    def __init__(self, chain: str) -> None:
        self._chain = chain

    def event_id(self, seq: int) -> str:
        return f"{self._chain}:{seq}"

    def disconnects(self, state: MainChain, down_to: int) -> list[Disconnect]:
        """The tip and what lies below it, newest first, until `down_to` is the tip."""
        events = []
        for seq, height in enumerate(range(state.height, down_to, -1), start=state.next_seq):
            block_hash, prev = state.hash_at(height), state.hash_at(height - 1)
            assert block_hash is not None and prev is not None
            events.append(Disconnect(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, prev=prev))
        return events
