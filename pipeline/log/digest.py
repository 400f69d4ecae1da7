"""The hash chain over a topic's events in a log file: it detects damage and tampering when the file is read. Pure.

Each event's digest covers the event, its position and the digest before it, so a changed, moved, swapped or removed event is found
at its own position. There is no key: whoever can write the file can recompute the chain from any event on. Such a change
contradicts the signed bundles of months frozen before it.
"""

from __future__ import annotations

import hashlib

from .records import Record

INITIAL_DIGEST = bytes(32)
"""Used in place of a previous digest for a topic's first event."""


def chained_digest(record: Record, previous: bytes) -> bytes:
    """SHA-256 over `previous` (the digest of the event before it in its topic) and the event with its position."""
    found = hashlib.sha256(previous)
    for part in (record.topic.encode(), record.offset.to_bytes(8, "big"), record.key.encode(), record.id.encode(), record.value):
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    if record.signature is not None:
        found.update(b"signature" + record.signature)
    return found.digest()


def is_intact(record: Record, digest: bytes, previous: bytes) -> bool:
    """Whether a record read back matches the digest stored with it. A damaged file may give values of any type."""
    has_types = isinstance(record.key, str) and isinstance(record.id, str) and isinstance(record.value, bytes)
    has_types &= record.signature is None or isinstance(record.signature, bytes)
    return has_types and isinstance(previous, bytes) and chained_digest(record, previous) == digest
