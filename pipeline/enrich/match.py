"""Matches ledger payments with transfers on chain (rule 5): links, explanations, credits.

Enters: transfers of the whole chain and the ledger's payments. Leaves: links, the transfers explained, the credits that they settle.
Everything is vectorised but the choice of replacements (rule 5.2), where each group's choice depends on those before it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.model.rules import Rules

from .frames import UNITS

WINDOW_US = 7 * 86_400 * 1_000_000
"""How far a replacement's block may lie from `paid_at`, ends included (rule 5.2)."""

CHAIN_KEY = ["chain", "txid", "address", "asset"]
"""What names a transfer on a chain (rules 5.1, 10.2)."""
KEY = [*CHAIN_KEY, "via"]
"""What names any transfer. `via`: the off-chain payer whose reference stands in `txid`, empty for a transfer on a chain (rule 10.5)."""
_ZERO = pl.lit(0, UNITS)


@dataclass(frozen=True)
class Matched:
    """The result of matching payments with transfers."""

    transfers: pl.DataFrame
    """transfer (its number), KEY, amount, holder, is_coinbase, instant (µs), date, block_hash, height, fee, fee_asset, paid (sum of the payments linked),
    payments (how many), explanation, is_explained, payer (null: the pool itself)."""
    links: pl.DataFrame
    """The linked payments, with all columns that they came with; `transfer`: the number of the transfer."""
    orphans: pl.DataFrame
    """The payments that were judged and linked to nothing."""

    def and_those_of(self, others: Matched) -> Matched:
        """The transfers, links and orphans of both."""
        after = pl.col("transfer") + pl.lit(self.transfers.height, pl.get_index_type())
        transfers = others.transfers.select(self.transfers.columns).with_columns(after)
        links = others.links.with_columns(after)
        return Matched(pl.concat([self.transfers, transfers]), pl.concat([self.links, links]), pl.concat([self.orphans, others.orphans]))


def match(transfers: pl.DataFrame, payments: pl.DataFrame, transactions: pl.DataFrame, tips: pl.DataFrame, rules: Rules) -> Matched:
    """Link the pool's own payments to its transfers and explain each difference (rules 5.2, 5.3).

    `transfers`: as `group_transfers` leaves them. `payments`: PAYMENTS, chain. `transactions` are all of the main chain that are known (chain, txid);
    `tips` the newest header time per chain (chain, tip_at).
    """
    transfers = _with_unit(transfers, rules)
    named = link(payments, transfers)
    is_linked = pl.col("transfer").is_not_null()
    direct, rest = named.filter(is_linked), named.filter(~is_linked).drop("transfer").join(tips, on="chain", how="left")
    # Not judged yet: the tip has not reached `paid_at` (rule 5.2).
    rest = rest.filter(pl.col("paid_at") <= pl.col("tip_at") * 1_000_000).drop("tip_at")
    seeking = rest.join(transactions.select("chain", "txid").unique(), on=["chain", "txid"], how="anti")
    replaced = _choose_replacements(seeking, transfers, direct)
    links = pl.concat([direct, replaced], how="vertical")
    orphans = rest.join(replaced.select("payment_id"), on="payment_id", how="anti")
    explained = _explain(transfers, links, replaced).drop("unit").with_columns(via=pl.lit(""), payer=pl.lit(None, pl.String))
    return Matched(explained, links, orphans)


def link(payments: pl.DataFrame, transfers: pl.DataFrame) -> pl.DataFrame:
    """The payments with `transfer`, the number of the transfer on a chain that has their CHAIN_KEY; null where none has."""
    return payments.join(transfers.select([*CHAIN_KEY, "transfer"]), on=CHAIN_KEY, how="left", maintain_order="left")


