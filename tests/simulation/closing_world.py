"""A world to close months in: bundles that notice any change, and a filing service that lies, stalls and forgets as configured.

`Months` and `Filing` as `pipeline.closing.advance` wants them, over a real log. The filing service keeps what it accepted: tests look there
whether anything was filed twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pipeline.closing.advance import Closing
from pipeline.closing.calendar import Plan, months_until
from pipeline.closing.diary import Diary
from pipeline.closing.filing import Answer, AnswerMap, Body, BodyMap, Form, compose, interpret
from pipeline.log.events import encode
from pipeline.log.events.months import Frozen, RejectedRow, Submitting
from pipeline.log.protocol import EventLog
from pipeline.model.months import Month
from pipeline.signing.certificate import KeyCertificate
from pipeline.signing.signer import Signature

POOL = "pool"


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Bundles:
    """Frozen months in memory; a frozen file that would change is an error."""

    log: EventLog
    first: Month
    files: dict[tuple[str, int, str], bytes] = field(default_factory=dict)
    open_conditions: dict[str, list[str]] = field(default_factory=dict)
    unusual: dict[str, list[str]] = field(default_factory=dict)
    """What asks for a person's name before a month is filed."""

    def known(self, now: int) -> list[Month]:
        found = []
        month = self.first
        while month.end_at - 86_400 * 31 <= now and len(found) < 24:
            found.append(month)
            month = month.next
        return found

    def unmet(self, month: Month) -> list[str]:
        return self.open_conditions.get(str(month), [])

    def beyond_log(self, month: Month) -> str:
        return ""

    def review_reasons(self, month: Month, version: int) -> list[str]:
        return self.unusual.get(str(month), [])

    def freeze(self, month: Month, *, now: int, by: str, reason: str, version: int = 1) -> None:
        digest = hashlib.sha256(f"{month}:{version}".encode()).hexdigest()
        report = {"month": str(month), "version": version, "digest": digest, "rows": []}
        self.write(month, version, "report.json", json.dumps(report).encode())
        report_digest = hashlib.sha256(self.files[str(month), version, "report.json"]).hexdigest()
        manifest = json.dumps({"month": str(month), "version": version, "files": {"report.json": report_digest}}).encode()
        self.write(month, version, "manifest.json", manifest)
        event = Frozen(
            id=f"frozen:{month}:{version}",
            month=str(month),
            version=version,
            digest=digest,
            positions={},
            rules={},
            header={},
            manifest_digest=hashlib.sha256(manifest).hexdigest(),
            by=by,
            reason=reason,
            at=now,
        )
        with self.log.writer("months", POOL) as writer:
            writer.append([encode(event)])

    def write(self, month: Month, version: int, name: str, content: bytes) -> None:
        key = (str(month), version, name)
        assert self.files.setdefault(key, content) == content, f"{key} was changed after its freeze"

    def read(self, month: Month, version: int, name: str) -> bytes:
        return self.files[str(month), version, name]

    def digest(self, month: Month, version: int, name: str) -> str:
        return hashlib.sha256(self.files[str(month), version, name]).hexdigest()

    def keep(self, month: Month, version: int, name: str, content: bytes) -> None:
        assert name not in ("report.json", "manifest.json")
        self.write(month, version, name, content)


class Key:
    """A signer whose signature is a digest: real keys are tried in their own tests."""

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature:
        return Signature({name: hashlib.sha256(content).digest() for name, content in files.items()}, "CN=test", "ab" * 32, now + 10**9)

    def certificate(self) -> KeyCertificate:
        return KeyCertificate("ab" * 32, 0, 10**10, frozenset())


