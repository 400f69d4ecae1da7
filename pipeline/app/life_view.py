"""A month's life as a person reads it: the versions, who did what to them, the submissions with their answers, and what the person may do next.

Enters: an `App` and a month. Leaves: `LifeView`. Nothing is assessed here: it follows from the log alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pipeline.closing.life import Life
from pipeline.closing.steps import Act, excluded_approver, what_changed
from pipeline.closing.submission import SUBMISSIONS, State, Submission, answer_file, outcome_words, summary_of
from pipeline.log.events.months import Answered
from pipeline.model.errors import EsepError
from pipeline.model.message import joined, text_of
from pipeline.model.months import Month

from .app import App
from .overview import Move, move_of_step, outbox_of

What = Literal["frozen", "approved", "signed", "submitted", "sent", "answered", "as-frozen"]


@dataclass(frozen=True)
class Happened:
    """One thing that happened to a version, by the log."""

    at: int
    what: What
    version: int
    by: str
    detail: str
    """A reason, an outcome with the service's message, a submission's id."""


@dataclass(frozen=True)
class VersionView:
    """One frozen version."""

    version: int
    digest: str
    at: int
    by: str
    reason: str
    approvals: list[str]
    """By whom, in the order of the log."""
    is_signed: bool
    signer: str
    files: list[tuple[str, int]]
    """Names below the bundle's folder that can be taken along, with their size in bytes."""


@dataclass(frozen=True)
class LifeView:
    """A month's life."""

    month: Month
    state: State
    versions: list[VersionView]
    happened: list[Happened]
    """The newest last."""
    receipt: str
    receipt_file: str
    """Where the answer with the receipt lies within its version's bundle, as it came; empty where it is not there."""
    receipt_version: int
    submission_id: str
    outbox: Path | None
    move: Move
    changed: str
    """What changed since the newest version was frozen, in words."""
    is_undecided: bool
    """Whether a person must decide about what changed."""
    is_taken: bool
    """Whether the newest version was received or accepted."""
    needs_approvals: int
    """How many approvals a version needs."""
    approvers: tuple[str, ...]
    excluded_approver: str
    """Who froze the newest version, where their own approval does not count; else empty."""
    is_due: bool
    """Whether a step can be taken by the program now."""
    can_note: bool
    """Whether a person may say what became of the newest submission."""
    can_refile: bool


SHOWN_KINDS = ("pdf", "xlsx", "csv", "json", "jsonl", "p7s")
"""Of the bundle's own files; what was sent and what was answered (`SUBMISSIONS`) is shown whole."""


def life_view(app: App, month: Month) -> LifeView:
    """The month's life by the log as it is now."""
    app.diary.refresh()
    life = app.diary.life(month)
    move, is_due = _next(app, month, life)
    last = life.submission
    return LifeView(
        month=month, state=life.state(), versions=[_version(app, life, version) for version in sorted(life.frozen, reverse=True)],
        happened=sorted(_happened(life), key=lambda one: one.at), receipt=(last.receipt or "") if last else "",
        receipt_file=_receipt_file(app, month, last), receipt_version=last.event.version if last else 0,
        submission_id=last.event.submission_id if last else "", outbox=outbox_of(app, life), move=move,
        changed=what_changed(life, life.draft) if life.draft else "", is_undecided=life.blocking_draft is not None, is_taken=life.is_taken, needs_approvals=app.settings.closing.approvals,
        approvers=app.settings.closing.approvers, excluded_approver=excluded_approver(life, app.desk.plan, life.version), is_due=is_due, can_note=last is not None and last.verdict is None,
        can_refile=last is not None and last.event.version == life.version and last.state is State.REJECTED,
    )  # fmt: skip


def _receipt_file(app: App, month: Month, last: Submission | None) -> str:
    answer = next((one for one in reversed(last.answers) if one.receipt), None) if last else None
    if last is None or answer is None:
        return ""
    name = f"{SUBMISSIONS}/{last.event.submission_id}/{answer_file(answer, last.answers.index(answer) + 1)}"
    return name if (app.months.folder_of(month, last.event.version) / name).is_file() else ""


def _next(app: App, month: Month, life: Life) -> tuple[Move, bool]:
    """Who acts next by the log alone, and whether it is the program, now."""
    if not life.frozen:
        return Move("you", ""), False
    try:
        status = app.desk.closing.foresee_month(month, app.now(), unmet=[])
    except EsepError as error:
        return Move("you", text_of(error), "esep doctor"), False
    return move_of_step(status), status.step.act in (Act.SIGN, Act.SUBMIT, Act.SEND, Act.ASK)


def _version(app: App, life: Life, version: int) -> VersionView:
    event, signed = life.frozen[version], life.signed.get(version)
    folder = app.months.folder_of(life.month, version)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.removeprefix(".") in SHOWN_KINDS] if folder.is_dir() else []
    paths += sorted((folder / SUBMISSIONS).rglob("*"))
    files = [(str(path.relative_to(folder)), path.stat().st_size) for path in paths if path.is_file()]
    return VersionView(
        version, event.digest, event.at, event.by, event.reason, list(life.approvals.get(version, {})), signed is not None,
        signed.signer if signed else "", files,
    )  # fmt: skip


def _happened(life: Life) -> list[Happened]:
    found = [Happened(one.at, "frozen", one.version, one.by, one.reason) for one in life.versions]
    found += [Happened(one.at, "approved", one.version, one.by, one.reason) for each in life.approvals.values() for one in each.values()]
    found += [Happened(one.at, "signed", one.version, one.by, one.signer) for one in life.signed.values()]
    found += [Happened(one.at, "as-frozen", one.version, one.by, one.reason) for one in life.as_frozen]
    for submission in life.submissions:
        event = submission.event
        found.append(Happened(event.at, "submitted", event.version, event.by, event.submission_id))
        for step in submission.trail:
            if isinstance(step, Answered):
                detail = joined("; ", [part for part in (outcome_words(step.outcome), summary_of(step), step.receipt or "") if part])
                found.append(Happened(step.at, "answered", event.version, step.by, detail))
            else:
                found.append(Happened(step.at, "sent", event.version, step.by, step.target or event.target))
    return found


_REACHED: Final = {State.FROZEN: "frozen", State.SIGNED: "signed", State.SUBMITTING: "submitted"}


def reached(life: Life) -> dict[State, Happened]:
    """When the newest version came to each state of its path, and by whom: the last time, of a submission that was made again."""
    ours = [one for one in sorted(_happened(life), key=lambda one: one.at) if one.version == life.version]
    found = {state: one for state, what in _REACHED.items() for one in ours if one.what == what}
    last = life.submission
    if last is not None and life.is_filed and last.answers:
        found[State.ACCEPTED] = Happened(last.answers[-1].at, "answered", life.version, last.answers[-1].by, "")
    return found


def file_of(app: App, month: Month, version: int, name: str) -> bytes | None:
    """A file of a bundle that may be taken along, byte for byte; None for any other name."""
    life = app.diary.life(month)
    if version not in life.frozen or name not in {one for one, _ in _version(app, life, version).files}:
        return None
    return app.desk.months.read(month, version, name)
