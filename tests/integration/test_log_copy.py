"""Moving a log: all of it, in order, resumed where it broke off, refused where the target holds other events."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.log.copying import copy_log
from pipeline.log.protocol import EventLog, NewEvent, Topic
from pipeline.log.read import batches
from pipeline.model.errors import LogError


def _fill(log: EventLog, plan: Sequence[tuple[Topic, str]]) -> None:
    """One event for each (topic, key) of the plan, numbered within its key."""
    counts: dict[tuple[Topic, str], int] = {}
    for topic, key in plan:
        number = counts[topic, key] = counts.get((topic, key), 0) + 1
        with log.writer(topic, key) as writer:
            writer.append([NewEvent(f"{key}:{number}", f'{{"topic":"{topic}","n":{number}}}'.encode())])


def _told(log: EventLog) -> dict[tuple[str, str], list[tuple[str, bytes]]]:
    told: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for records in batches(log):
        for r in records:
            told.setdefault((r.topic, r.key), []).append((r.id, r.value))
    return told


PLAN: list[tuple[Topic, str]] = [
    ("chain", "p/bitcoin"),
    ("ledger", "p"),
    ("chain", "p/litecoin"),
    ("chain", "p/bitcoin"),
    ("months", "p"),
] * 20


def test_everything_arrives_in_order_and_the_digest_is_the_same_either_way(tmp_path: Path):
    with SqliteLog(tmp_path / "a.sqlite") as source, SqliteLog(tmp_path / "b.sqlite") as back:
        target = MemoryLog()
        _fill(source, PLAN)
        there = copy_log(source, target)
        assert (there.events, there.appended) == (100, 100)
        assert _told(target) == _told(source)
        again = copy_log(target, back)
        assert again.digest == there.digest
        assert _told(back) == _told(source)


def test_a_second_copy_appends_nothing_and_a_third_only_what_is_new(tmp_path: Path):
    with SqliteLog(tmp_path / "a.sqlite") as source, SqliteLog(tmp_path / "b.sqlite") as target:
        _fill(source, PLAN)
        first = copy_log(source, target)
        assert copy_log(source, target) == type(first)(100, 0, first.digests)
        with source.writer("ledger", "p") as writer:
            writer.append([NewEvent("late", b"{}")])
        third = copy_log(source, target)
        assert (third.events, third.appended) == (101, 1)
        assert third.digest != first.digest


class _Broken(Exception):
    pass


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.sampled_from(sorted(set(PLAN))), max_size=30), stop_after=st.integers(0, 12), batch_bytes=st.integers(1, 200))
def test_a_copy_that_was_broken_off_goes_on(plan: list[tuple[Topic, str]], stop_after: int, batch_bytes: int):
    source, target = MemoryLog(), MemoryLog()
    _fill(source, plan)
    whole = copy_log(source, MemoryLog()).digest
    appends = 0

    class Breaking:
        """The target's connection, lost after some appends."""

        def __getattr__(self, name: str):
            return getattr(target, name)

        def writer(self, topic: Topic, key: str):
            writer = target.writer(topic, key)
            append = writer.append

            def breaking(events: Sequence[NewEvent]) -> int:
                nonlocal appends
                appends += 1
                if appends > stop_after:
                    raise _Broken
                return append(events)

            writer.append = breaking
            return writer

    with contextlib.suppress(_Broken):
        copy_log(source, Breaking(), batch_bytes=batch_bytes)  # type: ignore[arg-type]
    finished = copy_log(source, target, batch_bytes=batch_bytes)
    assert finished.digest == whole
    assert _told(target) == _told(source)


def test_a_target_with_another_history_is_refused_and_left_alone():
    source, target = MemoryLog(), MemoryLog()
    _fill(source, PLAN)
    with target.writer("ledger", "p") as writer:
        writer.append([NewEvent("p:1", b"another story")])
    with pytest.raises(LogError, match=r"event 1 of ledger 'p' is not the source's, 'p:1' at ledger/0@0"):
        copy_log(source, target)
    assert _told(target)["ledger", "p"] == [("p:1", b"another story")]


def test_a_target_that_went_on_alone_is_still_a_true_copy():
    source, target = MemoryLog(), MemoryLog()
    _fill(source, PLAN)
    first = copy_log(source, target)
    with target.writer("ledger", "p") as writer:
        writer.append([NewEvent("only here", b"{}")])
    assert copy_log(source, target).digest == first.digest


def test_what_is_read_back_must_be_what_was_sent():
    source, target = MemoryLog(), MemoryLog()
    _fill(source, PLAN)

    class Lossy:
        """A log that says it appended and keeps nothing of one key."""

        def __getattr__(self, name: str):
            return getattr(target, name)

        def writer(self, topic: Topic, key: str):
            writer = target.writer(topic, key)
            if key == "p/litecoin":
                writer.append = len
            return writer

    with pytest.raises(LogError, match=r"the copy of chain 'p/litecoin' differs: the source has 20 events .* the target 0"):
        copy_log(source, Lossy())  # type: ignore[arg-type]
