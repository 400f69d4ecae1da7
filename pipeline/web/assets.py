"""The static files, each at an address with its digest in it, so that a browser keeps it for good.

Enters: the folder `static` of this room. Leaves: addresses for templates, and the files. `VENDORED` names what others wrote, with the digest of what was taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

KINDS: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
VENDORED: Final = {
    # From the npm package htmx.org 2.0.11, dist/htmx.min.js; its licence (0BSD) is beside it, in htmx.LICENSE.
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
}


@dataclass(frozen=True)
class Asset:
    """One static file."""

    name: str
    content: bytes
    kind: str
    digest: str
    """SHA-256, hex."""

    @property
    def address(self) -> str:
        return f"/static/{self.digest[:16]}/{self.name}"


@cache
def assets() -> dict[str, Asset]:
    """Every static file, by name, read once."""
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        kind = KINDS.get(f".{entry.name.rpartition('.')[2]}")
        if kind is not None:
            content = entry.read_bytes()
            found[entry.name] = Asset(entry.name, content, kind, hashlib.sha256(content).hexdigest())
    return found
