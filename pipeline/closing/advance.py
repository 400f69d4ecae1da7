"""Takes every step that is due now for every month: `Closing.advance` (ADR 5).

Enters: the log, `now`, and signer, filing service and bundles behind protocols. Leaves: events. An event is appended before its step has an
effect outside, or after the answer came, so after a crash at any point the next `advance` continues correctly. Left out: when it is called.
It may be called at any time, any number of times, by several processes at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from pipeline.closing.diary import Diary, StepAlreadyTaken
from pipeline.log.events.months import Answered, Sending, Signed, Submitting
from pipeline.model.errors import FilingError, LogError, MonthError, SigningError
from pipeline.model.journal import Journal
from pipeline.model.message import joined, message
from pipeline.model.months import Month
from pipeline.model.packed import pack, unpack
from pipeline.model.system_words import trouble_text
from pipeline.signing.signer import SIGNED_FILES, Signer

from .calendar import Plan
from .filing import Answer, Body, Form, submission_id_of
from .frozen_files import Files, read_frozen
from .life import Life
from .steps import SCHEDULE, Act, FilingWay, Step, approvals_of, next_step
from .submission import SUBMISSIONS, Submission, answer_file

MAX_STEPS = 16
"""Steps of one month in one call; more would be an endless loop."""

_journal = Journal("esep.closing")


class Filing(Protocol):
    """The filing service. `send` and `ask` do not raise for failures of the network or the service: these are `Answer`s."""

    @property
    def target(self) -> str: ...
    @property
    def can_ask(self) -> bool: ...
    def compose(self, form: Form) -> Body: ...
    def send(self, submission: Submitting, content: bytes) -> Answer: ...
    def ask(self, submission: Submitting) -> Answer: ...


class Months(Files, Protocol):
    """The months' facts and bundles."""

    def known(self, now: int) -> list[Month]: ...
    def unmet(self, month: Month) -> list[str]: ...
    def beyond_log(self, month: Month) -> str: ...
    def review_reasons(self, month: Month, version: int) -> list[str]:
        """Why a frozen version is not filed without a person's name; empty when no approval is needed."""
        ...

    def freeze(self, month: Month, *, now: int, by: str, reason: str) -> None: ...
    def keep(self, month: Month, version: int, name: str, content: bytes) -> None: ...


@dataclass(frozen=True)
class MonthStatus:
    """A month after `advance`: the step that is due next, and the error that stopped it, if any."""

    month: Month
    life: Life
    step: Step
    trouble: str = ""
    unmet: tuple[str, ...] = ()


