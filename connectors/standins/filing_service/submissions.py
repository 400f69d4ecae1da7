"""The sandbox's submissions: id, state and receipt of each. In memory, and in a file of JSON lines if one is given.

Enters: submissions' bytes and status queries. Leaves: `Entry`s. A submission is checked: its digest must be the report's, and an amendment must
name an accepted submission. The same id with other bytes is a conflict.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

COUNTER = "N-"
"""The prefix of receipts for submissions handed in on paper, which the sandbox does not know."""


@dataclass
class Entry:
    """One submission and its state."""

    submission_id: str
    body_digest: str
    state: str
    """received, accepted or rejected."""
    receipt: str
    month: str
    version: str
    amends: str
    at: int
    questions_left: int = 0
    """How many more status queries are answered with `received`."""
    rows: list[dict[str, str]] = field(default_factory=list)
    message: str = ""
    times_sent: int = 1


class Conflict(Exception):
    """The id is known with other bytes."""


class ReceivedSubmissions:
    """The submissions that the trial service received. Thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self._path = path
        self._lock = threading.Lock()
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = Entry(**json.loads(line))
                self.entries[entry.submission_id] = entry

    def receive(self, submission_id: str, content: bytes, *, now: int, questions: int = 0, rejects: bool = False) -> tuple[Entry, bool]:
        """Receive a submission; the entry, and whether it was known. Raises Conflict, or ValueError for anything that is no submission."""
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            known = self.entries.get(submission_id)
            if known is not None:
                if known.body_digest != digest:
                    raise Conflict(f"{submission_id} is known with other bytes")
                known.times_sent += 1
                self._write(known)
                return known, True
            told = read_submission(content)
            fault = self._fault(told, submission_id)
            entry = Entry(
                submission_id=submission_id,
                body_digest=digest,
                state="rejected" if rejects or fault else "received" if questions else "accepted",
                receipt="" if rejects or fault else f"KZ-{len(self.entries) + 1:06}-{digest[:8]}",
                month=str(told.get("month") or ""),
                version=str(told.get("version") or ""),
                amends=str(told.get("amends") or ""),
                at=now,
                questions_left=questions,
                rows=[{"n": "1", "message": "the licence is not known to us"}] if rejects else [],
                message=fault,
            )
            self.entries[submission_id] = entry
            self._write(entry)
            return entry, False

    def status_of(self, submission_id: str) -> Entry | None:
        """A submission's entry; None if unknown. Each query counts down `questions_left`."""
        with self._lock:
            entry = self.entries.get(submission_id)
            if entry is not None and entry.state == "received":
                entry.questions_left -= 1
                if entry.questions_left < 0:
                    entry.state = "accepted"
                self._write(entry)
            return entry

    def _fault(self, told: dict[str, Any], submission_id: str) -> str:
        if told.get("submission_id") not in (None, submission_id):
            return "the header and the body name different submissions"
        amended = self.entries.get(str(told.get("amends") or ""))
        # What was handed in at the counter is known by its receipt alone.
        is_from_the_counter = amended is None and str(told.get("amends_receipt") or "").startswith(COUNTER)
        if told.get("amends") and not is_from_the_counter and (amended is None or amended.state == "rejected"):
            return "it amends a submission that was never accepted"
        if not told.get("amends") and any(e.month == told.get("month") and e.state != "rejected" for e in self.entries.values() if e.month):
            return "the month is filed already: an amendment must name the submission that it corrects"
        return ""

    def _write(self, entry: Entry) -> None:
        """A line for each change; the last line of an id counts."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")


def read_submission(content: bytes) -> dict[str, Any]:
    """The named values of a submission: of JSON, or of JSON within a SOAP envelope's requestData. Raises ValueError for anything else."""
    text = content
    if content.lstrip().startswith(b"<"):
        if b"<!DOCTYPE" in content:
            raise ValueError("a DOCTYPE is not read")
        try:
            root = ElementTree.fromstring(content)  # noqa: S314 - no DOCTYPE, so no entities
        except ElementTree.ParseError as error:
            raise ValueError(f"not XML: {error}") from error
        data = next((node.text for node in root.iter() if node.tag.rpartition("}")[2] == "data"), None)
        if data is None:
            return {}
        text = data.encode()
    try:
        told = json.loads(text)
    except ValueError as error:
        if content.lstrip().startswith(b"<"):
            return {}
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(told, dict):
        raise ValueError("not a JSON object")
    if isinstance(packed := told.get("report_base64"), str):
        report = json.loads(base64.b64decode(packed))
        if told.get("digest") != report.get("digest"):
            raise ValueError("the digest is not the report's")
    return told
