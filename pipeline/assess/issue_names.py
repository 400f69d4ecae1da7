"""How people and waivers name an issue: its short name, and the facts that it rests on (rule 8.5).

Enters: an issue's code, ref and facts. Leaves: four characters that stand for it; its facts one by one. Pure, and without polars: commands that only record a decision need
no more.
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256


def waiver_facts(issue: str) -> list[str]:
    """An issue's facts, one a line, as a waiver of it records them."""
    return issue.split("\n") if issue else []


def short_name(code: str, ref: str) -> str:
    """An issue's short name, four characters of a-z and 2-7. It depends only on code and ref, so it stays the same when the list changes. Two issues
    may share one (1 in a million): a command that takes a short name must then refuse it as ambiguous."""
    return b32encode(sha256(f"{code}\n{ref}".encode()).digest()).decode().lower()[:4]
