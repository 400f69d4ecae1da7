"""Typed functions for the statements of queries.sql: single values and short lists.

They read committed rows of one connection and write nothing. Amounts are not here: see `facts`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import duckdb

from pipeline.log.authenticity import SignedEvent, StreamState, read_state
from pipeline.log.events import decode
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.events.months import Documented, Frozen, Labelled, Waived, WalletSigned
from pipeline.log.protocol import Topic
from pipeline.model.issues import Issue, IssueCode
from pipeline.model.typed import decoder

from .store import text

FEW = 32
"""So many keys or fewer are given to a statement as a list; more as a table, which costs a millisecond more to begin with and a hundredth a key."""


class Block(NamedTuple):
    """A block of the main chain; instants in Unix seconds."""

    chain: str
    height: int
    hash: str
    prev: str
    time: int
    mediantime: int
    header: str | None


class ChainTip(NamedTuple):
    """The newest event and block of a chain; `height` and what follows are None before the first block."""

    chain: str
    network: str | None
    seq: int
    height: int | None
    hash: str | None
    time: int | None
    mediantime: int | None


class Proof(NamedTuple):
    """A transaction of the main chain with its proof; the fields after `position` are None where the chain has none."""

    txid: str
    block_hash: str
    height: int
    position: int
    raw: str | None
    branch: list[str] | None
    receipt: str | None
    transaction_proof: list[str] | None
    receipt_proof: list[str] | None


@functools.cache
def statements() -> dict[str, str]:
    """The statements of queries.sql by name."""
    found = re.findall(r"^-- ([a-z_.]+): .*?\n(.*?);\s*$", text("queries.sql"), re.MULTILINE | re.DOTALL)
    return {name: statement.strip() for name, statement in found}


def waivers(connection: duckdb.DuckDBPyConnection, month: str) -> list[Waived]:
    """The waivers given for a month (rule 8.1), oldest first."""
    rows = connection.execute(statements()["waivers"], {"month": month}).fetchall()
    return [
        Waived(
            id=id_, month=m, code=code, ref=ref, by=by, reason=reason, at=at,
            facts=None if facts is None else facts.split("\n") if facts else [],
        )
        for id_, m, code, ref, by, reason, at, facts in rows
    ]  # fmt: skip


def allocation_assets(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """The asset and the commission's asset of each of these allocations that the ledger has; openings by the ids that rule 6.4 gives them."""
    rows = connection.execute(statements()["allocation_assets"], {"ids": list(ids)}).fetchall()
    return {id_: (asset, commission_asset) for id_, asset, commission_asset in rows}


def labels(connection: duckdb.DuckDBPyConnection) -> list[Labelled]:
    """Every label that a person gave, oldest first."""
    rows = connection.execute(statements()["labels"]).fetchall()
    return [
        Labelled(id=id_, chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason, at=at)
        for id_, chain, address, outflow_class, name, by, reason, at in rows
    ]


def documents(connection: duckdb.DuckDBPyConnection) -> list[Documented]:
    """Every document that a label, a waiver or an off-chain transfer rests on, oldest first."""
    rows = connection.execute(statements()["documents"]).fetchall()
    return [
        Documented(id=id_, about=about, month=month, ref=ref, name=name, digest=digest, size=size, by=by, reason=reason, at=at)
        for id_, about, month, ref, name, digest, size, by, reason, at in rows
    ]


def wallet_signatures(connection: duckdb.DuckDBPyConnection) -> list[WalletSigned]:
    """Every message that was signed by a key of the pool's, oldest first."""
    rows = connection.execute(statements()["wallet_signatures"]).fetchall()
    return [
        WalletSigned(id=id_, chain=chain, address=address, message=message, signature=signature, by=by, at=at)
        for id_, chain, address, message, signature, by, at in rows
    ]


class LastRead(NamedTuple):
    """The last event of a topic that the store has read; `digest`: SHA-256 of its JSON, in hex."""

    topic: Topic
    offset: int
    key: str
    id: str
    digest: str


def last_read(connection: duckdb.DuckDBPyConnection) -> list[LastRead]:
    """The last event read of each topic; topics without events are absent."""
    return [LastRead(*row) for row in connection.execute(statements()["last_read"]).fetchall()]


