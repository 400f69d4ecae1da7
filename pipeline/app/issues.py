"""A month's issues as people read them: amounts in the asset's own decimals, miner, day, what to do, and those that are alike together.

Enters: an assessed month and its waivers. Leaves: `IssueGroup`s of `IssueView`s, which `esep issues` prints and a page may show. Pure. Left out:
which issues there are (`enrich`), and what is advised (`advice`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pipeline.assess.issue_names import short_name
from pipeline.capture.details import as_message
from pipeline.model.amounts import from_units
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules
from pipeline.texts import N_
from pipeline.texts.catalogue import matched

from .advice import Advice, advice
from .story import instant_of_micros

if TYPE_CHECKING:
    import polars as pl

    from pipeline.assess.month import Assessment, MonthState

FACT_NAMES: Mapping[IssueCode, tuple[str, ...]] = {
    IssueCode.MIXED_INPUTS: ("chain", "other_inputs", "other_value"),
    IssueCode.UNKNOWN_OUTFLOW: ("chain", "address", "amount", "asset"),
    IssueCode.UNKNOWN_ACCOUNT: ("account", "amount", "asset"),
    IssueCode.ALLOCATION_TWICE: ("account", "asset", "instant", "amount"),
    IssueCode.WALLET_HOLDER_DIFFERS: ("holder", "miner_id"),
    IssueCode.PAYMENT_NOT_ON_CHAIN: ("amount", "asset", "address", "txid"),
    IssueCode.PAYMENT_AMOUNT_DIFFERS: ("chain", "asset", "amount", "paid"),
    IssueCode.TRANSFER_WITHOUT_PAYMENT: ("chain", "asset", "amount"),
    IssueCode.TRANSFER_BEFORE_ALLOCATION: ("chain", "asset", "amount", "miner_id"),
    IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS: ("chain", "asset", "amount", "miner_id"),
    IssueCode.UNKNOWN_PAYER: ("payer", "amount", "asset", "address", "txid"),
    IssueCode.PAYER_DIFFERS: ("payer", "amount", "asset", "address", "txid"),
    IssueCode.TRANSFER_NOT_PROVEN: ("asset", "amount"),
    IssueCode.LICENCE_NOT_IN_FORCE: ("licence",),
    IssueCode.ACCOUNT_CHANGED_HANDS: ("first", "miner_id", "left"),
    IssueCode.REGISTRY_OVERLAP: ("chain", "miners"),
}
"""What the lines of an issue's facts are (`enrich.check`, `enrich.check_registry`)."""

FACT_WORDS: Mapping[str, str] = {
    "chain": N_("chain"), "other_inputs": N_("inputs of others"), "other_value": N_("their value"), "address": N_("address"), "amount": N_("amount"), "asset": N_("asset"),
    "account": N_("account"), "instant": N_("instant"), "holder": N_("holder of the address"), "miner_id": N_("miner"), "txid": N_("transaction"), "paid": N_("in the ledger"),
    "payer": N_("payer"), "licence": N_("licence"), "first": N_("first holder"), "left": N_("still owed"), "miners": N_("miners"),
}  # fmt: skip
"""The facts' names in words."""
_UNITS = ("amount", "paid", "left", "other_value")


@dataclass(frozen=True)
class IssueView:
    """One issue."""

    name: str
    """Its short name, which `esep waive` takes."""
    code: IssueCode
    ref: str
    detail: str
    """As in the bundle: amounts in base units."""
    day: date | None
    amount: str
    """With the asset's decimals and its name; empty where it has none."""
    miner_id: str
    miner: str
    """The miner's name by the registry."""
    about: str
    """What else tells it apart: an address, an account, a licence."""
    waived_by: str
    lapsed: str
    facts: str = ""
    """What a waiver of it would rest on (rule 8.5), one a line."""
    printed_facts: list[tuple[str, str]] = field(default_factory=list)
    """The same for people: each one's name in words, amounts with the asset's decimals."""
    printed_detail: str = ""
    """`detail` with amounts as printed."""

    @property
    def named_facts(self) -> dict[str, str]:
        """The facts by name."""
        return _named_facts(self.code, self.facts)

    @property
    def is_blocking(self) -> bool:
        """Whether it keeps the month from closing now."""
        return self.code.severity is Severity.BLOCKING and not self.waived_by


