"""Reviews an import before it happens: what it would change in the ledger, and what a person should check first.

Enters: a file's checked rows, the newest version of every row of that kind that the log holds, and what is known besides (the clock,
the opening, accounts seen elsewhere, each asset's greatest supply). Leaves: a `Review`: counts, sums, restatements by what they change,
faults for which the file is refused, and unusual rows that need a person's consent. Pure. Left out: faults of single cells
(`columns`), and what becomes an issue in enrichment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from pipeline.model.amounts import from_units
from pipeline.model.message import Amount, joined, message
from pipeline.model.months import almaty_words
from pipeline.model.rules import Asset

from .ledger import INSTANT, KEYS, LedgerKind, beyond_digits, count_repeated, months_of, said
from .table import Fault, masked, shown

MOVES = ("account", "asset", "month")
"""A restatement that changes one of these is probably a different row: refused unless allowed."""
HABIT_ROWS = 4
"""Number of rows from which an account's median is meaningful."""
HABIT_TIMES = 100
"""An amount this many times the account's median, or the ledger's greatest so far, is unusual."""
SPAN_US = 31 * 86_400 * 1_000_000
"""Instants further than this outside the ledger's range so far are unusual."""
SHOWN_ROWS = 5


@dataclass(frozen=True)
class ReviewContext:
    """What a review needs besides the file and the ledger."""

    now_us: int | None = None
    """UTC microseconds; None: instants in the future are not checked."""
    opening_us: int | None = None
    frozen_until_us: int | None = None
    """Where the last frozen month ends; None while none is frozen."""
    on_chain_payers: Collection[str] = ()
    accounts: Collection[str] = ()
    """Accounts known from the registry or the ledger's other tables."""
    assets: Mapping[str, Asset] = field(default_factory=dict)
    supplies: Mapping[str, int] = field(default_factory=dict)
    """The greatest supply of each asset that has one, base units."""


@dataclass(frozen=True)
class Consent:
    """What a person agreed to before an import."""

    to_oddities: bool = False
    """Import despite the review's questions."""
    to_moves: bool = False
    """Restatements may move rows to another account, asset or month."""
    by: str = ""
    """Who agrees, for the log; "" where nobody said."""


@dataclass(frozen=True)
class Sum:
    """What a file holds of one asset in one month (Almaty): rows, and their amount as printed."""

    asset: str
    month: str
    rows: int
    amount: str


@dataclass(frozen=True)
class Review:
    """What an import would do."""

    rows: int
    first: str | None
    """The earliest instant, ISO 8601 UTC; None for a file without rows."""
    last: str | None
    sums: list[Sum]
    new: int
    known: int
    restated: int
    restated_by: dict[str, int]
    """Restated rows by what changes: amount, account, asset, month, instant, and the other columns by name. A row may count in several."""
    restatements: list[str]
    """Descriptions of the first restatements."""
    repeated: int
    """New rows whose account, asset, instant and amount another row has already (rule 4.6)."""
    questions: list[str]
    """What a person should check; importing needs consent."""
    faults: list[Fault]
    """The faults for which the file is refused."""
    zones: dict[str, int] = field(default_factory=dict)
    """How many instants were read in which zone."""
    rounded: dict[str, int] = field(default_factory=dict)
    """How many amounts of a column were finer than their asset, and rounded by the settings' rule."""
    passed_over: int = 0
    """Number of rows skipped by the settings' filters."""
    netted: dict[str, int] = field(default_factory=dict)
    """Rows taken off others (fees off their credits), by what they are."""
    days: int = 0
    """Instants that were days without a time, read as 00:00."""
    warnings: list[str] = field(default_factory=list)
    """`file:line: column: what`, of the reading."""


def _moment(at: str) -> str:
    """An instant (ISO 8601, UTC) for people, by Almaty's clocks."""
    return almaty_words(int(datetime.fromisoformat(at).timestamp()))


