"""One fold of the topic `months`: frozen versions, decisions and notices come from it."""

from __future__ import annotations

import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.decisions import label_event, waive_event
from pipeline.closing.diary import Diary, StepAlreadyTaken
from pipeline.log.events.months import Frozen, Notified
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError
from pipeline.model.months import Month

POOL = "pool"
OCTOBER = Month.parse("2026-10")


def frozen(version: int, digest: str = "ab" * 32) -> Frozen:
    return Frozen(
        id=f"frozen:{OCTOBER}:{version}", month=str(OCTOBER), version=version, digest=digest, positions={}, rules={}, header={},
        manifest_digest="cd" * 32, by="b", reason="r", at=version,
    )  # fmt: skip


def test_frozen_versions_labels_waivers_and_notices_are_folded_together() -> None:
    log = MemoryLog()
    writing, reading = Diary(log, POOL), Diary(log, POOL)
    old = label_event(chain="bitcoin", address="a", outflow_class="vendor", name="n", by="b", reason="r", at=1)
    new = label_event(chain="bitcoin", address="a", outflow_class="exchange", name="n", by="b", reason="r", at=2)
    waived = waive_event(month=str(OCTOBER), code="unknown-outflow", ref="t:1", facts=[], by="b", reason="r", at=3)
    told = Notified(id="notified:smtp:1", notice="filed:2026-10:1", channel="smtp", subject="s", by="b", reason="r", at=4)
    for event in (old, frozen(1), waived, new, told, frozen(2)):
        writing.append(event)
    assert reading.frozen(OCTOBER) == [frozen(1), frozen(2)]
    assert reading.decisions.labels == {("bitcoin", "a"): new} and reading.decisions.settings_labels == {}
    assert reading.decisions.waivers == {(str(OCTOBER), "unknown-outflow", "t:1"): waived}
    assert reading.notices == {("filed:2026-10:1", "smtp")}
    assert reading.frozen(OCTOBER.next) == []


def test_a_step_that_is_in_the_log_is_taken_even_if_what_it_says_cant_be_read() -> None:
    log = MemoryLog()
    diary = Diary(log, POOL)
    diary.append(frozen(1))
    with pytest.raises(StepAlreadyTaken):
        diary.append(frozen(1))
    with log.writer("months", POOL) as writer:
        writer.append([NewEvent("frozen:2026-10:2", b'{"type":"frozen","schema":9}')])
    with pytest.raises(StepAlreadyTaken):
        diary.append(frozen(2))
    assert diary.frozen(OCTOBER) == [frozen(1)]
    with log.writer("months", "another") as writer:
        writer.append([NewEvent("frozen:2026-10:3", b"{}")])
    diary.append(frozen(3))
    assert [event.version for event in diary.frozen(OCTOBER)] == [1, 3]


def test_another_trouble_of_the_log_is_no_step_taken() -> None:
    class Full(MemoryLog):
        def writer(self, topic, key):  # type: ignore[no-untyped-def]
            raise LogError("the disk is full")

    with pytest.raises(LogError, match="full"):
        Diary(Full(), POOL).append(frozen(1))