def explain(transfers: pl.DataFrame, links: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """The transfers with `paid`, `payments`, `explanation`, `is_explained` (rule 5.3), where nothing was replaced."""
    return _explain(_with_unit(transfers, rules), links, links.clear()).drop("unit")


def _with_unit(transfers: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """With `unit`, the payout unit of the asset, 1 for none."""
    units = pl.DataFrame(
        [(a.name, a.chain, rules.payout_unit.get(a.name, 1)) for a in rules.assets.values()],
        schema={"asset": pl.String, "chain": pl.String, "unit": UNITS},
        orient="row",
    )
    return transfers.join(units, on=["chain", "asset"], how="left", maintain_order="left").with_columns(pl.col("unit").fill_null(1))


def _explain(transfers: pl.DataFrame, links: pl.DataFrame, replaced: pl.DataFrame) -> pl.DataFrame:
    """Each transfer's `paid`, `payments` and `explanation` (rule 5.3; 9.3 for those without a payment in the fee test)."""
    paid = links.group_by("transfer").agg(pl.col("amount").sum().alias("paid"), pl.len().cast(pl.Int64).alias("payments"))
    difference = pl.col("paid") - pl.col("amount")
    transaction = ["chain", "txid", "asset"]
    is_linked = pl.col("payments") > 0
    return (
        _marked(transfers.join(paid, on="transfer", how="left", maintain_order="left"), replaced)
        .with_columns(pl.col("paid").fill_null(_ZERO), pl.col("payments").fill_null(0))
        .with_columns(difference=difference)
        .with_columns(
            subtracts_fee=~pl.col("is_coinbase")
            & (pl.col("asset") == pl.col("fee_asset"))
            & (pl.col("difference").sum().over(transaction) == pl.col("fee"))
            & (pl.col("difference").min().over(transaction) >= 0),
            is_rounded=(pl.col("amount") % pl.col("unit") == 0) & (pl.col("difference").abs() < pl.col("unit")),
        )
        .with_columns(
            pl.when(~is_linked)
            .then(pl.lit("none"))
            .when(pl.col("difference") == 0)
            .then(pl.lit("exact"))
            .when("subtracts_fee")
            .then(pl.lit("subtracted-fee"))
            .when("is_rounded")
            .then(pl.lit("rounding"))
            .otherwise(pl.lit("differs"))
            .alias("reason")
        )
        .with_columns(
            explanation=pl.when(pl.col("is_replaced").fill_null(False)).then("replaced+" + pl.col("reason")).otherwise("reason"),
            is_explained=~pl.col("reason").is_in(["none", "differs"]),
        )
        .drop("difference", "subtracts_fee", "is_rounded", "is_replaced", "reason")
    )


def _marked(transfers: pl.DataFrame, replaced: pl.DataFrame) -> pl.DataFrame:
    """With `is_replaced`: whether a payment of a replaced transaction is linked to it; null or false where none is."""
    if replaced.is_empty():
        return transfers.with_columns(is_replaced=pl.lit(False))
    keys = replaced.select("transfer").unique().with_columns(is_replaced=pl.lit(True))
    return transfers.join(keys, on="transfer", how="left", maintain_order="left")


def _choose_replacements(seeking: pl.DataFrame, transfers: pl.DataFrame, direct: pl.DataFrame) -> pl.DataFrame:
    """Payments whose transaction never reached the main chain, linked to the one free transfer that fits (rule 5.2).

    Orphans of one (txid, address) go together; groups choose in order (`paid_at`, `payment_id`).
    """
    unlinked = seeking.clear().with_columns(transfer=pl.lit(None, pl.get_index_type()))
    if seeking.is_empty():
        return unlinked
    near = transfers.join(seeking.select("chain", "address", "asset").unique(), on=["chain", "address", "asset"], how="semi")
    near = near.join(direct.select("transfer"), on="transfer", how="anti", maintain_order="left")
    if near.is_empty():
        return unlinked
    free: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for transfer in near.iter_rows(named=True):
        free[transfer["chain"], transfer["address"], transfer["asset"]].append(transfer)
    siblings = _siblings_of(transfers, near, direct)
    chosen: dict[str, int] = {}
    groups = (
        seeking.sort("paid_at", "payment_id")
        .group_by("chain", "txid", "address", "asset", maintain_order=True)
        .agg(pl.col("amount").sum(), pl.col("paid_at").first(), pl.col("payment_id"))
    )
    for group in groups.iter_rows(named=True):
        candidates = free[group["chain"], group["address"], group["asset"]]
        fitting = [
            transfer
            for transfer in candidates
            if abs(transfer["instant"] - group["paid_at"]) <= WINDOW_US
            and _is_explained(transfer, group["amount"], siblings[transfer["chain"], transfer["txid"], transfer["asset"]])
        ]
        if len(fitting) == 1:
            transfer = fitting[0]
            candidates.remove(transfer)
            siblings[transfer["chain"], transfer["txid"], transfer["asset"]][transfer["address"]] = group["amount"] - transfer["amount"]
            chosen.update(dict.fromkeys(group["payment_id"], transfer["transfer"]))
    found = pl.DataFrame(
        {"payment_id": list(chosen), "transfer": list(chosen.values())}, schema={"payment_id": pl.String, "transfer": pl.get_index_type()}
    )
    return seeking.join(found, on="payment_id", how="inner")


def _siblings_of(transfers: pl.DataFrame, near: pl.DataFrame, direct: pl.DataFrame) -> dict[tuple[str, ...], dict[str, int]]:
    """For every transaction of a free transfer: the difference of each of its transfers by address, as linked so far (rule 9.3)."""
    paid = direct.group_by("transfer").agg(pl.col("amount").sum().alias("paid"))
    differences: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    same = transfers.join(near.select("chain", "txid", "asset").unique(), on=["chain", "txid", "asset"], how="semi").join(
        paid, on="transfer", how="left"
    )
    for row in same.iter_rows(named=True):
        differences[row["chain"], row["txid"], row["asset"]][row["address"]] = (row["paid"] or 0) - row["amount"]
    return differences


def _is_explained(transfer: dict[str, Any], paid: int, siblings: dict[str, int]) -> bool:
    """Whether rule 5.3 would explain the transfer if `paid` were linked to it."""
    difference = paid - transfer["amount"]
    if difference == 0:
        return True
    together = [*(d for address, d in siblings.items() if address != transfer["address"]), difference]
    pays_fee = not transfer["is_coinbase"] and transfer["asset"] == transfer["fee_asset"]
    if pays_fee and sum(together) == transfer["fee"] and min(together) >= 0:
        return True
    return bool(transfer["amount"] % transfer["unit"] == 0 and abs(difference) < transfer["unit"])


def credit(matched: Matched) -> pl.DataFrame:
    """The credits: what each transfer settles, and for which miner (rule 5.5).

    transfer (its number), KEY, instant, date, payment_id (empty where no payment is linked), miner_id (null: credits nobody), amount.
    `matched.links` must carry `miner_id`, the holder of the payment's account on the day of `paid_at`.
    """
    named = ["transfer", *KEY, "instant", "date"]
    base = matched.transfers.select([*named, "amount", "holder", "payments", "is_explained"])
    unpaid = base.filter(pl.col("payments") == 0).select(
        [*named, pl.lit("").alias("payment_id"), pl.col("holder").alias("miner_id"), "amount"]
    )
    paid = base.join(matched.links.select("transfer", "payment_id", "miner_id", paid="amount"), on="transfer", how="inner")
    explained = paid.filter("is_explained").with_columns(credited="paid")
    # Not explained: the chain's amount fills the payments in order of id, any excess goes with the last.
    filled_before = pl.col("paid").cum_sum().over("transfer", order_by="payment_id") - pl.col("paid")
    is_last = pl.col("payment_id") == pl.col("payment_id").max().over("transfer")
    left = pl.max_horizontal(pl.col("amount") - pl.col("filled"), _ZERO)
    filled = paid.filter(~pl.col("is_explained")).with_columns(filled=filled_before)
    filled = filled.with_columns(credited=pl.when(is_last).then(left).otherwise(pl.min_horizontal("paid", left))).drop("filled")
    credited = pl.concat([explained, filled]).select([*named, "payment_id", "miner_id", pl.col("credited").alias("amount")])
    return pl.concat([unpaid, credited]).sort("instant", "txid", "address", "payment_id")
