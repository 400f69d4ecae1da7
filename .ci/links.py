"""Do the links and the paths that the documents name lead anywhere? Part of `make lint`.

Enters: every Markdown file of the project. Leaves: a line for each broken link (file or heading) and for each path in `code` that is
not there, on stderr; exit code 1 when there is one. Decisions (docs/adr/) and the changelog name what was there in their time: their
paths are not looked for, their links are. Addresses on the web are not visited.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

_FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_PATH = re.compile(r"(?:\.ci|config|connectors|docs|pipeline|tests)/[\w./-]*")


def anchors(text: str) -> set[str]:
    """The headings' names in links, as GitHub and MkDocs make them."""
    found = set()
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain)).strip("-"))
    return found


def broken_links(path: Path, text: str) -> list[str]:
    faults = []
    for target in _LINK.findall(_CODE.sub("", _FENCED.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = path if not name else path.parent / unquote(name)
        if not there.exists():
            faults.append(f"{path}: the link {target} leads nowhere")
        elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8")):
            faults.append(f"{path}: the link {target} names a heading that is not there")
    return faults


def missing_paths(path: Path, text: str) -> list[str]:
    """Paths in `code` are looked for from the project's folder; whatever has a ROOM, MODULE or NAME in it is an example."""
    return [
        f"{path}: names {code}, which is not there"
        for code in _CODE.findall(_FENCED.sub("", text))
        if _PATH.fullmatch(name := code.partition("::")[0].rstrip("."))
        and not re.search("ROOM|MODULE|NAME", name)
        and not Path(name).exists()
    ]


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], check=True, capture_output=True
    )
    documents = [path for name in listed.stdout.decode().split("\0") if name and (path := Path(name)).is_file()]
    faults = []
    for path in documents:
        text = path.read_text(encoding="utf-8")
        faults += broken_links(path, text)
        if not path.is_relative_to("docs/adr") and path.name != "CHANGELOG.md":
            faults += missing_paths(path, text)
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults or not documents else 0


if __name__ == "__main__":
    sys.exit(main())
