"""Amounts finer than their asset, rounded down on each account's running sum.

Enters: exact amounts by id, in the order in which they became final. Leaves: whole base units by id. After every amount the sum of the rounded ones is the
rounded-down sum of the exact ones: never above it, and less than a unit below.
"""

from __future__ import annotations

from fractions import Fraction


class RunningSum:
    """The amounts of one account and asset."""

    def __init__(self) -> None:
        self._exact: dict[str, Fraction] = {}
        self._units: dict[str, int] = {}
        self._touched: set[str] = set()
        self._fine = 0
        """How many amounts are no whole units: without any, an amount does not depend on the others."""

    def set(self, key: str, amount: Fraction | None) -> None:
        """Set an amount; None takes it out. A new one is the last in order; a known one keeps its place."""
        was_summed = self._fine > 0
        self._fine += _is_fine(amount) - _is_fine(self._exact.get(key))
        if amount is None:
            self._exact.pop(key, None)
        else:
            self._exact[key] = amount
        if was_summed or self._fine:
            self._touched.update(self._exact)
        self._touched.add(key)

    def changed(self) -> dict[str, int]:
        """The rounded amounts that are new or other than at the last call, by id."""
        touched, self._touched = self._touched, set()
        found = self._summed() if self._fine else {key: int(self._exact[key]) for key in touched if key in self._exact}
        changed = {key: value for key, value in found.items() if self._units.get(key) != value}
        self._units |= changed
        for key in touched - self._exact.keys():
            self._units.pop(key, None)
        return changed

    def units(self, key: str) -> int:
        """The rounded amount of an id, as of the last call of `changed`; 0 for one that came after it."""
        return self._units.get(key, 0)

    def _summed(self) -> dict[str, int]:
        units, total, given = {}, Fraction(0), 0
        for key, amount in self._exact.items():
            if amount == 0:
                units[key] = 0
                continue
            total += amount
            units[key] = total.__floor__() - given
            given += units[key]
        return units


def _is_fine(amount: Fraction | None) -> int:
    return 0 if amount is None or amount.denominator == 1 else 1
