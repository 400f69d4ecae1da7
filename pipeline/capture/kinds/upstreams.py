"""Upstream pools: what their earnings and payouts mean for the pool whose sub-accounts they are. The upstream pays (rule 10), so each payment names it as the payer.

An account of the ledger is a sub-account by its name. The commission is the upstream's fee and the pool's own share together, as far as the upstream tells them; else a dated table of fees
says it. The day of an earning is a setting: some services date it by the day it was mined, some by the day it was booked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from pipeline.model.issues import IssueCode
from pipeline.model.message import message

from .. import details
from ..fees import Fee, commission_of, rate_on
from ..outputs import Credit, Item, Output, Paid, Unreadable, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow
from ..source import Content
from .values import against_table, instant, is_refused, outcome, txid, units, unix_instant, vanished

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Upstream:
    """What all upstreams have."""

    prefix: str
    asset: str
    decimals: int
    payer: str
    fees: Sequence[Fee] = ()
    days_before: int = 0
    """By how many days an earning's date is later than the day it was earned."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """The address of each sub-account, or of each name of an address, where the service does not give it."""

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        return [f"{table}:{row_id}"]

    def credit(self, row: SeenRow, account: str, at: int, amount: Fraction, commission: Fraction | None) -> Credit:
        """An earning of a sub-account; without a commission the table of fees says it."""
        earned = at - self.days_before * DAY_US
        if commission is None and (rate := rate_on(self.fees, day_of(earned))) is not None:
            commission = commission_of(amount, rate)
        return Credit(f"{self.prefix}{row.row_id}", account, self.asset, earned, amount, commission)

    def paid(
        self, row: SeenRow, account: str, address: str | None, amount: Fraction, reference: str | None, at: int, lookup: Lookup
    ) -> Iterator[Output]:
        """A payout; without a transaction id its outcome is unknown, without an address it can't be one."""
        name = f"payment:{row.row_id}"
        found = txid(reference)
        if found is None:
            is_decided, found = outcome(name, lookup)
            if found is None:
                if not is_decided:
                    detail = details.PAYOUT_WITHOUT_ID.format(table=row.table, row_id=row.row_id, amount=shown(amount), account=account)
                    yield Item(name, IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
                return
        if not address:
            raise Unreadable(message("the payout of {account} names no address: give it in `addresses`", account=account))
        yield Paid(f"{self.prefix}payment:{row.row_id}", account, self.asset, address, amount, found, at, self.payer)

    def unexplained(self, row: SeenRow, at: int, amount: Fraction, template: str, **values: object) -> Item:
        """A row of a kind that is not known; `template` with `values` says of which."""
        detail = template.format(table=row.table, row_id=row.row_id, amount=shown(amount), **values)
        return Item(f"row:{row.row_id}", IssueCode.SOURCE_UNEXPLAINED, day_of(at), detail)


@dataclass(frozen=True)
class LuxorReading(Upstream):
    """Luxor's transactions: credits are earnings, debits payouts and fees."""

    revenue: Collection[str] = ("Miner Revenue",)
    passed: Collection[str] = ("Transaction Fee",)

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        row = rows[0]
        content, at = row.content, instant(row.content.get("date_time"))
        amount, account = units(content.get("currency_amount"), self.decimals), content.get("subaccount_name") or ""
        kind, category = content.get("transaction_type"), content.get("transaction_category") or ""
        yield from vanished(row, "it counts as it was seen last", lookup)
        if is_refused(row, lookup):
            return
        if category in self.passed:
            return
        if kind == "credit" and category in self.revenue:
            yield self.credit(row, account, at, abs(amount), None)
        elif kind == "debit":
            named = content.get("address_name") or ""
            yield from self.paid(
                row,
                account,
                self.addresses.get(named) or self.addresses.get(account),
                abs(amount),
                content.get("transaction_id"),
                at,
                lookup,
            )
        elif (decided := lookup.decision(f"row:{row.row_id}")) is None:
            yield self.unexplained(row, at, amount, details.OF_A_CATEGORY, kind=kind, category=repr(category))
        elif decided.outcome == "accept":
            yield self.credit(row, account, at, abs(amount), None)


@dataclass(frozen=True)
class F2PoolReading(Upstream):
    """F2Pool's transactions: a revenue row tells its own fees."""

    day: str = "mined"
    """`mined`, `settled` or `created`: which of a row's times is the day it was earned."""

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        row = rows[0]
        content, created = row.content, unix_instant(row.content.get("created_at"))
        amount, account, kind = units(content.get("changed_balance"), self.decimals), content.get("user") or "", content.get("type") or ""
        yield from vanished(row, "it counts as it was seen last", lookup)
        if is_refused(row, lookup):
            return
        if kind.startswith("revenue"):
            told = {"mined": "mining_mining_date", "settled": "mining_settle_date", "created": "created_at"}[self.day]
            gross = fee = Fraction(0)
            for part, rate in (("mining_pps", "mining_pps_fee_rate"), ("mining_tx_fee", "mining_tx_fee_rate")):
                whole = units(content.get(part) or "0", self.decimals)
                gross, fee = gross + whole, fee + whole * units(content.get(rate) or "0", 0)
            at = unix_instant(content.get(told))
            yield self.credit(row, account, at, amount, fee if gross else None)
            # F2Pool's numbers have no more than ten decimals.
            if gross and abs(gross - fee - amount) > 1:
                detail = details.FEES_DIFFER.format(row_id=row.row_id, gross=shown(gross), fee=shown(fee), amount=shown(amount))
                yield Item(f"fee:{row.row_id}", IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(at), detail)
        elif kind.startswith("payout"):
            found = next((value for key, value in sorted(content.items()) if key.startswith("payout_") and txid(value)), None)
            address = content.get("payout_wallet_address") or content.get("payout_address") or self.addresses.get(account)
            yield from self.paid(row, account, address, abs(amount), found, created, lookup)
        else:
            yield self.unexplained(row, created, amount, details.OF_A_TYPE, kind=repr(kind))


@dataclass(frozen=True)
class SbiReading(Upstream):
    """SBI Crypto: a sub-account's day has a virtual sub-account that pays the miner, and may have one that pays the pool its share."""

    pools: Collection[str] = ()
    """Names of the virtual sub-accounts that are the pool's own."""

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        if table == "earnings":
            return [f"day:{content.get('earningsFor')}:{content.get('subaccountId')}:{content.get('coin')}"]
        return [f"{table}:{row_id}"]

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        for row in rows:
            yield from vanished(row, "it counts as it was seen last", lookup)
        rows = [row for row in rows if not is_refused(row, lookup)]
        if rows:
            yield from self._day(rows) if group.startswith("day:") else self._payout(rows[0], lookup)

    def _day(self, rows: Sequence[SeenRow]) -> Iterator[Output]:
        """Commission of the day: what was taken off both, and what is the pool's."""
        commission = Fraction(0)
        miners = []
        for row in rows:
            commission += units(row.content.get("feesPaid") or "0", self.decimals)
            if (row.content.get("vsubaccountName") or "") in self.pools:
                commission += units(row.content.get("netOwed") or "0", self.decimals)
            else:
                miners.append(row)
        net = sum((units(row.content.get("netOwed") or "0", self.decimals) for row in miners), Fraction(0))
        waiting = {state for row in rows if (state := row.content.get("state") or "") in ("NEW", "PENDING")}
        if miners and not waiting:
            at, account = instant(miners[0].content.get("earningsFor")), miners[0].content.get("subaccountName") or ""
            earned = at - self.days_before * DAY_US
            what = f"{account} {miners[0].content.get('earningsFor')}"
            yield from against_table(self.fees, miners[0].row_id, what, earned, net + commission, commission, slack=len(rows) + 1)
        for row in miners:
            at, amount = instant(row.content.get("earningsFor")), units(row.content.get("netOwed") or "0", self.decimals)
            account = row.content.get("subaccountName") or ""
            if waiting:
                detail = details.STILL.format(
                    account=account, day=row.content.get("earningsFor"), amount=shown(amount), states=", ".join(sorted(waiting))
                )
                yield Item(f"immature:{row.row_id}", IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
            else:
                yield self.credit(row, account, at, amount, commission * amount / net if net else commission)

    def _payout(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        content, at = row.content, instant(row.content.get("paidOn"))
        amount, account = units(content.get("amount"), self.decimals), content.get("subaccountName") or content.get("address") or ""
        reference = None if content.get("state") in ("NEW", "PENDING") else content.get("txId") or content.get("transactionId")
        yield from self.paid(row, account, content.get("address") or self.addresses.get(account), amount, reference, at, lookup)


@dataclass(frozen=True)
class BraiinsReading(Upstream):
    """Braiins: one account a token; rewards by day, payouts in satoshi."""

    account: str = ""

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        row = rows[0]
        content = row.content
        yield from vanished(row, "it counts as it was seen last", lookup)
        if is_refused(row, lookup):
            return
        if row.table == "rewards":
            yield self.credit(row, self.account, unix_instant(content.get("date")), units(content.get("total_reward"), self.decimals), None)
            return
        at, amount = unix_instant(content.get("resolved_at_ts") or content.get("requested_at_ts")), units(content.get("amount_sats"), 0)
        if content.get("way") != "onchain":
            yield self.unexplained(row, at, amount, details.OF_A_WAY, way=content.get("way"))
        elif content.get("status") != "failed":
            reference = content.get("tx_id") if content.get("status") == "confirmed" else None
            yield from self.paid(
                row, self.account, content.get("destination") or self.addresses.get(self.account), amount, reference, at, lookup
            )


@dataclass(frozen=True)
class OceanReading(Upstream):
    """OCEAN: earnings by block, with their fee; payouts are coinbase outputs or transactions. A user is an address."""

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        row = rows[0]
        content, text, user = row.content, row.content.get("ts") or "", row.content.get("user") or ""
        at = unix_instant(text) if text.replace(".", "").isdigit() else instant(text)
        yield from vanished(row, "its block may be an orphan: it counts as it was seen last", lookup)
        if is_refused(row, lookup):
            return
        if row.table == "earnings":
            fee = units(content.get("fees_collected_satoshis") or "0", 0)
            net = units(content.get("satoshis_net_earned"), 0)
            yield self.credit(row, user, at, net, fee)
            what, earned = f"{user} {content.get('block_hash')}", at - self.days_before * DAY_US
            yield from against_table(self.fees, row.row_id, what, earned, net + fee, fee, slack=2)
        else:
            amount = units(content.get("total_satoshis_net_paid"), 0)
            yield from self.paid(
                row, user, self.addresses.get(user, user.partition(".")[0]), amount, content.get("on_chain_txid"), at, lookup
            )