class Closing:
    """One pool's closing. `step_done` is called after each effect that a crash may follow: tests crash there."""

    def __init__(
        self, diary: Diary, pool: str, plan: Plan, months: Months, filing: Filing, signer: Signer | None, *, step_done: Callable[[str], None] = lambda _: None
    ) -> None:  # fmt: skip
        self.diary = diary
        self._pool = pool
        self._plan = plan
        self._months = months
        self._filing = filing
        self._signer = signer
        self._step_done = step_done
        self._kept: dict[str, tuple[int, ...]] = {}

    def advance(self, now: int, *, stopped: Mapping[Month, str] = MappingProxyType({})) -> list[MonthStatus]:
        """Take every step that is due at `now` (Unix seconds), the oldest month first. Raises only what the log raises.

        `stopped`: frozen months to leave alone this time, each with the reason.
        """
        self.diary.refresh()
        found: list[MonthStatus] = []
        is_gap = False
        for month in self._months.known(now):
            if month in stopped:
                status = MonthStatus(month, self.diary.life(month), Step(Act.WAIT, stopped[month]), stopped[month])
            else:
                status = self._carry(month, now, may_freeze=not is_gap)
            is_gap = is_gap or not status.life.frozen
            found.append(status)
        return found

    def foresee(self, now: int) -> list[MonthStatus]:
        """Every month with the step that is due at `now`, none of them taken: what `advance` would begin with. The diary is not refreshed."""
        found: list[MonthStatus] = []
        is_gap = False
        for month in self._months.known(now):
            life = self.diary.life(month)
            try:
                found.append(self.foresee_month(month, now, may_freeze=not is_gap))
            except (SigningError, FilingError, MonthError, OSError) as error:
                found.append(MonthStatus(month, life, Step(Act.WAIT, trouble_text(error)), trouble_text(error)))
            is_gap = is_gap or not life.frozen
        return found

    def foresee_month(self, month: Month, now: int, *, may_freeze: bool = True, unmet: list[str] | None = None) -> MonthStatus:
        """One month with the step that is due, not taken. `unmet`: the conditions that do not hold, where the caller knows them."""
        life = self.diary.life(month)
        if told := self._months.beyond_log(month):
            return MonthStatus(month, life, Step(Act.PERSON if life.frozen else Act.FACTS, told))
        if unmet is None and not life.frozen and now >= month.end_at:
            unmet = self._unmet(month, may_freeze=may_freeze)
        step = next_step(life, self._plan, now, unmet=unmet, way=FilingWay(self._filing.target, self._filing.can_ask))
        return MonthStatus(month, life, self._unless_review_needed(life, step), unmet=tuple(unmet or ()))

    def _unmet(self, month: Month, *, may_freeze: bool) -> list[str]:
        return (self._months.unmet(month) if may_freeze else [message("{previous} is not frozen: months are frozen in order", previous=month.previous)])  # fmt: skip

    def _carry(self, month: Month, now: int, *, may_freeze: bool) -> MonthStatus:
        """Take the due steps of one month. An error stops this month only; the next `advance` tries it again."""
        unmet: list[str] | None = None
        step = Step(Act.WAIT, "")
        for _ in range(MAX_STEPS):
            life = self.diary.life(month)
            try:
                if told := self._months.beyond_log(month):
                    return MonthStatus(month, life, Step(Act.PERSON if life.frozen else Act.FACTS, told))
                if not life.frozen and unmet is None and now >= month.end_at:
                    unmet = self._unmet(month, may_freeze=may_freeze)
                step = next_step(life, self._plan, now, unmet=unmet, way=FilingWay(self._filing.target, self._filing.can_ask))
                step = self._unless_review_needed(life, step)
                if step.act in (Act.WAIT, Act.PERSON, Act.FACTS, Act.DONE):
                    self._keep_files(life)
                    return MonthStatus(month, life, step, unmet=tuple(unmet or ()))
                self._do(life, step, now)
            except StepAlreadyTaken:
                continue
            except (SigningError, FilingError, MonthError, OSError) as error:
                _journal.error("month-stopped", month=str(month), step=step.act.value, error=str(error))
                return MonthStatus(month, life, step, trouble_text(error), tuple(unmet or ()))
        raise AssertionError(f"{month}: {MAX_STEPS} steps and no end: the last was {step}")

    def _unless_review_needed(self, life: Life, step: Step) -> Step:
        """The step; or one for a person, if a version that nobody froze or approved by name is about to be filed and the month needs review."""
        version = step.version
        if step.act is not Act.SUBMIT or life.frozen[version].by != SCHEDULE or approvals_of(life, self._plan, version):
            return step
        reasons = self._months.review_reasons(life.month, version)
        if not reasons:
            return step
        how = message("review it, then approve it: esep approve {month} --by NAME --reason TEXT", month=life.month)
        return replace(step, act=Act.PERSON, why=message("{reasons}: {how}", reasons=joined("; ", reasons), how=how), command=f"esep approve {life.month} --by NAME --reason TEXT")  # fmt: skip

    def _do(self, life: Life, step: Step, now: int) -> None:
        """Do the step. Every branch appends its event to the log."""
        _journal.info("step", month=str(life.month), step=step.act.value, why=step.why)
        match step.act:
            case Act.FREEZE:
                try:
                    self._months.freeze(life.month, now=now, by=SCHEDULE, reason=step.why)
                except LogError:
                    self.diary.refresh()
                    if life.frozen:
                        raise StepAlreadyTaken(f"frozen:{life.month}:1") from None
                    raise
                self._step_done("frozen")
                self.diary.refresh()
                if not life.frozen:
                    raise MonthError(message("{month}: the freeze appended no event: run esep log check", month=life.month))
            case Act.SIGN:
                self._sign(life, step, now)
            case Act.SUBMIT:
                submit(self.diary, self._months, self._filing, self._pool, life, now=now, by=SCHEDULE, reason=step.why)
                self._step_done("submitting")
            case Act.SEND:
                self._send(life, step, now)
            case Act.ASK:
                submission = _submission(life, step)
                begun = submission.transmissions
                answer = self._filing.ask(submission.event)
                self._step_done("asked")
                self.answer(submission, answer, asked="status", transmission=begun, now=now, reason=step.why)
            case _:
                raise AssertionError(f"{step.act} is not a step to do")

    def _sign(self, life: Life, step: Step, now: int) -> None:
        if self._signer is None:
            raise SigningError(message("a signature is wanted and no key is configured: set [signing]"))
        files = read_frozen(self._months, life.frozen[step.version], SIGNED_FILES, failure=SigningError, whole=True)
        signature = self._signer.sign(files, now=now)
        self._step_done(message("signature made"))
        self.diary.append(
            Signed(
                id=f"signed:{life.month}:{step.version}",
                month=str(life.month),
                version=step.version,
                signatures={name: base64.b64encode(signature.by_file[name]).decode() for name in SIGNED_FILES},
                signer=signature.signer,
                certificate_digest=signature.certificate_digest,
                not_after=signature.not_after,
                by=SCHEDULE,
                reason=step.why,
                at=now,
            )
        )
        self._step_done("signed")

    def _send(self, life: Life, step: Step, now: int) -> None:
        """Send the submission. `sending` is logged first: from then on the outcome is unknown until an answer is logged."""
        submission = _submission(life, step)
        event = submission.event
        content = self._content_as_frozen(life, event)
        number = submission.transmissions + 1
        self.diary.append(
            Sending(
                id=f"sending:{event.submission_id}:{number}",
                month=event.month,
                version=event.version,
                submission_id=event.submission_id,
                transmission=number,
                target=self._filing.target if self._filing.target != event.target else "",
                by=SCHEDULE,
                reason=step.why,
                at=now,
            )
        )
        self._step_done("sending")
        answer = self._filing.send(event, content)
        self._step_done("sent")
        self.answer(submission, answer, asked="send", transmission=number, now=now, reason=step.why)

    def _content_as_frozen(self, life: Life, event: Submitting) -> bytes:
        """A submission's bytes, if it is one of what was frozen and the bundle still is. Raises FilingError."""
        frozen = life.frozen.get(event.version)
        if frozen is None:
            raise FilingError(message(
                "{month}: submission {submission_id} is of version {version}, which was never frozen: nothing is sent",
                month=event.month, submission_id=event.submission_id, version=event.version,
            ))  # fmt: skip
        own = submission_id_of(self._pool, event.month, event.version, event.attempt, frozen.manifest_digest)
        if event.submission_id != own:
            raise FilingError(message(
                "{month} v{version}: submission {submission_id} is none of the manifest that was frozen ({manifest_digest}), whose submission {attempt} is {own}: nothing is sent; look who wrote event {id}",
                month=event.month, version=event.version, submission_id=event.submission_id, manifest_digest=frozen.manifest_digest,
                attempt=event.attempt, own=own, id=repr(event.id),
            ))  # fmt: skip
        read_frozen(self._months, frozen, ["report.json"], failure=FilingError)
        return content_of_submission(event)

    def answer(self, submission: Submission, answer: Answer, *, asked: Any, transmission: int, now: int, reason: str) -> None:
        """Append an answer. If another process appended one meanwhile, this one takes the next number."""
        append_answer(self.diary, submission, answer, asked=asked, transmission=transmission, now=now, by=SCHEDULE, reason=reason)
        self._step_done("answered")

    def _keep_files(self, life: Life) -> None:
        """Write the signatures, submissions and answers in the log into the month's bundles, where they are missing (law 1)."""
        size = (len(life.signed), *(len(submission.trail) for submission in life.submissions))
        if self._kept.get(str(life.month)) == size:
            return
        for version, signed in life.signed.items():
            for name in signed.signatures:
                self._months.keep(life.month, version, f"{name}.p7s", signature_of(signed, name))
        for submission in life.submissions:
            event = submission.event
            folder = f"{SUBMISSIONS}/{event.submission_id}"
            self._months.keep(life.month, event.version, f"{folder}/body", content_of_submission(event))
            for number, answered in enumerate(submission.answers, 1):
                text = f"{answered.request}\n\n---\n{answered.response or answered.message}\n"
                self._months.keep(life.month, event.version, f"{folder}/{answer_file(answered, number)}", text.encode())
        self._kept[str(life.month)] = size


