"""Which unit tests does a change concern? `make check` runs what this prints.

Enters: what differs from the branch `main` (from the last commit, on `main` itself), files that Git does not know yet included. Leaves:
the unit tests that import a changed module, directly or through others, one path a line; nothing when none does. A changed file that
is no module (SQL, TOML) counts as its package; a change of pyproject.toml, of the locks or of what tests share concerns all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp

PACKAGES = ("pipeline", "connectors", "tests")
CONCERNS_ALL = {"pyproject.toml", "requirements.lock", "requirements-dev.lock", "tests/conftest.py", "tests/unit/conftest.py"}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=False, capture_output=True, text=True).stdout.strip()


def changed_files() -> list[Path]:
    base = git("merge-base", "main", "HEAD") or "HEAD"
    names = git("diff", "--name-only", "--no-renames", base) + "\n" + git("ls-files", "--others", "--exclude-standard")
    return [Path(name) for name in names.splitlines() if name]


def concerned(changed: list[Path]) -> list[str]:
    """The unit tests' files that depend on a changed file."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    modules: set[str] = set()
    for path in changed:
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        if path.suffix == ".py" and name in graph.modules:
            modules |= {name} | graph.find_downstream_modules(name)
        elif path.parts[0] in PACKAGES:
            package = next((".".join(folder.parts) for folder in path.parents if ".".join(folder.parts) in graph.modules), "")
            within = {package, *graph.find_descendants(package)} if package else set()
            modules |= within.union(*(graph.find_downstream_modules(module) for module in within))
    tests = {Path(*name.split(".")).with_suffix(".py") for name in modules if name.startswith("tests.unit.")}
    return sorted(str(path) for path in tests if path.name.startswith("test_") and path.is_file())


if __name__ == "__main__":
    sys.path.insert(0, ".")
    files = changed_files()
    print("\n".join(["tests/unit"] if any(str(path) in CONCERNS_ALL for path in files) else concerned(files)))
