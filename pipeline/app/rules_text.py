"""The rules' titles and texts by number, as docs/rules.md has them: for `esep rule` and the console."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

_HEADING = re.compile(r"^### (?P<number>[0-9]+\.[0-9]+) (?P<title>.+?) \{ #rule-[0-9-]+ \}$", re.MULTILINE)


def rules() -> dict[str, tuple[str, str]]:
    """Each rule's title and text by its number, in the order of the page; lines of a paragraph are joined."""
    page = _page().read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(page))
    ends = [heading.start() for heading in headings[1:]] + [len(page)]
    found = {}
    for heading, end in zip(headings, ends, strict=True):
        text = page[heading.end() : end].split("\n## ")[0].replace("**", "").replace("`", "")
        found[heading["number"]] = (heading["title"], "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n")))
    return found


def _page() -> Traversable:
    """Where the page lies: beside the package where that was installed, else in the repository."""
    installed = resources.files("pipeline") / "rules.md"
    return installed if installed.is_file() else Path(__file__).parents[2] / "docs" / "rules.md"
