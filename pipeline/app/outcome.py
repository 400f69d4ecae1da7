"""What a person found out about a month's newest submission: after handing in from the outbox, or by telephone.

Enters: an outcome, a receipt's number, a name and a reason. Leaves: the event `answered`, or a refusal. An acceptance settles the submission for good, so it comes with its receipt.
"""

from __future__ import annotations

from pipeline.closing.advance import append_answer
from pipeline.closing.filing import Answer, is_receipt
from pipeline.closing.submission import Submission, state_words
from pipeline.log.events.months import Outcome
from pipeline.model.errors import FilingError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.reason import require_reason

from .app import App

OUTCOMES: tuple[Outcome, ...] = ("accepted", "rejected", "received", "missing")
"""What a person can record."""


def note_outcome(app: App, month: Month, outcome: Outcome, *, receipt: str, by: str, reason: str) -> Submission:
    """Record what became of the newest submission; that submission. `receipt`: its number, "" where there is none.

    Raises SettingsError for no reason, FilingError: there is no submission, it is settled, an acceptance has no receipt where the settings say that it brings one (`answers.has_receipts`),
    what nobody has got has one, or the receipt is another month's.
    """
    require_reason(reason, "esep receipt")
    number = receipt.strip()
    diary = app.diary
    diary.refresh()
    submission = diary.life(month).submission
    if submission is None:
        raise FilingError(message("{named} has no submission: esep close makes one when it is due", named=month))
    if submission.verdict is not None:
        raise FilingError(
            message(
                "{named}: submission {submission_id} is {state} already: it is settled",
                named=month, submission_id=submission.event.submission_id, state=state_words(submission.state),
            )
        )  # fmt: skip
    if number and not is_receipt(number):
        raise FilingError(message("{named}: {number} is no receipt: give the number as the filing service wrote it", named=month, number=repr(number)))  # fmt: skip
    if outcome == "missing" and number:
        raise FilingError(message("{named}: what the filing service does not have, has no receipt: nothing was recorded", named=month))
    if outcome == "accepted" and not number and not submission.receipt and app.settings.answers.has_receipts:
        raise FilingError(
            message(
                "{named}: an acceptance comes with its receipt, which can't be added later: give the number (--receipt NUMBER). Without a number yet record `received`. Where the filing service gives none: has_receipts = false below [answers]",
                named=month,
            )
        )
    _require_own(app, month, number)
    append_answer(
        diary, submission, Answer(outcome, receipt=number or None), asked="person", transmission=submission.transmissions, now=app.now(),
        by=by, reason=reason,
    )  # fmt: skip
    return submission


def _require_own(app: App, month: Month, number: str) -> None:
    """Raises FilingError where the receipt is that of another month's submission."""
    for life in app.diary.lives.values():
        for other in life.submissions if number and life.month != month else ():
            if number in {answer.receipt for answer in other.answers}:
                raise FilingError(
                    message(
                        "{named}: {number} is the receipt of {month} v{version}: nothing was recorded; look which month it is of",
                        named=month, number=number, month=life.month, version=other.event.version,
                    )
                )  # fmt: skip
