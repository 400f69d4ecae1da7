"""The laws of the house that ruff and import-linter have no rule for; part of `make lint`.

Enters: the sources as they stand in the current folder. Leaves: a line for each fault on stderr, and exit code 1 when there is one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import grimp

MAX_LINES = 400
ROOMS_AT_THE_EDGE = {"app", "cli", "demo", "service", "web"}
PRODUCT = ("pipeline", "connectors")

# What follows the codes has to say why: the code, a dash, the reason.
_EXCEPTION = re.compile(r"#\s*(noqa)\b(?P<rest>.*)")
_REASON = re.compile(r":\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*\s+-\s+\S")


def circles_of_files() -> list[str]:
    """Modules of the product that import each other in circles, imports for types only included."""
    graph = grimp.build_graph(*PRODUCT, cache_dir=None)
    needs = {name: graph.find_upstream_modules(name) for name in graph.modules}
    circles = {frozenset(other for other in needs[name] if name in needs[other]) | {name} for name in needs}
    return [
        f"these modules import each other in a circle: {', '.join(sorted(circle))}"
        for circle in sorted(circles, key=sorted)
        if len(circle) > 1
    ]


def long_modules() -> list[str]:
    return [
        f"{path}: {count} lines, more than {MAX_LINES}: split it by topic"
        for path in _sources(*PRODUCT)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]


def exceptions_without_reason() -> list[str]:
    return [
        f"{path}:{number}: an exception from a rule names the rule and says why: '# noqa: CODE - reason'"
        for path in _sources(*PRODUCT, "tests")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := _EXCEPTION.search(line)) and not _REASON.match(found["rest"])
    ]


def home_folders() -> list[str]:
    """`~` is the environment's word, so only rooms at the edge may ask for it (law 5)."""
    return [
        f"{path}:{number}: the core is given its folders, it does not look for '~' (law 5)"
        for path in _sources("pipeline")
        if path.parts[1] not in ROOMS_AT_THE_EDGE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\.expanduser\b", line)
    ]


def _sources(*folders: str) -> list[Path]:
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    if not found:
        sys.exit(f"{sys.argv[0]}: no sources in {', '.join(folders)}: run it from the project's folder")
    return found


if __name__ == "__main__":
    sys.path.insert(0, ".")
    faults = [*circles_of_files(), *long_modules(), *exceptions_without_reason(), *home_folders()]
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    sys.exit(1 if faults else 0)
