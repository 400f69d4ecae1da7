"""A synthetic month at scale, written as the events of a log: seeded, consistent, and quick to make.

Enters: how many allocations and miners, a seed, an empty log. Leaves: the log of October 2026 of a pool with one wallet:
ten allocations of each miner, then a payout to each, in batches of 250 outputs; every tenth round of payouts is rounded to
four decimals while the ledger books the balance (rule 5.3). Payouts are whole multiples of the payout unit, so portions
do not end where allocations do, and dust is carried on. No issue is blocking: a month of this size is reported without a
word. Rows are drawn and put into JSON by polars, whole columns at a time: the
same seed gives the same bytes for ever. It leaves out raw transactions, Merkle
branches and headers, which enrichment never reads, unless the month is to be proven: then
a bundle of it passes `esep verify`, and its ids and addresses are others.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from pipeline.log.events import content_digest, encode
from pipeline.log.events.chain import Stretch, Watch, WatchedWallet
from pipeline.log.events.ledger import Complete
from pipeline.log.events.registry import (
    AccountRow,
    LicenceRow,
    MinerRow,
    Registry,
    WalletRow,
)
from pipeline.log.protocol import EventLog, NewEvent, Writer
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules

from ..reference.worlds import good_miner_id
from . import proven

MONTH = Month(2026, 10)
UNIT_SAT = 10_000
CHAIN_SETTINGS = """\
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
[[chains.bitcoin.wallets]]
name = "pool"
addresses = ["2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"]
[payout_unit]
BTC = 10000
"""
"""Of a settings file, what says by which chain and rules the synthetic pool is judged."""
RULES = Rules(
    assets={"BTC": Asset("BTC", "bitcoin", 8)}, finality={"bitcoin": 6}, payout_unit={"BTC": UNIT_SAT}, network={"bitcoin": "regtest"}
)
PER_PAYOUT = 10
"""Allocations of a miner between two payouts."""
BATCH = 250
"""Outputs of a payout transaction."""
ROWS_AN_EVENT = 2_000
BLOCK_S = 600
FEE_SAT = 5_000
STRETCH = 1_000


@dataclass(frozen=True)
class Size:
    """How large a month: `allocations` must be a multiple of ten times `miners`."""

    allocations: int
    miners: int = 5_000
    seed: int = 1
    is_proven: bool = False
    """Whether transactions, branches and headers are there as bytes (`proven`)."""

    def __post_init__(self) -> None:
        if self.allocations % (self.miners * PER_PAYOUT):
            raise ValueError(f"{self.allocations} allocations are not whole rounds of {PER_PAYOUT} for {self.miners} miners")

    @property
    def rounds(self) -> int:
        return self.allocations // (self.miners * PER_PAYOUT)

    @property
    def payouts(self) -> int:
        return self.rounds * self.miners


@dataclass
class _Pool:
    """What is carried from round to round."""

    addresses: pl.Series
    accounts: pl.Series
    owed_sat: pl.Series
    """What each miner is owed before the round."""
    coin: tuple[str, int, int]
    """The pool's one unspent output: txid, vout, value."""
    wallet: str
    """The pool's one address."""
    is_proven: bool
    tip: str
    seq: int = 0
    height: int = 0
    at: int = 0
    times: list[int] = field(default_factory=list)


def write_month(log: EventLog, size: Size) -> None:
    """Write the whole month into an empty log."""
    write_months(log, size, [MONTH])


