"""A log that fails as logs do: an append is lost, or kept, without its acknowledgement; readers see it late, or see a record twice.

Enters: appends and reads. Leaves: what `MemoryLog` holds, and beside it every acknowledged event, to be looked for at the end. Lateness is
for readers of all topics (ingest): a writer always sees its own topic. It leaves out losing what was acknowledged: that would be a broken log.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.standins.log_memory import MemoryLog
from pipeline.log.protocol import TOPICS, NewEvent, Positions, Record, Topic
from pipeline.model.errors import LogError

from ..closing_world import Crash
from .dice import Dice


class TroubledLog(MemoryLog):
    """`MemoryLog` under faults."""

    def __init__(self, dice: Dice) -> None:
        super().__init__()
        self._dice = dice
        self.acknowledged: list[tuple[str, str, str, bytes]] = []
        self._hidden: dict[str, int] = {}

    def append(self, topic: Topic, key: str, epoch: int, events: Sequence[NewEvent]) -> int:
        dice = self._dice
        if dice.happens("log-crash-before-append"):
            raise Crash("before an append")
        if dice.happens("log-loses-unacknowledged"):
            raise LogError(f"{topic} {key}: the append was not acknowledged: it is tried again")
        appended = super().append(topic, key, epoch, events)
        if dice.happens("log-crash-after-append"):
            raise Crash("after an append")
        if dice.happens("log-keeps-unacknowledged"):
            raise LogError(f"{topic} {key}: the append was not acknowledged: it is tried again")
        self.acknowledged += [(topic, key, event.id, event.value) for event in events]
        return appended

    def tick(self) -> None:
        """Time has passed: what was late is there, and something else may be late."""
        self._hidden = {}
        if self._dice.happens("log-delays"):
            whims = self._dice.stream("log")
            topic = whims.choice(("chain", "ledger", "registry"))
            self._hidden[topic] = max(0, len(self._records[topic]) - whims.randint(1, 6))

    def end(self) -> dict[str, int]:
        return {place: min(end, self._hidden.get(place.partition("/")[0], end)) for place, end in super().end().items()}

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        if tuple(topics) != TOPICS:
            return super().read(positions, topics=topics, until=until, limit_bytes=limit_bytes)
        if self._hidden:
            ends = self.end()
            until = {place: min(offset, ends.get(place, 0)) for place, offset in (until or ends).items()}
        found = super().read(positions, topics=topics, until=until, limit_bytes=limit_bytes)
        if found and self._dice.happens("log-delivers-twice"):
            record = found[self._dice.stream("log").randrange(len(found))]
            before = self._records[record.topic][max(0, record.offset - 3) : record.offset + 1]  # type: ignore[index]
            found = [*found, *before]
        return found
