"""Upstream pools' APIs as sources (ADR 22): Luxor, F2Pool, SBI Crypto, Braiins, OCEAN. Each look reads a window of days whole, page by page.

Fields and pages are those of the services' own documents and clients, named in docs/sources.md; none was proved against the real service. A row that is gone from a window
that was read whole has vanished. While a page is read, rows may be added and shift the pages: rows are told apart by their ids, and a window that does not hold together is read again.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.capture.kinds.values import instant, unix_instant
from pipeline.capture.outputs import Unreadable
from pipeline.capture.source import Content, Known, Look, TableLook
from pipeline.model.errors import SourceError
from pipeline.model.message import message

from .http_api import HttpApi

MOST_PAGES = 2_000
Rows = dict[str, dict[str, str | None]]


class UpstreamSource(ABC):
    """Reads a window of days, up to now."""

    def __init__(self, api: HttpApi, *, window_days: int, since: date) -> None:
        self._api, self._window, self._since = api, timedelta(days=window_days), since

    def look(self, known: Known, now_us: int) -> Look:
        """See `pipeline.capture.source.Source`."""
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us)
        begin = max(now - self._window, datetime(self._since.year, self._since.month, self._since.day, tzinfo=UTC) - timedelta(days=1))
        tables = self._read(begin, now)
        newest = max((at for table in tables.values() for row in table.rows.values() if (at := self._at(row)) is not None), default=None)
        return Look(now_us, tables, newest)

    @abstractmethod
    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        """The tables of the window."""

    @abstractmethod
    def _time(self, row: Content) -> int:
        """The row's own time, microseconds. Raises Unreadable."""

    def _at(self, row: Content) -> int | None:
        try:
            return self._time(row)
        except Unreadable:
            return None

    def _covers(self, begin: datetime) -> Callable[[str, Content], bool]:
        """The rows well within the window: at its old end a service may round to days."""
        low = int((begin + timedelta(days=2)).timestamp()) * 1_000_000
        return lambda row_id, row: (at := self._at(row)) is not None and at >= low

    def _add(self, rows: Rows, row_id: str, row: dict[str, str | None]) -> None:
        if row_id in rows and rows[row_id] != row:
            raise SourceError(
                message(
                    "source {name}: row {row_id} stands twice with different content: it changed while it was read",
                    name=self._api.name,
                    row_id=repr(row_id),
                ),
                is_retryable=True,
            )
        rows[row_id] = row

    def close(self) -> None:  # noqa: B027 - nothing to close, for any of them
        """Nothing is held between two requests."""


def digest_id(*parts: str | None) -> str:
    """An id for a row whose service gives none: of what names it."""
    return hashlib.sha256("\x00".join(part or "" for part in parts).encode()).hexdigest()[:32]


class LuxorSource(UpstreamSource):
    """Luxor v2: `/v2/pool/transactions/CURRENCY`."""

    PAGE = 100
    NAMES = ("transaction_id", "transaction_type", "subaccount_name", "transaction_category", "date_time", "currency_amount")
    """What names a row: its transaction may pay several sub-accounts."""

    def __init__(self, api: HttpApi, currency: str, subaccounts: Sequence[str], *, path: str, window_days: int, since: date) -> None:
        super().__init__(api, window_days=window_days, since=since)
        self._currency, self._subaccounts, self._path = currency, subaccounts, path

    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        rows: Rows = {}
        lengths: list[int] = []
        told: list[int] = []
        for page in range(1, MOST_PAGES):
            query: dict[str, str | int] = {
                "subaccount_names": ",".join(self._subaccounts), "start_date": f"{begin:%Y-%m-%d}", "end_date": f"{now + timedelta(days=1):%Y-%m-%d}",
                "page_number": page, "page_size": self.PAGE,
            }  # fmt: skip
            answer = self._api.shape(self._api.get(f"{self._path}/{self._currency}", query), dict, message("the answer"))
            listed = self._api.shape(answer.get("transactions"), list, "transactions")
            for one in listed:
                row = self._api.flat(one, "transactions[]")
                self._add(rows, digest_id(*(row.get(key) for key in self.NAMES)), row)
            pagination = self._api.shape(answer.get("pagination"), dict, "pagination")
            lengths.append(len(listed))
            told.append(int(pagination.get("item_count") or 0))
            if not pagination.get("next_page_url"):
                break
        # item_count is of all pages by Luxor's document, and of its own page in Luxor's mock, where nothing can be compared.
        if told != lengths and set(told) != {sum(lengths)}:
            raise SourceError(
                message(
                    "source {name}: its pages hold {sum} transactions, and it counts {told}: they shifted, and are read again",
                    name=self._api.name,
                    sum=sum(lengths),
                    told=told[-1],
                ),
                is_retryable=True,
            )
        return {"transactions": TableLook(rows, self._covers(begin))}

    def _time(self, row: Content) -> int:
        return instant(row.get("date_time"))


class F2PoolSource(UpstreamSource):
    """F2Pool v2: `POST /v2/assets/transactions/list`, for each user and type."""

    def __init__(self, api: HttpApi, currency: str, users: Sequence[str], *, window_days: int, since: date) -> None:
        super().__init__(api, window_days=window_days, since=since)
        self._currency, self._users = currency, users

    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        rows: Rows = {}
        for user in self._users:
            for kind in ("revenue", "payout"):
                asked = {
                    "currency": self._currency, "mining_user_name": user, "type": kind, "start_time": int(begin.timestamp()), "end_time": int(now.timestamp()),
                }  # fmt: skip
                answer = self._api.shape(self._api.post("/v2/assets/transactions/list", asked), dict, message("the answer"))
                if answer.get("code") not in (None, "0"):
                    raise SourceError(
                        message(
                            "source {name}: F2Pool refuses: {code} {msg}",
                            name=self._api.name,
                            code=answer.get("code"),
                            msg=answer.get("msg"),
                        ),
                        is_retryable=True,
                    )
                for one in self._api.shape(answer.get("transactions") or [], list, "transactions"):
                    row = self._api.flat(one, "transactions[]", mining_extra="mining_", payout_extra="payout_") | {"user": user}
                    self._add(rows, f"{user}:{row.get('id')}", row)
        return {"transactions": TableLook(rows, self._covers(begin))}

    def _time(self, row: Content) -> int:
        return unix_instant(row.get("created_at"))


