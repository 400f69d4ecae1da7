"""What the checks of a bundle show, told to a person or to a script: the same content on every command line.

Enters: checks and the verdict on them. Leaves: lines of text, or a value for JSON. Nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .finding import Check, Verdict


def outcome(check: Check) -> str:
    """One word or two for what a check came to."""
    return "FAILS" if not check.holds else "can't say" if check.undecided else "holds"


def list_lines(verdict: Verdict) -> Iterator[str]:
    """The three lists: what is proved, what is on the signer's word, what is not checked here."""
    lists = (("Proved", verdict.proved), ("On the signer's word", verdict.on_signers_word), ("Not checked here", verdict.not_checked))
    for title, lines in lists:
        yield f"{title}:" if lines else f"{title}: nothing"
        yield from (f"  - {line}" for line in lines)


def summary(checks: Sequence[Check], verdict: Verdict, folder: Path) -> str:
    """Why the exit code is not 0, in a sentence; "" when it is."""
    if not verdict.holds:
        return f"{folder} does not hold: {', '.join(check.name for check in checks if not check.holds)}"
    return f"{folder} holds, but not all of it can be checked here: see the list" if verdict.exit_code else ""


def as_json(checks: Sequence[Check], verdict: Verdict, folder: Path) -> dict[str, Any]:
    """All of it for a script."""
    return {"folder": str(folder), "holds": verdict.holds, "checks": [asdict(check) for check in checks]} | asdict(verdict)
