"""Events about the console's users: who may do what there, and with which passkeys (ADR 24). Topic `months`, before the decisions that rest on them.

Password hashes and sessions are no facts: they lie apart.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .parts import _END, Event, Text, UnixSeconds

UserRole = Literal["viewer", "operator", "approver", "admin"]
UserName = Annotated[str, Meta(min_length=1, max_length=200, description="the user's name, as it stands in `by` of what they decide")]
Base64 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+" + _END, description="base64url, without padding")]
CredentialId = Annotated[Base64, Meta(max_length=1400, description="the passkey's id, as its authenticator gave it")]


class UserSet(Event, tag="user-set", frozen=True, kw_only=True):
    """A user of the console has these roles from here on, instead of those before. Everybody who has one may look."""

    user: UserName
    roles: Annotated[list[UserRole], Meta(min_length=1)]
    by: Text
    reason: Text
    at: UnixSeconds


class UserRevoked(Event, tag="user-revoked", frozen=True, kw_only=True):
    """A user may do nothing more, and none of their passkeys counts, from here on."""

    user: UserName
    by: Text
    reason: Text
    at: UnixSeconds


class PasskeyAdded(Event, tag="passkey-added", frozen=True, kw_only=True):
    """A passkey is a user's from here on."""

    user: UserName
    credential_id: CredentialId
    public_key: Annotated[Base64, Meta(max_length=2000, description="the public key: SubjectPublicKeyInfo, DER")]
    rp_id: Annotated[str, Meta(min_length=1, max_length=253, description="the name of the host that the passkey was made for")]
    name: Annotated[Text, Meta(description="what its holder calls it")] = ""
    by: Text
    reason: Text
    at: UnixSeconds


class PasskeyRevoked(Event, tag="passkey-revoked", frozen=True, kw_only=True):
    """A passkey counts no more, from here on; what it approved before counts."""

    user: UserName
    credential_id: CredentialId
    by: Text
    reason: Text
    at: UnixSeconds


class Assertion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A passkey's answer to a challenge (WebAuthn level 3, section 7.2), as the browser gave it."""

    credential_id: CredentialId
    authenticator_data: Annotated[Base64, Meta(max_length=4000)]
    client_data: Annotated[Base64, Meta(max_length=8000, description="clientDataJSON, in which the challenge stands")]
    signature: Annotated[Base64, Meta(max_length=2000)]


UserEvent = UserSet | UserRevoked | PasskeyAdded | PasskeyRevoked
