"""Imports files as they arrive in a folder, by SFTP for instance.

Enters: files put into the folder, rules that give each file's kind by its name. Leaves: each file in `done/`, `refused/` or `waiting/` beside it,
with a report of the same name and `.report.txt`. A file counts as complete when it has not changed for some seconds;
temporary names of uploads (`.name`, `*.part`, `*.tmp`, `*.filepart`) are ignored until renamed. A crash between import and move imports nothing
twice: rows already in the log are recognised. Left out: what an import does (`app`), and who is told (`closing.notices`).
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import os
import shlex
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.app.app import App
from pipeline.closing.diary import Diary
from pipeline.closing.notices import Notice, deliver
from pipeline.model.errors import ConsentNeeded, InputRefused, LogError, SettingsError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.model.plain import plain_name
from pipeline.settings.inbox import InboxRule, InboxSettings
from pipeline.validate.review import Consent, review_lines

from .metrics import Metrics

DONE, REFUSED, WAITING = "done", "refused", "waiting"
_REPORT = ".report.txt"
_MAX_NAME_BYTES = 255
_OF_UPLOADS = (".*", "~$*", "*.part", "*.tmp", "*.filepart", "*.crdownload")
_journal = Journal("esep.inbox")

Importer = Callable[[Path, InboxRule, Consent], str]
"""Imports one file; what it did, as text. Raises InputRefused, ConsentNeeded, SettingsError, and errors of the log or the disk."""


@dataclass(frozen=True)
class HandledFile:
    """The result for one file: `place` is done, refused or waiting; `report` is the text written beside it."""

    name: str
    place: str
    report: str


@dataclass
class Inbox:
    """One pool's inbox. Not thread-safe."""

    folder: Path
    rules: Sequence[InboxRule]
    settle_s: float
    importer: Importer
    _seen: dict[str, tuple[tuple[int, ...], float]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: InboxSettings, importer: Importer) -> Inbox:
        """The configured inbox. Raises SettingsError where none is configured."""
        if settings.folder is None:
            raise SettingsError([message("inbox.folder: is not set: name the folder that files arrive in")], source="esep inbox")
        return cls(settings.folder, settings.files, float(settings.settle_s), importer)

    def look(self, now: float) -> list[HandledFile]:
        """Import every complete file (`now`: seconds of a monotonic clock); the results, by name."""
        if not self.folder.is_dir():
            return []
        handled: list[HandledFile] = []
        failed: OSError | None = None
        present = self._arrived()
        self._seen = {name: seen for name, seen in self._seen.items() if name in present}
        for name, signature in sorted(present.items()):
            before = self._seen.get(name)
            if before is None or before[0] != signature:
                self._seen[name] = (signature, now)
                if self.settle_s > 0:
                    continue
            elif now - before[1] < self.settle_s:
                continue
            try:
                handled.append(self._handle(self.folder / name, Consent()))
            except OSError as error:  # a file that can't be moved holds up no other; it is looked at again
                _journal.warning("file-stays", file=plain_name(name), error=plain_name(str(error)))
                failed = failed or error
                continue
            self._seen.pop(name, None)
        if failed and not handled:
            raise failed
        return handled

    def waiting(self) -> list[str]:
        """Names of the files that wait for a person's consent."""
        return sorted(self._waiting())

    def _waiting(self) -> dict[str, Path]:
        """The files that wait, by their names as people read them."""
        folder = self.folder / WAITING
        found = folder.iterdir() if folder.is_dir() else ()
        return {plain_name(path.name): path for path in found if not path.name.endswith(_REPORT)}

    def import_waiting(self, name: str, consent: Consent, *, by: str) -> HandledFile:
        """Import a file that waits, agreed to by a person, whose name goes into the log. Raises SettingsError for a name that is not there."""
        if not by.strip():
            raise SettingsError([message("--by: is empty: say who agrees")], source="esep inbox")
        path = self._waiting().get(plain_name(name))
        if path is None:
            raise SettingsError(
                [
                    message(
                        "{name} is not among the files that wait: {waiting}",
                        name=repr(name),
                        waiting=", ".join(self.waiting()) or message("none does"),
                    )
                ],
                source="esep inbox",
            )
        return self._handle(path, replace(consent, by=by), f"agreed to by {by}\n")

    def _arrived(self) -> dict[str, tuple[int, ...]]:
        """Files and folders in the inbox itself, each with a signature that changes while it is being written."""
        found = {}
        for path in self.folder.iterdir():
            if path.name in (DONE, REFUSED, WAITING) or any(fnmatch.fnmatch(path.name, pattern) for pattern in _OF_UPLOADS):
                continue
            found[path.name] = _signature(path)
        return found

    def _handle(self, path: Path, consent: Consent, preface: str = "") -> HandledFile:
        rule = next((rule for rule in self.rules if fnmatch.fnmatch(path.name, rule.pattern)), None)
        name = plain_name(path.name)
        try:
            if _is_foreign(path):
                raise InputRefused(name, [message("{name}: is a link or no plain file: put the file itself here", name=name)])
            if rule is None:
                patterns = ", ".join(rule.pattern for rule in self.rules) or "none"
                raise InputRefused(
                    name,
                    [message("{name}: no pattern of [[inbox.files]] fits the name; those are {patterns}", name=name, patterns=patterns)],
                )
            place, report = DONE, self.importer(path, rule, consent)
        except InputRefused as error:
            place, report = REFUSED, str(error)
        except ConsentNeeded as error:
            place, report = WAITING, f"{error}\nTake it with: esep inbox take {shlex.quote(name)} --by NAME"
        target = self._target(path, place)
        # The report first: after a crash in between, the file is still in place, and the next look handles it again.
        (target.parent / f"{target.name}{_REPORT}").write_text(preface + report + "\n", encoding="utf-8")
        path.rename(target)
        if path.parent.name == WAITING and place != WAITING:
            (path.parent / f"{path.name}{_REPORT}").unlink(missing_ok=True)
        _journal.info("file-handled", file=plain_name(target.name), place=place)
        return HandledFile(plain_name(target.name), place, preface + report)

    def _target(self, path: Path, place: str) -> Path:
        """The path to move a file to; if the name is taken there, the new file gets a number."""
        folder = self.folder / place
        folder.mkdir(mode=0o750, exist_ok=True)
        if path.parent == folder:
            return path
        target, number = folder / _short(path.stem, path.suffix), 1
        while target.exists():
            number += 1
            target = folder / _short(path.stem, f"-{number}{path.suffix}")
        return target


