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

from .closing_events import ClosingEvent as ClosingEvent
from .event_parts import Count, Date, Hash, Height, MonthName, Sequence_, Units, UnixMicros, UnixSeconds, Version, Version_
from .event_parts import Event as Event
from .event_parts import real_days as real_days
from .event_parts import same_length as same_length
from .log import NewEvent, Topic

# --- chain ---------------------------------------------------------------------------------------------------------


class WatchedWallet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pool wallet as it is watched."""

    name: str
    addresses: list[str] = []
    descriptors: list[str] = []
    descriptor_range: Annotated[int, Meta(ge=0, description="ranged descriptors are watched at indexes 0 … this - 1")] = 0


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of a pool wallet that a transaction spends."""

    txid: Hash
    vout: Count
    value: Units
    address: str | None
    wallet: str
    asset: str


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of a transaction, the pool's or not."""

    vout: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="place within the transaction; on EVM chains the running number of its movements")
    ]
    value: Units
    address: str | None
    wallet: str | None = None
    asset: str
    script_type: Annotated[str, Meta(description="Bitcoin Core's name of the script's type: pubkeyhash, nulldata, witness_v1_taproot, …")]
    is_unspendable: Annotated[bool, Meta(description="no one can ever spend it: an OP_RETURN script, whatever follows it")] = False
    ref: Annotated[str, Meta(description="where the movement stands on chain: `vout:3`; `log:7`; `call:0.2`")]


class Transaction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transaction that spends from, or pays to, a pool wallet."""

    txid: Hash
    position: Annotated[int, Meta(ge=0, le=2**31 - 1, description="index within the block")]
    is_coinbase: bool
    inputs: Annotated[list[Input], Meta(description="only those that are the pool's")]
    other_inputs: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="how many inputs are not the pool's; a coinbase's own is not counted")
    ]
    other_inputs_value: Units
    outputs: Annotated[list[Output], Meta(description="every one")]
    fee: Annotated[Units, Meta(description="inputs - outputs; 0 for a coinbase")]
    fee_asset: str
    raw: Annotated[str | None, Meta(description="the transaction without witnesses, hex: its double SHA-256 is the txid")] = None
    branch: Annotated[list[Hash] | None, Meta(description="Merkle branch from the transaction up to the header's root")] = None


class Watch(Event, tag="watch", frozen=True, kw_only=True):
    """The wallets watched from here on, and where reading the chain begins."""

    seq: Sequence_
    chain: str
    network: str
    start_height: Height
    wallets: list[WatchedWallet]


class Connect(Event, tag="connect", frozen=True, kw_only=True):
    """A block joined the main chain."""

    seq: Sequence_
    chain: str
    height: Height
    hash: Hash
    prev: Hash
    time: UnixSeconds
    mediantime: UnixSeconds
    header: Annotated[str | None, Meta(description="the block's header, hex: its hash is `hash`")] = None
    transactions: list[Transaction]


class Stretch(Event, tag="stretch", frozen=True, kw_only=True):
    """Blocks in a row that joined the main chain with nothing of the pool's in them; all lists of one length."""

    seq: Sequence_
    chain: str
    height: Annotated[int, Meta(ge=0, le=2**62, description="of the first")]
    prev: Annotated[Hash, Meta(description="of the first; each next one's is the hash before it")]
    hash: list[Hash]
    time: list[UnixSeconds]
    mediantime: list[UnixSeconds]
    header: list[str | None]

    def __post_init__(self) -> None:
        same_length(self, "hash", "time", "mediantime", "header")


class Disconnect(Event, tag="disconnect", frozen=True, kw_only=True):
    """The main chain's last block left it."""

    seq: Sequence_
    chain: str
    height: Height
    hash: Hash
    prev: Annotated[Hash, Meta(description="the last block of the main chain after this event")]


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
    rules: Annotated[dict[str, Any], Meta(description="the rules' parameters in force (`model.Rules`)")]
    header: Annotated[dict[str, str], Meta(description="the form's header: the pool's BIN, name, …")]
    manifest_digest: Hash
    previous_digest: Annotated[Hash | None, Meta(description="digest of the month before, if it was frozen")] = None
    languages: Annotated[list[str], Meta(description="that the form was printed in")] = msgspec.field(default_factory=lambda: ["kk"])
    by: str
    reason: str
    at: UnixSeconds


ChainEvent = Watch | Connect | Stretch | Disconnect
LedgerEvent = Allocations | Payments | Openings | Complete
MonthEvent = Labelled | Waived | Frozen | ClosingEvent
AnyEvent = ChainEvent | LedgerEvent | Registry | MonthEvent

TOPIC_OF: dict[type[Event], Topic] = {
    Watch: "chain", Connect: "chain", Stretch: "chain", Disconnect: "chain",
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
