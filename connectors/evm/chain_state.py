"""The state of one account chain according to the log: the connector's cursor, and what following the chain needs.

Enters: the events of one key, in order, from the log or just appended to it. Leaves: the main chain (`pipeline.follow.main_chain`), which blocks have
pool transactions (with a digest of them), and which balances are recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from pipeline.follow.main_chain import MainChain
from pipeline.log.events.chain import (
    Accounts,
    Balances,
    ChainEvent,
    Connect,
    Disconnect,
    Doubt,
    Transaction,
    Watch,
)
from pipeline.model.errors import LogError


class ChainState(MainChain):
    """The main chain according to the log, with the recorded balances and the blocks with pool transactions."""

    kinds = (*MainChain.kinds, Balances, Accounts, Doubt)

    def __init__(self) -> None:
        super().__init__()
        self.logged_balances: dict[int, str] = {}
        """Heights whose balances were recorded since the newest watch event, with the block's hash."""
        self.touched: dict[int, bytes] = {}
        """Digest of the pool's transactions in each block of the main chain that has some, by ascending height: compared with a second reading."""

    def time_at(self, height: int) -> int | None:
        """The header time of a block of the main chain; None below the start."""
        place = height - self.start_height
        return self._times[place] if place >= 0 else None

    def _remember(self, event: ChainEvent) -> None:
        match event:
            case Watch():
                self.logged_balances.clear()
            case Connect():
                if event.transactions:
                    self.touched[event.height] = digest(event.transactions)
            case Disconnect():
                self.touched.pop(event.height, None)
                self.logged_balances.pop(event.height, None)
            case Balances():
                self._require_tip(event)
                self.logged_balances[event.height] = event.hash
            case Accounts():
                self._require_tip(event)
            case Doubt():
                if self.hash_at(event.height) != event.hash:
                    raise LogError(f"block {event.height} {event.hash} is doubted, and is not in the main chain")

    def _require_tip(self, event: Balances | Accounts) -> None:
        """Check that observed balances refer to the main chain's last block, or to the one below the first."""
        if self.watch is None or event.height != self.height:
            raise LogError(f"balances after block {event.height} are told out of turn")
        if self._prev_of_first is None:
            self._prev_of_first = event.hash
        if event.hash != self.tip:
            raise LogError(f"balances are told after {event.hash}, the chain ends in {self.tip}")


def digest(transactions: Sequence[Transaction]) -> bytes:
    """A 16-byte digest of the transactions, without what the node may not tell a second time (`token_claims.py`)."""
    plain = [_without_claims(one) if any(spent.signed_by is not None for spent in one.inputs) else one for one in transactions]
    return hashlib.blake2b(msgspec.json.encode(plain), digest_size=16).digest()


def _without_claims(told: Transaction) -> Transaction:
    return msgspec.structs.replace(
        told, inputs=[msgspec.structs.replace(spent, held=None, held_after=None, signed_by=None) for spent in told.inputs]
    )
