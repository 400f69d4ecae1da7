"""The signature that an append carries: what it says, its bytes, and how it is made and checked (ADR 14). Pure.

Enters: the append's events, its number in the stream (the events of one topic and key), the stream's running digest, an Ed25519 key. Leaves: bytes that
travel with the append's first event. They name the digest of every event of the append, so each can be judged as it is read. Left out: which keys
may write what (`roles`), and the walk through a stream (`authenticity`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.model.message import message

from .records import NewEvent, Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MOST_EVENTS = 1000
"""Events under one signature; a longer append is signed in parts."""
MOST_BYTES = 256 << 10
"""Bytes of events after which a part ends: the first event of a part of several is small, so there is room for its signature."""

_FORM = b"\x01"
_NUMBER_BYTES, _DIGEST_BYTES, _SIGNATURE_BYTES = 8, 32, 64
_HEAD_BYTES = 1 + _DIGEST_BYTES + _NUMBER_BYTES + _DIGEST_BYTES + _SIGNATURE_BYTES
_DOMAIN = b"esep append 1\0"


class AppendSignature(NamedTuple):
    """What travels with the first event of an append, or of a part of it."""

    signer: bytes
    """The key's public half, 32 bytes."""
    number: int
    """Of the append in its stream, from 1."""
    previous: bytes
    """The stream's running digest before it."""
    signature: bytes
    """Ed25519 over the running digest after it."""
    digests: tuple[bytes, ...]
    """Of its events, in order (`event_digest`)."""

    def pack(self) -> bytes:
        """The bytes as they travel."""
        number = self.number.to_bytes(_NUMBER_BYTES, "big")
        return b"".join((_FORM, self.signer, number, self.previous, self.signature, *self.digests))


def unpack(content: bytes) -> AppendSignature:
    """What `pack` wrote. Raises ValueError for other bytes."""
    rest = len(content) - _HEAD_BYTES
    if not content.startswith(_FORM) or rest <= 0 or rest % _DIGEST_BYTES:
        raise ValueError(message("these bytes are no signature that this program knows"))
    signer, at = content[1:33], 33 + _NUMBER_BYTES
    digests = tuple(content[place : place + _DIGEST_BYTES] for place in range(_HEAD_BYTES, len(content), _DIGEST_BYTES))
    return AppendSignature(
        signer, int.from_bytes(content[33:at], "big"), content[at : at + 32], content[at + 32 : at + 32 + _SIGNATURE_BYTES], digests
    )


def event_digest(event: NewEvent | Record) -> bytes:
    """32 bytes that stand for an event's id and content."""
    name = event.id.encode()
    return hashlib.sha256(len(name).to_bytes(4, "big") + name + event.value).digest()


def unsigned_digest(previous: bytes, digest: bytes) -> bytes:
    """The running digest after an event of before keys."""
    return hashlib.sha256(b"esep unsigned 1\0" + previous + digest).digest()


def running_digest(topic: str, key: str, signer: bytes, number: int, previous: bytes, digests: Sequence[bytes]) -> bytes:
    """The stream's running digest after an append: over its topic, key, signer, number, events, and all that came before."""
    names = b"".join(len(name).to_bytes(4, "big") + name for name in (topic.encode(), key.encode()))
    return hashlib.sha256(b"".join((_DOMAIN, names, signer, number.to_bytes(_NUMBER_BYTES, "big"), previous, *digests))).digest()


def sign(private: Ed25519PrivateKey, topic: str, key: str, number: int, previous: bytes, digests: Sequence[bytes]) -> AppendSignature:
    """Sign an append."""
    signer = public_of(private)
    after = running_digest(topic, key, signer, number, previous, digests)
    return AppendSignature(signer, number, previous, private.sign(after), tuple(digests))


def digest_if_signed(found: AppendSignature, topic: str, key: str) -> bytes | None:
    """The running digest after the append, when its signature holds in this stream; else None. Whether the key may sign is not asked here."""
    # Imported here: a log without keys does not need it, and it takes a twentieth of a second.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    after = running_digest(topic, key, found.signer, found.number, found.previous, found.digests)
    try:
        Ed25519PublicKey.from_public_bytes(found.signer).verify(found.signature, after)
    except (InvalidSignature, ValueError):
        return None
    return after


def public_of(private: Ed25519PrivateKey) -> bytes:
    """The public half of a key, 32 bytes."""
    return private.public_key().public_bytes_raw()


def parts_of(events: Sequence[NewEvent]) -> Iterator[list[NewEvent]]:
    """The events in the parts that are signed: as few as there can be."""
    part: list[NewEvent] = []
    size = 0
    for event in events:
        if part and (len(part) == MOST_EVENTS or size + len(event.value) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.value)
    if part:
        yield part
