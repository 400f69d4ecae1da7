"""Chain events into rows: which blocks are in the main chain, and their contents.

In: chain events in the log's order, and the store. Out: rows of raw_block, raw_transaction, raw_input, raw_output,
raw_watch, raw_balance, raw_account_proof, raw_doubt, raw_witness, raw_disagreement, raw_sought and raw_chain_tip. Rules: a chain's events are numbered without gaps; a block joins on top of the main
chain's last block, and only that one leaves. Anything else is a broken assumption (`ChainBroken`): ingest stops. Left out:
duplicates, which `pipeline.store.ingest` has dropped before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import duckdb
import msgspec
import polars as pl

from pipeline.log.events.chain import (
    Accounts,
    Balances,
    ChainEvent,
    Connect,
    Disagreed,
    Disconnect,
    Doubt,
    NotTraced,
    Retold,
    Searched,
    Sought,
    Stretch,
    Transaction,
    Watch,
    Witnessed,
)
from pipeline.log.protocol import Record
from pipeline.model.message import message

from .chain_rows import (
    ACCOUNT,
    BALANCE,
    BLOCK,
    DISAGREEMENT,
    DOUBT,
    INPUT,
    OUTPUT,
    SOUGHT,
    TRANSACTION,
    WATCH,
    WITNESS,
    Key,
    input_rows,
    insert_rows,
    output_rows,
    transaction_rows,
)
from .queries import FEW, statements
from .witnessed import WitnessedRanges

_KNOWN = "SELECT b.* EXCLUDE (header) FROM raw_block b SEMI JOIN named USING (chain, hash)"
_MOVE = "UPDATE raw_block SET is_main = moved.is_main FROM moved WHERE raw_block.chain = moved.chain AND raw_block.hash = moved.hash"
_REPLACE = (
    "DELETE FROM raw_transaction t USING retold WHERE t.chain = retold.chain AND t.block_hash = retold.hash AND t.txid = retold.txid",
    "DELETE FROM raw_input t USING retold WHERE t.chain = retold.chain AND t.block_hash = retold.hash AND t.txid = retold.txid",
    "DELETE FROM raw_output t USING retold WHERE t.chain = retold.chain AND t.block_hash = retold.hash AND t.txid = retold.txid",
)
_FORGET = (
    "DELETE FROM raw_transaction t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
    "DELETE FROM raw_input t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
    "DELETE FROM raw_output t USING again WHERE t.chain = again.chain AND t.block_hash = again.hash",
)


class ChainBroken(Exception):
    """A chain event does not follow from the events before it; `record` is its record."""

    def __init__(self, record: Record, text: str) -> None:
        self.record = record
        super().__init__(text)


class _Block(NamedTuple):
    """A known block, and whether it is in the main chain."""

    height: int
    prev: str
    time: int
    mediantime: int
    is_main: bool


class _Tip(NamedTuple):
    seq: int
    hash: str | None
    height: int | None


class ChainBatch:
    """Follows the chains through a batch of events, then writes what changed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, events: Sequence[ChainEvent]) -> None:
        """`connection` within a transaction; `events`: those to be passed to `follow`, so that their blocks are looked up at once."""
        self._connection = connection
        rows = connection.execute("SELECT chain, seq, hash, height FROM raw_chain_tip").fetchall()
        self._tips = {chain: _Tip(seq, hash_, height) for chain, seq, hash_, height in rows}
        self._blocks = self._read_known(events)
        self._stored = frozenset(self._blocks)
        self._headers: dict[Key, str | None] = {}
        self._transactions: dict[Key, Sequence[Transaction]] = {}
        self._watches: list[tuple[Any, ...]] = []
        self._balances: list[tuple[Any, ...]] = []
        self._accounts: list[tuple[Any, ...]] = []
        self._doubts: list[tuple[Any, ...]] = []
        self._disagreements: list[Disagreed] = []
        self._witnessed = WitnessedRanges()
        self._retold: dict[Key, dict[str, Transaction]] = {}
        """Of blocks that were stored before: transactions that were told after them, by txid."""
        self._sought: list[tuple[str, int, str, bool]] = []
        self._touched: dict[Key, None] = {}

    def _read_known(self, events: Sequence[ChainEvent]) -> dict[Key, _Block]:
        named = [(event.chain, hash_) for event in events for hash_ in _hashes(event)]
        if not named:
            return {}
        if len(named) <= FEW:
            rows = self._connection.execute(statements()["known_blocks_among_few"], {"hashes": [hash_ for _, hash_ in named]}).fetchall()
        else:
            frame = pl.DataFrame(named, schema={"chain": pl.String, "hash": pl.String}, orient="row").unique().to_arrow()
            self._connection.register("named", frame)
            rows = self._connection.execute(_KNOWN).fetchall()
            self._connection.unregister("named")
        return {(row[0], row[1]): _Block(*row[2:]) for row in rows}

    def follow(self, record: Record, event: ChainEvent) -> None:
        """Apply one event. Raises `ChainBroken` when it does not follow from the events before."""
        tip = self._tips.get(event.chain)
        expected = 0 if tip is None else tip.seq + 1
        if event.seq != expected:
            what = "events are missing before it" if event.seq > expected else "it contradicts the event of that number read before"
            raise ChainBroken(
                record,
                message(
                    "event {seq} of chain {chain} where number {expected} must follow: {what}",
                    seq=event.seq, chain=repr(event.chain), expected=expected, what=what,
                ),
            )  # fmt: skip
        last = tip or _Tip(-1, None, None)
        match event:
            case Watch():
                wallets = msgspec.json.encode(event.wallets).decode()
                self._watches.append(
                    (
                        event.chain, event.seq, event.network, event.start_height, wallets, event.internal_calls, event.payees or None,
                        event.authorizations_from,
                    )
                )  # fmt: skip
                after = last._replace(seq=event.seq)
            case Balances() | Accounts():
                after = self._observe(record, event, last)
            case Doubt():
                self._doubts.append((event.chain, event.seq, event.height, event.hash, event.time, event.detail, event.txid))
                after = last._replace(seq=event.seq)
            case Witnessed() | Disagreed() | Retold() | Searched():
                self._tell(record, event)
                after = last._replace(seq=event.seq)
            case Sought() | NotTraced():
                if (event.hash, event.height) != (last.hash, last.height) and last.hash is not None:
                    raise ChainBroken(
                        record,
                        message(
                            "it names block {hash} ({height}), the main chain of {chain} ends with {last}",
                            hash=event.hash,
                            height=event.height,
                            chain=repr(event.chain),
                            last=last.hash,
                        ),
                    )
                self._sought += [(event.chain, event.seq, txid, isinstance(event, Sought)) for txid in event.txids]
                after = last._replace(seq=event.seq)
            case Connect():
                block = _Block(event.height, event.prev, event.time, event.mediantime, True)
                after = self._connect(record, event, last, event.hash, block, event.header, event.transactions)
            case Stretch():
                after, prev = last, event.prev
                for place, (hash_, time, mediantime, header) in enumerate(
                    zip(event.hash, event.time, event.mediantime, event.header, strict=True)
                ):
                    block = _Block(event.height + place, prev, time, mediantime, True)
                    after, prev = self._connect(record, event, after, hash_, block, header, ()), hash_
                after = after._replace(seq=event.seq)
            case Disconnect():
                after = self._disconnect(record, event, last)
        self._tips[event.chain] = after

    def _connect(
        self,
        record: Record,
        event: Connect | Stretch,
        tip: _Tip,
        hash_: str,
        block: _Block,
        header: str | None,
        transactions: Sequence[Transaction],
    ) -> _Tip:
        key = (event.chain, hash_)
        if tip.hash is not None and block.prev != tip.hash:
            raise ChainBroken(
                record,
                message(
                    "block {hash} joins on {prev}, but the main chain of {chain} ends with {hash_2}",
                    hash=hash_, prev=block.prev, chain=repr(event.chain), hash_2=tip.hash,
                ),
            )  # fmt: skip
        if tip.height is not None and block.height != tip.height + 1:
            raise ChainBroken(
                record,
                message(
                    "block {hash} has height {height}, but the main chain of {chain} ends at {height_2}",
                    hash=hash_, height=block.height, chain=repr(event.chain), height_2=tip.height,
                ),
            )  # fmt: skip
        known = self._blocks.get(key)
        if known is not None and known != block._replace(is_main=False):
            raise ChainBroken(
                record,
                message(
                    "block {hash} of {chain} is in the main chain already, or was told with another header",
                    hash=hash_, chain=repr(event.chain),
                ),
            )  # fmt: skip
        self._blocks[key] = block
        self._touched[key] = None
        self._headers[key] = header
        self._transactions[key] = transactions
        self._retold.pop(key, None)
        return _Tip(event.seq, hash_, block.height)

    def _disconnect(self, record: Record, event: Disconnect, tip: _Tip) -> _Tip:
        if (event.hash, event.height) != (tip.hash, tip.height):
            raise ChainBroken(
                record,
                message(
                    "block {hash} ({height}) leaves, but the main chain of {chain} ends with {hash_2} ({height_2})",
                    hash=event.hash, height=event.height, chain=repr(event.chain), hash_2=tip.hash, height_2=tip.height,
                ),
            )  # fmt: skip
        key = (event.chain, event.hash)
        block = self._blocks.get(key)
        if block is None:
            raise ChainBroken(
                record,
                message(
                    "block {hash} of {chain} leaves, but it was never read: reading began above it",
                    hash=event.hash, chain=repr(event.chain),
                ),
            )  # fmt: skip
        if event.prev != block.prev:
            raise ChainBroken(
                record,
                message(
                    "block {hash} leaves for {prev}, but it had joined on {prev_2}", hash=event.hash, prev=event.prev, prev_2=block.prev
                ),
            )
        self._blocks[key] = block._replace(is_main=False)
        self._touched[key] = None
        self._witnessed.leave(event.chain, event.height)
        self._disagreements = [known for known in self._disagreements if known.chain != event.chain or known.height < event.height]
        return _Tip(event.seq, event.prev, event.height - 1)

    def _tell(self, record: Record, event: Witnessed | Disagreed | Retold | Searched) -> None:
        """Something of blocks of the main chain. A connector's own place (`searched`) is no fact, and is not stored."""
        self._require_main(record, event, event.last if isinstance(event, Witnessed) else event.height)
        match event:
            case Witnessed():
                self._witnessed.add(event)
            case Disagreed():
                self._disagreements.append(event)
            case Retold():
                self._retell(event)

    def _retell(self, event: Retold) -> None:
        """Transactions of a block that is in the main chain already, each in the place of what was told of it before."""
        key = (event.chain, event.hash)
        told = {transaction.txid: transaction for transaction in event.transactions}
        if key in self._transactions:
            kept = [transaction for transaction in self._transactions[key] if transaction.txid not in told]
            self._transactions[key] = [*kept, *event.transactions]
        else:
            self._retold[key] = self._retold.get(key, {}) | told
        self._witnessed.split(event.chain, event.height, self._blocks[key].prev)

    def _require_main(self, record: Record, event: Witnessed | Disagreed | Retold | Searched, height: int) -> None:
        """What is told of a block is of one in the main chain."""
        block = self._blocks.get((event.chain, event.hash))
        if block is None or not block.is_main or block.height != height:
            raise ChainBroken(
                record,
                message(
                    "block {hash} ({height}) is told of, and is not in the main chain of {chain}",
                    hash=event.hash, height=height, chain=repr(event.chain),
                ),
            )  # fmt: skip

    def _observe(self, record: Record, event: Balances | Accounts, tip: _Tip) -> _Tip:
        """Balances must refer to the main chain's last block, or to the one before the first block read (ADR 7)."""
        if tip.hash is not None and (event.hash, event.height) != (tip.hash, tip.height):
            raise ChainBroken(
                record,
                message(
                    "balances after block {hash} ({height}), but the main chain of {chain} ends with {hash_2} ({height_2})",
                    hash=event.hash, height=event.height, chain=repr(event.chain), hash_2=tip.hash, height_2=tip.height,
                ),
            )  # fmt: skip
        where = event.chain, event.seq, event.height, event.hash
        if isinstance(event, Accounts):
            rows = event.rows
            self._accounts += [
                (*where, event.header, event.asset, *row) for row in zip(rows.wallet, rows.address, rows.value, rows.proof, strict=True)
            ]
        else:
            found = zip(event.rows.wallet, event.rows.address, event.rows.asset, event.rows.value, strict=True)
            self._balances += [(*where, *row) for row in found]
        return tip._replace(seq=event.seq)

    def write(self) -> int:
        """Write the changes into the open transaction; the number of rows added."""
        connection = self._connection
        new = [key for key in self._touched if key not in self._stored]
        moved = [(*key, self._blocks[key].is_main) for key in self._touched if key in self._stored]
        again = [key for key in self._transactions if key in self._stored]
        if moved:
            connection.register("moved", pl.DataFrame(moved, schema=["chain", "hash", "is_main"], orient="row").to_arrow())
            connection.execute(_MOVE)
            connection.unregister("moved")
        if again:  # a block that joins again: its rows are replaced by those of the newest event
            connection.register("again", pl.DataFrame(again, schema=["chain", "hash"], orient="row").to_arrow())
            for statement in _FORGET:
                connection.execute(statement)
            connection.unregister("again")
        blocks = ((chain, hash_, b.height, b.prev, b.time, b.mediantime, self._headers[chain, hash_], b.is_main)
                  for (chain, hash_) in new for b in (self._blocks[chain, hash_],))  # fmt: skip
        rows = insert_rows(connection, "raw_block", BLOCK, blocks)
        found = [(key, transaction) for key, transactions in self._transactions.items() for transaction in transactions]
        if self._retold:
            named = [(*key, txid) for key, told in self._retold.items() for txid in told]
            connection.register("retold", pl.DataFrame(named, schema=["chain", "hash", "txid"], orient="row").to_arrow())
            for statement in _REPLACE:
                connection.execute(statement)
            connection.unregister("retold")
            found += [(key, transaction) for key, told in self._retold.items() for transaction in told.values()]
        rows += insert_rows(connection, "raw_transaction", TRANSACTION, transaction_rows(found))
        rows += insert_rows(connection, "raw_input", INPUT, input_rows(found))
        rows += insert_rows(connection, "raw_output", OUTPUT, output_rows(found))
        rows += insert_rows(connection, "raw_watch", WATCH, self._watches)
        rows += insert_rows(connection, "raw_balance", BALANCE, self._balances)
        rows += insert_rows(connection, "raw_account_proof", ACCOUNT, self._accounts)
        rows += insert_rows(connection, "raw_doubt", DOUBT, self._doubts)
        rows += insert_rows(connection, "raw_sought", SOUGHT, self._sought)
        self._witnessed.cut_stored(connection)
        told = ((w.chain, w.seq, w.height, w.last, w.hash, w.nodes, w.reason, True) for w in self._witnessed.ranges)
        rows += insert_rows(connection, "raw_witness", WITNESS, told)
        differing = ((d.chain, d.seq, d.height, d.hash, d.time, d.nodes, d.answers, True) for d in self._disagreements)
        rows += insert_rows(connection, "raw_disagreement", DISAGREEMENT, differing)
        tips = [(chain, *tip) for chain, tip in self._tips.items()]
        connection.execute("DELETE FROM raw_chain_tip")
        connection.execute(
            statements()["write_tips"], dict(zip(("chains", "seqs", "hashes", "heights"), map(list, zip(*tips, strict=True)), strict=True))
        )
        return rows


def _hashes(event: ChainEvent) -> Iterable[str]:
    match event:
        case Connect() | Disconnect() | Witnessed() | Disagreed() | Retold() | Searched():
            return (event.hash,)
        case Stretch():
            return event.hash
    return ()
