"""Amounts finer than their asset, rounded down on each account's running sum.

Enters: exact amounts by id, in the order in which they became final. Leaves: whole base units by id. After every amount the sum of the rounded ones is the
rounded-down sum of the exact ones: never above it, and less than a unit below.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any


class RunningSum:
    """The amounts of one account and asset."""

    def __init__(self) -> None:
        self._exact: dict[str, Fraction] = {}
        self._units: dict[str, int] = {}
        self._fresh: dict[str, None] = {}
        """Ids that came after all that were rounded, in order."""
        self._is_disturbed = False
        """Whether an amount that was rounded changed or went: then all are rounded anew."""
        self._total, self._given = Fraction(0), 0
        """The sums of what was rounded, exact and in units."""

    def set(self, key: str, amount: Fraction | None) -> None:
        """Set an amount; None takes it out. A new one is the last in order; a known one keeps its place."""
        if amount is None:
            self._fresh.pop(key, None)
            if self._exact.pop(key, None) is not None and key in self._units:
                self._is_disturbed = True
            return
        if key in self._units:
            self._is_disturbed = self._is_disturbed or self._exact.get(key) != amount
        else:
            self._fresh[key] = None
        self._exact[key] = amount

    def changed(self) -> dict[str, int]:
        """The rounded amounts that are new or other than at the last call, by id."""
        if self._is_disturbed:
            self._total, self._given = Fraction(0), 0
            before, self._units = self._units, {}
            found = self._rounded(self._exact)
            found = {key: value for key, value in found.items() if before.get(key) != value}
        else:
            found = self._rounded(self._fresh)
        self._fresh, self._is_disturbed = {}, False
        return found

    def units(self, key: str) -> int:
        """The rounded amount of an id, as of the last call of `changed`; 0 for one that came after it."""
        return self._units.get(key, 0)

    def pack(self) -> list[Any]:
        """What msgpack carries; after `changed` alone, when nothing waits to be rounded."""
        assert not self._fresh and not self._is_disturbed
        rows = [[key, str(amount), str(self._units[key])] for key, amount in self._exact.items()]
        return [rows, str(self._total), str(self._given)]

    @classmethod
    def unpack(cls, found: list[Any]) -> RunningSum:
        """What `pack` gave."""
        rows, total, given = found
        one = cls()
        one._exact = {key: Fraction(amount) for key, amount, _ in rows}
        one._units = {key: int(units) for key, _, units in rows}
        one._total, one._given = Fraction(total), int(given)
        return one

    def _rounded(self, keys: Iterable[str]) -> dict[str, int]:
        found = {}
        for key in keys:
            amount = self._exact[key]
            if amount == 0:
                found[key] = 0
                continue
            self._total += amount
            found[key] = self._total.__floor__() - self._given
            self._given += found[key]
        self._units |= found
        return found