def content_of_submission(event: Submitting) -> bytes:
    """The exact bytes. Raises FilingError when they are not those that the event names, or unpack to more than a submission has."""
    try:
        content = unpack(event.body_gzip)
    except ValueError as error:
        raise FilingError(message("submission {submission_id}: its bytes in the log are damaged: nothing is sent ({error})", submission_id=event.submission_id, error=error)) from error  # fmt: skip
    digest = hashlib.sha256(content).hexdigest()
    if digest != event.body_digest:
        raise FilingError(message(
            "submission {submission_id}: its bytes in the log are damaged: nothing is sent (SHA-256 {digest}, not {body_digest})",
            submission_id=event.submission_id, digest=digest, body_digest=event.body_digest,
        ))  # fmt: skip
    return content


def signature_of(event: Signed, name: str) -> bytes:
    """The signature (DER) that an event has for a file. Raises SigningError where it has none, or what is no base64."""
    try:
        return base64.b64decode(event.signatures[name], validate=True)  # type: ignore[index]
    except (KeyError, binascii.Error, ValueError) as error:
        raise SigningError(message(
            "{month} v{version}: the log holds no signature of {name} ({error}): look at event {id}",
            month=event.month, version=event.version, name=name, error=repr(error), id=repr(event.id),
        )) from error  # fmt: skip