def import_arrived(app: App, path: Path, rule: InboxRule, consent: Consent) -> str:
    """Import a file, or a folder with the registry's tables; what it did, in words. Raises InputRefused, ConsentNeeded."""
    if rule.kind == "registry":
        done = app.imports.registry(path)
        counts = ", ".join(f"{count} {kind}" for kind, count in done.rows.items())
        what = "imported" if done.is_new else "is in force already"
        return "\n".join([f"registry version {done.version} {what}: {counts}", *(f"  warning: {warning}" for warning in done.warnings)])
    return "\n".join(
        review_lines(
            plain_name(path.name),
            app.imports.ledger(path, rule.kind, sheet=rule.sheet, profile=rule.profile or None, consent=consent).review,
        )
    )


def inbox_of(app: App) -> Inbox:
    """The pool's inbox, as its settings say. Raises SettingsError where none is configured."""
    return Inbox.of(app.settings.inbox, functools.partial(import_arrived, app))


def notify_people(app: App, handled: Sequence[HandledFile]) -> None:
    """Send a notice for each file that waits for consent or was refused."""
    subjects = {WAITING: "{} waits for you", REFUSED: "{} was refused"}
    notices = [
        Notice(
            f"inbox:{one.place}:{one.name}:{hashlib.sha256(one.report.encode()).hexdigest()[:16]}",
            subjects[one.place].format(one.name),
            one.report,
        )
        for one in handled
        if one.place in subjects
    ]
    if notices:
        deliver(Diary(app.log, app.pool), app.channels(), notices, app.now())


def follow_inbox(app: App, metrics: Metrics) -> Callable[[threading.Event], None]:
    """The loop that imports files as they arrive. While the log can't be reached it waits; the files stay in place."""
    name, poll_s = f"{app.pool} inbox", float(app.settings.inbox.poll_s)
    inbox = inbox_of(app)

    def loop(stop: threading.Event) -> None:
        while not stop.is_set():
            metrics.health.beat(name, patience_s=poll_s)
            try:
                notify_people(app, inbox.look(time.monotonic()))
            except (LogError, OSError) as error:
                _journal.warning("inbox-waits", error=str(error))
            stop.wait(poll_s)

    return loop


def _signature(path: Path) -> tuple[int, ...]:
    """Inode, size and modification time of a file, or of everything in a folder: changes while it is being written."""
    inside = [path, *sorted(path.rglob("*"))] if path.is_dir() and not path.is_symlink() else [path]
    stats = [entry.lstat() for entry in inside]
    return tuple(value for found in stats for value in (found.st_ino, found.st_size, found.st_mtime_ns))


def _short(stem: str, suffix: str) -> str:
    """The name, cut where the report's name beside it would be longer than names may be; a suffix that is itself too long is cut, too."""
    room = _MAX_NAME_BYTES - len(_REPORT)
    suffix = os.fsdecode(os.fsencode(suffix)[: room // 2])
    stem = (
        os.fsencode(stem)[: room - len(os.fsencode(suffix))].decode("utf-8", "ignore") if len(os.fsencode(stem + suffix)) > room else stem
    )
    return stem + suffix


def _is_foreign(path: Path) -> bool:
    """Whether it is or contains a link, device or pipe: an upload must not make us read another file on this machine."""
    inside = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    return any(not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) for mode in (entry.lstat().st_mode for entry in inside))
