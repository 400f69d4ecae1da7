"""Builds the events that are the same for every family of chains. Pure.

Enters: the state of the log. Leaves: event ids, and `disconnect` and `searched` events, whose `seq` continue the log's. Left out: the events of blocks, which
each family builds itself.
"""

from __future__ import annotations

from typing import Any

from pipeline.log.events.chain import Disconnect, Searched

from .main_chain import MainChain

MAX_STRETCH = 1000
"""Blocks in one stretch event (ADR 1)."""
STEPS_A_PLACE = 8
"""A search of old blocks writes its place to the log after so many of its steps, each about a second's work."""


class EventBuilder:
    """Builds the events of one chain, as far as all families share them."""

    def __init__(self, chain: str) -> None:
        self._chain = chain

    def event_id(self, seq: int) -> str:
        return f"{self._chain}:{seq}"

    def disconnects(self, state: MainChain, down_to: int) -> list[Disconnect]:
        """Disconnect events for the blocks above `down_to`, the tip first."""
        events = []
        for seq, height in enumerate(range(state.height, down_to, -1), start=state.next_seq):
            block_hash, prev = state.hash_at(height), state.hash_at(height - 1)
            assert block_hash is not None and prev is not None
            events.append(Disconnect(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, prev=prev))
        return events

    def searched(self, state: MainChain, height: int, **what: Any) -> Searched:
        """How far a search of old blocks came. `what`: the event's fields that say what is searched for."""
        block_hash = state.hash_at(height)
        assert block_hash is not None
        seq = state.next_seq
        return Searched(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, **what)
