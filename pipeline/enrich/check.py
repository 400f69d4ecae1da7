"""The issues of a month about the chain, the ledger and their match (rules 3 to 6).

Each function makes one code's issues, as ISSUE_ROWS, of one month (rule 9.2); refs by rule 9.8. Those of the registry are in `check_registry`. Nothing here
changes a row of the report.
"""

from __future__ import annotations

import polars as pl

from pipeline.chains.evm.address import has_wrong_checksum
from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .identify import day_of_micros, day_of_seconds
from .issue_rows import NO_ISSUES, chain_of_asset, credit_ref, is_in_month, make_issues, transfer_ref, with_token
from .match import Matched
from .payers import Payments

CREDIT = ["payment_id", "chain", "txid", "address", "asset", "miner_id"]
SHOWN_IDS = 20
"""The most ids in an issue's text; the facts that a waiver records have all of them."""


def mixed_inputs(transactions: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Transactions of the pool with inputs of others (rule 3.2)."""
    found = transactions.filter(~pl.col("is_coinbase") & (pl.col("other_inputs") > 0) & is_in_month(month))
    return make_issues(
        IssueCode.MIXED_INPUTS,
        found,
        ref=pl.col("txid"),
        detail=pl.format("{} input(s) are not the pool's", pl.col("other_inputs")),
        facts=[pl.col("chain"), pl.col("other_inputs"), pl.col("other_inputs_value")],
        place=pl.col("chain"),
    )


def unknown_outflows(outflows: pl.DataFrame) -> pl.DataFrame:
    """Outputs of the month that nothing explains (rule 3.5)."""
    found = outflows.filter(pl.col("class") == "unknown")
    return make_issues(
        IssueCode.UNKNOWN_OUTFLOW,
        found,
        ref=pl.concat_str("txid", "vout", separator=":"),
        detail=pl.format("{} to {}", pl.col("amount").cast(pl.String), pl.col("address").fill_null("no address")),
        facts=[pl.col("chain"), pl.col("address"), pl.col("amount"), pl.col("asset")],
        place=pl.col("chain"),
    )


def unbalanced_wallets(balances: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Wallets whose balance proof fails, or whose balance is unknown (rule 3.4, ADR 7).

    `ref` is the wallet; of a token the wallet and the asset, `WALLET:ASSET`, since a wallet may hold many.
    """
    found = balances.filter(pl.col("fault").is_not_null())
    return make_issues(
        IssueCode.WALLET_DOES_NOT_BALANCE,
        found,
        ref=with_token(pl.col("wallet"), rules),
        detail=pl.col("fault"),
        facts=[chain_of_asset(rules), pl.col("asset"), pl.col("closing"), pl.col("unspent")],
        place=chain_of_asset(rules),
    )


def bad_addresses(wallets: pl.DataFrame, payments: pl.DataFrame, labels: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Addresses in mixed case with a wrong checksum (EIP-55, ADR 7): probably mistyped.

    Of wallets held in the month, payments of it and counterparties. Only an account chain's addresses look so.
    """
    held = wallets.filter((pl.col("valid_from") <= month.last) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > month.first)))
    paid = payments.filter(is_in_month(month, "paid_date"))
    named = pl.concat([frame.select("address").filter(pl.col("address").str.starts_with("0x")) for frame in (held, paid, labels)])
    wrong = named.unique().filter(pl.col("address").map_elements(has_wrong_checksum, return_dtype=pl.Boolean))
    return make_issues(
        IssueCode.BAD_ADDRESS,
        wrong,
        ref=pl.col("address"),
        detail=pl.lit("mixed case with a wrong checksum: look it up where it came from"),
    )


def changed_answers(doubts: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Blocks whose second reading differed, by the day of the block (ADR 7)."""
    if doubts.is_empty():
        return NO_ISSUES
    found = doubts.filter(pl.col("txid").is_null()).with_columns(date=day_of_seconds("time")).filter(is_in_month(month))
    return make_issues(
        IssueCode.NODE_ANSWER_CHANGED,
        found,
        ref=pl.concat_str("chain", pl.col("height").cast(pl.String), separator=":"),
        detail=pl.col("detail"),
    )


def differing_traces(doubts: pl.DataFrame, blocks: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Transactions of main-chain blocks whose internal calls two witnesses tell differently, by the day of the block (ADR 7)."""
    if doubts.is_empty():
        return NO_ISSUES
    told = doubts.filter(pl.col("txid").is_not_null()).join(blocks.select("chain", "hash"), on=["chain", "hash"], how="semi")
    found = told.unique(["chain", "hash", "txid"], keep="last", maintain_order=True).with_columns(date=day_of_seconds("time"))
    return make_issues(
        IssueCode.TRACES_DIFFER,
        found.filter(is_in_month(month)),
        ref=pl.col("txid"),
        detail=pl.col("detail"),
        facts=[pl.col("chain"), pl.col("hash"), pl.col("detail")],
        place=pl.col("chain"),
    )


def waiting_at_sources(items: pl.DataFrame, month: Month) -> pl.DataFrame:
    """What waits at the ledger's sources, by the day of the row (ADR 22)."""
    parts = [
        make_issues(
            IssueCode(code),
            items.filter((pl.col("code") == code) & is_in_month(month)),
            ref=pl.concat_str("source", "item", separator=":"),
            detail=pl.col("detail"),
            facts=[pl.col("detail")],
        )
        for code in items["code"].unique().sort()
        if code != IssueCode.REGISTRY_UNDATED.value  # counts where something depends on it: `undated`
    ]
    return pl.concat([NO_ISSUES, *parts])


def unknown_accounts(allocations: pl.DataFrame, payments: pl.DataFrame, matched: Matched, month: Month, rules: Rules) -> pl.DataFrame:
    """Allocations and payments of an account without a holder that day (rules 4.4, 9.4).

    By the allocation date; of an opening in every month from its date on; of a payment only where it is linked, by the transfer's date (rule 9.2). In
    edition 1 an opening's by its date alone, and of every payment by the day of `paid_at`.
    """
    is_shown = is_in_month(month, "allocation_date")
    if rules.edition == 1:
        unowned = payments.filter(is_in_month(month, "paid_date"))
    else:
        is_shown = is_shown | (pl.col("is_opening") & (pl.col("allocation_date") <= month.last))
        unowned = _with_transfers(matched, is_in_month(month))
    detail = pl.format("nobody holds account {} that day", pl.col("account"))
    facts = [pl.col("account"), pl.col("amount"), pl.col("asset")]
    parts = []
    for rows, key in ((allocations.filter(is_shown), "allocation"), (unowned, "payment")):
        found = rows.filter(pl.col("miner_id").is_null())
        parts.append(make_issues(IssueCode.UNKNOWN_ACCOUNT, found, ref=pl.col(f"{key}_id"), detail=detail, facts=facts, place=pl.lit(key)))
    return pl.concat(parts)


def allocated_twice(allocations: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Allocations of one account, asset, instant and amount under several ids (rule 4.6): once a group, by the allocation date of the smallest id.

    `allocations`: ALLOCATIONS, allocation_date; every allocation of a group is among them, or none is. Edition 1 has no such rule.
    """
    if rules.edition == 1:
        return NO_ISSUES
    is_near = pl.col("allocation_date").is_between(pl.lit(month.previous.last), pl.lit(month.next.first))
    group = ["account", "asset", "allocated_at", "amount"]
    near = allocations.filter(is_near & (pl.col("amount") > 0)).select("allocation_id", "allocation_date", *group)
    twice = near.filter(pl.struct(group).is_duplicated())
    if twice.is_empty():
        return NO_ISSUES
    found = (
        twice.sort("allocation_id")
        .group_by(group, maintain_order=True)
        .agg(pl.col("allocation_date").first(), pl.col("allocation_id"), pl.col("allocation_id").n_unique().alias("ids"))
        .filter((pl.col("ids") > 1) & is_in_month(month, "allocation_date"))
    )
    ids = pl.col("allocation_id").list
    return make_issues(
        IssueCode.ALLOCATION_TWICE,
        found,
        ref=ids.first(),
        detail=pl.format(
            "{} times {} {} for account {} at one instant: {}{}",
            pl.col("ids"),
            pl.col("amount").cast(pl.String),
            pl.col("asset"),
            pl.col("account"),
            ids.head(SHOWN_IDS).list.join(", "),
            pl.when(pl.col("ids") > SHOWN_IDS).then(pl.lit(", …")).otherwise(pl.lit("")),
        ),
        facts=[pl.col("account"), pl.col("asset"), pl.col("allocated_at"), pl.col("amount"), ids.join("\n")],
    )


def _with_transfers(matched: Matched, condition: pl.Expr) -> pl.DataFrame:
    """The payments linked to those transfers, with their transfer's date and the holder of its address."""
    transfers = matched.transfers.filter(condition).select("transfer", "holder", "date", is_payers=pl.col("payer").is_not_null())
    return matched.links.join(transfers, on="transfer")


def differing_holders(matched: Matched, month: Month, rules: Rules) -> pl.DataFrame:
    """Linked payments whose account and address belong to different miners, or only one of them to a miner (rules 4.2, 9.4).

    Of another payer's transfer an address that no registered miner holds is no difference (rule 10.6).
    By the transfer's date; in edition 1 by the day of `paid_at` (rule 9.2).
    """
    differs = pl.col("holder").ne_missing(pl.col("miner_id")) & (pl.col("holder").is_not_null() | ~pl.col("is_payers"))
    if rules.edition == 1:
        found = _with_transfers(matched, pl.lit(True)).with_columns(date=day_of_micros("paid_at")).filter(is_in_month(month) & differs)
    else:
        found = _with_transfers(matched, is_in_month(month)).filter(differs)
    return make_issues(
        IssueCode.WALLET_HOLDER_DIFFERS,
        found,
        ref=pl.col("payment_id"),
        detail=pl.format("wallet {}, account {}", pl.col("holder").fill_null("nobody"), pl.col("miner_id").fill_null("nobody")),
        facts=[pl.col("holder"), pl.col("miner_id")],
    )


def payments_not_on_chain(orphans: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Payments that were judged and linked to nothing, by the day of `paid_at` (rules 5.2, 9.2)."""
    found = orphans.with_columns(paid_date=day_of_micros("paid_at")).filter(is_in_month(month, "paid_date"))
    return make_issues(
        IssueCode.PAYMENT_NOT_ON_CHAIN,
        found,
        ref=pl.col("payment_id"),
        detail=pl.format("{} to {} in {}", pl.col("amount").cast(pl.String), pl.col("address"), pl.col("txid")),
        facts=[pl.col("amount"), pl.col("asset"), pl.col("address"), pl.col("txid")],
    )


def transfer_issues(transfers: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Transfers whose amount no rule explains (5.3), and those without a payment (5.4)."""
    dated = transfers.filter(is_in_month(month))
    differing = dated.filter((pl.col("payments") > 0) & ~pl.col("is_explained"))
    unpaid = dated.filter((pl.col("payments") == 0) & pl.lit(rules.has_payments_ledger))
    amount = pl.col("amount").cast(pl.String)
    return pl.concat(
        [
            make_issues(
                IssueCode.PAYMENT_AMOUNT_DIFFERS,
                differing,
                ref=with_token(transfer_ref(), rules),
                detail=pl.format("{} on chain, {} in the ledger", amount, pl.col("paid").cast(pl.String)),
                facts=[pl.col("chain"), pl.col("asset"), pl.col("amount"), pl.col("paid")],
                place=pl.col("chain"),
            ),
            make_issues(
                IssueCode.TRANSFER_WITHOUT_PAYMENT,
                unpaid,
                ref=with_token(transfer_ref(), rules),
                detail=amount,
                facts=[pl.col("chain"), pl.col("asset"), pl.col("amount")],
                place=pl.col("chain"),
            ),
        ]
    )


def payer_issues(payments: Payments, transfers: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Payers that nobody declared (10.1) and those who did not pay (10.2), by `paid_at`; transfers on the ledger's word alone (10.5), by their date."""
    parts = []
    named = ((IssueCode.UNKNOWN_PAYER, payments.unknown), (IssueCode.PAYER_DIFFERS, payments.differing))
    for code, frame in named:
        found = frame.with_columns(paid_date=day_of_micros("paid_at")).filter(is_in_month(month, "paid_date"))
        words = (
            "{} in {} is declared by no settings" if code is IssueCode.UNKNOWN_PAYER else "the pool itself made the transaction, not {}: {}"
        )
        shown = "asset" if code is IssueCode.UNKNOWN_PAYER else "txid"
        facts = [pl.col("payer"), pl.col("amount"), pl.col("asset"), pl.col("address"), pl.col("txid")]
        parts.append(
            make_issues(code, found, ref=pl.col("payment_id"), detail=pl.format(words, pl.col("payer"), pl.col(shown)), facts=facts)
        )
    attested = transfers.filter((pl.col("via") != "") & is_in_month(month))
    parts.append(
        make_issues(
            IssueCode.TRANSFER_NOT_PROVEN,
            attested,
            ref=with_token(pl.concat_str("payer", "txid", "address", separator=":"), rules),
            detail=pl.format("{} by {}, on the ledger's word alone", pl.col("amount").cast(pl.String), pl.col("payer")),
            facts=[pl.col("asset"), pl.col("amount")],
            place=pl.col("chain"),
        )
    )
    return pl.concat(parts)


def credit_issues(credits: pl.DataFrame, portions: pl.DataFrame, allocations: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Credits older than the allocation they settle, where a row of the month shows it, and credits not used up at the month's end (rules 6.2, 9.2).

    In edition 1 the former by the transfer's date alone. `credits`, `allocations` with `row` and `left`; `portions` of settle, all seen by the month (rule 7.1).
    """
    owed = allocations.select(pl.col("row").alias("allocation"), "allocated_at", "is_of_month")
    paid = credits.select(pl.col("row").alias("credit"), "instant", "date", *CREDIT)
    is_shown = is_in_month(month) if rules.edition == 1 else is_in_month(month) | pl.col("is_of_month")
    early = (
        portions.join(owed, on="allocation")
        .join(paid, on="credit")
        .filter((pl.col("instant") < pl.col("allocated_at")) & is_shown)
        .group_by("credit", *CREDIT)
        .agg(pl.col("amount").sum())
    )
    excess = credits.filter(pl.col("miner_id").is_not_null() & (pl.col("left") > 0)).with_columns(amount=pl.col("left"))
    detail = pl.format("{} of it, miner {}", pl.col("amount").cast(pl.String), pl.col("miner_id"))
    facts = [pl.col("chain"), pl.col("asset"), pl.col("amount"), pl.col("miner_id")]
    return pl.concat(
        make_issues(code, found, ref=credit_ref(rules), detail=detail, facts=facts, place=pl.col("chain"))
        for code, found in ((IssueCode.TRANSFER_BEFORE_ALLOCATION, early), (IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, excess))
    )