def review_lines(source: str, found: Review) -> list[str]:
    """A review as lines of text: counts, time range, sums, restatements, unusual rows."""
    lines = [message("{source}: {new} new, {restated} restated, {known} known already", source=source, new=found.new, restated=found.restated, known=found.known)]  # fmt: skip
    if found.first:
        lines.append(
            message(
                "  {rows} row(s), from {first} to {last}",
                rows=found.rows,
                first=_moment(found.first),
                last=_moment(found.last or found.first),
            )
        )
    lines += [message("  {count} instant(s) read in {zone}", count=count, zone=zone) for zone, count in found.zones.items()]
    lines += [message("  {count} amount(s) of {name} finer than the asset: rounded as the settings say", count=count, name=name) for name, count in found.rounded.items()]  # fmt: skip
    if found.passed_over:
        lines.append(message("  {passed_over} row(s) passed over by the settings' filters", passed_over=found.passed_over))
    if found.days:
        lines.append(message("  {days} instant(s) without a time, read as 00:00", days=found.days))
    lines += [message("  {count} row(s) {kind} taken off the row that each belongs to", count=count, kind=kind) for kind, count in found.netted.items()]  # fmt: skip
    lines += [message("  warning: {warning}", warning=warning) for warning in found.warnings]
    lines += [message("  {month}  {asset}  {amount}  in {rows} row(s)", month=one.month, asset=one.asset, amount=Amount(one.amount), rows=one.rows) for one in found.sums]  # fmt: skip
    if found.restated:
        lines.append(message("  restated: {parts}", parts=joined(", ", [message("{count} by {what}", count=count, what=what) for what, count in found.restated_by.items()])))  # fmt: skip
        lines += [message("    {restated}", restated=line) for line in found.restatements]
    return lines + [message("  odd: {question}", question=question) for question in found.questions]


def review(
    rows: pl.DataFrame,
    held: pl.DataFrame,
    kind: LedgerKind,
    *,
    known: ReviewContext,
    names: Mapping[str, str],
    may_move: bool = False,
) -> Review:
    """Review `rows` (a file's, one a key, with `line`) against `held` (the newest version of every row of the kind, with `version`).

    Amounts are Int128 base units, instants Int64 UTC microseconds. `names`: the file's heading of each column. `may_move`: restatements
    may move rows to another account, asset or month.
    """
    keys, at = list(KEYS[kind]), INSTANT[kind]
    rows = rows.with_columns(month=months_of(rows[at]))
    held = held.with_columns(month=months_of(held[at]))
    compared = rows.clear() if held.is_empty() else rows  # beside an empty ledger every row is new
    theirs = held.select(*keys, *(pl.col(name).alias(f"{name}:held") for name in held.columns if name not in keys))
    joined = compared.join(theirs, keys, "left")
    others = held if held.is_empty() else held.join(rows, keys, "anti")  # what the file does not speak of
    is_new = pl.col("version:held").is_null()
    content = [name for name in rows.columns if name not in (*keys, "line", "month")]
    changes = [name for name in content if name != at] + ["month", at]
    flags = joined.select(
        "line",
        *keys,
        is_new=is_new,
        **{f"d:{name}": ~is_new & pl.col(name).ne_missing(pl.col(f"{name}:held")) for name in changes},
    )
    is_changed = pl.any_horizontal(f"d:{name}" for name in content)
    changed = joined.filter(flags.select(is_changed).to_series())
    fresh = rows if held.is_empty() else joined.filter(is_new)
    differs = flags.filter(is_changed)
    counts = {name: int(differs[f"d:{name}"].sum()) for name in changes}
    counts["instant"] = counts.pop(at) - counts["month"]
    moved = [name for name in MOVES if counts.get(name)]
    faults = beyond_digits(rows, others, names["amount"]) or _above_supply(rows, others, known, names)
    if moved and not may_move:
        faults += _moved(changed, differs, keys, moved, names)
    questions = _far_instants(rows, held, at, known)
    questions += _never_seen(fresh, held, known) + _unusual(rows, held, others, known)
    if kind == "payments":
        questions += _added_to_frozen(joined.filter(is_new | flags.select(is_changed).to_series()), held, known)
    repeated = count_repeated(fresh, rows, others, at) if kind == "allocations" else 0
    if repeated:
        questions.append(
            message(
                "{repeated} new row(s) have the account, asset, instant and amount of another row under another id: the same credits numbered anew would be counted twice (rule 4.6)",
                repeated=repeated,
            )
        )
    span = rows.select(first=pl.col(at).min(), last=pl.col(at).max()).row(0)
    return Review(
        rows=rows.height,
        first=None if span[0] is None else said(span[0]),
        last=None if span[1] is None else said(span[1]),
        sums=_sums(rows, known.assets),
        new=fresh.height,
        known=rows.height - fresh.height - changed.height,
        restated=changed.height,
        restated_by={name: count for name, count in counts.items() if count},
        restatements=_describe_restatements(changed, keys, content, at, known.assets),
        repeated=repeated,
        questions=questions,
        faults=faults,
    )


