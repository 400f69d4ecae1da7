"""Builds the numbered events of one chain from headers and found transactions. Pure.

Enters: the state of the log, consecutive blocks. Leaves: `watch`, `disconnect`, `connect` and `stretch` events whose `seq` continues
the log's. A block with pool transactions is a `connect`; runs of other blocks are `stretch`es of at most `MAX_STRETCH` (a single one is
a `connect` without transactions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.follow.build_events import MAX_STRETCH, EventBuilder
from pipeline.log.events.chain import (
    Connect,
    Stretch,
    Transaction,
    Watch,
)

from .chain_state import median_time
from .node import RawHeader
from .watch import WatchList

Quiet = list[tuple[RawHeader, int]]
"""Headers with their median times."""


class BitcoinEventBuilder(EventBuilder):
    """Builds the events of one chain."""

    def watch(self, seq: int, watch_list: WatchList, *, network: str, start_height: int) -> Watch:
        return Watch(
            id=self.event_id(seq),
            seq=seq,
            chain=self._chain,
            network=network,
            start_height=start_height,
            wallets=list(watch_list.wallets),
            payees=list(watch_list.payees),
        )

    def connects(
        self, seq: int, earlier_times: Sequence[int], headers: Sequence[RawHeader], found: Mapping[int, list[Transaction]]
    ) -> Iterator[Connect | Stretch]:
        """The events of the headers' blocks. `earlier_times`: header times of the ten blocks before them; `found`: transactions by height."""
        times = list(earlier_times)
        quiet: Quiet = []
        for header in headers:
            times = [*times[-10:], header.header.time]
            transactions = found.get(header.height)
            if transactions is None:
                quiet.append((header, median_time(times)))
                if len(quiet) < MAX_STRETCH:
                    continue
            if quiet:
                yield self._quiet(quiet, seq)
                seq, quiet = seq + 1, []
            if transactions is not None:
                yield self._connect(header, median_time(times), transactions, seq)
                seq += 1
        if quiet:
            yield self._quiet(quiet, seq)

    def _connect(self, header: RawHeader, mediantime: int, transactions: list[Transaction], seq: int) -> Connect:
        return Connect(
            id=self.event_id(seq),
            seq=seq,
            chain=self._chain,
            height=header.height,
            hash=header.header.hash.hex(),
            prev=header.header.prev.hex(),
            time=header.header.time,
            mediantime=mediantime,
            header=header.raw.hex(),
            transactions=transactions,
        )

    def _quiet(self, quiet: Quiet, seq: int) -> Connect | Stretch:
        first = quiet[0][0]
        if len(quiet) == 1:
            return self._connect(first, quiet[0][1], [], seq)
        return Stretch(
            id=self.event_id(seq),
            seq=seq,
            chain=self._chain,
            height=first.height,
            prev=first.header.prev.hex(),
            hash=[header.header.hash.hex() for header, _ in quiet],
            time=[header.header.time for header, _ in quiet],
            mediantime=[mediantime for _, mediantime in quiet],
            header=[header.raw.hex() for header, _ in quiet],
        )
