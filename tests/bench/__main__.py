"""`python -m tests.bench`: every bench of this folder, one after another, each in a process of its own.

python -m tests.bench             all, at the size each takes by itself
python -m tests.bench month ...   one, with its own options
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHES = ("month", "chain", "kafka", "kafka_latency")


def main(arguments: list[str]) -> int:
    """Run the bench named first, or all that are here; the first exit code that is not 0."""
    here = [name for name in BENCHES if Path(__file__).with_name(f"{name}.py").exists()]
    if arguments and arguments[0] not in here:
        print(f"benches: {', '.join(here)}", file=sys.stderr)
        return 2
    chosen, options = (arguments[:1], arguments[1:]) if arguments else (here, [])
    codes = [subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *options], check=False).returncode for name in chosen]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