def write_months(log: EventLog, size: Size, months: Sequence[Month]) -> list[dict[str, int]]:
    """Write consecutive months, each of that size, into an empty log; where the log ended after each."""
    start_s = months[0].previous.end_at
    miners = range(size.miners)
    pool = _Pool(
        addresses=pl.Series("address", [proven.address("address", n) if size.is_proven else f"bcrt1q{_hash('address', n)[:38]}" for n in miners]),
        accounts=pl.Series("account", [f"acct{n:05}" for n in miners]),
        owed_sat=pl.Series("owed", [0] * size.miners), coin=(_hash("coin", 0), 0, 10**15), at=start_s - 100 * BLOCK_S,
        wallet=proven.address("pool") if size.is_proven else "bcrt1qpool", is_proven=size.is_proven,
        tip=proven.REGTEST.genesis if size.is_proven else "00" * 32,
    )  # fmt: skip
    ends = []
    with log.writer("registry", "pool") as registry, log.writer("ledger", "pool") as ledger, log.writer("chain", "pool/bitcoin") as chain:
        registry.append([_registry(pool, size)])
        wallet = WatchedWallet(name="pool", addresses=[pool.wallet])
        chain.append([encode(Watch(id="bitcoin:0", seq=0, chain="bitcoin", network="regtest", start_height=0, wallets=[wallet]))])
        chain.append([_coinbase(pool)])
        for n, month in enumerate(months):
            for number in range(n * size.rounds, (n + 1) * size.rounds):
                _write_round(ledger, chain, pool, size, number, month)
            chain.append(list(_quiet(pool, month.end_at + 86_400)))
            ledger.append([encode(Complete(id="complete" if n == 0 else f"complete:{month}", through=str(month.last)))])
            ends.append(dict(log.end()))
    return ends


def _write_round(ledger: Writer, chain: Writer, pool: _Pool, size: Size, number: int, month: Month) -> None:
    """Ten allocations of every miner, then a payout to each of what makes whole units."""
    rows = size.miners * PER_PAYOUT
    start_s, length_s = month.previous.end_at, month.end_at - month.previous.end_at
    ends_s = start_s + length_s * (number % size.rounds + 1) // size.rounds
    step_us = length_s * 1_000_000 // (size.rounds * PER_PAYOUT)
    n, place = pl.col("n"), pl.int_range(rows) // size.miners
    allocations = pl.select(n=pl.int_range(number * rows, (number + 1) * rows)).with_columns(
        miner=pl.int_range(rows) % size.miners,
        amount=_draw(n, size.seed, 1_000, 200_000),
        at=ends_s * 1_000_000 - (PER_PAYOUT - place) * step_us + _draw(n, size.seed + 1, 0, 1_000_000) * step_us // 1_000_000,
    )
    ledger.append(list(_allocation_events(allocations.with_columns(account=pool.accounts.gather(allocations["miner"])))))
    owed_sat = pool.owed_sat + allocations.group_by("miner").agg(pl.col("amount").sum()).sort("miner")["amount"]
    payouts = pl.DataFrame({"account": pool.accounts, "address": pool.addresses, "owed": owed_sat}).with_columns(
        n=pl.int_range(number * size.miners, (number + 1) * size.miners), transaction=pl.int_range(pl.len()) // BATCH,
        paid=pl.col("owed") // UNIT_SAT * UNIT_SAT,
    )  # fmt: skip
    less = _draw(n, size.seed + 2, 0, UNIT_SAT) if number % 10 == 3 else pl.lit(0)
    payouts = payouts.with_columns(booked=(pl.col("paid") - less).clip(0))
    pool.owed_sat = owed_sat - payouts["booked"]
    chain.append(list(_quiet(pool, ends_s)))
    events, placed = [], []
    for (_,), batch in payouts.group_by("transaction", maintain_order=True):
        events.append(_payout(pool, batch))
        placed.append(batch.with_columns(txid=pl.lit(pool.coin[0]), at=pl.lit((pool.at - 300) * 1_000_000)))
    chain.append(events)
    ledger.append(list(_payment_events(pl.concat(placed))))


