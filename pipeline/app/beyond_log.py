"""What lies in a month's bundles of which the log knows nothing: the log is an older copy, or another one, and would have the month filed twice.

Enters: the folder of a month's bundles, and the month's life in the log. Leaves: words, or none. Signatures, submissions and answers are laid beside a bundle only once they are in
the log (ADR 5), and a bundle without its event is otherwise an interrupted freeze (ADR 4). Left out: the store, which finds by itself that the log is behind it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.closing.life import Life
from pipeline.closing.submission import SUBMISSIONS
from pipeline.model.message import message

if TYPE_CHECKING:
    from pipeline.closing.diary import Diary
    from pipeline.model.months import Month

_VERSION = re.compile(r"v([1-9][0-9]*)")
_ANSWER = re.compile(r"([0-9]{4,})-[a-z]+-[a-z]+\.txt")
SIGNATURE = "manifest.json.p7s"


@dataclass(frozen=True)
class Shown:
    """What lies beside one version's bundle."""

    version: int
    is_signed: bool
    answers: dict[str, int] = field(default_factory=dict)
    """The greatest number of an answer, by submission."""


def shown_by_bundles(folder: Path) -> list[Shown]:
    """What lies beside each bundle in a month's folder, the oldest version first. Raises OSError for a folder that can't be read."""
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        if (named := _VERSION.fullmatch(place.name)) is not None:
            filed = place / SUBMISSIONS
            answers = {one.name: _greatest(one) for one in filed.iterdir() if one.is_dir()} if filed.is_dir() else {}
            found.append(Shown(int(named[1]), (place / SIGNATURE).exists(), answers))
    return sorted(found, key=lambda shown: shown.version)


def told_beyond_log(months_dir: Path, diary: Diary, month: Month) -> str:
    """`beyond_log` of a month by the log as it is now."""
    folder = months_dir / str(month)
    shown = shown_by_bundles(folder)  # before the log is read: what is laid there meanwhile was in the log first
    if told := beyond_log(folder, shown, diary.life(month)):
        diary.refresh()
        told = beyond_log(folder, shown, diary.life(month))
    return told


def beyond_log(folder: Path, shown: list[Shown], life: Life) -> str:
    """Why nothing may be done with the month, in words; "" where the log knows all that was shown."""
    known = {one.event.submission_id: len(one.answers) for one in life.submissions}
    for one in shown:
        what = ""
        for submission_id, number in sorted(one.answers.items()):
            if submission_id not in known:
                what = what or message("submission {submission_id} of version {version}", submission_id=submission_id, version=one.version)
            elif number > known[submission_id]:
                what = what or message("answer {number} to submission {submission_id}", number=number, submission_id=submission_id)
        if one.is_signed and one.version not in life.frozen:
            what = what or message("the signature of version {version}", version=one.version)
        if what:
            return message(
                '{folder} holds {what}, and the log does not: it is an older copy, or another log. Nothing is frozen, signed or sent, or the month would be filed twice. Bring back the newest log. If that is lost, move {folder} to a safe place, set [filing] way = "outbox" for this month, and record by `esep receipt` what {folder} says was answered',
                folder=folder, what=what,
            )  # fmt: skip
    return ""


def _greatest(submission: Path) -> int:
    return max((int(named[1]) for path in submission.iterdir() if (named := _ANSWER.fullmatch(path.name)) is not None), default=0)
