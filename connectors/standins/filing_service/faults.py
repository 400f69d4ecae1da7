"""The faults that the sandbox injects, by seed or by script.

The same seed and the same calls meet the same faults. Nothing here changes what was accepted: faults lie about it, or hide it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

FAULTS: Mapping[str, str] = {
    "timeout": "the submission is accepted, and no answer comes",
    "cut": "the submission is accepted, and the connection breaks amid the answer",
    "error-before": "HTTP 503, and nothing was taken",
    "error-after": "the submission is accepted, and HTTP 502 is answered",
    "lost-receipt": "the submission is accepted, and the answer has no receipt",
    "slow": "it is only received now, and accepted some questions later",
    "duplicate": "the submission is accepted, and called a duplicate",
    "garbage": "the submission is accepted, and the answer is no JSON",
    "rejected-rows": "the submission is rejected, its first row named",
    "down": "the connection is closed before anything is read",
}


class Faults:
    """Chooses each call's fault, or none."""

    def __init__(
        self,
        seed: int | None = None,
        *,
        share: float = 0.5,
        kinds: tuple[str, ...] = tuple(FAULTS),
        at: Callable[[int], str | None] | None = None,
    ) -> None:
        """`seed`: None for no faults. `share`: the share of calls with a fault, 0 to 1. `at`: if given, decides the fault of every call from the time (Unix seconds)."""
        unknown = [kind for kind in kinds if kind not in FAULTS]
        if unknown:
            raise ValueError(f"no fault is named {unknown[0]!r}: use one of {', '.join(FAULTS)}")
        self._random = random.Random(seed) if seed is not None else None  # noqa: S311 - trials, not secrets
        self._share = share
        self._kinds = kinds
        self._at = at

    def next(self, now: int) -> str | None:
        """The fault of the next call."""
        if self._at is not None:
            return self._at(now)
        if self._random is None or self._random.random() >= self._share:
            return None
        return self._random.choice(self._kinds)
