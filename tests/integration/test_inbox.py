"""Files that arrive in a folder: taken when whole, moved with a report, asked about when odd, never imported twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.model.errors import ConsentNeeded, InputRefused, LogError, SettingsError
from pipeline.model.plain import plain_name
from pipeline.service.inbox import Inbox
from pipeline.settings.inbox import InboxRule
from pipeline.validate.review import Consent

RULES = (InboxRule(pattern="alloc*.csv", kind="allocations"), InboxRule(pattern="reg*", kind="registry"))


class Office:
    """An importer that reads the file's word: what a real one does is tested with the command line."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, Consent]] = []

    def __call__(self, path: Path, rule: InboxRule, consent: Consent) -> str:
        name = plain_name(path.name)
        word = path.read_text() if path.is_file() else "folder"
        if word == "bad":
            raise InputRefused(name, [f"{name}:2: amount: 'x' is no amount"])
        if word == "odd" and not consent.to_oddities:
            raise ConsentNeeded(name, ["1 row(s) lie in the future"])
        if word == "down":
            raise LogError("the log can't be reached")
        self.taken.append((path.name, rule.kind, consent))
        return f"{name}: imported"


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def inbox(tmp_path: Path, office: Office) -> Inbox:
    return Inbox(tmp_path, RULES, 10.0, office)


def looked(inbox: Inbox) -> list[tuple[str, str]]:
    """Two looks, far enough apart for what lies there to be whole."""
    inbox.look(0.0)
    return [(found.name, found.place) for found in inbox.look(100.0)]


def test_a_file_is_taken_once_it_has_not_changed_for_a_while(inbox: Inbox, office: Office) -> None:
    path = inbox.folder / "alloc-1.csv"
    path.write_text("half")
    assert inbox.look(0.0) == [] and inbox.look(9.0) == []
    path.write_text("half and half")
    assert inbox.look(11.0) == [] and inbox.look(20.0) == []
    assert [found.place for found in inbox.look(21.0)] == ["done"]
    assert office.taken == [("alloc-1.csv", "allocations", Consent())]
    assert (inbox.folder / "done" / "alloc-1.csv").read_text() == "half and half"
    assert (inbox.folder / "done" / "alloc-1.csv.report.txt").read_text() == "alloc-1.csv: imported\n"
    assert inbox.look(1000.0) == [] and inbox.look(2000.0) == []


def test_an_upload_counts_when_it_is_renamed_and_a_folder_when_nothing_in_it_changes(inbox: Inbox, office: Office) -> None:
    for name in (".alloc.csv", "alloc.csv.part", "alloc.csv.filepart", "~$alloc.csv", "alloc.tmp"):
        (inbox.folder / name).write_text("x")
    assert looked(inbox) == []
    (inbox.folder / "alloc.csv.part").rename(inbox.folder / "alloc.csv")
    folder = inbox.folder / "registry-11"
    folder.mkdir()
    (folder / "miners.csv").write_text("x")
    inbox.look(200.0)
    (folder / "miners.csv").write_text("xy")
    assert [found.name for found in inbox.look(211.0)] == ["alloc.csv"]
    assert [found.name for found in inbox.look(222.0)] == ["registry-11"]
    assert (inbox.folder / "done" / "registry-11" / "miners.csv").read_text() == "xy"


def test_what_is_refused_lies_apart_with_its_faults_and_keeps_nobody_waiting(inbox: Inbox) -> None:
    (inbox.folder / "alloc-1.csv").write_text("bad")
    (inbox.folder / "alloc-2.csv").write_text("good")
    (inbox.folder / "holiday.jpg").write_text("x")
    assert looked(inbox) == [("alloc-1.csv", "refused"), ("alloc-2.csv", "done"), ("holiday.jpg", "refused")]
    assert "alloc-1.csv:2: amount" in (inbox.folder / "refused" / "alloc-1.csv.report.txt").read_text()
    assert "alloc*.csv" in (inbox.folder / "refused" / "holiday.jpg.report.txt").read_text()


