"""Events of topic `ledger`: allocations, payments, opening debts, and the day through which the ledger is complete.

Instants are microseconds since the Unix epoch, UTC. Rows travel as columns: every list of a `…Columns` has the same length.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from pipeline.log.events.parts import (
    Date,
    Event,
    Hash,
    Id,
    Text,
    Units,
    UnixMicros,
    Version,
    check_days,
    check_same_length,
)

FreeText = Annotated[
    str, Meta(min_length=1, max_length=128, description="of an on-chain payer as the chain writes it; of an off-chain payer any text")
]


class AllocationColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allocations, one list per column. `version` counts a row's restatements from 1: the greatest version counts."""

    allocation_id: list[Id]
    version: list[Version]
    account: list[Id]
    asset: list[Id]
    allocated_at: list[UnixMicros]
    amount: list[Units]
    commission_asset: list[Id | None]
    commission_amount: list[Units | None]
    commission_currency: list[Id | None]
    commission_currency_amount: list[Id | None]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class PaymentColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payments that the ledger records as made."""

    payment_id: list[Id]
    version: list[Version]
    account: list[Id]
    asset: list[Id]
    address: list[Id]
    amount: list[Units]
    txid: list[Hash]
    paid_at: list[UnixMicros]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class PayerPaymentColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payments that the ledger says another than the pool made (rule 10.1)."""

    payment_id: list[Id]
    version: list[Version]
    account: list[Id]
    asset: list[Id]
    address: list[FreeText]
    amount: list[Units]
    txid: list[FreeText]
    paid_at: list[UnixMicros]
    payer: list[Id]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class OpeningColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was owed when the pool's records begin (rule 6.4)."""

    account: list[Id]
    asset: list[Id]
    version: list[Version]
    amount: list[Units]
    owed_at: list[UnixMicros]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class Agreed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named person agreed to what the import asked about (what was odd in the file, or rows that moved)."""

    by: Text
    at: UnixMicros
    to: Annotated[list[Text], Meta(description="what was asked, in words")]


_AgreedTo = Annotated[
    Agreed | None, Meta(description="who agreed to what was odd in the file; null: nothing was asked, or no name was given")
]


_Cause = Annotated[Text, Meta(description="why a source restates these rows, in words; empty for rows of a file, and for new ones")]


class Allocations(Event, tag="allocations", frozen=True, kw_only=True):
    source: Annotated[Text, Meta(description="file name, without its folder; or `source:` and the name of a source in the settings")]
    rows: AllocationColumns
    agreed: _AgreedTo = None
    cause: _Cause = ""


class Payments(Event, tag="payments", frozen=True, kw_only=True):
    source: Text
    rows: PaymentColumns
    agreed: _AgreedTo = None
    cause: _Cause = ""


class PayerPayments(Event, tag="payer-payments", frozen=True, kw_only=True):
    """As `payments`, and one table with them: a payment's versions count over both."""

    source: Text
    rows: PayerPaymentColumns
    agreed: _AgreedTo = None
    cause: _Cause = ""


class Openings(Event, tag="openings", frozen=True, kw_only=True):
    source: Text
    rows: OpeningColumns
    agreed: _AgreedTo = None


class Complete(Event, tag="complete", frozen=True, kw_only=True):
    """The ledger declares that it holds everything through a day."""

    through: Date
    reason: Annotated[Text, Meta(description="on what ground sources declared it by themselves; empty: a person did")] = ""

    def __post_init__(self) -> None:
        check_days(self, "through")
