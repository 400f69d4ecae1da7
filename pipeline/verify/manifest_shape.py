"""The types of everything in a bundle's manifest. Data only; `shapes` reads one.

What is optional here may be taken out by a forger, so each check says what comes of that.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Amounts = dict[str, str]
Whole = Annotated[int, Meta(ge=0, le=2**62)]


class _Asset(msgspec.Struct, forbid_unknown_fields=True):
    chain: str
    decimals: Annotated[int, Meta(ge=0, le=38)]
    contract: str | None = None


class _Payer(msgspec.Struct, forbid_unknown_fields=True):
    way: Literal["on-chain", "off-chain"]
    chain: str | None = None


class _Rules(msgspec.Struct):
    assets: dict[str, _Asset]
    finality: dict[str, Annotated[int, Meta(ge=1, le=1_000_000)]]
    payout_unit: dict[str, Annotated[int, Meta(ge=1)]]
    has_payments_ledger: bool
    network: dict[str, str]
    edition: Annotated[int, Meta(ge=1)] = 1
    payers: dict[str, _Payer] = {}
    witnesses: dict[str, Annotated[int, Meta(ge=2, le=2)]] = {}


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    about: Literal["label", "waiver", "transfer"]
    ref: str
    name: str
    digest: str
    size: Whole
    by: str
    reason: str
    at: Whole


class _Waiver(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    ref: str
    by: str
    reason: str
    at: Whole
    facts: list[str] | None = None


class _Condition(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    is_met: bool
    detail: str


class _Previous(msgspec.Struct, forbid_unknown_fields=True):
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    closing: Amounts
    closing_digest: str
    closing_line_digest: Digest | None = None
    line_format: Literal[1, 2] = 1


class _Debts(msgspec.Struct, forbid_unknown_fields=True):
    totals: dict[str, Amounts]
    opening_digest: str
    closing_digest: str
    previous: _Previous | None
    restated: Amounts | None
    opening_line_digest: Digest | None = None
    closing_line_digest: Digest | None = None
    line_format: Literal[1, 2] = 1


class _CoinsOfChain(msgspec.Struct, forbid_unknown_fields=True):
    first_height: Whole
    opening_height: Whole | None
    closing_height: Whole
    opening: Whole
    created: Whole
    spent: Whole
    closing: Whole
    opening_digest: Digest
    closing_digest: Digest


class _PreviousCoins(msgspec.Struct, forbid_unknown_fields=True):
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    closing: dict[str, Digest]


class _Coins(msgspec.Struct, forbid_unknown_fields=True):
    chains: dict[str, _CoinsOfChain]
    previous: _PreviousCoins | None


class _Receipts(msgspec.Struct, forbid_unknown_fields=True):
    leaves: Whole
    root: Digest


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: Digest
    owner: str
    roles: list[str]
    since: Whole
    until: Whole | None


class _Stream(msgspec.Struct, forbid_unknown_fields=True):
    is_in_force: bool
    appends: Whole
    digest: Digest
    before_keys: Whole
    refused: Whole
    keys: list[_Key]


class _Keys(msgspec.Struct, forbid_unknown_fields=True):
    root: Digest
    streams: dict[str, _Stream]


class _OfPayer(msgspec.Struct, forbid_unknown_fields=True):
    transfers: Whole
    amount: Amounts
    credited: Amounts
    distinct_transfers: Amounts
    distinct_transfers_count: Whole


class _Witnesses(msgspec.Struct, forbid_unknown_fields=True):
    needed: Whole
    transactions: dict[str, Whole]
    by_fewer: dict[str, list[str]]


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The types of everything in a manifest; what else stands in one is proved by nothing, and refused."""

    schema: Annotated[int, Meta(ge=1)]
    form: str
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    digest: Digest
    rows: Whole
    rows_carried: Whole
    rows_unsettled: Whole
    due: str
    header: dict[str, str]
    totals: dict[str, Amounts | int]
    debts: _Debts
    frozen_at: Annotated[int, Meta(ge=0, le=253_402_300_799)]
    frozen_by: str
    reason: str
    previous_digest: Digest | None
    positions: dict[str, Whole]
    rules: _Rules
    languages: list[str]
    chains: dict[str, dict[str, str | int]]
    conditions: list[_Condition]
    issues: dict[str, Whole]
    waivers: list[_Waiver]
    software: dict[str, str]
    files: dict[str, Digest]
    not_reproducible: list[str]
    layout: Annotated[int, Meta(ge=1)] = 1
    pdf_rows: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    coins: _Coins | None = None
    starts_at: Annotated[int, Meta(ge=1, le=2**62)] | None = None
    receipts: _Receipts | None = None
    documents: list[_Document] | None = None
    keys: _Keys | None = None
    by_payer: dict[str, _OfPayer] | None = None
    witnesses: dict[str, _Witnesses] | None = None
    rests_on: dict[str, dict[Literal["proof", "node", "ledger"], Amounts]] | None = None
