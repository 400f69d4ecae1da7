"""A log in memory whose appends are signed, and what a stranger can do to it: for tests of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import encode
from pipeline.log.events.keys import KeyGranted, KeyRevoked, KeysRoot, Role
from pipeline.log.events.months import Waived
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import Record, Topic
from pipeline.log.signatures import public_of

POOL = "qazpool"


def key_of(number: int) -> Ed25519PrivateKey:
    """Always the same key for a number."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def name_of(private: Ed25519PrivateKey) -> str:
    """The key's public half, hex."""
    return public_of(private).hex()


ROOT, WATCH, IMPORT, AIGUL, FILE, STRANGER = (key_of(number) for number in range(1, 7))


def keys(*ring: Ed25519PrivateKey, root: Ed25519PrivateKey = ROOT) -> LogKeys:
    return LogKeys(name_of(root), POOL, ring)


def rooted(root: Ed25519PrivateKey = ROOT) -> KeysRoot:
    return KeysRoot(id=f"keys-root:{name_of(root)[:32]}", root=name_of(root), by="Root", reason="keys begin", at=1_790_000_000)


def granted(private: Ed25519PrivateKey, owner: str, *roles: Role, replaces: Ed25519PrivateKey | None = None, n: int = 0) -> KeyGranted:
    return KeyGranted(
        id=f"key-granted:{name_of(private)[:32]}:{n}", key=name_of(private), owner=owner, roles=list(roles),
        replaces=name_of(replaces) if replaces else None, by="Root", reason="hired", at=1_790_000_000,
    )  # fmt: skip


def revoked(private: Ed25519PrivateKey, n: int = 0) -> KeyRevoked:
    return KeyRevoked(id=f"key-revoked:{name_of(private)[:32]}:{n}", key=name_of(private), by="Root", reason="left", at=1_790_000_000)


def waived(n: int, by: str = "Aigul") -> Waived:
    return Waived(id=f"waive:{n}", month="2026-10", code="unknown-outflow", ref=f"ab:{n}", by=by, reason="known", at=1_790_000_000)


def append(log: MemoryLog, topic: Topic, key: str, events: Sequence[Any], *ring: Ed25519PrivateKey) -> None:
    """Append with exactly these keys at hand; with none, as before keys."""
    log.keys = keys(*ring) if ring else None
    log._streams.clear()
    with log.writer(topic, key) as writer:
        writer.append([encode(event) for event in events])


def begun(topic: Topic = "months", key: str = POOL) -> MemoryLog:
    """A log with one event of before keys, then the root key, a person, and the processes."""
    log = MemoryLog()
    append(log, topic, key, [waived(0, "before")])
    append(
        log, topic, key,
        [rooted(), granted(AIGUL, "Aigul", "decide"), granted(FILE, "esep schedule", "file"), granted(WATCH, "esep watch", "watch"),
         granted(IMPORT, "Import", "import")],
        ROOT,
    )  # fmt: skip
    return log


def records(log: MemoryLog, topic: Topic = "months", key: str = POOL) -> list[Record]:
    return [record for record in log.read({}, topics=[topic]) if record.key == key]


def judged(found: Sequence[Record], root: Ed25519PrivateKey = ROOT) -> list[tuple[bool, str]]:
    """The verdicts on a stream's records; each taken up from the state saved after the one before, as ingest does."""
    assert found
    stream = keys(root=root).begin(found[0].topic, found[0].key)
    verdicts = []
    for record in found:
        verdicts.append(tuple(stream.judge(record)))
        stream = keys(root=root).begin(found[0].topic, found[0].key, stream.save())
    return verdicts  # type: ignore[return-value]
