"""Names that become files' names: checked before they are paths.

Enters: a folder and a name that came from elsewhere (an event, a manifest, an answer). Leaves: a path within that folder, or ValueError. Every
part of a name is plain: letters, digits, `.`, `_` and `-` of ASCII, and no dot at its beginning.
"""

from __future__ import annotations

import re
from pathlib import Path

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""One part of a path."""
_NAME = re.compile(NAME_PATTERN)
MAX_PARTS = 8


def path_within(folder: Path, name: str) -> Path:
    """`folder/name`, where `name` may have folders of its own (`submissions/ID/body`). Raises ValueError for any other kind of name.

    A link within `folder` that leads out of it is refused, too.
    """
    parts = name.split("/")
    if len(parts) > MAX_PARTS or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(f"{name[:200]!r} is no name of a file within {folder}")
    path = folder.joinpath(*parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name[:200]!r} leads out of {folder}: something in it is a link")
    return path
