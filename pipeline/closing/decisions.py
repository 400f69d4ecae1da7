"""What people decide about addresses and issues, as events of the topic `months` (rules 3.5, 8.1).

Enters: labels and waivers from commands or settings, those in the log, the current time. Leaves: the events to append, without those that the
log has. Left out: whether the issue exists (the store knows).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.assess.issue_names import waiver_facts
from pipeline.log.events import AnyEvent, content_digest, encode
from pipeline.log.events.months import Labelled, Waived
from pipeline.log.protocol import NewEvent

if TYPE_CHECKING:
    from pipeline.settings import LabelSettings, WaiverSettings

FROM_SETTINGS = "settings"


@dataclass
class Decisions:
    """One pool's labels and waivers in the log."""

    labels: dict[tuple[str, str], Labelled] = field(default_factory=dict)
    """The newest label by (chain, address)."""
    settings_labels: dict[tuple[str, str], Labelled] = field(default_factory=dict)
    """The newest label that came from the settings."""
    waivers: dict[tuple[str, str, str], Waived] = field(default_factory=dict)
    """The newest waiver by (month, code, ref)."""

    def apply(self, event: AnyEvent) -> None:
        """Add one event of the topic `months`, in the log's order; events of other kinds are ignored."""
        match event:
            case Labelled():
                self.labels[event.chain, event.address] = event
                if event.id.startswith(f"label:{FROM_SETTINGS}:"):
                    self.settings_labels[event.chain, event.address] = event
            case Waived():
                self.waivers[event.month, event.code, event.ref] = event


def label_event(
    *, chain: str, address: str, outflow_class: str, name: str, by: str, reason: str, at: int, origin: str = "person"
) -> Labelled:
    """A label; `at` in Unix seconds. The same label given again later is a new event: the newest counts."""
    digest = content_digest([chain, address, outflow_class, name, by, reason, at])
    return Labelled(
        id=f"label:{origin}:{digest[:32]}", chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason, at=at
    )  # fmt: skip


def waive_event(*, month: str, code: str, ref: str, facts: list[str], by: str, reason: str, at: int) -> Waived:
    """A waiver of one issue by name; `facts`: the ids and amounts that it rests on now (rule 8.5); `at` in Unix seconds."""
    digest = content_digest([month, code, ref, facts, by, reason, at])
    return Waived(id=f"waive:{digest[:40]}", month=month, code=code, ref=ref, facts=facts, by=by, reason=reason, at=at)


def labels_of_settings(labels: Iterable[LabelSettings], held: Decisions, *, at: int) -> list[NewEvent]:
    """The events of the settings' labels that are new, or differ from the label in the log."""
    events: list[NewEvent] = []
    for label in labels:
        event = label_event(
            chain=label.chain, address=label.address, outflow_class=label.outflow_class, name=label.name, by=label.by, reason=label.reason,
            at=at, origin=FROM_SETTINGS,
        )  # fmt: skip
        before = held.settings_labels.get((label.chain, label.address))
        if before is None or _content(before) != _content(event):
            events.append(encode(event))
    return events


def waivers_of_settings(
    waivers: Iterable[WaiverSettings], issues: Iterable[Mapping[str, Any]], held: Decisions, *, at: int
) -> list[NewEvent]:
    """The events of the settings' waivers that are not in the log and whose issue exists.

    `issues`: code, ref, ref_before, facts of a month. A ref of edition 1 matches every issue that it named in that edition. A waiver is recorded only
    once its issue exists, because it records the facts that the issue is based on (rule 8.5).
    """
    return [
        encode(
            waive_event(month=w.month, code=w.code, ref=issue["ref"], facts=waiver_facts(issue["facts"]), by=w.by, reason=w.reason, at=at)
        )
        for w in waivers
        for issue in issues
        if w.code == issue["code"] and w.ref in (issue["ref"], issue["ref_before"]) and (w.month, w.code, issue["ref"]) not in held.waivers
    ]


def _content(event: Labelled) -> tuple[str, ...]:
    return (event.outflow_class, event.name, event.by, event.reason)
