"""Events of every topic: from where on the root key counts, which keys it granted which roles, which it revoked (ADR 14).

They stand in each stream that they speak of, signed by the root key; one that anybody else signed says nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .parts import Event, Hash, Text, UnixSeconds

Role = Literal["watch", "capture", "import", "decide", "file"]
PublicKey = Annotated[Hash, Meta(description="Ed25519 public key, 32 bytes, hex")]
Owner = Annotated[str, Meta(min_length=1, max_length=200, description="whose key it is: a person's name, or that of a process")]


class KeysRoot(Event, tag="keys-root", frozen=True, kw_only=True):
    """From here on events of this stream count only when a key signed them that the root key granted. What stands before counts as it is."""

    root: PublicKey
    by: Text
    reason: Text
    at: UnixSeconds


class KeyGranted(Event, tag="key-granted", frozen=True, kw_only=True):
    """A key may write what its roles allow, from here on."""

    key: PublicKey
    owner: Owner
    roles: Annotated[list[Role], Meta(min_length=1)]
    replaces: Annotated[PublicKey | None, Meta(description="a key that this one takes the place of: it is revoked here")] = None
    by: Text
    reason: Text
    at: UnixSeconds


class KeyRevoked(Event, tag="key-revoked", frozen=True, kw_only=True):
    """A key may write nothing more, from here on; what it wrote before counts."""

    key: PublicKey
    by: Text
    reason: Text
    at: UnixSeconds


KeyEvent = KeysRoot | KeyGranted | KeyRevoked
