"""Which frozen months, beyond those that are shown anyway, would come out different now: looked at one at a time, while nothing else is to be done.

Enters: a store at the log's end. Leaves: the months whose report is another one by now and about which nobody decided; the board shows them from then on. A month is looked at again where the
ledger, the registry or a decision moved since: blocks alone change no month that old. Left out: which rows differ, and the draft in the log (`drafts`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from pipeline.log.protocol import Positions
from pipeline.model.months import Month
from pipeline.store import Store

from .app import App
from .drafts import is_undecided

EVERY_S = 60
"""Seconds between two looks: a large month takes several, in which nothing else is shown."""


class FiledMonths:
    """The frozen months of one pool that differ. For the thread that fills."""

    def __init__(self, app: App, clock_s: Callable[[], float]) -> None:
        """`clock_s`: seconds that only grow."""
        self._app, self._clock_s = app, clock_s
        self._looked: dict[Month, Positions] = {}
        self._next_s = clock_s()
        self.differing: frozenset[Month] = frozenset()
        """Those that differ, as far as was looked."""

    def look(self, store: Store, shown: Collection[Month]) -> bool:
        """Look at the next month that is not shown, if one is due; whether it differs."""
        if self._clock_s() < self._next_s:
            return False
        basis = {place: offset for place, offset in store.positions().items() if not place.startswith("chain/")}
        frozen = sorted((life.month for life in self._app.diary.lives.values() if life.frozen), key=str)
        due = [month for month in frozen if month not in shown and self._looked.get(month) != basis]
        if not due:
            return False
        month = due[-1]
        is_other = is_undecided(store, month, months=self._app.months, diary=self._app.diary, rules=self._app.rules)
        self._looked[month] = basis
        self._next_s = self._clock_s() + EVERY_S
        self.differing |= {month} if is_other else set()
        return is_other

    def settled(self, months: Iterable[Month]) -> None:
        """These need not be shown any more: their report is the frozen one again, or a person decided."""
        self.differing -= set(months)
