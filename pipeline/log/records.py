"""What a log holds: its topics, an event as it is stored, an event to append, a position in the log. Values only; the log itself is `protocol`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Topic = Literal["chain", "ledger", "registry", "months", "audit"]
TOPICS: tuple[Topic, ...] = ("chain", "ledger", "registry", "months")
"""The topics of facts and decisions, from which everything is rebuilt: what a log gives when no topic is named."""
AUDIT: Topic = "audit"
"""Who signed in, who saw what (ADR 24): read by itself, signed by no key, and never a fact of a month."""
ALL_TOPICS: tuple[Topic, ...] = (*TOPICS, AUDIT)

Positions = Mapping[str, int]
"""Next offset to read, by `topic/partition` (`{"chain/0": 4711}`). A partition that is absent is read from its start."""


class Record(NamedTuple):
    """One event as stored in the log."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    value: bytes
    """The event's JSON, UTF-8."""
    signature: bytes | None = None
    """What the append that it begins carries (`signatures.AppendSignature`); None for what is not signed, and within an append."""
    fault: str = ""
    """Why it is no event (it has no key, no id, …), in words; empty for an event. Any producer on a cluster can write such a record: it counts for nothing,
    is a blocking issue with its position, and reading goes on (law 8). Its `key` and `id` are empty where they are missing."""

    @property
    def where(self) -> str:
        """The record's position, for messages: `chain/0@4711`."""
        return f"{self.topic}/{self.partition}@{self.offset}"


class NewEvent(NamedTuple):
    """An event to append."""

    id: str
    value: bytes
    signature: bytes | None = None
    """Carried along as it is, by a log that signs nothing itself: of an event that is copied."""
