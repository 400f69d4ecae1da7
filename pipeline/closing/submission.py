"""One submission and everything that became known of it: may the other side have it, and what did it say (ADR 5). Pure.

Enters: a submission's events in the log's order. Leaves: where it stands, which transmissions may have arrived, the other side's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.log.events.months import Answered, Sending, Submitting

SHOWN_ROWS = 5
"""How many rejected rows are named in one line of text."""


class State(StrEnum):
    """Where a month stands (design, section 7)."""

    OPEN = "open"
    CLOSABLE = "closable"
    FROZEN = "frozen"
    SIGNED = "signed"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


CONFIRMING_OUTCOMES = ("received", "duplicate", "accepted")
"""Outcomes by which the other side says that it has the submission."""


@dataclass
class Delivery:
    """Whether the other side may have the submission, as far as the events tell."""

    possibly_delivered: dict[int, str] = field(default_factory=dict)
    """Transmissions that may have arrived, by number, and the target of each."""
    confirmations: list[str] = field(default_factory=list)
    """The outcomes by which the other side said that it has it."""
    is_contradicted: bool = False
    """It said that it has it, later that it has nothing, and no person has said since what is true."""


@dataclass
class Submission:
    """One submission and everything that became known of it, in the log's order."""

    event: Submitting
    trail: list[Sending | Answered] = field(default_factory=list)

    @property
    def answers(self) -> list[Answered]:
        """The answers, in order."""
        return [event for event in self.trail if isinstance(event, Answered)]

    @property
    def transmissions(self) -> int:
        """How many transmissions began."""
        return sum(isinstance(event, Sending) for event in self.trail)

    @property
    def sends(self) -> int:
        """How many transmissions were more than a failed connection: those that `filing.most_sends` bounds."""
        return self.transmissions - sum(_is_undelivered(answer) for answer in self.answers)

    @property
    def receipt(self) -> str | None:
        """The newest receipt that any answer brought: what comes after never loses it."""
        return next((answer.receipt for answer in reversed(self.answers) if answer.receipt), None)

    @property
    def verdict(self) -> Answered | None:
        """The newest answer that settles the submission."""
        return next((answer for answer in reversed(self.answers) if answer.outcome in ("accepted", "rejected")), None)

    @property
    def summary(self) -> str:
        """What the other side said with its verdict, or with its newest answer: message, rejected rows; what a person was told, in that person's words."""
        answer = self.verdict or next(iter(reversed(self.answers)), None)
        return summary_of(answer) if answer is not None else ""

    @property
    def delivery(self) -> Delivery:
        """Which transmissions may have arrived. One whose connection never came about did not; nor did those that began before the other side was
        asked and said in its own words that it has nothing, unless it had said before that it has it."""
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
        """Whether the other side may have it."""
        return bool(self.delivery.possibly_delivered)

    @property
    def state(self) -> State:
        """What is known for certain."""
        verdict = self.verdict
        if verdict is not None:
            return State.ACCEPTED if verdict.outcome == "accepted" else State.REJECTED
        last, delivery = (self.trail[-1] if self.trail else None), self.delivery
        if not delivery.possibly_delivered or (isinstance(last, Answered) and last.outcome == "placed"):
            return State.SUBMITTING
        return State.RECEIVED if "received" in delivery.confirmations and not delivery.is_contradicted else State.UNKNOWN

    def can_be_asked(self, target: str, *, can_ask: bool) -> bool:
        """Whether the way of filing in the settings can tell what became of it: only where everything that may have arrived went there."""
        return can_ask and all(place == target for place in self.delivery.possibly_delivered.values())

    def is_settled(self, target: str, *, can_ask: bool) -> bool:
        """Whether nothing more is to come: a reception counts only where nobody can be asked further."""
        if self.state in (State.ACCEPTED, State.REJECTED):
            return True
        return self.state is State.RECEIVED and not self.can_be_asked(target, can_ask=can_ask)


def _add_answer(found: Delivery, answer: Answered, begun: int) -> None:
    """Add what an answer says of arrival; `begun`: the number of the newest transmission before it."""
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
        # Events without the number are of versions that took any HTTP 404 for this word: they prove nothing.
        found.possibly_delivered = {number: place for number, place in found.possibly_delivered.items() if number > transmission}


def _is_undelivered(answer: Answered) -> bool:
    """A transmission for which no connection came about: not a byte of it left."""
    return answer.asked == "send" and answer.outcome == "unreachable"


def summary_of(answer: Answered) -> str:
    """An answer in one line: the message, and the first rejected rows with their reasons."""
    said = answer.message or (answer.reason if answer.asked == "person" else "")
    rows = [f"row {row.n}: {row.message}" for row in answer.rows[:SHOWN_ROWS]]
    more = [f"and {len(answer.rows) - SHOWN_ROWS} more rows"] if len(answer.rows) > SHOWN_ROWS else []
    return "; ".join([part for part in (said, *rows, *more) if part])
