"""A month whose facts change after it was filed, or while it lies in the outbox: what is said to do next, and that a person's decision ends it."""

from __future__ import annotations

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.advance import Closing, MonthStatus
from pipeline.closing.calendar import Plan, almaty_at, due_at
from pipeline.closing.filing import Answer
from pipeline.closing.notices import notices_of
from pipeline.closing.steps import Act, what_changed
from pipeline.log.events.months import AsFrozen, Drafted, Submitting
from pipeline.model.months import Month
from pipeline.texts import texts

from ...simulation.closing_world import Bundles, FilingService, make_closing

MONTH = Month(2026, 10)
PLAN = Plan(file_day=5)
NOW = almaty_at(MONTH.next.first.replace(day=20), 12)
LATER = "cd" * 32


class Outbox(FilingService):
    """Places what it is given, as the outbox does."""

    def send(self, submission: Submitting, content: bytes) -> Answer:
        return Answer("placed")


def filed(service: FilingService) -> tuple[Closing, Bundles]:
    log = MemoryLog()
    bundles = Bundles(log, MONTH)
    closing = make_closing(log, PLAN, bundles, service)
    closing.advance(NOW)
    return closing, bundles


def look(closing: Closing) -> MonthStatus:
    closing.diary.refresh()
    return next(status for status in closing.advance(NOW) if status.month == MONTH)


def facts_change(closing: Closing) -> None:
    closing.diary.append(
        Drafted(
            id=f"drafted:{MONTH}:2", month=str(MONTH), version=2, digest=LATER, rows=[], row_count=156, causes=["chain", "registry"], by="schedule",
            reason="facts changed after the freeze", at=NOW,
        )
    )  # fmt: skip


def a_person_leaves_it(closing: Closing) -> None:
    closing.diary.append(
        AsFrozen(id="as-frozen", month=str(MONTH), version=1, draft_digest=LATER, by="A. Person", reason="a spelling", at=NOW)
    )


def test_a_filed_month_that_differs_says_so_and_what_to_do_until_a_person_decides() -> None:
    closing, _ = filed(FilingService())
    assert look(closing).step.act is Act.DONE
    facts_change(closing)
    status = look(closing)
    assert status.step.act is Act.PERSON and status.step.command == f"esep amend {MONTH}"
    assert status.step.why.startswith("the month differs from v1, which was filed: 156 rows (the chain, registry). ")
    assert (
        f"freezes v2, which is filed as a correction of v1. To leave v1 as it was filed: esep approve {MONTH} --as-frozen"
        in status.step.why
    )
    assert [notice.name.partition(":")[0] for notice in notices_of([status], PLAN, NOW)] == ["filed", "draft"], "told once"
    a_person_leaves_it(closing)
    status = look(closing)
    assert status.step.act is Act.DONE
    draft = status.life.draft
    assert draft is not None and what_changed(status.life, draft).endswith("A. Person decided that v1 stays as it is: a spelling")


def test_the_causes_are_said_in_the_readers_language() -> None:
    closing, _ = filed(FilingService())
    facts_change(closing)
    status = look(closing)
    assert "(цепочка, реестр)" in texts("ru").tell(status.step.why), texts("ru").tell(status.step.why)
    assert "(тізбек, тізілім)" in texts("kk").tell(status.step.why), texts("kk").tell(status.step.why)
    (notice,) = [one for one in notices_of([status], PLAN, NOW) if one.name.startswith("draft:")]
    assert "registry" not in texts("ru").tell(notice.text)


def test_what_lies_in_the_outbox_is_not_handed_in_before_a_person_decides() -> None:
    closing, bundles = filed(Outbox())
    assert "hand it in" in look(closing).step.why
    facts_change(closing)
    status = look(closing)
    assert status.step.act is Act.PERSON and "do not hand it in before you decide" in status.step.why
    assert status.step.command == f"esep amend {MONTH}"
    a_person_leaves_it(closing)
    assert "hand it in, and record" in look(closing).step.why
    bundles.freeze(MONTH, now=NOW, by="A. Person", reason="late row", version=2)
    status = look(closing)
    assert "v1 lies in the outbox, and v2 is frozen" in status.step.why and "missing" in status.step.command


def test_a_month_that_is_corrected_is_not_late() -> None:
    closing, bundles = filed(FilingService())
    bundles.freeze(MONTH, now=NOW, by="A. Person", reason="late row", version=2)
    closing.diary.refresh()
    status = closing.foresee_month(MONTH, due_at(MONTH))
    assert not status.life.is_filed and status.life.accepted_version == 1
    assert not [notice for notice in notices_of([status], PLAN, due_at(MONTH)) if notice.name.startswith("late")]


def test_states_and_answers_are_said_in_the_readers_language() -> None:
    russian = texts("ru")
    closing, _ = filed(FilingService(mood="storm"))
    told = russian.tell(look(closing).step.why)
    assert told.startswith("исход неизвестен (HTTP 503)"), told
    late = next(notice for notice in notices_of([look(closing)], PLAN, due_at(MONTH)) if notice.name.startswith("late"))
    assert "unknown" not in russian.tell(late.text), russian.tell(late.text)
