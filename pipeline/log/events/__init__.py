"""The events of the log: their JSON, each with a type and a schema version. One module a topic.

Facts only (law 3). Money is whole base units as decimal strings (law 7). Instants of chains are the block's
Unix seconds, instants of the ledger are microseconds since the Unix epoch, UTC. Bulk rows travel as columns:
every list of a `…Columns` has the same length. A reader refuses a schema version newer than it knows.
"""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from typing import Any, get_args

import msgspec

from pipeline.model.errors import LogError
from pipeline.model.message import as_plain, message
from pipeline.model.typed import decoder

from ..records import NewEvent, Topic
from .audit import AUDIT_EVENTS
from .chain import (
    Accounts,
    Balances,
    ChainEvent,
    Connect,
    Disagreed,
    Disconnect,
    Doubt,
    NotTraced,
    Retold,
    Searched,
    Sought,
    Stretch,
    Watch,
    Witnessed,
)
from .keys import KeyEvent, KeyGranted, KeyRevoked, KeysRoot
from .ledger import Allocations, Complete, Openings, PayerPayments, Payments
from .months import ClosingEvent, Documented, Frozen, Labelled, Waived, WalletSigned
from .parts import MAX_EVENT_BYTES, Event
from .registry import Registry
from .sources import LedgerSourceEvent, SourceDecided
from .users import UserEvent

LedgerEvent = Allocations | Payments | PayerPayments | Openings | Complete | LedgerSourceEvent
MonthEvent = Labelled | Waived | WalletSigned | Documented | SourceDecided | Frozen | ClosingEvent | UserEvent
AnyEvent = ChainEvent | LedgerEvent | Registry | MonthEvent | KeyEvent

TOPIC_OF: dict[type[Event], Topic] = {
    Watch: "chain", Connect: "chain", Stretch: "chain", Disconnect: "chain", Balances: "chain", Doubt: "chain",
    Accounts: "chain", Witnessed: "chain", Disagreed: "chain", Retold: "chain", Sought: "chain", NotTraced: "chain",
    Searched: "chain",
    Allocations: "ledger", Payments: "ledger", PayerPayments: "ledger", Openings: "ledger", Complete: "ledger",
    **dict.fromkeys(get_args(LedgerSourceEvent), "ledger"),
    Registry: "registry",
    Labelled: "months", Waived: "months", WalletSigned: "months", Documented: "months", SourceDecided: "months", Frozen: "months",
    **dict.fromkeys(get_args(ClosingEvent), "months"),
    **dict.fromkeys(get_args(UserEvent), "months"),
}  # fmt: skip
KEY_EVENTS: tuple[type[Event], ...] = (KeysRoot, KeyGranted, KeyRevoked)
"""They lie in every topic (ADR 14)."""

_encoder = msgspec.json.Encoder(enc_hook=as_plain)


def encode(event: Event) -> NewEvent:
    """The event as it is appended to the log. Raises LogError for one larger than MAX_EVENT_BYTES."""
    value = _encoder.encode(event)
    if len(value) > MAX_EVENT_BYTES:
        raise LogError(
            message(
                "event {id} has {count} bytes: an event has at most {max_event_bytes}, so it was not written",
                id=repr(event.id),
                count=len(value),
                max_event_bytes=MAX_EVENT_BYTES,
            )
        )
    return NewEvent(event.id, value)


@cache
def _decoder() -> msgspec.json.Decoder[AnyEvent]:
    """Made when the first event is decoded: a command that decodes none should not wait for it."""
    return decoder(AnyEvent)


def decode(value: bytes) -> AnyEvent:
    """The event of a log record.

    Raises ValueError with the JSON path of the fault: `msgspec.ValidationError`, `msgspec.DecodeError`, or
    `UnicodeDecodeError` where the bytes are not UTF-8; and RecursionError for JSON that is nested too deep.
    """
    if len(value) > MAX_EVENT_BYTES:
        raise msgspec.ValidationError(f"{len(value)} bytes: an event has at most {MAX_EVENT_BYTES}")
    event: AnyEvent = _decoder().decode(value)
    if event.schema != 1:
        raise msgspec.ValidationError(f"schema {event.schema} of {type(event).__name__} is newer than this program knows (1): upgrade it")
    return event


def content_digest(content: Any) -> str:
    """SHA-256, hex, of a value's canonical JSON: used as the id of a batch or version."""
    written = content if isinstance(content, msgspec.Raw) else msgspec.json.encode(content, enc_hook=as_plain, order="deterministic")
    return hashlib.sha256(written).hexdigest()


def json_schemas() -> dict[str, Any]:
    """JSON Schemas of all events, by the event's `type`."""
    kinds = [*TOPIC_OF, *KEY_EVENTS, *AUDIT_EVENTS]
    refs, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    del refs
    for component in components.values():
        if "description" in component:  # Python 3.13 takes the indentation off docstrings itself
            component["description"] = inspect.cleandoc(component["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": components,
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
    }