def test_a_link_or_a_pipe_is_refused_unread(inbox: Inbox, office: Office, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("secret")
    (inbox.folder / "alloc-1.csv").symlink_to(secret)
    (inbox.folder / "registry").mkdir()
    (inbox.folder / "registry" / "miners.csv").symlink_to(secret)
    os.mkfifo(inbox.folder / "alloc-2.csv")
    assert looked(inbox) == [("alloc-1.csv", "refused"), ("alloc-2.csv", "refused"), ("registry", "refused")]
    assert office.taken == [] and secret.read_text() == "secret"


def test_an_odd_file_waits_is_taken_by_name_and_its_report_says_by_whom(inbox: Inbox, office: Office) -> None:
    (inbox.folder / "alloc-1.csv").write_text("odd")
    assert looked(inbox) == [("alloc-1.csv", "waiting")]
    assert inbox.waiting() == ["alloc-1.csv"]
    assert "esep inbox take alloc-1.csv" in (inbox.folder / "waiting" / "alloc-1.csv.report.txt").read_text()
    assert inbox.look(1000.0) == [] and office.taken == []
    with pytest.raises(SettingsError, match=r"not among the files that wait: alloc-1\.csv"):
        inbox.import_waiting("alloc-2.csv", Consent(to_oddities=True), by="A. Person")
    assert inbox.import_waiting("alloc-1.csv", Consent(to_oddities=True), by="A. Person").place == "done"
    assert office.taken == [("alloc-1.csv", "allocations", Consent(to_oddities=True, by="A. Person"))]
    assert inbox.waiting() == [] and not list((inbox.folder / "waiting").iterdir())
    assert (inbox.folder / "done" / "alloc-1.csv.report.txt").read_text().startswith("agreed to by A. Person\n")


def test_a_world_that_fails_leaves_the_file_where_it_is(inbox: Inbox) -> None:
    (inbox.folder / "alloc-1.csv").write_text("down")
    inbox.look(0.0)
    with pytest.raises(LogError):
        inbox.look(100.0)
    (inbox.folder / "alloc-1.csv").write_text("up")
    inbox.look(100.0)
    assert [found.place for found in inbox.look(200.0)] == ["done"]


def test_a_second_file_of_one_name_never_overwrites_the_first(inbox: Inbox) -> None:
    for content in ("one", "two"):
        (inbox.folder / "alloc-1.csv").write_text(content)
        assert looked(inbox)[0][1] == "done"
    assert {path.name: path.read_text() for path in (inbox.folder / "done").glob("*.csv")} == {"alloc-1.csv": "one", "alloc-1-2.csv": "two"}


def test_names_that_are_no_text_or_too_long_for_a_report_beside_them(inbox: Inbox) -> None:
    """An archive unpacked with the names of Windows; a name of 255 bytes, as long as names may be."""
    named = [os.fsdecode("alloc-окт.csv".encode("cp1251")), "alloc-" + "ы" * 122 + ".csv", "alloc\nforged.csv"]
    for name, word in zip(named, ("odd", "bad", "good"), strict=True):
        (inbox.folder / name).write_text(word)
    assert looked(inbox) == [
        ("alloc\\nforged.csv", "done"),
        ("alloc-" + "ы" * 117 + ".csv", "refused"),
        (r"alloc-\xee\xea\xf2.csv", "waiting"),
    ]
    assert inbox.waiting() == [r"alloc-\xee\xea\xf2.csv"]
    report = next((inbox.folder / "waiting").glob("*.report.txt")).read_text()
    assert r"esep inbox take 'alloc-\xee\xea\xf2.csv' --by NAME" in report
    assert inbox.import_waiting(inbox.waiting()[0], Consent(to_oddities=True), by="Aigul").place == "done"
    assert inbox.look(200.0) == [] and inbox.waiting() == []


def test_a_file_that_can_not_be_moved_holds_up_no_other(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alloc-1.csv", "alloc-2.csv"):
        (inbox.folder / name).write_text("good")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "alloc-1.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        assert looked(inbox) == [("alloc-2.csv", "done")]
        with pytest.raises(PermissionError):
            inbox.look(200.0)
    assert [found.name for found in inbox.look(300.0)] == ["alloc-1.csv"]
