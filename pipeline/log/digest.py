"""The chain of digests over a topic's events, for a log that lies in a file: what is read is what was written. Pure.

Each event's digest covers the event, its place and the digest before it. So a changed, moved, exchanged or removed event shows
at its own place. It leaves out secrets: whoever may write the file can make the chain anew from an event on; what was frozen
before is then contradicted by its signed bundle.
"""

from __future__ import annotations

import hashlib

from .protocol import Record

INITIAL_DIGEST = bytes(32)
"""Stands for the digest before a topic's first event."""


def chained_digest(record: Record, previous: bytes) -> bytes:
    """SHA-256 that stands for an event at its place and, by `previous`, for all events before it in its topic."""
    found = hashlib.sha256(previous)
    for part in (record.topic.encode(), record.offset.to_bytes(8, "big"), record.key.encode(), record.id.encode(), record.value):
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()


def is_intact(record: Record, digest: bytes, previous: bytes) -> bool:
    """Whether a record read back, of whatever types a damaged file gives, has the digest that stands beside it."""
    has_types = isinstance(record.key, str) and isinstance(record.id, str) and isinstance(record.value, bytes)
    return has_types and isinstance(previous, bytes) and chained_digest(record, previous) == digest
