"""The pool's coins are closed: no spend can vanish without its coin staying behind (ADR 15).

Enters: a bundle. Leaves: faults, what was seen, what is on the signer's word. The coins are computed anew from the transactions that are proved: each coin
that is spent was created before, `coins.csv` and the manifest's section come out the same, and the opening set is what the month before closed with,
where its bundle lies beside this one. What only a node can tell is in `node`.
"""

from __future__ import annotations

import polars as pl

from pipeline.assess.coins import (
    COIN,
    COINS_CSV,
    FIRST_EDITION,
    MonthCoins,
    PreviousCoins,
    all_coins,
    closing_coins,
    describe_coins,
    month_coins,
    printed_coins,
)
from pipeline.model.message import joined, message
from pipeline.model.months import Month
from pipeline.render.canonical import table_csv

from .finding import Finding
from .opened import OpenBundle

SHOWN = 5
FIRST_BLOCK = 1
"""Before it there is only the genesis block, whose coin can't be spent."""
PROVED_EDITION = 2
"""From this edition on every transaction of the facts is proved."""


def check_coins(bundle: OpenBundle) -> Finding:
    """The month's coins, chain by chain, and against the month before."""
    if bundle.rules.edition < PROVED_EDITION:
        return Finding([], "", on_word=(message("the pool's coins: a bundle of edition 1 proves too few transactions to follow them"),))
    coins = bundle.coins
    faults, words = _creation_faults(bundle)
    if bundle.rules.edition >= FIRST_EDITION:
        faults += _told_faults(bundle, coins)
    before, more = _before(bundle, coins)
    seen = [
        message(
            "{chain}: {opening} coins before the month, {created} created, {spent} spent, {closing} left after block {closing_height}",
            chain=chain,
            opening=told["opening"],
            created=told["created"],
            spent=told["spent"],
            closing=told["closing"],
            closing_height=told["closing_height"],
        )
        for chain, told in describe_coins(coins, None)["chains"].items()
    ]
    words += more
    if not bundle.is_node_asked:
        words += [
            message(
                "that no {chain} coin of the closing set was spent by block {end}, and that none came and went in transactions left out: --node asks a node",
                chain=chain,
                end=end,
            )
            for chain, (_, _, end) in coins.spans.items()
        ]
    return Finding(faults + before, joined("; ", seen), on_word=tuple(words))


def _creation_faults(bundle: OpenBundle) -> tuple[list[str], list[str]]:
    """Every coin that is spent was created before by a transaction of the facts, or is older than the first block that was read."""
    faults: list[str] = []
    words: list[str] = []
    spent = all_coins(bundle.facts, bundle.rules).filter(pl.col("spent_height").is_not_null())
    firsts = dict(bundle.facts.blocks.group_by("chain").agg(pl.col("height").min()).iter_rows())
    for chain, txid, vout, spent_txid in (
        spent.filter(pl.col("created_height") > pl.col("spent_height")).select(*COIN, "spent_txid").iter_rows()
    ):
        faults.append(
            message(
                "{chain} transaction {spent_txid} spends {txid}:{vout} before it was created",
                chain=chain,
                spent_txid=spent_txid,
                txid=txid,
                vout=vout,
            )
        )
    for (chain,), unknown in spent.filter(pl.col("created_height").is_null()).group_by("chain", maintain_order=True):
        first, named = firsts[str(chain)], [f"{row['txid']}:{row['vout']}" for row in unknown.to_dicts()]
        if first <= FIRST_BLOCK:
            faults += [
                message(
                    "{chain} transaction {spent_txid} spends {txid}:{vout}, a coin of the pool's that no transaction of the facts creates",
                    chain=chain,
                    spent_txid=row["spent_txid"],
                    txid=row["txid"],
                    vout=row["vout"],
                )
                for row in unknown.to_dicts()
            ]
            continue
        shown = joined(", ", named[:SHOWN]) + (message(" and {count} more", count=len(named) - SHOWN) if len(named) > SHOWN else "")
        words.append(
            message(
                "that {count} {chain} coins spent since are older than block {first}, where reading began: {shown}",
                count=len(named),
                chain=chain,
                first=first,
                shown=shown,
            )
        )
    return faults, words


