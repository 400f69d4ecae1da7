"""One submission and what is known of it: whether the filing service may have it, and what the service answered (ADR 5). Pure.

Enters: a submission's events in the log's order. Leaves: its state, the transmissions that may have been delivered, the service's message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.log.events.months import Answered, Sending, Submitting
from pipeline.model.message import joined, message
from pipeline.texts import N_

SUBMISSIONS = "submissions"
"""Below a bundle: a folder for each submission, with what was sent and every answer as it came."""
SHOWN_ROWS = 5
"""How many rejected rows one line of text names."""


class State(StrEnum):
    """The states of a month."""

    OPEN = "open"
    CLOSABLE = "closable"
    FROZEN = "frozen"
    SIGNED = "signed"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


STATE_WORDS = {
    State.OPEN: N_("open"),
    State.CLOSABLE: N_("closable"),
    State.FROZEN: N_("frozen"),
    State.SIGNED: N_("signed"),
    State.SUBMITTING: N_("submitting"),
    State.UNKNOWN: N_("unknown"),
    State.RECEIVED: N_("received"),
    State.ACCEPTED: N_("accepted"),
    State.REJECTED: N_("rejected"),
}
"""What a state is called in a text for people; translated by whoever shows it."""

OUTCOME_WORDS = {
    "unreachable": N_("unreachable"), "unknown": N_("unknown"), "refused": N_("refused"), "missing": N_("missing"), "duplicate": N_("duplicate"),
    "placed": N_("placed"), "received": N_("received"), "accepted": N_("accepted"), "rejected": N_("rejected"),
}  # fmt: skip
"""What an answer's outcome is called in a text for people."""

CONFIRMING_OUTCOMES = ("received", "duplicate", "accepted")
"""Outcomes that confirm that the filing service has the submission."""


@dataclass
class Delivery:
    """Whether the filing service may have the submission, according to the events."""

    possibly_delivered: dict[int, str] = field(default_factory=dict)
    """The transmissions that may have been delivered: target by transmission number."""
    confirmations: list[str] = field(default_factory=list)
    """The outcomes that confirmed delivery, in order."""
    is_contradicted: bool = False
    """The service confirmed delivery, later said that it has nothing, and no person has settled since which is true."""


@dataclass
class Submission:
    """One submission and the events about it, in the log's order."""

    event: Submitting
    trail: list[Sending | Answered] = field(default_factory=list)

    @property
    def answers(self) -> list[Answered]:
        """The answers, in order."""
        return [event for event in self.trail if isinstance(event, Answered)]

    @property
    def transmissions(self) -> int:
        """How many transmissions were started."""
        return sum(isinstance(event, Sending) for event in self.trail)

    @property
    def sends(self) -> int:
        """How many transmissions got a connection: only these count towards `filing.most_sends`."""
        return self.transmissions - sum(_is_undelivered(answer) for answer in self.answers)

    @property
    def receipt(self) -> str | None:
        """The newest receipt in any answer. A later answer without one does not remove it."""
        return next((answer.receipt for answer in reversed(self.answers) if answer.receipt), None)

    @property
    def verdict(self) -> Answered | None:
        """The newest answer that settles the submission: accepted or rejected."""
        return next((answer for answer in reversed(self.answers) if answer.outcome in ("accepted", "rejected")), None)

    @property
    def summary(self) -> str:
        """The verdict, or else the newest answer, as text: message and rejected rows. For an answer that a person entered: that person's reason."""
        answer = self.verdict or next(iter(reversed(self.answers)), None)
        return summary_of(answer) if answer is not None else ""

    @property
    def delivery(self) -> Delivery:
        """Which transmissions may have been delivered.

        A transmission that got no connection was not. Nor were those started before the filing service, when asked, answered `missing`,
        unless it had confirmed delivery before."""
        found, begun = Delivery(), 0
        for event in self.trail:
            if isinstance(event, Sending):
                begun = event.transmission
                found.possibly_delivered[begun] = event.target or self.event.target
            else:
                _add_answer(found, event, begun)
        return found

    @property
    def may_be_delivered(self) -> bool:
        """Whether the filing service may have it."""
        return bool(self.delivery.possibly_delivered)

    @property
    def is_placed(self) -> bool:
        """Whether it lies in the outbox, and nobody said yet what became of it."""
        last = self.trail[-1] if self.trail else None
        return isinstance(last, Answered) and last.outcome == "placed"

    @property
    def state(self) -> State:
        """The state that the events prove."""
        verdict = self.verdict
        if verdict is not None:
            return State.ACCEPTED if verdict.outcome == "accepted" else State.REJECTED
        delivery = self.delivery
        if not delivery.possibly_delivered or self.is_placed:
            return State.SUBMITTING
        return State.RECEIVED if "received" in delivery.confirmations and not delivery.is_contradicted else State.UNKNOWN

    def can_be_asked(self, target: str, *, can_ask: bool) -> bool:
        """Whether the configured filing service can be asked about it: only if every transmission that may have been delivered went to `target`."""
        return can_ask and all(place == target for place in self.delivery.possibly_delivered.values())

    def is_settled(self, target: str, *, can_ask: bool) -> bool:
        """Whether no further answer is expected. `received` settles it only if the service can't be asked."""
        if self.state in (State.ACCEPTED, State.REJECTED):
            return True
        return self.state is State.RECEIVED and not self.can_be_asked(target, can_ask=can_ask)


