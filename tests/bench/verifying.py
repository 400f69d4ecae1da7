"""A bundle of any size verified, as `esep verify` does it: each check's time and memory.

Enters: a bundle's folder. Leaves: what each check took; `python -m tests.bench.verifying BUNDLE` prints it as JSON, with the checks that do not hold.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import Check

from .measure import Measured, Measurements


def verify(bundle: Path) -> tuple[list[Measured], list[Check]]:
    """Verify a bundle in this process; what each check took, and the checks."""
    measurements = Measurements()
    with ExitStack() as check:

        def progress(name: str) -> None:
            check.close()
            check.enter_context(measurements.step(f"verify: {name}"))

        checks = verify_bundle(bundle, progress)
    return measurements.taken, checks


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.verifying", description="Verify a bundle, and tell what each check took.")
    parser.add_argument("bundle", type=Path)
    taken, checks = verify(parser.parse_args(arguments).bundle)
    print(json.dumps({"taken": [asdict(one) for one in taken], "faults": {c.name: c.detail[:300] for c in checks if not c.holds}}))


if __name__ == "__main__":
    main()
