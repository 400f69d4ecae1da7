"""The smallest life that still breaks in the same way.

Enters: a failure. Leaves: its plan with fewer months, without the kinds of faults that do not matter, and of the others without every
occurrence that can be spared (ddmin); or as near to it as the time allows. It is written as TOML, to be kept as a test.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .campaign import Failure, live_once
from .dice import RATES
from .life import Plan


def shrink(failure: Failure, *, timeout_s: float = 300.0, lives: Callable[[Plan], Failure | None] = live_once) -> Failure:
    """A smaller failure of the same kind."""
    deadline = time.monotonic() + timeout_s
    best = failure

    def attempt(plan: Plan) -> bool:
        nonlocal best
        if time.monotonic() > deadline:
            return False
        found = lives(plan)
        if found is None or found.kind != failure.kind:
            return False
        best = found
        return True

    for months in range(1, best.plan.months):
        if attempt(replace(best.plan, months=months)):
            break
    for family in sorted({kind.partition("-")[0] for kind in RATES}):
        attempt(replace(best.plan, rates={k: 0.0 if k.startswith(f"{family}-") else rate for k, rate in best.plan.rates.items()}))
    for kind in sorted({kind for kind, _ in best.occurrences}):
        attempt(replace(best.plan, rates={**best.plan.rates, kind: 0.0}))
    size = max(1, len(best.occurrences) // 2)
    while size and time.monotonic() < deadline:
        place = 0
        while place < len(best.occurrences) and time.monotonic() < deadline:
            gone = best.occurrences[place : place + size]
            if not attempt(replace(best.plan, muted=(*best.plan.muted, *gone))):
                place += size
        size //= 2
    return best


def to_toml(failure: Failure) -> str:
    """The plan as a scenario file."""
    plan = failure.plan
    rates = "".join(f'"{kind}" = {rate}\n' for kind, rate in sorted(plan.rates.items()) if rate)
    muted = "".join(f'    ["{kind}", {number}],\n' for kind, number in plan.muted)
    happened = "".join(f"#   {kind} {number}\n" for kind, number in failure.occurrences)
    first = failure.what.splitlines()[0][:150]
    head = f'chain = "{plan.chain}"\nseed = {plan.seed}\n'
    return f"# {first}\n# What happens in it:\n{happened}{head}months = {plan.months}\nis_brief = {str(plan.is_brief).lower()}\nmuted = [\n{muted}]\n\n[rates]\n{rates}"


def from_toml(path: Path) -> Plan:
    """The plan of a scenario file. A fault that is not named there does not happen."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = set(content["rates"]) - set(RATES)
    if unknown:
        raise ValueError(f"{path.name}: no fault is named {', '.join(sorted(unknown))}")
    rates = dict.fromkeys(RATES, 0.0) | content["rates"]
    return Plan(
        content["seed"],
        content["months"],
        rates,
        tuple((kind, number) for kind, number in content.get("muted", ())),
        content.get("is_brief", False),
        content.get("chain", "bitcoin"),
    )
