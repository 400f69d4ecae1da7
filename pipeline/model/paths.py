"""Untrusted file names, checked before they are used as paths (against path traversal).

Enters: a folder and a name from an event, a manifest or an answer. Leaves: a path within that folder, or ValueError. Every part of a
name has only ASCII letters, digits, `.`, `_` and `-`, and begins with a letter or digit.
"""

from __future__ import annotations

import re
from pathlib import Path

from .message import message

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""The pattern of one part of a path."""
_NAME = re.compile(NAME_PATTERN)
MAX_PARTS = 8


def path_within(folder: Path, name: str) -> Path:
    """`folder/name`, where `name` may have several parts (`submissions/ID/body`). Raises ValueError for any other name.

    A symbolic link within `folder` that leads out of it is refused, too.
    """
    parts = name.split("/")
    if len(parts) > MAX_PARTS or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(message("{name} is no name of a file within {folder}", name=repr(name[:200]), folder=folder))
    path = folder.joinpath(*parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(message("{name} leads out of {folder}: something in it is a link", name=repr(name[:200]), folder=folder))
    return path
