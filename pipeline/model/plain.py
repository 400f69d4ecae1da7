"""Text that a terminal or a report may show: nothing in it steers the terminal or misleads its reader, and all of it is text."""

from __future__ import annotations

import re

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and those that turn the direction of what is read."""


def plain(text: str) -> str:
    """The text with those characters spelt out (`\\x1b`)."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def plain_name(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8, as in names of Windows-1251, and control characters spelt out (`\\xf2.csv`)."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")