def _sums(rows: pl.DataFrame, assets: Mapping[str, Asset]) -> list[Sum]:
    found = rows.group_by("asset", "month").agg(rows=pl.len(), amount=pl.col("amount").sum()).sort("month", "asset")
    return [Sum(asset, month, count, _printed(amount, asset, assets)) for asset, month, count, amount in found.iter_rows()]


def _printed(amount: int, asset: str, assets: Mapping[str, Asset]) -> str:
    known = assets.get(asset)
    return Amount(from_units(amount, known.decimals)) if known else message("{amount} base units", amount=amount)


def _above_supply(rows: pl.DataFrame, others: pl.DataFrame, known: ReviewContext, names: Mapping[str, str]) -> list[Fault]:
    """Rows, and sums of months with the ledger's `others`, above an asset's maximum supply: mostly base units given as whole coins."""
    if not known.supplies:
        return []
    limits = pl.DataFrame(
        {"asset": list(known.supplies), "limit": list(known.supplies.values())}, schema={"asset": pl.String, "limit": pl.Int128}
    )
    hint = message("is the column in base units (satoshi), not in coins? say so in the table's settings")
    most = rows.group_by("asset").agg(pl.col("amount").max()).join(limits, "asset").filter(pl.col("amount") > pl.col("limit"))
    above = rows.filter(pl.col("asset").is_in(most["asset"].to_list())).join(limits, "asset", maintain_order="left")
    above = above.filter(pl.col("amount") > pl.col("limit"))
    faults = [
        Fault(
            line,
            names["amount"],
            message(
                "{printed} {asset} is more than ever exists ({limit}); {hint}",
                printed=_printed(amount, asset, known.assets), asset=asset, limit=limit, hint=hint,
            ),
        )
        for line, amount, asset, limit in (
            (line, amount, asset, _printed(limit, asset, known.assets))
            for line, amount, asset, limit in above.select("line", "amount", "asset", "limit").iter_rows()
        )
    ]  # fmt: skip
    if faults:
        return faults
    after = pl.concat([part.select("asset", "month", "amount") for part in (others, rows)])
    sums = after.group_by("asset", "month").agg(pl.col("amount").sum()).join(limits, "asset").filter(pl.col("amount") > pl.col("limit"))
    return [
        Fault(
            None,
            names["amount"],
            message(
                "{month} would hold {printed} {asset}, more than ever exists; {hint}",
                month=month, printed=_printed(amount, asset, known.assets), asset=asset, hint=hint,
            ),
        )
        for asset, month, amount in sums.sort("month", "asset").select("asset", "month", "amount").iter_rows()
    ]  # fmt: skip


