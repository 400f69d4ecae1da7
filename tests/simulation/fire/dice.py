"""Chance, by seed: which fault happens when, each kind by a stream of its own.

Enters: a seed, the rate of each kind of fault, and occurrences that are muted. Leaves: yes or no for each opportunity, and a count of what
happened. Kinds do not share a stream, so that leaving one out changes nothing about the others: that is what makes a failing life
shrinkable. It leaves out what a fault does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

RATES: Mapping[str, float] = {
    # The chain: opportunities are ticks of the world.
    "chain-reorganises": 0.12,
    "chain-reorganises-deep": 0.02,
    "chain-leaves-and-returns": 0.06,
    # The node: of its answers (the first five), or ticks.
    "node-unreachable": 0.008,
    "node-breaks-off": 0.006,
    "node-garbage": 0.006,
    "node-lies": 0.006,
    "node-busy": 0.006,
    "node-restarts": 0.05,
    "node-lags": 0.08,
    "node-rolls-back": 0.05,
    # The log: of appends, or of reads of everything.
    "log-loses-unacknowledged": 0.03,
    "log-keeps-unacknowledged": 0.03,
    "log-crash-before-append": 0.01,
    "log-crash-after-append": 0.01,
    "log-delays": 0.10,
    "log-delivers-twice": 0.10,
    "log-foreign-event": 0.012,
    # The store: of commits; `deleted` of restarts; checkpoints of looks at a month.
    "store-crash-before-commit": 0.012,
    "store-crash-after-commit": 0.012,
    "store-deleted": 0.25,
    "store-loses-checkpoints": 0.03,
    # Our process between two steps of closing, and its clock (ticks).
    "process-crash": 0.015,
    "clock-jumps-ahead": 0.04,
    "clock-jumps-back": 0.04,
    # The pool's office: of imports, months, or lives (the wallet).
    "ledger-restates": 0.15,
    "ledger-late-row": 0.10,
    "ledger-refused-file": 0.05,
    "ledger-completes-late": 0.04,
    "ledger-unknown-account": 0.04,
    "registry-changes-late": 0.12,
    "registry-overlaps": 0.05,
    "registry-bad-id": 0.03,
    "wallet-joins-late": 0.12,
    # What the pool pays: of payout rounds.
    "payout-rounded": 0.25,
    "payout-less-fee": 0.15,
    "payout-wrong-amount": 0.06,
    "payout-unbooked": 0.06,
    "payout-replaced": 0.10,
    "payout-never-sent": 0.04,
    "payout-in-advance": 0.08,
    "payout-to-another": 0.05,
    "outflow-unknown": 0.15,
    "inputs-mixed": 0.04,
    # Others who pay (rule 10): of payout rounds, of lines of them, of payments.
    "payout-by-payer": 0.30,
    "payout-off-chain": 0.06,
    "payer-misnamed": 0.06,
    # An account chain's alone: of answers with something of the pool's, of ticks, of payouts, of the registry's changes.
    "node-changes-answer": 0.25,
    "node-loses-state": 0.05,
    "payout-reverts": 0.08,
    "payout-bad-address": 0.06,
    "registry-bad-address": 0.06,
    "token-forged": 0.10,
    "inflow-inside": 0.15,
    # The filing service: of calls.
    "filing-timeout": 0.08,
    "filing-cut": 0.06,
    "filing-error-before": 0.06,
    "filing-error-after": 0.06,
    "filing-lost-receipt": 0.06,
    "filing-slow": 0.08,
    "filing-duplicate": 0.06,
    "filing-garbage": 0.06,
    "filing-rejected-rows": 0.04,
    "filing-down": 0.08,
    "filing-unreachable": 0.08,
}
"""Every kind of fault and how many of its opportunities meet it."""

OF_ACCOUNT_CHAINS = frozenset(
    (
        "node-changes-answer",
        "node-loses-state",
        "payout-reverts",
        "payout-bad-address",
        "registry-bad-address",
        "token-forged",
        "inflow-inside",
    )
)
"""Kinds that only lives on an account chain know."""


def kinds_of(chain: str) -> list[str]:
    """The kinds of fault that lives on a family's chain meet."""
    return [kind for kind in RATES if chain != "bitcoin" or kind not in OF_ACCOUNT_CHAINS]


HARMLESS_TO_FACTS = ("filing", "node", "log", "store", "process", "clock")
"""Families that are silent when the world is calm: what is left is work for the operators."""


@dataclass
class Dice:
    """All chance of one life."""

    seed: int
    rates: Mapping[str, float] = field(default_factory=lambda: dict(RATES))
    muted: Collection[tuple[str, int]] = ()
    """Occurrences that are left out: kind and number of the opportunity, from 0."""
    is_calm: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    occurrences: list[tuple[str, int]] = field(default_factory=list)
    _streams: dict[str, random.Random] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)

    def stream(self, name: str) -> random.Random:
        """The stream of a name, the same for the same seed."""
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self.seed}:{name}")
        return self._streams[name]

    def happens(self, kind: str) -> bool:
        """Whether the fault happens at this opportunity. Raises KeyError for a kind that is none."""
        if self.is_calm and kind.partition("-")[0] in HARMLESS_TO_FACTS:
            return False
        number = self._asked[kind]
        self._asked[kind] += 1
        rate = self.rates.get(kind, 0.0) if kind in RATES else RATES[kind]
        is_hit = self.stream(f"fault:{kind}").random() < rate
        if not is_hit or (kind, number) in self.muted:
            return False
        self.happened[kind] += 1
        self.occurrences.append((kind, number))
        return True
