"""What the checks of a bundle show, told to a person or to a script: the same content on every command line.

Enters: checks and the verdict on them. Leaves: lines of text, or a value for JSON. Nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.model.message import joined, message

from .finding import Check, Verdict


def outcome(check: Check) -> str:
    """One word or two for what a check came to."""
    if not check.holds:
        return message("FAILS")
    return message("can't say") if check.undecided else message("holds")


def list_lines(verdict: Verdict) -> Iterator[str]:
    """The three lists: what is proved, what is on the signer's word, what is not checked here."""
    lists = (
        (message("Proved"), verdict.proved),
        (message("On the signer's word"), verdict.on_signers_word),
        (message("Not checked here"), verdict.not_checked),
    )
    for title, lines in lists:
        yield message("{title}:", title=title) if lines else message("{title}: nothing", title=title)
        yield from (message("  - {line}", line=line) for line in lines)


def summary(checks: Sequence[Check], verdict: Verdict, folder: Path) -> str:
    """Why the exit code is not 0, in a sentence; "" when it is."""
    if not verdict.holds:
        failing = joined(", ", [check.name for check in checks if not check.holds])
        return message("{folder} does not hold: {names}", folder=folder, names=failing)
    if not verdict.exit_code:
        return ""
    return message('{folder}: nothing false was found, but not all of it can be proved here: see "Not checked here"', folder=folder)


def as_json(checks: Sequence[Check], verdict: Verdict, folder: Path) -> dict[str, Any]:
    """All of it for a script."""
    return {"folder": str(folder), "holds": verdict.holds, "checks": [asdict(check) for check in checks]} | asdict(verdict)
