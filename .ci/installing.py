"""Runs pip and tells how far it is: one line that counts the packages of a lock on a terminal, one line every ten packages elsewhere.

Enters: words to begin the line with, the lock, pip's command. Leaves: pip's exit code; its own words are printed only where it fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path


def main(title: str, lock: str, command: list[str]) -> int:
    """Run the command to its end."""
    with Path(lock).open(encoding="utf-8") as file:
        total = sum(bool(re.match(r"[A-Za-z0-9]", line)) for line in file)
    began, found, kept = time.monotonic(), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            kept.append(line)
            if re.match(r"(Collecting|Requirement already satisfied:|Ignoring) ", line):
                found += 1
                tell(f"{title}: package {min(found, total)} of {total}, {time.monotonic() - began:.0f} s", is_step=found % 10 == 0)
            elif line.startswith("Installing collected packages"):
                tell(f"{title}: {found} packages are here, putting them in place", is_step=True)
    if running.returncode:
        sys.stderr.write("\n" + "".join(kept))
    else:
        tell(f"{title}: {found} packages in {time.monotonic() - began:.0f} s", is_step=True)
        if sys.stdout.isatty():
            print()
    return running.returncode


def tell(text: str, *, is_step: bool) -> None:
    """On a terminal in place of the line before; elsewhere only the steps."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    elif is_step:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