def _add_answer(found: Delivery, answer: Answered, begun: int) -> None:
    """Add what an answer says about delivery; `begun`: the number of the newest transmission before it."""
    is_person = answer.asked == "person"
    transmission = begun if answer.transmission is None else answer.transmission
    if _is_undelivered(answer):
        found.possibly_delivered.pop(transmission, None)
    elif answer.outcome in CONFIRMING_OUTCOMES:
        found.confirmations.append(answer.outcome)
        found.is_contradicted = found.is_contradicted and not is_person
    elif answer.outcome == "missing" and is_person:
        found.possibly_delivered = {number: place for number, place in found.possibly_delivered.items() if number > transmission}
        found.confirmations, found.is_contradicted = [], False
    elif answer.outcome == "missing" and found.confirmations:
        found.is_contradicted = True
    elif answer.outcome == "missing" and answer.transmission is not None:
        # Events without the number were written by versions that read any HTTP 404 as `missing`: they prove nothing.
        found.possibly_delivered = {number: place for number, place in found.possibly_delivered.items() if number > transmission}


def _is_undelivered(answer: Answered) -> bool:
    """Whether the transmission got no connection, so that no byte of it was sent."""
    return answer.asked == "send" and answer.outcome == "unreachable"


def state_words(state: State) -> str:
    """A state in a text for people."""
    return message(STATE_WORDS[state])


def outcome_words(outcome: str) -> str:
    """An answer's outcome in a text for people; as data it is that of `Answered`."""
    return message(OUTCOME_WORDS[outcome]) if outcome in OUTCOME_WORDS else outcome


def summary_of(answer: Answered) -> str:
    """An answer on one line: the message and the first `SHOWN_ROWS` rejected rows with their reasons."""
    said = answer.message or (answer.reason if answer.asked == "person" else "")
    rows = [message("row {n}: {message}", n=row.n, message=row.message) for row in answer.rows[:SHOWN_ROWS]]
    more = [message("and {count} more rows", count=len(answer.rows) - SHOWN_ROWS)] if len(answer.rows) > SHOWN_ROWS else []
    return joined("; ", [part for part in (said, *rows, *more) if part])


def answer_file(answered: Answered, number: int) -> str:
    """The name of the file that keeps the submission's answer of this number, as it came."""
    return f"{number:04}-{answered.asked}-{answered.outcome}.txt"
