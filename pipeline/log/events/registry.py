"""Events of topic `registry`: whole versions of the registry of miners, licences, accounts, wallets and counterparties (rule 4.1)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pipeline.log.events.parts import (
    Count,
    Date,
    Event,
    Hash,
    Id,
    Text,
    check_days,
)


class MinerRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    miner_id: Id
    name: Text


class LicenceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    miner_id: Id
    licence_number: Id
    issue_date: Date
    valid_from: Date
    valid_to: Date | None = None
    suspended_from: Date | None = None
    suspended_to: Date | None = None

    def __post_init__(self) -> None:
        check_days(self, "issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to")


class AccountRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: Id
    miner_id: Id
    valid_from: Date
    valid_to: Date | None = None

    def __post_init__(self) -> None:
        check_days(self, "valid_from", "valid_to")


class WalletRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Id
    chain: Id
    miner_id: Id
    valid_from: Date
    valid_to: Date | None = None

    def __post_init__(self) -> None:
        check_days(self, "valid_from", "valid_to")


class CounterpartyRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Id
    chain: Id
    outflow_class: Id
    name: Text


class Registry(Event, tag="registry", frozen=True, kw_only=True):
    """A whole version of the registry, in `parts` events when it is large. The greatest complete `version` counts."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    digest: Annotated[Hash, Meta(description="SHA-256 of the version's content: names it")]
    part: Count
    parts: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    miners: list[MinerRow] = msgspec.field(default_factory=list)
    licences: list[LicenceRow] = msgspec.field(default_factory=list)
    accounts: list[AccountRow] = msgspec.field(default_factory=list)
    wallets: list[WalletRow] = msgspec.field(default_factory=list)
    counterparties: list[CounterpartyRow] = msgspec.field(default_factory=list)
    source: Annotated[
        Id, Meta(description="the source of the ledger whose rows were added to what a person imported last (ADR 22); empty for an import")
    ] = ""