@dataclass
class FilingService:
    """The filing service. `mood` names what it does to the next call; it always keeps its own books right."""

    can_ask: bool = True
    mood: str = "well"
    books: dict[str, tuple[str, bytes, str | None]] = field(default_factory=dict)
    """By submission id: its state, its bytes, its receipt."""
    accepted: list[tuple[str, int]] = field(default_factory=list)
    """Month and version of every acceptance, in order."""
    receipts_given: list[tuple[str, str]] = field(default_factory=list)
    target: str = "the filing service"
    logged: Callable[[str], bytes | None] = lambda _: b""
    """The bytes that our log holds of a submission: what is sent must stand there already."""

    may_have: set[str] = field(default_factory=set)
    """Submissions of which a transmission may have arrived, and of which nobody said since that there is nothing."""
    says_it_has: set[str] = field(default_factory=set)
    """Submissions of which an answer of ours said that we have them."""

    def compose(self, form: Form) -> Body:
        return compose(form, BodyMap())

    def send(self, submission: Submitting, content: bytes) -> Answer:
        """Take a transmission. One that comes while an earlier one may have arrived is an error, whatever we would make of it."""
        assert submission.submission_id not in self.may_have, "sent although an earlier transmission may have arrived"
        assert submission.submission_id not in self.says_it_has, "sent although we said that we have it"
        answer = self._take(submission, content)
        if answer.outcome != "unreachable":
            self.may_have.add(submission.submission_id)
        return self._told(submission, answer)

    def _told(self, submission: Submitting, answer: Answer) -> Answer:
        if answer.outcome in ("received", "duplicate", "accepted"):
            self.says_it_has.add(submission.submission_id)
        return answer

    def ask(self, submission: Submitting) -> Answer:
        """Answer a question; only our own word for it says that we have nothing."""
        answer = self._tell(submission)
        if answer.outcome == "missing":
            self.may_have.discard(submission.submission_id)
        return self._told(submission, answer)

    def person_says_missing(self, submission_id: str) -> None:
        """A person found out that we have nothing."""
        self.may_have.discard(submission_id)
        self.says_it_has.discard(submission_id)

    def _take(self, submission: Submitting, content: bytes) -> Answer:
        assert self.logged(submission.submission_id) == content, "bytes were sent that are not in the log"
        if self.mood == "down":
            return Answer("unreachable", "connection refused")
        if self.mood == "storm":
            return Answer("unknown", "HTTP 503", http_status=503)
        known = self.books.get(submission.submission_id)
        if known is not None:
            assert known[1] == content, "the same id with other bytes"
            return Answer("duplicate", "known already")
        if self.mood == "rejects":
            self.books[submission.submission_id] = ("rejected", content, None)
            return Answer("rejected", "row 1 is wrong", rows=[RejectedRow(n="1", message="wrong")])
        receipt = f"R-{len(self.books) + 1}"
        self.books[submission.submission_id] = ("accepted", content, receipt)
        self.accepted.append((submission.month, submission.version))
        if self.mood in ("timeout", "ingress"):
            return Answer("unknown", "timed out")
        if self.mood in ("wrong status address", "forgets"):
            return Answer("received")
        if self.mood == "loses receipts":
            return Answer("received", "accepted, but no receipt came with it")
        self.receipts_given.append((submission.submission_id, receipt))
        return Answer("accepted", receipt=receipt)

    def _tell(self, submission: Submitting) -> Answer:
        if self.mood in ("ingress", "wrong status address"):
            page = b"<html><head><title>404 Not Found</title></head><body>nginx</body></html>"
            return interpret(AnswerMap(), asked="status", status=404, content=page)
        if self.mood == "forgets":
            return interpret(AnswerMap(), asked="status", status=404, content=b'{"status": "not-found"}')
        if self.mood in ("down", "storm", "timeout"):
            return Answer("unreachable" if self.mood == "down" else "unknown", self.mood)
        known = self.books.get(submission.submission_id)
        if known is None:
            return Answer("missing")
        state, _, receipt = known
        if state == "rejected":
            return Answer("rejected", rows=[RejectedRow(n="1", message="wrong")])
        if self.mood == "loses receipts":
            return Answer("received")
        assert receipt is not None
        self.receipts_given.append((submission.submission_id, receipt))
        return Answer("accepted", receipt=receipt)


def make_closing(
    log: EventLog, plan: Plan, bundles: Bundles, side: FilingService, *, crash_after: int | None = None, steps: list[str] | None = None
) -> Closing:
    """A fresh process over the log; it crashes after so many steps."""
    left = [crash_after]

    def step_done(name: str) -> None:
        if steps is not None:
            steps.append(name)
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash(name)

    plan = replace(plan, first_month=plan.first_month or bundles.first)
    closing = Closing(Diary(log, POOL), POOL, plan, bundles, side, Key() if plan.has_signer else None, step_done=step_done)

    def logged(submission_id: str) -> bytes | None:
        from pipeline.closing.advance import content_of_submission

        closing.diary.refresh()
        found = [s for life in closing.diary.lives.values() for s in life.submissions if s.event.submission_id == submission_id]
        return content_of_submission(found[0].event) if found else None

    side.logged = logged
    return closing


def all_months(first: Month, last: Month) -> list[Month]:
    return list(months_until(first, last))