@dataclass(frozen=True)
class IssueGroup:
    """Issues of one code in one situation, with what to do about them."""

    code: IssueCode
    advice: Advice
    issues: list[IssueView]
    sums: dict[str, str] = field(default_factory=dict)
    """Their amounts together, by asset, as printed."""

    @property
    def open_count(self) -> int:
        return sum(issue.is_blocking for issue in self.issues)


AskChain = Callable[[str, Iterable[str]], Mapping[str, bool]]
"""Of a chain and txids: whether each is on the chain; one that can't be told of is absent."""


def issue_groups(
    month: Month,
    state: MonthState,
    assessed: Assessment,
    rules: Rules,
    *,
    only: str | None = None,
    ask_chain: AskChain = lambda _chain, _txids: {},
) -> list[IssueGroup]:
    """The month's issues, alike ones together: blocking ones first. `only`: one severity or one code. `ask_chain`: of payments that no transaction of the pool made."""
    import polars as pl

    from pipeline.assess.waivers import with_waivers

    rows = with_waivers(assessed.enriched.issues, state.waivers)
    if only is not None:
        rows = rows.filter((pl.col("severity") == only) | (pl.col("code") == only))
    look_up = _Lookup(rows, state, assessed)
    look_up.ask(rows, rules, ask_chain)
    groups: dict[tuple[IssueCode, Advice], list[tuple[IssueView, dict[str, int]]]] = {}
    for row in rows.sort("code", "ref").iter_rows(named=True):
        code = IssueCode(row["code"])
        facts = _named_facts(code, row["facts"])
        place = look_up.place(code, row["ref"], facts)
        view = _view(code, row, facts, place, look_up, rules)
        said = advice(code, facts | place, month)
        units = {facts["asset"]: int(facts["amount"])} if facts.get("amount", "").isdigit() and facts.get("asset") in rules.assets else {}
        groups.setdefault((code, said), []).append((view, units))
    found = [IssueGroup(code, said, [view for view, _ in members], _sums(members, rules)) for (code, said), members in groups.items()]
    return sorted(found, key=lambda group: (not group.open_count, group.code.severity is not Severity.BLOCKING, group.code.value))


def _named_facts(code: IssueCode, text: str | None) -> dict[str, str]:
    return dict(zip(FACT_NAMES.get(code, ()), (text or "").split("\n"), strict=False))


def _sums(members: list[tuple[IssueView, dict[str, int]]], rules: Rules) -> dict[str, str]:
    units: dict[str, int] = {}
    for _, one in members:
        for asset, amount in one.items():
            units[asset] = units.get(asset, 0) + amount
    return {asset: from_units(amount, rules.assets[asset].decimals) for asset, amount in sorted(units.items())}


def _view(code: IssueCode, row: dict[str, Any], facts: dict[str, str], place: dict[str, str], look_up: _Lookup, rules: Rules) -> IssueView:
    miner_id = place.get("miner_id") or facts.get("miner_id", "")
    ref: str = row["ref"]
    return IssueView(
        name=short_name(code.value, ref),
        code=code,
        ref=ref,
        detail=row["detail"],
        day=date.fromisoformat(place["day"]) if place.get("day") else None,
        amount=printed(facts.get("amount", ""), facts.get("asset", ""), rules),
        miner_id=miner_id,
        miner=look_up.miner(miner_id),
        about=_about(code, row["detail"], facts, place, rules),
        waived_by=row["waived_by"] or "",
        lapsed=_lapsed(row["lapsed"] or ""),
        facts=row["facts"] or "",
        printed_facts=_printed_facts(facts, rules),
        printed_detail=_printed_detail(row["detail"], facts, rules),
    )


LAPSED = N_("{by} waived it when it rested on {given}; now it rests on {now}")
"""As `assess.waivers` words it."""


def _lapsed(text: str) -> str:
    """Why a waiver lapsed, so that it can be translated."""
    values = matched(text, LAPSED)
    return message(LAPSED, **values) if values is not None else text


def _printed_facts(facts: Mapping[str, str], rules: Rules) -> list[tuple[str, str]]:
    """Facts by their names in words. An amount without an asset is of the chain's own, where that has one only."""
    of_chain = [name for name, asset in rules.assets.items() if asset.chain == facts.get("chain")]
    asset = facts.get("asset") or (of_chain[0] if len(of_chain) == 1 else "")
    found = []
    for name, value in facts.items():
        text = printed(value, asset, rules) if name in _UNITS else value
        found.append(
            (
                message(FACT_WORDS.get(name, name)),
                instant_of_micros(int(value)) if name == "instant" and value.lstrip("-").isdigit() else text,
            )
        )
    return found


