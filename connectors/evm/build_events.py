"""Builds the numbered events of one account chain from headers and found transactions. Pure.

Enters: the state of the log, consecutive blocks. Leaves: events whose `seq` continues the log's. A block with pool transactions is a
`connect`; runs of other blocks are `stretch`es of at most `MAX_STRETCH` (a single one is a `connect` without transactions).
`mediantime` is the header's own time (ADR 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.follow.build_events import MAX_STRETCH, EventBuilder
from pipeline.log.events.chain import (
    Accounts,
    BalanceColumns,
    Balances,
    Connect,
    Doubt,
    NotTraced,
    Retold,
    Sought,
    Stretch,
    Transaction,
    Watch,
)
from pipeline.model.months import almaty_date

from .account_proofs import ProvedAccounts
from .answers import RawHeader
from .watch import WatchList


@dataclass(frozen=True)
class MonthEnd:
    """The last block of an Almaty month."""

    height: int
    hash: str


def by_month(
    tip_height: int, tip_hash: str | None, tip_time: int | None, headers: Sequence[RawHeader]
) -> Iterator[MonthEnd | list[RawHeader]]:
    """Headers that follow a tip, split by month: before the first block of a month comes a MonthEnd with the last block of the month
    before. A tip without a time is the block below the log's first, whose balances are recorded anyway."""
    run: list[RawHeader] = []
    month = _month(tip_time) if tip_time is not None else None
    end = MonthEnd(tip_height, tip_hash) if tip_hash is not None else None
    for header in headers:
        now = _month(header.time)
        if month is not None and now != month and end is not None:
            if run:
                yield run
                run = []
            yield end
        run.append(header)
        month, end = now, MonthEnd(header.height, header.hash)
    if run:
        yield run


def _month(time: int) -> tuple[int, int]:
    return _month_of_hour(time // 3600)


@lru_cache(maxsize=64)
def _month_of_hour(hour: int) -> tuple[int, int]:
    """Clocks in Almaty are whole hours before UTC, in every rule since 1930: so an hour is of one day."""
    day = almaty_date(hour * 3600)
    return day.year, day.month


class EvmEventBuilder(EventBuilder):
    """Builds the events of one chain."""

    def watch(
        self,
        seq: int,
        watch_list: WatchList,
        *,
        network: str,
        start_height: int,
        internal_calls: str,
        wrapped: Sequence[str] = (),
        authorizations_from: int | None = None,
    ) -> Watch:
        return Watch(
            id=self.event_id(seq), seq=seq, chain=self._chain, network=network, start_height=start_height,
            wallets=list(watch_list.wallets), internal_calls=internal_calls, wrapped=list(wrapped), authorizations_from=authorizations_from,
        )  # fmt: skip

    def balances(self, seq: int, height: int, block_hash: str, rows: BalanceColumns) -> Balances:
        return Balances(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, rows=rows)

    def doubt(self, seq: int, height: int, block_hash: str, time: int, detail: str, *, txid: str | None = None) -> Doubt:
        """`txid`: the transaction whose internal calls two witnesses tell differently."""
        return Doubt(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, time=time, detail=detail, txid=txid)

    def retold(self, seq: int, height: int, block_hash: str, transactions: list[Transaction]) -> Retold:
        return Retold(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, transactions=transactions)

    def sought(self, seq: int, height: int, block_hash: str, txids: list[str], unknown: list[str]) -> Sought:
        return Sought(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, txids=txids, unknown=unknown)

    def not_traced(self, seq: int, height: int, block_hash: str, txids: list[str]) -> NotTraced:
        return NotTraced(id=self.event_id(seq), seq=seq, chain=self._chain, height=height, hash=block_hash, txids=txids)

    def accounts(self, seq: int, proved: ProvedAccounts, asset: str, *, has_header: bool = True) -> Accounts:
        """`has_header`: whether an event of a block has it."""
        header = proved.header
        return Accounts(
            id=self.event_id(seq), seq=seq, chain=self._chain, height=header.height, hash=header.hash, asset=asset,
            header=None if has_header else header.raw.hex(), rows=proved.rows,
        )  # fmt: skip

    def connects(
        self,
        seq: int,
        headers: Sequence[RawHeader],
        found: Mapping[int, list[Transaction]],
        proved: Mapping[int, ProvedAccounts],
        asset: str,
    ) -> Iterator[Connect | Stretch | Accounts]:
        """The events of the headers' blocks, and after some of them the accounts' state. `found` and `proved` are by height."""
        quiet: list[RawHeader] = []
        for header in headers:
            transactions = found.get(header.height)
            held = proved.get(header.height)
            if not transactions:
                quiet.append(header)
                if len(quiet) < MAX_STRETCH and held is None:
                    continue
            if quiet:
                yield self._quiet(quiet, seq)
                seq, quiet = seq + 1, []
            if transactions:
                yield self._connect(header, transactions, seq)
                seq += 1
            if held is not None:
                yield self.accounts(seq, held, asset)
                seq += 1
        if quiet:
            yield self._quiet(quiet, seq)

    def _connect(self, header: RawHeader, transactions: list[Transaction], seq: int) -> Connect:
        return Connect(
            id=self.event_id(seq), seq=seq, chain=self._chain, height=header.height, hash=header.hash, prev=header.prev,
            time=header.time, mediantime=header.time, header=header.raw.hex(), transactions=transactions,
        )  # fmt: skip

    def _quiet(self, quiet: list[RawHeader], seq: int) -> Connect | Stretch:
        first = quiet[0]
        if len(quiet) == 1:
            return self._connect(first, [], seq)
        times = [header.time for header in quiet]
        return Stretch(
            id=self.event_id(seq), seq=seq, chain=self._chain, height=first.height, prev=first.prev, hash=[header.hash for header in quiet],
            time=times, mediantime=times, header=[header.raw.hex() for header in quiet],
        )  # fmt: skip
