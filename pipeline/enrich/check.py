"""What is wrong, as values: the issues of a month (rules 3 to 6; which month an issue belongs to, rule 9.2).

Each function makes one code's issues as a frame of `code, severity, ref, detail`; `month.enrich_month` puts them together.
Nothing here changes a row of the report.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from pipeline.chains.evm.address import has_wrong_checksum
from pipeline.model.issues import IssueCode
from pipeline.model.miner_id import miner_id_fault
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .frames import ISSUES
from .identify import day_of_micros, day_of_seconds, holders

NO_ISSUES = pl.DataFrame(schema=ISSUES)


def issues(code: IssueCode, found: pl.DataFrame, *, ref: pl.Expr, detail: pl.Expr) -> pl.DataFrame:
    """Rows of `found` as issues of one code."""
    return found.select(
        pl.lit(code.value).alias("code"),
        pl.lit(code.severity.value).alias("severity"),
        ref.cast(pl.String).alias("ref"),
        detail.alias("detail"),
    )


def is_in_month(month: Month, column: str = "date") -> pl.Expr:
    """Whether a day lies in the month."""
    return pl.col(column).is_between(pl.lit(month.first), pl.lit(month.last))


def with_token(ref: pl.Expr, rules: Rules) -> pl.Expr:
    """The ref, and where the row's asset is a token the asset behind it: one transaction, or wallet, may have several."""
    tokens = sorted(a.name for a in rules.assets.values() if a.contract is not None)
    return pl.when(pl.col("asset").is_in(tokens)).then(pl.concat_str(ref, "asset", separator=":")).otherwise(ref)


def transfer_ref() -> pl.Expr:
    """TXID:ADDRESS."""
    return pl.concat_str("txid", "address", separator=":")


def credit_ref() -> pl.Expr:
    """A credit's payment, or its transfer where no payment is linked."""
    return pl.when(pl.col("payment_id") != "").then("payment_id").otherwise(transfer_ref())


def mixed_inputs(transactions: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Transactions of the pool with inputs of others (rule 3.2)."""
    found = transactions.filter(~pl.col("is_coinbase") & (pl.col("other_inputs") > 0) & is_in_month(month))
    return issues(
        IssueCode.MIXED_INPUTS, found, ref=pl.col("txid"), detail=pl.format("{} input(s) are not the pool's", pl.col("other_inputs"))
    )


def unknown_outflows(outflows: pl.DataFrame) -> pl.DataFrame:
    """Outputs of the month that nothing explains (rule 3.5)."""
    found = outflows.filter(pl.col("class") == "unknown")
    return issues(
        IssueCode.UNKNOWN_OUTFLOW,
        found,
        ref=pl.concat_str("txid", "vout", separator=":"),
        detail=pl.format("{} to {}", pl.col("amount").cast(pl.String), pl.col("address").fill_null("no address")),
    )


def unbalanced_wallets(balances: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Wallets whose movements do not lead to what is still there, or of which nobody can tell what is (rule 3.4, ADR 7).

    `ref` is the wallet; of a token the wallet and the asset, `WALLET:ASSET`, since a wallet may hold many.
    """
    found = balances.filter(pl.col("fault").is_not_null())
    return issues(IssueCode.WALLET_DOES_NOT_BALANCE, found, ref=with_token(pl.col("wallet"), rules), detail=pl.col("fault"))


def overlaps(registry: pl.DataFrame, keys: list[str], month: Month) -> pl.DataFrame:
    """Wallets or accounts that two miners hold on one day of the month (rules 4.1, 9.2)."""
    spans = (
        registry.filter(pl.col("valid_to").is_null() | (pl.col("valid_from") < pl.col("valid_to")))
        .filter((pl.col("valid_from") <= month.last) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > month.first)))
        .with_columns(pl.col("valid_to").fill_null(date.max))
    )
    shared = spans.join(spans, on=keys, suffix="_2").filter(
        (pl.col("miner_id") < pl.col("miner_id_2"))
        & (
            pl.max_horizontal("valid_from", "valid_from_2", pl.lit(month.first))
            < pl.min_horizontal("valid_to", "valid_to_2", pl.lit(month.next.first))
        )
    )
    found = shared.group_by(keys[0]).agg(pl.len())
    return issues(IssueCode.REGISTRY_OVERLAP, found, ref=pl.col(keys[0]), detail=pl.lit("held by two miners on one day"))