def _printed_detail(detail: str, facts: Mapping[str, str], rules: Rules) -> str:
    """The detail with amounts as printed: those beside their asset, and those that are facts of the issue."""
    found, asset = _with_decimals(detail, rules), facts.get("asset", "")
    if asset in rules.assets:
        amounts = {facts[name]: printed(facts[name], asset, rules) for name in ("amount", "paid", "left") if facts.get(name, "").isdigit()}
        found = " ".join(amounts.get(word, word) for word in found.split(" "))
    return found


def printed(units: str, asset: str, rules: Rules) -> str:
    """Base units as a person reads them: `7770000` of BTC is `0.07770000 BTC`. Other texts as they are."""
    if asset not in rules.assets or not units.lstrip("-").isdigit():
        return units
    return f"{from_units(int(units), rules.assets[asset].decimals)} {asset}"


_ABOUT: Mapping[IssueCode, str] = {
    IssueCode.UNKNOWN_OUTFLOW: N_("to {address}"),
    IssueCode.PAYMENT_NOT_ON_CHAIN: N_("to {address} in {txid}"),
    IssueCode.PAYMENT_AMOUNT_DIFFERS: N_("on chain, {paid} in the ledger"),
    IssueCode.UNKNOWN_ACCOUNT: N_("account {account}"),
    IssueCode.ALLOCATION_TWICE: N_("account {account}: {ids}"),
    IssueCode.WALLET_HOLDER_DIFFERS: N_("wallet of {holder}, account of {miner_id}"),
    IssueCode.TRANSFER_WITHOUT_PAYMENT: N_("to {address}"),
    IssueCode.TRANSFER_BEFORE_ALLOCATION: N_("to {address}"),
    IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS: N_("to {address}"),
    IssueCode.UNKNOWN_PAYER: N_("by {payer} to {address}"),
    IssueCode.PAYER_DIFFERS: N_("by {payer} to {address}"),
    IssueCode.TRANSFER_NOT_PROVEN: N_("by {payer}, on the ledger's word alone"),
    IssueCode.LICENCE_NOT_IN_FORCE: N_("licence {licence}"),
}
"""What tells an issue apart besides its amount, day and miner; of other codes the detail does."""

_OF_SOURCES = frozenset(code for code in IssueCode if code.value.startswith("source-")) | {IssueCode.REGISTRY_UNDATED}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _about(code: IssueCode, detail: str, facts: dict[str, str], place: dict[str, str], rules: Rules) -> str:
    if code not in _ABOUT:
        return as_message(detail) if code in _OF_SOURCES else _with_decimals(detail, rules)
    known = {name: value for name, value in (place | facts).items() if value}
    known |= {"paid": printed(facts.get("paid", ""), facts.get("asset", ""), rules), "ids": detail.rpartition(": ")[2]}
    template = _ABOUT[code]
    values = {name: known.get(name) or message("nobody") for name in _PLACEHOLDER.findall(template)}
    return message(template, **values)


def _with_decimals(text: str, rules: Rules) -> str:
    """A text with `7770000 BTC` written as `0.07770000 BTC`."""
    words = text.split(" ")
    for at, asset in enumerate(words[1:]):
        name = asset.rstrip(",")
        if name in rules.assets and words[at].isdigit():
            words[at] = from_units(int(words[at]), rules.assets[name].decimals)
    return " ".join(words)