def submit(diary: Diary, months: Months, filing: Filing, pool: str, life: Life, *, now: int, by: str, reason: str) -> Submitting:
    """Append the submission of the newest version, its bytes and id, to the log. Nothing is sent. Raises StepAlreadyTaken, FilingError."""
    version = life.version
    frozen = life.frozen[version]
    attempt = len(life.submissions) + 1
    report = read_frozen(months, frozen, ["report.json"], failure=FilingError)["report.json"]
    signed, amended = life.signed.get(version), life.submission_to_amend
    submission_id = submission_id_of(pool, str(life.month), version, attempt, frozen.manifest_digest)
    form = Form(
        pool=pool,
        month=str(life.month),
        version=version,
        digest=frozen.digest,
        report=report,
        signature=signature_of(signed, "report.json") if signed else None,
        submission_id=submission_id,
        amends=amended.event.submission_id if amended else None,
        amends_receipt=amended.receipt if amended else None,
        at=now,
    )
    body = filing.compose(form)
    event = Submitting(
        id=f"submitting:{life.month}:{attempt}",
        month=str(life.month),
        version=version,
        attempt=attempt,
        submission_id=submission_id,
        amends=form.amends,
        amends_receipt=form.amends_receipt,
        target=filing.target,
        content_type=body.content_type,
        body_gzip=_packed(body.content, life.month),
        body_digest=hashlib.sha256(body.content).hexdigest(),
        by=by,
        reason=reason,
        at=now,
    )
    diary.append(event)
    return event


def _packed(content: bytes, month: Month) -> str:
    try:
        return pack(content)
    except ValueError as error:
        raise FilingError(message("{month}: the submission can't be kept in the log, so it is not made: {error}", month=month, error=error)) from error  # fmt: skip


def append_answer(
    diary: Diary, submission: Submission, answer: Answer, *, asked: Any, transmission: int, now: int, by: str, reason: str
) -> None:
    """Append an answer under the next free number. `transmission`: the one answered; for a status query, how many were started before it."""
    event = submission.event
    number = len(submission.answers) + 1
    while True:
        try:
            diary.append(
                Answered(
                    id=f"answered:{event.submission_id}:{number}",
                    month=event.month,
                    version=event.version,
                    submission_id=event.submission_id,
                    number=number,
                    asked=asked,
                    outcome=answer.outcome,
                    transmission=transmission,
                    receipt=answer.receipt,
                    message=answer.message,
                    rows=list(answer.rows),
                    http_status=answer.http_status,
                    request=answer.request,
                    response=answer.response,
                    by=by,
                    reason=reason,
                    at=now,
                )
            )
        except StepAlreadyTaken:
            number += 1
            continue
        return


def _submission(life: Life, step: Step) -> Submission:
    return next(found for found in life.submissions if found.event.submission_id == step.submission_id)