def newest_events(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The id of the newest event read, by `topic/key`: the store's position in any copy of the log, whose offsets may differ."""
    return dict(connection.execute(statements()["newest_events"]).fetchall())


class SourceState(NamedTuple):
    """How far one source of the ledger was read; instants in microseconds."""

    source: str
    first_look: int
    last_look: int
    newest: int | None
    """The source's own time of its newest row."""
    rows: int
    open_items: int
    complete_through: date | None


def sources(connection: duckdb.DuckDBPyConnection) -> list[SourceState]:
    """How far each source of the ledger was read, by name (ADR 22)."""
    return [SourceState(*row) for row in connection.execute(statements()["sources"]).fetchall()]


class OpenItem(NamedTuple):
    """Something that waits at a source of the ledger."""

    source: str
    item: str
    code: str
    day: date
    detail: str


def source_items(connection: duckdb.DuckDBPyConnection) -> list[OpenItem]:
    """What waits at the ledger's sources, by day (ADR 22)."""
    return [OpenItem(*row) for row in connection.execute(statements()["source_items"]).fetchall()]


def source_sums(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Of each source the accounts that differed at its last look: source, account, the row's content as JSON."""
    return [(source, account, content) for source, account, content in connection.execute(statements()["source_sums"]).fetchall()]


def complete_through(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The last day that the ledger declared complete; None before it did."""
    (day,) = connection.execute(statements()["complete_through"]).fetchall()[0]
    return day if isinstance(day, date) else None


def frozen_versions(connection: duckdb.DuckDBPyConnection, month: str) -> list[Frozen]:
    """The frozen versions of a month (rule 8.3), in their order."""
    rows = connection.execute(statements()["frozen_versions"], {"month": month}).fetchall()
    return [event for (value,) in rows if isinstance(event := decode(value.encode()), Frozen)]


def frozen_months(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every month of which a version is frozen, in their order."""
    return [month for (month,) in connection.execute(statements()["frozen_months"]).fetchall()]


def key_of_another_pool(connection: duckdb.DuckDBPyConnection, pool: str) -> str | None:
    """The key of the pool whose events the store was filled with, if none of `pool` is among them; None where one is, or the store is empty."""
    rows = connection.execute(statements()["key_of_another_pool"], {"pool": pool}).fetchall()
    return str(rows[0][0]) if rows else None


def first_fact_at(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The instant, Unix seconds, of the first block, allocation, payment or opening; None where there is none. A chain's genesis block does not count."""
    (at,) = connection.execute(statements()["first_fact_at"]).fetchall()[0]
    return None if at is None else int(at)


def has_facts(connection: duckdb.DuckDBPyConnection, start_at: int, end_at: int) -> bool:
    """Whether there is a block, an allocation or a payment from `start_at` on and before `end_at`, Unix seconds."""
    (found,) = connection.execute(statements()["has_facts"], {"start_at": start_at, "end_at": end_at}).fetchall()[0]
    return bool(found)


def chain_state(connection: duckdb.DuckDBPyConnection) -> dict[str, ChainTip]:
    """The tip of each chain, by chain."""
    return {row[0]: ChainTip(*row) for row in connection.execute(statements()["chain_tips"]).fetchall()}


def internal_calls(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """How calls inside transactions are read, by chain; chains without such calls are absent (ADR 7)."""
    return dict(connection.execute(statements()["internal_calls"]).fetchall())


def authorizations_from(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """From which block on authorizations of code (EIP-7702) are told, by chain; absent where they are not."""
    return dict(connection.execute(statements()["authorizations_from"]).fetchall())


def watched_wallets(connection: duckdb.DuckDBPyConnection) -> dict[str, list[WatchedWallet]]:
    """The wallets that each chain's newest watch list names, with their addresses and descriptors."""
    rows = connection.execute(statements()["watched_wallets"]).fetchall()
    return {chain: decoder(list[WatchedWallet]).decode(wallets) for chain, wallets in rows}


def block_at(connection: duckdb.DuckDBPyConnection, chain: str, height: int) -> Block | None:
    """The main chain's block of a height; None where there is none yet."""
    rows = connection.execute(statements()["block_at"], {"chain": chain, "height": height}).fetchall()
    return Block(*rows[0]) if rows else None


def proofs(connection: duckdb.DuckDBPyConnection, chain: str, txids: Sequence[str]) -> list[Proof]:
    """The main chain's transactions among `txids` with their proofs, in the chain's order."""
    rows = connection.execute(statements()["proofs"], {"chain": chain, "txids": list(txids)}).fetchall()
    return [Proof(*row) for row in rows]


class AccountProof(NamedTuple):
    """What proves an account's balance after a block; `header` where `raw_block` does not have the block."""

    height: int
    block_hash: str
    address: str
    proof: list[str]
    header: str | None


def account_proofs(connection: duckdb.DuckDBPyConnection, chain: str) -> list[AccountProof]:
    """What proves the accounts' balances after blocks of the main chain, in the chain's order."""
    return [AccountProof(*row) for row in connection.execute(statements()["account_proofs"], {"chain": chain}).fetchall()]


def bad_events(connection: duckdb.DuckDBPyConnection) -> list[Issue]:
    """Events that can't be read, or that are not authentic, as blocking issues (law 8); `ref` is the event's place: `ledger/0@17`.

    A stream in which no root key is in force yet, where one is in another, is such an issue, too; `ref` is its name: `chain/pool/litecoin` (ADR 14).
    """
    rows = connection.execute(statements()["bad_events"]).fetchall()
    found = [Issue(IssueCode(code or IssueCode.UNREADABLE_EVENT), f"{place}@{offset}", error) for place, offset, error, code in rows]
    unsigned = [state for state in streams(connection) if not state.is_in_force]
    return found + [
        Issue(
            IssueCode.EVENT_NOT_AUTHENTIC, f"{state.topic}/{state.key}",
            f"nobody signed what it holds: {state.before_keys} event(s); `esep keys start` puts it under the root key as it is",
        )
        for state in unsigned
    ]  # fmt: skip


def streams(connection: duckdb.DuckDBPyConnection) -> list[StreamState]:
    """What is known of each stream of the pool at the store's positions; none where no root key is in force."""
    return [read_state(state) for _, _, state in connection.execute(statements()["streams"]).fetchall()]


def signed_events(connection: duckdb.DuckDBPyConnection) -> list[SignedEvent]:
    """What proves people's labels and waivers, and what the root key said of keys, in the log's order (ADR 14)."""
    return [SignedEvent(*row) for row in connection.execute(statements()["signed"]).fetchall()]


def registry(connection: duckdb.DuckDBPyConnection) -> tuple[int, str] | None:
    """Version and digest of the registry in force; None before the first complete one."""
    rows = connection.execute(statements()["registry"]).fetchall()
    return (rows[0][0], rows[0][1]) if rows else None