class _Lookup:
    """Day, miner and address of what the issues' refs name: read once from the month's frames for all of them."""

    def __init__(self, issues: pl.DataFrame, state: MonthState, assessed: Assessment) -> None:
        import polars as pl

        refs = issues["ref"].to_list()
        tails = {tail for ref in refs for tail in _tails(ref)}
        facts, enriched = state.facts, assessed.enriched
        self._names = dict(facts.miners.select("miner_id", "name").iter_rows())
        self._outflows: dict[str, dict[str, str]] = {}
        txids = {part for tail in tails for part in tail.split(":") if part}
        touched = enriched.outflows.filter(pl.col("txid").is_in(list(txids)))
        self._with_change = set(touched.filter(pl.col("class").is_in(["change", "internal"]))["txid"])
        for row in touched.iter_rows(named=True):
            self._outflows[f"{row['txid']}:{row['vout']}"] = {"day": str(row["date"]), "txid": row["txid"]}
            self._outflows.setdefault(row["txid"], {"day": str(row["date"]), "txid": row["txid"]})
        self._transfers = {
            f"{row['txid']}:{row['address']}": {
                "day": str(row["date"]),
                "miner_id": row["miner_id"] or "",
                "address": row["address"],
                "payer": row.get("payer") or "",
            }
            for row in enriched.transfers.filter(pl.col("txid").is_in(list(txids))).iter_rows(named=True)
        }
        paid = facts.payments.filter(pl.col("payment_id").is_in(list(tails)))
        self._payments = {row["payment_id"]: _of_ledger(row, row["paid_at"]) for row in paid.iter_rows(named=True)}
        allocated = facts.allocations.filter(pl.col("allocation_id").is_in(list(tails)))
        self._allocations = {row["allocation_id"]: _of_ledger(row, row["allocated_at"]) for row in allocated.iter_rows(named=True)}
        wanted = {line for facts_of in issues["facts"].to_list() for line in (facts_of or "").split("\n") if len(line) == 64}
        self._sought = {*facts.payees["address"], *facts.sought["txid"]} if wanted else set()
        self._of_pool = set(facts.transactions.filter(pl.col("txid").is_in(list(wanted)))["txid"])

    def ask(self, issues: pl.DataFrame, rules: Rules, ask_chain: AskChain) -> None:
        """Ask about the transactions of payments that no transaction of the pool made."""
        import polars as pl

        self._on_chain: dict[str, bool] = {}
        asked: dict[str, list[str]] = {}
        code = IssueCode.PAYMENT_NOT_ON_CHAIN
        for text in issues.filter(pl.col("code") == code.value)["facts"].to_list():
            facts = _named_facts(code, text)
            asset, txid = facts.get("asset", ""), facts.get("txid", "")
            if asset in rules.assets and txid not in self._of_pool:
                asked.setdefault(rules.assets[asset].chain, []).append(txid)
        for chain, txids in asked.items():
            self._on_chain |= ask_chain(chain, txids)

    def miner(self, miner_id: str) -> str:
        """The miner's name by the registry; empty for one that it does not have."""
        return str(self._names.get(miner_id, ""))

    def place(self, code: IssueCode, ref: str, facts: Mapping[str, str]) -> dict[str, str]:
        """What is known of the thing that the ref names: day, miner_id, address, account; and how it looks on the chain."""
        found: dict[str, str] = {}
        sources: list[Callable[[str], dict[str, str] | None]] = [
            self._outflows.get, self._transfers.get, self._payments.get, self._allocations.get,
        ]  # fmt: skip
        for tail in _tails(ref):
            for source in sources:
                found = found or dict(source(tail) or {})
        if code is IssueCode.LICENCE_NOT_IN_FORCE:
            found = dict(zip(("miner_id", "day"), ref.rsplit(":", 1), strict=False))
        if code is IssueCode.BAD_MINER_ID:
            found = {"miner_id": ref}
        if code is IssueCode.ACCOUNT_CHANGED_HANDS or (code is IssueCode.REGISTRY_OVERLAP and ref[-10:-8] == "20"):
            found = {"day": ref.rpartition(":")[2]} if ref[-10:].count("-") == 2 else {}
        if code is IssueCode.UNKNOWN_ASSET:
            found["chain"] = ref.partition(":")[0]
        if code is IssueCode.UNKNOWN_OUTFLOW:
            found["has_change"] = "yes" if found.get("txid") in self._with_change else ""
        if code is IssueCode.PAYMENT_NOT_ON_CHAIN:
            found["is_of_pool"] = "yes" if facts.get("txid") in self._of_pool else ""
            found["is_sought"] = "yes" if {facts.get("address"), facts.get("txid")} & self._sought else ""
            told = self._on_chain.get(facts.get("txid", ""))
            found["is_on_chain"] = "" if told is None else "yes" if told else "no"
        return found


def _tails(ref: str) -> list[str]:
    """The ref, and the ref without a place before it, or an asset behind it (rule 9.8)."""
    found = [ref]
    if ":" in ref:
        found += [ref.partition(":")[2], ref.rpartition(":")[0]]
    return found


def _of_ledger(row: dict[str, Any], at_micros: int) -> dict[str, str]:
    day = almaty_date(int(datetime.fromtimestamp(at_micros / 1_000_000, UTC).timestamp()))
    return {"day": str(day), "account": row["account"] or "", "address": row.get("address") or "", "payer": row.get("payer") or ""}