def _moved(changed: pl.DataFrame, differs: pl.DataFrame, keys: list[str], moved: list[str], names: Mapping[str, str]) -> list[Fault]:
    """A fault for the first rows that would move, and one that counts all."""
    is_moved = pl.any_horizontal(f"d:{name}" for name in moved)
    lines = differs.filter(is_moved)["line"]
    columns = [name for name in moved if name in changed.columns]
    faults = []
    rows = changed.filter(pl.col("line").is_in(lines.implode())).sort("line")
    for row in rows.head(SHOWN_ROWS).iter_rows(named=True):
        parts = [message("{name} {row} to {row_2}", name=name, row=shown(row[f"{name}:held"]), row_2=shown(row[name])) for name in columns if row[name] != row[f"{name}:held"]]  # fmt: skip
        key = "/".join(shown(str(row[name])) for name in keys)
        faults.append(Fault(row["line"], names[keys[0]], message("{key} is in the log already, and would move from {parts}", key=key, parts=joined(", ", parts))))  # fmt: skip
    what = message(
        '{height} row(s) would move to another {moved}: do the ids begin anew each month or in each file? then make them unique (ids = "month" or "source" in the table\'s settings); if the rows were really wrong, say --restate',
        height=rows.height,
        moved=joined(message(" or "), moved),
    )
    return [*faults, Fault(None, names[keys[0]], what)]


def _far_instants(rows: pl.DataFrame, held: pl.DataFrame, at: str, known: ReviewContext) -> list[str]:
    """Instants in the future, before the opening, or far outside of what the ledger held so far."""
    found = []

    def tell(where: pl.Expr, what: str) -> None:
        odd = rows.filter(where).sort(at)
        if odd.height:
            found.append(message("{height} row(s) {what}: line {line}, {said}", height=odd.height, what=what, line=odd["line"][0], said=_moment(said(odd[at][0]))))  # fmt: skip

    if known.now_us is not None:
        tell(pl.col(at) > known.now_us, message("lie in the future"))
    if known.opening_us is not None and at == "paid_at":
        tell(pl.col(at) < known.opening_us, message("lie before the opening"))
    if held.height:
        low, high = held.select(low=pl.col(at).min(), high=pl.col(at).max()).row(0)
        tell(
            pl.col(at) < low - SPAN_US,
            message("lie more than a month before all that the ledger held so far ({said})", said=_moment(said(low))),
        )
        tell(
            pl.col(at) > high + SPAN_US,
            message("lie more than a month after all that the ledger held so far ({said})", said=_moment(said(high))),
        )
    return found


def _added_to_frozen(rows: pl.DataFrame, held: pl.DataFrame, known: ReviewContext) -> list[str]:
    """New or changed payments on an off-chain payer's reference that began in a frozen month: they make that month's transfer larger (rule 10.5)."""
    if known.frozen_until_us is None or "payer" not in held.columns:
        return []
    transfer = ["payer", "txid", "address", "asset"]
    is_off_chain = pl.col("payer").is_not_null() & ~pl.col("payer").is_in(sorted(known.on_chain_payers))
    began = held.filter(is_off_chain).group_by(transfer).agg(pl.col("paid_at").min().alias("began"))
    odd = rows.join(began.filter(pl.col("began") < known.frozen_until_us), transfer, "inner").sort("line")
    if odd.is_empty():
        return []
    line, payer, reference, began_us = odd.select("line", "payer", "txid", "began").row(0)
    return [
        (message(
            "{height} row(s) add to a reference of an off-chain payer that began in a frozen month, which would need a further version: line {line}, {payer} {reference}, begun {said}",
            height=odd.height, line=line, payer=shown(payer), reference=shown(reference), said=_moment(said(began_us)),
        ))
    ]  # fmt: skip


def _never_seen(fresh: pl.DataFrame, held: pl.DataFrame, known: ReviewContext) -> list[str]:
    """Accounts and assets that were never seen, once the ledger holds anything."""
    if held.is_empty():
        return []
    found = []
    for name, seen in (("account", set(held["account"]) | set(known.accounts)), ("asset", set(held["asset"]))):
        strange = fresh.filter(~pl.col(name).is_in(list(seen))).sort("line")
        values = strange[name].unique(maintain_order=True).to_list()
        if values:
            listed = ", ".join(shown(value) for value in values[:SHOWN_ROWS]) + (", …" if len(values) > SHOWN_ROWS else "")
            found.append(message("{count} {name}(s) never seen before: {listed} (line {line} first)", count=len(values), name=name, listed=listed, line=strange["line"][0]))  # fmt: skip
    return found


