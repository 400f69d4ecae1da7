"""What a person sees of what a program wrote to a terminal."""

from __future__ import annotations

import re

ENGLISH = {
    "the",
    "and",
    "of",
    "is",
    "are",
    "was",
    "not",
    "with",
    "for",
    "by",
    "no",
    "has",
    "this",
    "that",
    "yet",
    "day",
    "days",
    "row",
    "rows",
    "block",
}
"""Words that stand in no command, setting or path, so that they show a text that nobody translated."""


def shown(text: str) -> str:
    """What stays on the screen: colours dropped, and lines of progress that were wiped, by what came over them or from below."""
    lines = [""]
    for part in re.split(r"(\n|\r|\x1b\[1A|\x1b\[2K)", re.sub(r"\x1b\[\?25[lh]|\x1b\[[0-9;]*m", "", text)):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part in ("\r", "\x1b[2K"):
            lines[-1] = ""
        else:
            lines[-1] += part
    return "\n".join(lines).strip("\n")
