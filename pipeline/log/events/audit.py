"""Events of topic `audit`: who signed in to the console, who failed to, who saw whose IIN or BIN (ADR 24).

They are no facts of a month: ingest does not read the topic, nothing is computed from it, and they are decoded by themselves (`decode_audit`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from pipeline.model.typed import decoder

from .parts import Event, Text, UnixSeconds

Person = Annotated[str, Meta(max_length=200, description="the name given; of a sign-in that failed perhaps nobody's")]
Address = Annotated[str, Meta(max_length=100, description="the network address it came from")]
Way = Literal["link", "password", "passkey", "proxy", "token"]


class SignedIn(Event, tag="signed-in", frozen=True, kw_only=True):
    """A person signed in."""

    by: Person
    way: Way
    address: Address
    at: UnixSeconds


class SignInFailed(Event, tag="sign-in-failed", frozen=True, kw_only=True):
    """Somebody tried to sign in under a name, and did not get in."""

    by: Person
    way: Way
    address: Address
    reason: Text = ""
    at: UnixSeconds


class SignedOut(Event, tag="signed-out", frozen=True, kw_only=True):
    """A person ended a session: their own, or another's."""

    by: Person
    whose: Person
    at: UnixSeconds


class NumbersSeen(Event, tag="numbers-seen", frozen=True, kw_only=True):
    """A person was shown IINs or BINs in full."""

    by: Person
    page: Annotated[Text, Meta(description="the page's path")]
    numbers: Annotated[
        list[Annotated[str, Meta(max_length=40)]],
        Meta(max_length=5000, description="those shown; none: a file was taken, with all that stand in it"),
    ]
    at: UnixSeconds


AuditEvent = SignedIn | SignInFailed | SignedOut | NumbersSeen
AUDIT_EVENTS: Final[tuple[type[Event], ...]] = (SignedIn, SignInFailed, SignedOut, NumbersSeen)
_decoder = decoder(AuditEvent)


def decode_audit(value: bytes) -> AuditEvent:
    """The event of a record of topic `audit`. Raises ValueError, as `decode`."""
    event: AuditEvent = _decoder.decode(value)
    if event.schema != 1:
        raise msgspec.ValidationError(f"schema {event.schema} of {type(event).__name__} is newer than this program knows (1): upgrade it")
    return event