def _draw(n: pl.Expr, salt: int, low: int, high: int) -> pl.Expr:
    """A number in low … high - 1 for each n, scattered by multiplying and shifting within 64 bits."""
    mixed = (n.cast(pl.UInt64) * 2_654_435_761 + (salt * 40_503 + 1)) % 2**32
    mixed = ((mixed ^ (mixed // 2**15)) * 2_246_822_519) % 2**32
    mixed = ((mixed ^ (mixed // 2**13)) * 3_266_489_917) % 2**32
    return (low + (mixed // 2**3) % (high - low)).cast(pl.Int64)


# --- the chain -----------------------------------------------------------------------------------------------------


def _hash(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()


def _next_block(pool: _Pool, *txids: str) -> dict[str, Any]:
    """The next block's header: ten minutes on. `txids`: of all its transactions, where they are known."""
    pool.seq, pool.height, pool.at = pool.seq + 1, pool.height + 1, pool.at + BLOCK_S
    prev, raw = pool.tip, None
    if pool.is_proven:
        pool.tip, raw = proven.header(prev, txids or [_hash("stranger", pool.height)], pool.at)
    else:
        pool.tip = _hash("block", pool.height)
    pool.times = [*pool.times[-10:], pool.at]
    return {
        "id": f"bitcoin:{pool.seq}", "seq": pool.seq, "chain": "bitcoin", "height": pool.height, "hash": pool.tip, "prev": prev,
        "time": pool.at, "mediantime": pool.times[len(pool.times) // 2], "header": raw.hex() if raw else None,
    }  # fmt: skip


def _quiet(pool: _Pool, until_s: int) -> Iterator[NewEvent]:
    """Blocks with nothing of the pool's, as stretches, up to an instant."""
    while pool.at + BLOCK_S <= until_s:
        first = pool.seq + 1
        blocks: list[dict[str, Any]] = []
        while len(blocks) < STRETCH and pool.at + BLOCK_S <= until_s:
            blocks.append(_next_block(pool))
        pool.seq = first  # one event, one number
        columns: dict[str, Any] = {name: [block[name] for block in blocks] for name in ("hash", "time", "mediantime", "header")}
        yield encode(
            Stretch(id=f"bitcoin:{first}", seq=first, chain="bitcoin", height=blocks[0]["height"], prev=blocks[0]["prev"], **columns)
        )


def _connect(pool: _Pool, told: dict[str, Any], paid: Sequence[str], values: Sequence[int]) -> NewEvent:
    """A block with one transaction of the pool's, which pays these; its last output becomes the pool's coin. `told`: all of it but id, place and proof."""
    before, spent = [] if told["is_coinbase"] else [_hash("stranger", pool.tip)], pool.coin
    txid, shown = _hash("transaction", pool.height), {}
    if pool.is_proven:
        txid, raw = proven.transaction(None if told["is_coinbase"] else spent[:2], paid, values)
        shown = {"raw": raw.hex(), "branch": before}
    elif told["is_coinbase"]:
        txid = spent[0]
    pool.coin = (txid, len(values) - 1, values[-1])
    whole = {"txid": txid, "position": len(before), **told, **shown}
    block = {"type": "connect", "schema": 1, **_next_block(pool, *before, txid), "transactions": [whole]}
    return NewEvent(block["id"], msgspec.json.encode(block))


def _coinbase(pool: _Pool) -> NewEvent:
    """The pool's float, as a block's reward."""
    value = pool.coin[2]
    told = {"is_coinbase": True, "inputs": [], "other_inputs": 0, "other_inputs_value": "0", "outputs": [_own(pool, 0, value)],
            "fee": "0", "fee_asset": "BTC"}  # fmt: skip
    return _connect(pool, told, [pool.wallet], [value])


def _payout(pool: _Pool, batch: pl.DataFrame) -> NewEvent:
    """A batch of payouts and the change, in a block of its own."""
    spent_txid, spent_vout, spent = pool.coin
    change = spent - int(batch["paid"].sum()) - FEE_SAT
    assert change > 0, "the pool's float is large enough"
    outputs = batch.with_row_index("vout").select(
        pl.concat_str(
            pl.lit('{"vout":'), "vout", pl.lit(',"value":"'), "paid", pl.lit('","address":"'), "address",
            pl.lit('","asset":"BTC","script_type":"witness_v0_keyhash","ref":"vout:'), "vout", pl.lit('"}'),
        ).str.join(",")
    ).item()  # fmt: skip
    spend = {"txid": spent_txid, "vout": spent_vout, "value": str(spent), "address": pool.wallet, "wallet": "pool", "asset": "BTC"}
    own = msgspec.json.encode(_own(pool, batch.height, change)).decode()
    told = {"is_coinbase": False, "inputs": [spend], "other_inputs": 0, "other_inputs_value": "0", "fee": str(FEE_SAT), "fee_asset": "BTC",
            "outputs": msgspec.Raw(f"[{outputs},{own}]".encode())}  # fmt: skip
    return _connect(pool, told, [*batch["address"], pool.wallet], [*batch["paid"], change])


def _own(pool: _Pool, vout: int, value: int) -> dict[str, Any]:
    """An output to the pool itself."""
    return {"vout": vout, "value": str(value), "address": pool.wallet, "wallet": "pool", "asset": "BTC",
            "script_type": "witness_v0_keyhash", "ref": f"vout:{vout}"}  # fmt: skip


# --- ledger and registry -------------------------------------------------------------------------------------------


def _text(column: pl.Expr) -> pl.Expr:
    """A column as a JSON list of strings; nothing in it needs an escape."""
    return pl.concat_str(pl.lit('["'), column.cast(pl.String).str.join('","'), pl.lit('"]'))


def _number(column: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit("["), column.cast(pl.String).str.join(","), pl.lit("]"))


def _batches(rows: pl.DataFrame, columns: dict[str, pl.Expr], kind: str) -> Iterator[NewEvent]:
    """Bulk events of 2,000 rows each."""
    lists = (
        rows.with_columns(event=pl.int_range(pl.len()) // ROWS_AN_EVENT)
        .group_by("event", maintain_order=True)
        .agg(pl.col("n").first().alias("first"), *[column.alias(name) for name, column in columns.items()])
    )
    for row in lists.iter_rows(named=True):
        id_ = f"{kind}:{row['first']}"
        fields = ",".join(f'"{name}":{row[name]}' for name in columns)
        yield NewEvent(id_, f'{{"type":"{kind}","id":"{id_}","schema":1,"source":"{kind}.csv","rows":{{{fields}}}}}'.encode())


def _allocation_events(rows: pl.DataFrame) -> Iterator[NewEvent]:
    nulls = pl.concat_str(pl.lit("["), pl.lit("null").repeat_by(pl.len()).list.join(",").first(), pl.lit("]"))
    columns = {
        "allocation_id": _text(pl.format("A{}", pl.col("n").cast(pl.String).str.zfill(9))),
        "version": _number(pl.col("n") * 0 + 1),
        "account": _text(pl.col("account")),
        "asset": _text(pl.lit("BTC").repeat_by(pl.len()).explode()),
        "allocated_at": _number(pl.col("at")),
        "amount": _text(pl.col("amount")),
        "commission_asset": _text(pl.lit("BTC").repeat_by(pl.len()).explode()),
        "commission_amount": _text(pl.col("amount") // 100),
        "commission_currency": nulls,
        "commission_currency_amount": nulls,
    }
    return _batches(rows, columns, "allocations")


def _payment_events(rows: pl.DataFrame) -> Iterator[NewEvent]:
    columns = {
        "payment_id": _text(pl.format("P{}", pl.col("n").cast(pl.String).str.zfill(9))),
        "version": _number(pl.col("n") * 0 + 1),
        "account": _text(pl.col("account")),
        "asset": _text(pl.lit("BTC").repeat_by(pl.len()).explode()),
        "address": _text(pl.col("address")),
        "amount": _text(pl.col("booked")),
        "txid": _text(pl.col("txid")),
        "paid_at": _number(pl.col("at")),
    }
    return _batches(rows, columns, "payments")


def _registry(pool: _Pool, size: Size) -> NewEvent:
    """One miner, licence, account and wallet for each."""
    rng = random.Random(size.seed)
    ids: dict[str, None] = {}
    while len(ids) < size.miners:
        ids[good_miner_id(rng)] = None
    since = "2025-01-01"
    miners = [MinerRow(miner_id=id_, name=f"ЖШС «Синтетика {n}»") for n, id_ in enumerate(ids)]
    licences = [
        LicenceRow(miner_id=id_, licence_number=f"KZ{n:014}", issue_date=since, valid_from=since, valid_to="2028-01-01")
        for n, id_ in enumerate(ids)
    ]
    accounts = [AccountRow(account=a, miner_id=id_, valid_from=since) for a, id_ in zip(pool.accounts, ids, strict=True)]
    wallets = [WalletRow(address=a, chain="bitcoin", miner_id=id_, valid_from=since) for a, id_ in zip(pool.addresses, ids, strict=True)]
    digest = content_digest([miners, licences, accounts, wallets])
    return encode(
        Registry(
            id="registry:1", version=1, digest=digest, part=0, parts=1, miners=miners, licences=licences, accounts=accounts, wallets=wallets
        )
    )
