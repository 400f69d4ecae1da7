"""`python -m tests.simulation --seeds N`: lives of simulated pools, each judged; a failing seed prints itself and how to bring it back.

`--rate KIND=RATE` changes a fault's rate (0 leaves it out), `--shrink` makes a failing life small and writes it as a scenario,
`--least N` demands that every fault happened so often and every issue and state was reached. Exit code 1 for a failure, 2 for a want of coverage.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before polars is imported: frames of dozens of rows are faster so

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .fire.campaign import Failure, Report, quiet, run
from .fire.dice import RATES
from .fire.life import Plan
from .fire.shrink import from_toml, shrink, to_toml

SCENARIOS = Path(__file__).parent / "scenarios"


def some(plans: list[Plan]) -> tuple[Report, list[Failure]]:
    """A share of the lives, for one worker."""
    report = Report()
    return report, run(plans, report)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=25, help="how many lives")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--months", type=int, default=0, help="months a life")
    parser.add_argument("--years", type=float, default=1.0, help="years a life, where --months is not given")
    parser.add_argument("--chain", choices=("bitcoin", "evm"), default="bitcoin", help="the family of the pool's chain")
    parser.add_argument("--brief", action="store_true", help="look only five times a month")
    parser.add_argument("--rate", action="append", default=[], metavar="KIND=RATE", help="another rate of a fault")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--least", type=int, default=0, help="demand that each fault happened so often, and all else was reached")
    parser.add_argument("--shrink", action="store_true", help="shrink the first failure and write it to tests/simulation/scenarios")
    parser.add_argument("--scenario", type=Path, help="live one scenario file instead")
    options = parser.parse_args(arguments)
    rates = dict(RATES)
    for text in options.rate:
        kind, _, rate = text.partition("=")
        if kind not in RATES:
            parser.error(f"--rate: no fault is named {kind!r}: use one of {', '.join(RATES)}")
        rates[kind] = float(rate)
    months = options.months or max(1, round(options.years * 12))
    plans = [
        Plan(seed, months, rates, is_brief=options.brief, chain=options.chain) for seed in range(options.seed, options.seed + options.seeds)
    ]
    if options.scenario:
        plans = [from_toml(options.scenario)]
    report, failures = live_all(plans, jobs=options.jobs)
    print("\n".join(report.lines()))
    for failure in failures:
        print(f"\nseed {failure.plan.seed} FAILED: {failure.what}\n{failure.where}\nonce more: {failure.command()}")
    if failures and options.shrink:
        with quiet():
            small = shrink(failures[0])
        path = SCENARIOS / f"seed-{small.plan.seed}.toml"
        SCENARIOS.mkdir(exist_ok=True)
        path.write_text(to_toml(small), encoding="utf-8")
        print(f"\nshrunk to {len(small.occurrences)} occurrence(s), {small.plan.months} month(s): {path}")
    if failures:
        return 1
    missing = report.missing(options.least) if options.least else []
    if missing:
        print("too little happened: " + "; ".join(missing))
    return 2 if missing else 0


def live_all(plans: list[Plan], *, jobs: int) -> tuple[Report, list[Failure]]:
    """All the lives, in so many processes; each life is one process's alone."""
    report, failures = Report(chain=plans[0].chain if plans else "bitcoin"), []

    def told(plan: Plan, failure: Failure | None) -> None:
        print(f"seed {plan.seed}: {'FAILED' if failure else 'holds'}", file=sys.stderr, flush=True)

    if jobs == 1:
        return report, run(plans, report, told=told)
    shares = [plans[n : n + 4] for n in range(0, len(plans), 4)]
    with ProcessPoolExecutor(jobs) as workers:
        for share, (part, broken) in zip(shares, workers.map(some, shares), strict=True):
            report.add(part)
            failures += broken
            for failure in broken:
                print(f"seed {failure.plan.seed} FAILED: {failure.what}", file=sys.stderr, flush=True)
            print(f"seeds to {share[-1].seed}: {report.lives} hold, {len(failures)} failed", file=sys.stderr, flush=True)
    return report, failures


if __name__ == "__main__":
    sys.exit(main())
