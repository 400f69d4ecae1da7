"""`python -m tests.mutation`: put each deliberate bug into a copy of the tree, one at a time, and see that the tests named for it fail.

The working tree is never touched: what git tracks (as it stands in the tree) is copied to a temporary folder. First every selection of
tests must pass there without a bug; then every bug must be caught by a failing test, not by code that can't be loaded. Exit code 1 when a
bug lives, 2 when a bug's text or its tests are not what they were.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 900
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def copy_tree(target: Path) -> None:
    """What git knows of, as it lies in the working tree now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code, and the first test that failed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:randomly", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return -1, "no end within the time"
    found = _FAILED.search(done.stdout)
    return done.returncode, found[1] if found else done.stdout.strip()[-300:] + done.stderr.strip()[-300:]


def is_the_copy(tree: Path) -> bool:
    """Whether the tests import the copy's code, not the installed one."""
    said = subprocess.run(
        [sys.executable, "-c", "import pipeline, connectors; print(pipeline.__file__, connectors.__file__)"],
        cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return all(Path(place).is_relative_to(tree.resolve()) for place in said)


def try_mutant(tree: Path, mutant: Mutant) -> tuple[str, str, float]:
    """caught, LIVES or BROKEN; by which test, or why; in how many seconds."""
    path = tree / mutant.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        return "BROKEN", f"its text stands {whole.count(mutant.old)} times in {mutant.file}", 0.0
    began = time.monotonic()
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        code, said = run_tests(tree, mutant.tests)
    finally:
        path.write_text(whole, encoding="utf-8")
    verdict = {0: "LIVES", 1: "caught"}.get(code, "BROKEN")
    return verdict, said if verdict != "LIVES" else "no test failed", time.monotonic() - began


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only mutants whose name holds this")
    parser.add_argument("--no-baseline", action="store_true", help="trust that the selections pass without a bug")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="only every Nth mutant, from the Kth on: for several runs at once")
    options = parser.parse_args(arguments)
    part, parts = (int(number) for number in options.part.split("/"))
    chosen = [mutant for mutant in MUTANTS if not options.only or any(text in mutant.name for text in options.only)][part - 1 :: parts]
    counts = {"caught": 0, "LIVES": 0, "BROKEN": 0}
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if not is_the_copy(tree):
            print("the tests would import another tree than the copy: nothing was tried", file=sys.stderr)
            return 2
        if not options.no_baseline:
            tests = sorted({place for mutant in chosen for place in mutant.tests})
            code, said = run_tests(tree, tests)
            if code != 0:
                print(f"without any bug the tests do not pass: {said}", file=sys.stderr)
                return 2
        print("| bug | where | caught by | s |\n|---|---|---|---|", flush=True)
        for mutant in chosen:
            verdict, said, took_s = try_mutant(tree, mutant)
            counts[verdict] += 1
            shown = f"`{said.partition('tests/')[2] or said}`" if verdict == "caught" else f"**{verdict}**: {said}"
            print(f"| {mutant.name} | `{mutant.file}` | {shown} | {took_s:.0f} |", flush=True)
    print(f"\n{counts['caught']} of {len(chosen)} caught")
    return 2 if counts["BROKEN"] else 1 if counts["LIVES"] else 0


if __name__ == "__main__":
    sys.exit(main())