class SbiSource(UpstreamSource):
    """SBI Crypto: `/api/external/v2/earnings` and `/api/external/v1/payouts`; pages count from 0, and one past the end is empty."""

    SIZE = 100

    def __init__(self, api: HttpApi, *, window_days: int, since: date) -> None:
        super().__init__(api, window_days=window_days, since=since)

    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        earnings: Rows = {}
        for row in self._pages("/api/external/v2/earnings", begin, now):
            self._add(earnings, digest_id(row.get("earningsFor"), row.get("vsubaccountId"), row.get("coin")), row)
        payouts: Rows = {}
        for row in self._pages("/api/external/v1/payouts", begin, now):
            self._add(payouts, digest_id(row.get("paidOn"), row.get("subaccountId"), row.get("address"), row.get("amount")), row)
        return {"earnings": TableLook(earnings, self._covers(begin)), "payouts": TableLook(payouts, self._covers(begin))}

    def _pages(self, path: str, begin: datetime, now: datetime) -> list[dict[str, str | None]]:
        found: list[dict[str, str | None]] = []
        first: list[Any] = []
        for page in range(MOST_PAGES):
            listed = self._page(path, begin, now, page)
            if not listed:
                # No count is told: what moved the pages while they were read has moved the first one, too.
                if page > 1 and self._page(path, begin, now, 0) != first:
                    name = self._api.name
                    words = message(
                        "source {name}: the pages of {path} shifted while they were read: they are read again", name=name, path=path
                    )
                    raise SourceError(words, is_retryable=True)
                return found
            first = first or listed
            found += [self._api.flat(one, "content[]") for one in listed]
        raise SourceError(message("source {name}: {path} has no last page", name=self._api.name, path=path), is_retryable=True)

    def _page(self, path: str, begin: datetime, now: datetime, page: int) -> list[Any]:
        query: dict[str, str | int] = {"startDate": f"{begin:%Y-%m-%d}", "endDate": f"{now:%Y-%m-%d}", "page": page, "size": self.SIZE}
        answer = self._api.shape(self._api.get(path, query), dict, message("the answer"))
        listed: list[Any] = self._api.shape(answer.get("content"), list, "content")
        return listed

    def _time(self, row: Content) -> int:
        return instant(row.get("earningsFor") or row.get("paidOn"))


class BraiinsSource(UpstreamSource):
    """Braiins: `/accounts/rewards/json/btc` and `/accounts/payouts/json/btc`, of the account that the token is of."""

    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        query: dict[str, str | int] = {"from": f"{begin:%Y-%m-%d}", "to": f"{now:%Y-%m-%d}"}
        rewards = self._coin(self._api.get("/accounts/rewards/json/btc", query))
        payouts = self._coin(self._api.get("/accounts/payouts/json/btc", query))
        earned: Rows = {}
        for one in self._api.shape(rewards.get("daily_rewards"), list, "daily_rewards"):
            row = self._api.flat(one, "daily_rewards[]")
            self._add(earned, row.get("date") or "", row)
        paid: Rows = {}
        for way in ("onchain", "lightning"):
            for one in self._api.shape(payouts.get(way) or [], list, way):
                row = self._api.flat(one, f"{way}[]") | {"way": way}
                self._add(paid, digest_id(way, row.get("requested_at_ts"), row.get("destination"), row.get("amount_sats")), row)
        return {"rewards": TableLook(earned, self._covers(begin)), "payouts": TableLook(paid, self._covers(begin))}

    def _coin(self, answer: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._api.shape(answer, dict, message("the answer"))
        return found["btc"] if isinstance(found.get("btc"), dict) else found

    def _time(self, row: Content) -> int:
        return unix_instant(row.get("date") or row.get("requested_at_ts"))


class OceanSource(UpstreamSource):
    """OCEAN: `/v1/earnpay/USER/START/END`, without a login, for each user."""

    def __init__(self, api: HttpApi, users: Sequence[str], *, window_days: int, since: date) -> None:
        super().__init__(api, window_days=window_days, since=since)
        self._users = users

    def _read(self, begin: datetime, now: datetime) -> dict[str, TableLook]:
        earned: Rows = {}
        paid: Rows = {}
        for user in self._users:
            answer = self._api.get(f"/v1/earnpay/{user}/{int(begin.timestamp())}/{int(now.timestamp())}")
            found = self._api.shape(answer, dict, message("the answer"))
            found = found["result"] if isinstance(found.get("result"), dict) else found
            for one in self._api.shape(found.get("earnings") or [], list, "earnings"):
                row = self._api.flat(one, "earnings[]") | {"user": user}
                self._add(earned, f"{user}:{row.get('block_hash')}", row)
            for one in self._api.shape(found.get("payouts") or [], list, "payouts"):
                row = self._api.flat(one, "payouts[]") | {"user": user}
                self._add(paid, f"{user}:{row.get('on_chain_txid')}", row)
        return {"earnings": TableLook(earned, self._covers(begin)), "payouts": TableLook(paid, self._covers(begin))}

    def _time(self, row: Content) -> int:
        text = row.get("ts")
        return unix_instant(text) if (text or "").replace(".", "").isdigit() else instant(text)