def bad_addresses(wallets: pl.DataFrame, payments: pl.DataFrame, labels: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Addresses in mixed case with a wrong checksum (EIP-55, ADR 7): whose they are, nobody can say.

    Of wallets held in the month, payments of it and counterparties. Only an account chain's addresses look so.
    """
    held = wallets.filter((pl.col("valid_from") <= month.last) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > month.first)))
    paid = payments.filter(is_in_month(month, "paid_date"))
    named = pl.concat([frame.select("address").filter(pl.col("address").str.starts_with("0x")) for frame in (held, paid, labels)])
    wrong = named.unique().filter(pl.col("address").map_elements(has_wrong_checksum, return_dtype=pl.Boolean))
    return issues(
        IssueCode.BAD_ADDRESS,
        wrong,
        ref=pl.col("address"),
        detail=pl.lit("mixed case with a wrong checksum: look it up where it came from"),
    )


def changed_answers(doubts: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Blocks that were told differently when they were read again, by the day of the block (ADR 7)."""
    found = doubts.with_columns(date=day_of_seconds("time")).filter(is_in_month(month))
    return issues(
        IssueCode.NODE_ANSWER_CHANGED,
        found,
        ref=pl.concat_str("chain", pl.col("height").cast(pl.String), separator=":"),
        detail=pl.col("detail"),
    )


def bad_miner_ids(miners: pl.DataFrame) -> pl.DataFrame:
    """Registered miners whose IIN/BIN can't be one (rule 4.5); in every month (rule 9.2)."""
    faults = [(miner_id, fault) for miner_id in miners["miner_id"].unique() if (fault := miner_id_fault(miner_id))]
    found = pl.DataFrame(faults, schema={"miner_id": pl.String, "fault": pl.String}, orient="row")
    return issues(IssueCode.BAD_MINER_ID, found, ref=pl.col("miner_id"), detail=pl.col("fault"))


def unknown_accounts(allocations: pl.DataFrame, payments: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Allocations, and payments, of an account that nobody holds that day (rules 4.4, 9.4)."""
    orphaned = allocations.filter(pl.col("miner_id").is_null() & is_in_month(month, "allocation_date"))
    unowned = payments.filter(pl.col("miner_id").is_null() & is_in_month(month, "paid_date"))
    detail = pl.format("nobody holds account {} that day", pl.col("account"))
    return pl.concat(
        [
            issues(IssueCode.UNKNOWN_ACCOUNT, orphaned, ref=pl.col("allocation_id"), detail=detail),
            issues(IssueCode.UNKNOWN_ACCOUNT, unowned, ref=pl.col("payment_id"), detail=detail),
        ]
    )


def differing_holders(links: pl.DataFrame, transfers: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Linked payments whose account and address belong to different miners; nobody against somebody differs too (rules 4.2, 9.4).

    An issue of the payment: it belongs to the day of `paid_at` (rule 9.2).
    """
    found = (
        links.with_columns(paid_date=day_of_micros("paid_at"))
        .filter(is_in_month(month, "paid_date"))
        .join(
            transfers.select("chain", pl.col("txid").alias("transfer_txid"), "address", "asset", "holder"),
            on=["chain", "transfer_txid", "address", "asset"],
        )
        .filter(pl.col("holder").ne_missing(pl.col("miner_id")))
    )
    return issues(
        IssueCode.WALLET_HOLDER_DIFFERS,
        found,
        ref=pl.col("payment_id"),
        detail=pl.format("wallet {}, account {}", pl.col("holder").fill_null("nobody"), pl.col("miner_id").fill_null("nobody")),
    )


def payments_not_on_chain(orphans: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Payments that were judged and linked to nothing, by the day of `paid_at` (rules 5.2, 9.2)."""
    found = orphans.with_columns(paid_date=day_of_micros("paid_at")).filter(is_in_month(month, "paid_date"))
    return issues(
        IssueCode.PAYMENT_NOT_ON_CHAIN,
        found,
        ref=pl.col("payment_id"),
        detail=pl.format("{} to {} in {}", pl.col("amount").cast(pl.String), pl.col("address"), pl.col("txid")),
    )


def transfer_issues(transfers: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Transfers whose amount no rule explains (5.3), and those without a payment (5.4)."""
    dated = transfers.filter(is_in_month(month))
    differing = dated.filter((pl.col("payments") > 0) & ~pl.col("is_explained"))
    unpaid = dated.filter((pl.col("payments") == 0) & pl.lit(rules.has_payments_ledger))
    amount = pl.col("amount").cast(pl.String)
    return pl.concat(
        [
            issues(
                IssueCode.PAYMENT_AMOUNT_DIFFERS,
                differing,
                ref=with_token(transfer_ref(), rules),
                detail=pl.format("{} on chain, {} in the ledger", amount, pl.col("paid").cast(pl.String)),
            ),
            issues(IssueCode.TRANSFER_WITHOUT_PAYMENT, unpaid, ref=with_token(transfer_ref(), rules), detail=amount),
        ]
    )


def unlicensed_rows(report: pl.DataFrame) -> pl.DataFrame:
    """Miners and allocation dates of the month's rows, carried ones too, without a licence in force (rules 4.3, 9.2)."""
    found = report.filter(~pl.col("is_licensed")).unique(["miner_id", "allocation_date"], keep="first", maintain_order=True)
    return issues(
        IssueCode.LICENCE_NOT_IN_FORCE,
        found,
        ref=pl.concat_str("miner_id", pl.col("allocation_date").dt.to_string("%Y-%m-%d"), separator=":"),
        detail=pl.format("shows {}", pl.col("licence_number").fill_null("none")),
    )


def credit_issues(credits: pl.DataFrame, portions: pl.DataFrame, allocations: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Credits of the month before what they settle, and credits with something left at its end (rules 6.2, 9.2).

    `credits`, `allocations` with `row`; `portions` of settle, all seen by the month (rule 7.1).
    """
    settled = portions.join(allocations.select(pl.col("row").alias("allocation"), "allocated_at"), on="allocation").join(
        credits.select(pl.col("row").alias("credit"), "at", "date", "payment_id", "txid", "address", "miner_id"), on="credit"
    )
    early = (
        settled.filter((pl.col("at") * 1_000_000 < pl.col("allocated_at")) & is_in_month(month))
        .group_by("credit", "payment_id", "txid", "address", "miner_id")
        .agg(pl.col("amount").sum())
    )
    used = portions.group_by(pl.col("credit").alias("row")).agg(pl.col("amount").sum().alias("used"))
    excess = (
        credits.filter(pl.col("miner_id").is_not_null())
        .join(used, on="row", how="left")
        .with_columns(amount=pl.col("amount") - pl.col("used").fill_null(0))
        .filter(pl.col("amount") > 0)
    )
    detail = pl.format("{} of it, miner {}", pl.col("amount").cast(pl.String), pl.col("miner_id"))
    return pl.concat(
        [
            issues(IssueCode.TRANSFER_BEFORE_ALLOCATION, early, ref=credit_ref(), detail=detail),
            issues(IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, excess, ref=credit_ref(), detail=detail),
        ]
    )


def accounts_changed_hands(
    accounts: pl.DataFrame, allocations: pl.DataFrame, portions: pl.DataFrame, credits: pl.DataFrame, month: Month
) -> pl.DataFrame:
    """Accounts that pass to another miner in the month while allocations of the first are unsettled (rule 4.4).

    What counts as settled is what was transferred before the day of passing.
    """
    passings = _passings(accounts, month)
    if passings.is_empty():
        return NO_ISSUES
    owed = passings.join(
        allocations.select("account", "miner_id", "allocation_date", "row", "amount"),
        left_on=["account", "first"],
        right_on=["account", "miner_id"],
    ).filter(pl.col("allocation_date") < pl.col("passed_on"))
    dated = portions.join(credits.select(pl.col("row").alias("credit"), "date"), on="credit").rename(
        {"allocation": "row", "amount": "part"}
    )
    settled = (
        owed.select("row", "passed_on")
        .join(dated, on="row")
        .filter(pl.col("date") < pl.col("passed_on"))
        .group_by("row", "passed_on")
        .agg(pl.col("part").sum())
    )
    found = (
        owed.join(settled, on=["row", "passed_on"], how="left")
        .with_columns(left=pl.col("amount") - pl.col("part").fill_null(0))
        .filter(pl.col("left") > 0)
        .group_by("account")
        .agg(pl.col("left").sum(), pl.col("passed_on").min())
    )
    return issues(
        IssueCode.ACCOUNT_CHANGED_HANDS,
        found,
        ref=pl.col("account"),
        detail=pl.format("{} unsettled on {}", pl.col("left").cast(pl.String), pl.col("passed_on").dt.to_string("%Y-%m-%d")),
    )


def _passings(accounts: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Accounts that go from one miner to another on a day of the month: account, first, passed_on.

    A while that nobody holds it between them does not undo the passing.
    """
    shared = accounts.filter(pl.col("miner_id").n_unique().over("account") > 1)
    bounds = pl.concat(
        [shared.select("account", pl.col("valid_from").alias("day")), shared.select("account", pl.col("valid_to").alias("day"))]
    ).drop_nulls()
    held = holders(shared, bounds, keys=["account"], day="day").sort("account", "day")
    return (
        held.with_columns(first=pl.col("miner_id").shift(1).over("account"))
        .filter(pl.col("first").is_not_null() & (pl.col("first") != pl.col("miner_id")))
        .select("account", "first", pl.col("day").alias("passed_on"))
        .filter(is_in_month(month, "passed_on"))
    )
