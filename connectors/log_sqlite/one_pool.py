"""An embedded log is one pool's: whoever reads it takes all that it holds for that pool's.

Enters: an open log, the pool's key. Leaves: nothing, or a refusal that names the other pool. An event's key begins with its pool's.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.log.protocol import TOPICS
from pipeline.model.errors import LogError
from pipeline.model.message import message

from .log import SqliteLog

_NEXT_KEY = "SELECT min(key) FROM event WHERE topic = ? AND key > ?"
"""One step in the index of topics and keys, of which there are a few."""


def require_pool(log: SqliteLog, pool: str, *, is_signed: bool = False) -> None:
    """Raises LogError when the log holds events of another pool, or can't be read.

    `is_signed`: events of other pools count for nothing there and are told as not authentic (ADR 14); refused is a log that has none of this pool's.
    """
    with log._translate_errors("read"), log._lock:
        pools = set(_pools(log))
    others = sorted(pools - {pool})
    if others and not (is_signed and pool in pools):
        raise LogError(
            message(
                "{path} is the log of pool {other}, and the settings have pool.key = {pool}: a pool keeps the key that its log began with, or its months would be frozen and filed a second time. Set pool.key back, or give pool {pool} a var and a log of its own",
                path=log.path, other=repr(others[0]), pool=repr(pool),
            )
        )  # fmt: skip


def _pools(log: SqliteLog) -> Iterator[str]:
    """The pool of each topic and key."""
    for topic in TOPICS:
        key = ""
        while (key := log._connection.execute(_NEXT_KEY, (topic, key)).fetchone()[0]) is not None:
            yield str(key).partition("/")[0]
