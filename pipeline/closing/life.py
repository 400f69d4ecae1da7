"""A month's life, read from its events (ADR 5). Pure.

Enters: the events of topic `months`. Leaves: a `Life` for each month: its frozen versions, approvals, signatures, submissions, drafts.
Left out: which step is due next (`steps`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.log.events import AnyEvent
from pipeline.log.events.months import Answered, Approved, AsFrozen, Drafted, Frozen, Sending, Signed, Submitting
from pipeline.model.months import Month

from .submission import State, Submission


@dataclass
class Life:
    """One month according to the log."""

    month: Month
    frozen: dict[int, Frozen] = field(default_factory=dict)
    approvals: dict[int, dict[str, Approved]] = field(default_factory=dict)
    signed: dict[int, Signed] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    drafts: list[Drafted] = field(default_factory=list)
    as_frozen: list[AsFrozen] = field(default_factory=list)

    @property
    def version(self) -> int:
        """The newest frozen version; 0 before the first."""
        return max(self.frozen, default=0)

    @property
    def versions(self) -> list[Frozen]:
        """The frozen versions, oldest first."""
        return [self.frozen[version] for version in sorted(self.frozen)]

    @property
    def submission(self) -> Submission | None:
        """The newest submission, of any version."""
        return self.submissions[-1] if self.submissions else None

    @property
    def submission_to_amend(self) -> Submission | None:
        """The newest submission that was received or accepted, by HTTP or from the outbox: the one that a further version corrects."""
        taken = [s for s in self.submissions if s.state in (State.ACCEPTED, State.RECEIVED)]
        return taken[-1] if taken else None

    @property
    def is_filed(self) -> bool:
        """Whether the newest version was accepted."""
        last = self.submission
        return last is not None and last.event.version == self.version and last.state is State.ACCEPTED

    @property
    def is_taken(self) -> bool:
        """Whether the newest version was received or accepted: what it says is what was filed."""
        last = self.submission
        return last is not None and last.event.version == self.version and last.state in (State.ACCEPTED, State.RECEIVED)

    @property
    def is_in_outbox(self) -> bool:
        """Whether the newest version lies in the outbox for a person to hand in."""
        last = self.submission
        return last is not None and last.event.version == self.version and last.is_placed

    @property
    def accepted_version(self) -> int:
        """The newest version that was accepted; 0 where none was."""
        return max((each.event.version for each in self.submissions if each.state is State.ACCEPTED), default=0)

    def decision_about(self, digest: str) -> AsFrozen | None:
        """The decision that the newest version stays as it is although the report with this digest differs."""
        return next((event for event in self.as_frozen if event.version == self.version and event.draft_digest == digest), None)

    @property
    def draft(self) -> Drafted | None:
        """The open draft: the newest one of a version that is not frozen yet; None if its report equals the newest frozen one."""
        newest = next((draft for draft in reversed(self.drafts) if draft.version > self.version), None)
        if newest is None or not self.version or newest.digest == self.frozen[self.version].digest:
            return None
        return newest

    @property
    def blocking_draft(self) -> Drafted | None:
        """The open draft that a person must decide about; None if a person decided that the newest version stays as it is."""
        draft = self.draft
        return draft if draft is not None and self.decision_about(draft.digest) is None else None

    def state(self, *, is_closable: bool = False) -> State:
        """The state of the newest version."""
        if not self.frozen:
            return State.CLOSABLE if is_closable else State.OPEN
        last = self.submission
        if last is not None and last.event.version == self.version:
            return last.state
        return State.SIGNED if self.version in self.signed else State.FROZEN


def fold(events: Iterable[AnyEvent]) -> dict[str, Life]:
    """The lives of all months in the events, by the month's name. Only the first event of a step counts; repeats are ignored."""
    lives: dict[str, Life] = {}
    for event in events:
        apply_event(lives, event)
    return lives


def apply_event(lives: dict[str, Life], event: AnyEvent) -> None:
    """Add one event to the lives; events of other kinds are ignored."""
    if not isinstance(event, Frozen | Approved | Signed | Submitting | Sending | Answered | Drafted | AsFrozen):
        return
    life = lives.setdefault(event.month, Life(Month.parse(event.month)))
    match event:
        case Frozen():
            life.frozen.setdefault(event.version, event)
        case Approved():
            frozen = life.frozen.get(event.version)
            if frozen is not None and frozen.digest == event.digest:
                life.approvals.setdefault(event.version, {}).setdefault(event.by, event)
        case Signed():
            life.signed.setdefault(event.version, event)
        case Submitting():
            if all(known.event.submission_id != event.submission_id for known in life.submissions):
                life.submissions.append(Submission(event))
        case Sending() | Answered():
            found = next((known for known in life.submissions if known.event.submission_id == event.submission_id), None)
            if found is not None and all(known.id != event.id for known in found.trail):
                found.trail.append(event)
        case Drafted():
            life.drafts.append(event)
        case AsFrozen():
            life.as_frozen.append(event)