def _unusual(rows: pl.DataFrame, held: pl.DataFrame, others: pl.DataFrame, known: ReviewContext) -> list[str]:
    """Amounts a hundred times an account's own median (of `rows` and the ledger's `others`), or a hundred times the ledger's greatest so far."""
    account_asset = ["account", "asset"]
    # Floats: a measure of oddness, never an amount. No amount is far from the median where the greatest is near the least.
    parts = [part.select(*account_asset, pl.col("amount").cast(pl.Float64)) for part in (others, rows)]
    greatest = held.group_by("asset").agg(greatest=pl.col("amount").max(), m=pl.len()).filter(pl.col("m") >= HABIT_ROWS)
    amount, amounts = pl.col("amount"), pl.concat(parts)
    above = amounts["amount"].filter(amounts["amount"] > 0)
    if greatest.is_empty() and (above.is_empty() or above.max() < HABIT_TIMES * above.min()):  # type: ignore[operator]  # as nearly always
        return []
    ends = amounts.select("asset", least=pl.when(amount > 0).then(amount), most=amount).group_by("asset")
    is_wide = pl.col("most").max() >= HABIT_TIMES * pl.col("least").min()
    of_wide = ends.agg(is_wide=is_wide).filter("is_wide")  # where an asset is not wide, no account of it is
    amounts = amounts.filter(pl.col("asset").is_in(of_wide["asset"].to_list()), amount > 0)
    is_wide = amount.max() >= HABIT_TIMES * amount.min()
    wide = amounts.group_by(account_asset).agg(n=pl.len(), is_wide=is_wide).filter("is_wide", pl.col("n") >= HABIT_ROWS)
    if wide.is_empty() and greatest.is_empty():
        return []
    habits = amounts.join(wide, account_asset, "semi").group_by(account_asset).agg(habit=pl.col("amount").median())
    judged = rows.join(habits, account_asset, "left").join(greatest, "asset", "left").sort("line")
    is_far = (pl.col("amount").cast(pl.Float64) >= HABIT_TIMES * pl.col("habit")).fill_null(False) | (
        pl.col("amount").cast(pl.Float64) >= HABIT_TIMES * pl.col("greatest").cast(pl.Float64)
    ).fill_null(False)
    odd = judged.filter(is_far)
    if odd.is_empty():
        return []
    line, account, asset, amount = odd.select("line", "account", "asset", "amount").row(0)
    return [
        (message(
            "{height} row(s) have an amount at least {habit_times} times what is usual for the account or the ledger: line {line}, {printed} {asset} of {account}",
            height=odd.height, habit_times=HABIT_TIMES, line=line, printed=_printed(amount, asset, known.assets), asset=asset,
            account=shown(account),
        ))
    ]  # fmt: skip


def _describe_restatements(changed: pl.DataFrame, keys: list[str], content: list[str], at: str, assets: Mapping[str, Asset]) -> list[str]:
    """Descriptions of the first restatements: the row, and each value before and after."""
    told = []
    for row in changed.sort("line").head(SHOWN_ROWS).iter_rows(named=True):
        parts = []
        for name in content:
            was, now = row[f"{name}:held"], row[name]
            if was == now:
                continue
            if name == at:
                was, now = _moment(said(was)), _moment(said(now))
            elif name == "amount":
                was, now = (
                    _printed(was, row["asset:held"] if "asset:held" in row else row["asset"], assets),
                    _printed(now, row["asset"], assets),
                )
            parts.append(message("{name} {plain} to {plain_2}", name=name, plain=_plain(was), plain_2=_plain(now)))
        told.append(message("{row}: {parts}", row="/".join(masked(str(row[name])) for name in keys), parts=joined(", ", parts)))
    return told


def _plain(value: object) -> str:
    return message("nothing") if value is None else masked(value) if type(value) is str else value if isinstance(value, str) else str(value)
