"""The events of the log: their JSON, each with a type and a schema version.

Facts only (law 3). Money is whole base units as decimal strings (law 7). Instants of chains are the block's
Unix seconds, instants of the ledger are microseconds since the Unix epoch, UTC. Bulk rows travel as columns:
every list of a `…Columns` has the same length. A reader refuses a schema version newer than it knows.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from .chain_events import BalanceColumns as BalanceColumns
from .chain_events import Balances as Balances
from .chain_events import ChainEvent as ChainEvent
from .chain_events import Connect as Connect
from .chain_events import Disconnect as Disconnect
from .chain_events import Doubt as Doubt
from .chain_events import Input as Input
from .chain_events import Output as Output
from .chain_events import Stretch as Stretch
from .chain_events import Transaction as Transaction
from .chain_events import Watch as Watch
from .chain_events import WatchedWallet as WatchedWallet
from .closing_events import ClosingEvent as ClosingEvent
from .event_parts import Count, Date, Hash, MonthName, Units, UnixMicros, UnixSeconds, Version, Version_
from .event_parts import Event as Event
from .event_parts import real_days as real_days
from .event_parts import same_length as same_length
from .log import NewEvent, Topic

# --- ledger --------------------------------------------------------------------------------------------------------


class AllocationColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allocations, a column a list. `version` counts a row's restatements from 1: the greatest one counts."""

    allocation_id: list[str]
    version: list[Version]
    account: list[str]
    asset: list[str]
    allocated_at: list[UnixMicros]
    amount: list[Units]
    commission_asset: list[str | None]
    commission_amount: list[Units | None]
    commission_currency: list[str | None]
    commission_currency_amount: list[str | None]

    def __post_init__(self) -> None:
        same_length(self, *self.__struct_fields__)


class PaymentColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payments that the ledger believes it made."""

    payment_id: list[str]
    version: list[Version]
    account: list[str]
    asset: list[str]
    address: list[str]
    amount: list[Units]
    txid: list[Hash]
    paid_at: list[UnixMicros]

    def __post_init__(self) -> None:
        same_length(self, *self.__struct_fields__)


class OpeningColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was owed when the pool's records begin (rule 6.4)."""

    account: list[str]
    asset: list[str]
    version: list[Version]
    amount: list[Units]
    owed_at: list[UnixMicros]

    def __post_init__(self) -> None:
        same_length(self, *self.__struct_fields__)


class Allocations(Event, tag="allocations", frozen=True, kw_only=True):
    source: Annotated[str, Meta(description="file name, without its folder")]
    rows: AllocationColumns


class Payments(Event, tag="payments", frozen=True, kw_only=True):
    source: str
    rows: PaymentColumns


class Openings(Event, tag="openings", frozen=True, kw_only=True):
    source: str
    rows: OpeningColumns


class Complete(Event, tag="complete", frozen=True, kw_only=True):
    """The ledger declares that it holds everything through a day."""

    through: Date

    def __post_init__(self) -> None:
        real_days(self, "through")


# --- registry ------------------------------------------------------------------------------------------------------


class MinerRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    miner_id: str
    name: str


class LicenceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    miner_id: str
    licence_number: str
    issue_date: Date
    valid_from: Date
    valid_to: Date | None = None
    suspended_from: Date | None = None
    suspended_to: Date | None = None

    def __post_init__(self) -> None:
        real_days(self, "issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to")


class AccountRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: str
    miner_id: str
    valid_from: Date
    valid_to: Date | None = None

    def __post_init__(self) -> None:
        real_days(self, "valid_from", "valid_to")


class WalletRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str
    chain: str
    miner_id: str
    valid_from: Date
    valid_to: Date | None = None

    def __post_init__(self) -> None:
        real_days(self, "valid_from", "valid_to")


class CounterpartyRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str
    chain: str
    outflow_class: str
    name: str


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


# --- months --------------------------------------------------------------------------------------------------------


class Labelled(Event, tag="label", frozen=True, kw_only=True):
    """A person named whose address it is; the newest label of an address counts."""

    chain: str
    address: str
    outflow_class: str
    name: str
    by: str
    reason: str
    at: UnixSeconds


class Waived(Event, tag="waive", frozen=True, kw_only=True):
    """A person took one blocking issue of one month upon themselves (rule 8.1)."""

    month: MonthName
    code: str
    ref: str
    by: str
    reason: str
    at: UnixSeconds


class Frozen(Event, tag="frozen", frozen=True, kw_only=True):
    """A version of a month was frozen: everything needed to build its bytes again."""

    month: MonthName
    version: Version_
    digest: Annotated[Hash, Meta(description="SHA-256 of the canonical report")]
    positions: Annotated[dict[str, int], Meta(description="the log's positions that it is a function of")]
    newest: Annotated[
        dict[str, str],
        Meta(description="the newest event of each `topic/key` that it is a function of, by id: finds its place in a log that was copied"),
    ] = msgspec.field(default_factory=dict)
    rules: Annotated[dict[str, Any], Meta(description="the rules' parameters in force (`model.Rules`)")]
    header: Annotated[dict[str, str], Meta(description="the form's header: the pool's BIN, name, …")]
    manifest_digest: Hash
    previous_digest: Annotated[Hash | None, Meta(description="digest of the month before, if it was frozen")] = None
    languages: Annotated[list[str], Meta(description="that the form was printed in")] = msgspec.field(default_factory=lambda: ["kk"])
    closing_debts: Annotated[dict[str, str] | None, Meta(description="what is owed to miners at the month's end, by asset, as printed")] = (
        None
    )
    closing_debts_digest: Annotated[
        Hash | None, Meta(description="SHA-256 of those debts, miner by miner: what the next month opens with")
    ] = None
    by: str
    reason: str
    at: UnixSeconds


LedgerEvent = Allocations | Payments | Openings | Complete
MonthEvent = Labelled | Waived | Frozen | ClosingEvent
AnyEvent = ChainEvent | LedgerEvent | Registry | MonthEvent

TOPIC_OF: dict[type[Event], Topic] = {
    Watch: "chain", Connect: "chain", Stretch: "chain", Disconnect: "chain", Balances: "chain", Doubt: "chain",
    Allocations: "ledger", Payments: "ledger", Openings: "ledger", Complete: "ledger",
    Registry: "registry",
    Labelled: "months", Waived: "months", Frozen: "months",
    **dict.fromkeys(get_args(ClosingEvent), "months"),
}  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> NewEvent:
    """The event as it goes into the log."""
    return NewEvent(event.id, _encoder.encode(event))


def decode(value: bytes) -> AnyEvent:
    """The event of a log record.

    Raises ValueError with the path of the fault: `msgspec.ValidationError`, `msgspec.DecodeError`, or
    `UnicodeDecodeError` where the bytes are not UTF-8; and RecursionError for JSON nested beyond reason.
    """
    event: AnyEvent = _decoder.decode(value)
    if event.schema != 1:
        raise msgspec.ValidationError(f"schema {event.schema} of {type(event).__name__} is newer than this program knows (1): upgrade it")
    return event


def content_digest(content: Any) -> str:
    """SHA-256, hex, of a value's canonical JSON: names batches and versions by what is in them."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def json_schemas() -> dict[str, Any]:
    """JSON Schemas of all events, by the event's `type`."""
    kinds = list(TOPIC_OF)
    refs, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    del refs
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": components,
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
    }
