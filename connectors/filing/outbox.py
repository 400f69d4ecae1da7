"""Files by writing a folder for a person to hand in: `outbox/2026-10-v1-SUBMISSION/` (the default).

Enters: a submission, its exact bytes, and the papers that go with it. Leaves: the body, the printed form (PDF, XLSX), the report with its signature, and a
note that says what to do next. Placing the same submission again writes the same bytes. Nobody can be asked here: a person says what became of it (`esep receipt`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.closing.filing import Answer, Body, BodyMap, Form, compose
from pipeline.log.events.months import Submitting
from pipeline.model.durable import write_atomically
from pipeline.model.errors import EsepError, FilingError
from pipeline.model.message import message
from pipeline.model.paths import path_within

_NOTE = """Submission {id}
Month {month}, version {version}{amends}

Hand in the file `{name}` to the tax body{papers}, then record the outcome:

    esep receipt {month} accepted --receipt NUMBER --by "NAME" --reason "handed in"
    esep receipt {month} rejected --by "NAME" --reason "what they said"
"""


Papers = Callable[[Submitting], Mapping[str, bytes]]


class Outbox:
    """Implements `pipeline.closing.advance.Filing` with a folder."""

    can_ask = False

    def __init__(self, folder: Path, how: BodyMap, papers: Papers = lambda _: {}) -> None:
        """`papers`: what lies beside a submission's body, by the file's name; raises EsepError for a bundle that is not as it was frozen."""
        self._folder = folder
        self._how = how
        self._papers = papers

    @property
    def target(self) -> str:
        return f"outbox:{self._folder.name}"

    def compose(self, form: Form) -> Body:
        """The file's bytes. Raises FilingError."""
        return compose(form, self._how)

    def send(self, submission: Submitting, content: bytes) -> Answer:
        """Place the submission; `placed`, or `unreachable` when the folder can't be written."""
        try:
            folder = path_within(self._folder, f"{submission.month}-v{submission.version}-{submission.submission_id}")
        except ValueError as error:
            return Answer("unreachable", f"nothing was placed: {error}")
        name = "body.xml" if "xml" in submission.content_type else "body.json" if "json" in submission.content_type else "body"
        amends = f", corrects submission {submission.amends}" if submission.amends else ""
        amends += f", receipt {submission.amends_receipt}" if submission.amends_receipt else ""
        try:
            papers = dict(self._papers(submission))
        except (EsepError, OSError) as error:
            return Answer("unreachable", f"nothing was placed: {error}")
        beside = f", or the form on paper; beside it lie {', '.join(sorted(papers))}" if papers else ""
        note = _NOTE.format(
            id=submission.submission_id, month=submission.month, version=submission.version, amends=amends, name=name, papers=beside
        )  # fmt: skip
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The body last: while it is not there, nobody can have handed it in.
            write_atomically(folder / "README.txt", note.encode())
            for paper, raw in papers.items():
                write_atomically(path_within(folder, paper), raw)
            write_atomically(folder / name, content)
        except OSError as error:
            return Answer("unreachable", f"{folder}: {error.strerror or error}")
        return Answer("placed", f"hand in {folder / name}", request=f"placed {folder.name}/{name}")

    def ask(self, submission: Submitting) -> Answer:
        raise FilingError(
            message(
                "an outbox can't be asked what became of {submission_id}: say it with `esep receipt`",
                submission_id=submission.submission_id,
            )
        )