def _told_faults(bundle: OpenBundle, coins: MonthCoins) -> list[str]:
    """`coins.csv` and the manifest's section against what the facts give."""
    faults = []
    path, section = bundle.folder / COINS_CSV, bundle.manifest.get("coins")
    if COINS_CSV not in bundle.manifest["files"] or section is None:
        return [
            message(
                "a bundle of edition {edition} has {coins_csv} and the manifest's coins: this one lacks them",
                edition=bundle.rules.edition,
                coins_csv=COINS_CSV,
            )
        ]
    if path.read_bytes() != table_csv(printed_coins(coins)):
        faults.append(message("{coins_csv} comes out different from the facts", coins_csv=COINS_CSV))
    previous = section["previous"]
    if describe_coins(coins, PreviousCoins(**previous) if previous else None) != section:
        faults.append(message("the manifest's coins come out different"))
    return faults


def _before(bundle: OpenBundle, coins: MonthCoins) -> tuple[list[str], list[str]]:
    """The opening set against what the month before closed with: coin by coin where its bundle is here, else by its digest."""
    month, before = Month.parse(bundle.manifest["month"]), bundle.before
    section = bundle.manifest.get("coins") or {"previous": None}
    followed = [chain for chain, (_, start, _) in coins.spans.items() if start is not None]
    if before is not None and before.rules.edition >= PROVED_EDITION:
        theirs = month_coins(before.facts, month.previous, before.rules)
        faults: list[str] = []
        words: list[str] = []
        for chain in sorted(set(followed) & set(theirs.spans)):
            more = _difference(bundle, chain, coins, theirs)
            faults, words = faults + more[0], words + more[1]
        stated = closing_coins(describe_coins(theirs, None))
        if before.rules.edition >= FIRST_EDITION and (section["previous"] is None or section["previous"]["closing"] != stated):
            faults.append(
                message(
                    "the manifest states other closing coins of {previous} than its bundle beside this one has", previous=month.previous
                )
            )
        return faults, words
    if not followed:
        return [], []
    if section["previous"] is None:
        return [], [
            message(
                "which coins {previous} closed with: neither its bundle is beside this one nor does the manifest say it",
                previous=month.previous,
            )
        ]
    opened = {chain: told["opening_digest"] for chain, told in section["chains"].items() if chain in followed}
    differing = sorted(chain for chain, digest in opened.items() if section["previous"]["closing"].get(chain) != digest)
    if differing:
        return [], [
            message(
                "why {differing} opens with other coins than {previous} closed with, as the manifest itself says",
                differing=", ".join(differing),
                previous=month.previous,
            )
        ]
    return [], [
        message(
            "that {previous} closed with the coins that this month opens with: the manifest's digest of them says it",
            previous=month.previous,
        )
    ]


def _difference(bundle: OpenBundle, chain: str, ours: MonthCoins, theirs: MonthCoins) -> tuple[list[str], list[str]]:
    """The coins that one of both months has and the other lacks."""
    assert bundle.before is not None
    opening, closing = ours.opening(chain), theirs.closing(chain)
    which = f"{bundle.before.manifest['month']} v{bundle.before.manifest['version']}"
    faults = [
        message(
            "{chain} coin {txid}:{vout} was unspent when {which} closed, and this month does not open with it: a spend is missing in one of them",
            chain=chain,
            txid=txid,
            vout=vout,
            which=which,
        )
        for _, txid, vout in closing.join(opening, on=COIN, how="anti").select(COIN).iter_rows()
    ]
    facts = bundle.before.facts
    known = {
        address
        for frame in (facts.outputs, facts.inputs)
        for address in frame.filter((pl.col("chain") == chain) & pl.col("wallet").is_not_null())["address"].unique()
    }
    first = theirs.spans[chain][0]
    words = []
    added = older = 0
    for row in opening.join(closing, on=COIN, how="anti").to_dicts():
        if row["address"] not in known:
            added += 1
        elif row["created_height"] is None and first > FIRST_BLOCK:
            older += 1
        else:
            faults.append(
                message(
                    "{chain} coin {txid}:{vout} opens this month, and {which} did not close with it: it was left out there",
                    chain=chain,
                    txid=row["txid"],
                    vout=row["vout"],
                    which=which,
                )
            )
    if added:
        words.append(
            message(
                "that {added} {chain} coins lie on addresses which {which} did not know as the pool's yet",
                added=added,
                chain=chain,
                which=which,
            )
        )
    if older:
        words.append(
            message(
                "that {older} {chain} coins are older than block {first}, where reading began, and so were not known to {which}",
                older=older,
                chain=chain,
                first=first,
                which=which,
            )
        )
    return faults, words
