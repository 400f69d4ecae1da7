"""The state of one account chain according to the log: the connector's cursor, and what following the chain needs.

Enters: the events of one key, in order, from the log or just appended to it. Leaves: the main chain (`pipeline.follow.main_chain`), which blocks have
pool transactions (with digests of them), which balances are recorded, and which transactions of others are looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pipeline.follow.coverage import digests_of, split, with_retold
from pipeline.follow.main_chain import MainChain
from pipeline.log.events.chain import (
    Accounts,
    Balances,
    ChainEvent,
    Connect,
    Disconnect,
    Doubt,
    NotTraced,
    Retold,
    Sought,
    Transaction,
    Watch,
)
from pipeline.model.errors import LogError
from pipeline.model.message import message


class ChainState(MainChain):
    """The main chain according to the log, with the recorded balances and the blocks with pool transactions."""

    kinds = (*MainChain.kinds, Balances, Accounts, Doubt, Retold, Sought, NotTraced)

    def __init__(self) -> None:
        super().__init__()
        self.logged_balances: dict[int, str] = {}
        """Heights whose balances were recorded since the newest watch event, with the block's hash."""
        self.touched: dict[int, bytes] = {}
        """Digests of what is told of each block of the main chain, where anything is: compared with a second reading."""
        self.sought: set[str] = set()
        """Ids of the transactions that payments of on-chain payers name (rule 10.2): every new block is searched for them."""
        self.unknown: set[str] = set()
        """Those of them that the node had in no block when it was asked, or whose block left the main chain, and that no block was found to have since."""
        self._blocks_of_sought: dict[int, list[str]] = {}
        """By height: those of them that are told of a block of the main chain, where that was after they were named."""

    def told_at(self, height: int) -> set[bytes]:
        """The digests of each single transaction that is told of a block of the main chain."""
        return set(split(self.touched.get(height, b"")))

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
                    self._are_told(event.height, [told.txid for told in event.transactions if told.txid in self.sought])
            case Disconnect():
                self.unknown.update(self.sought.intersection(self._blocks_of_sought.pop(event.height, ())))
                self.touched.pop(event.height, None)
                self.logged_balances.pop(event.height, None)
            case Balances():
                self._require_tip(event)
                self.logged_balances[event.height] = event.hash
            case Accounts():
                self._require_tip(event)
            case Retold():
                self.touched[event.height] = with_retold(self.touched.get(event.height, b""), digest(event.transactions))
                self._are_told(event.height, [told.txid for told in event.transactions])
            case Sought():
                self._require_tip(event)
                self.sought.update(event.txids)
                self.unknown.difference_update(event.txids)
                self.unknown.update(event.unknown)
                self.looked_up = None
            case NotTraced():
                self._require_tip(event)
                self.sought.difference_update(event.txids)
                self.unknown.difference_update(event.txids)
            case Doubt():
                if self.hash_at(event.height) != event.hash:
                    raise LogError(
                        message("block {height} {hash} is doubted, and is not in the main chain", height=event.height, hash=event.hash)
                    )

    def _are_told(self, height: int, txids: Sequence[str]) -> None:
        if txids:
            self._blocks_of_sought.setdefault(height, []).extend(txids)
            self.unknown.difference_update(txids)

    def _require_tip(self, event: Balances | Accounts | Sought | NotTraced) -> None:
        """Check that what is told of the main chain's last block, or of the one below the first, refers to it."""
        if self.watch is None or event.height != self.height:
            raise LogError(message("what is told after block {height} is told out of turn", height=event.height))
        if self._prev_of_first is None:
            self._prev_of_first = event.hash
        if event.hash != self.tip:
            raise LogError(message("something is told after {hash}, the chain ends in {tip}", hash=event.hash, tip=self.tip))


def digest(transactions: Sequence[Transaction]) -> bytes:
    """Digests of the transactions (`digests_of`), without what the node may not tell a second time (`token_claims.py`)."""
    return digests_of(transactions, _without_claims)


def _without_claims(told: Transaction) -> Transaction:
    if all(spent.signed_by is None for spent in told.inputs):
        return told
    return msgspec.structs.replace(
        told, inputs=[msgspec.structs.replace(spent, held=None, held_after=None, signed_by=None) for spent in told.inputs]
    )
