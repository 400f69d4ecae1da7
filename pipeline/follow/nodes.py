"""The nodes of one chain: which one is followed, and what is known of each (ADR 20).

Enters: what a family's connector keeps for each node, and the errors met. Leaves: the node to ask now, and a `NodeReport` of each for `esep nodes`.
A node that failed is left alone for a time that doubles with each failure; the time ends when it tells its tip again, unless it asked to be left alone.
At first the node with most work is followed, of equal ones the first in the
settings. Another node takes over when the followed one fails; when another has more work before a reorganisation is written, or while the followed one
waits; and at the tip, when the followed one stood still while another was ahead.
Left out: what the nodes say (each family's connector).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from pipeline.model.errors import SourceError
from pipeline.model.message import joined, message, text_of

from .node_errors import NodeBusy

FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
"""Seconds that a node which failed is left alone."""
LOOK_EVERY_S = 15.0
"""Seconds between looks at the nodes that are not followed."""


class Look(NamedTuple):
    """A node's tip. `work`: of its whole chain, where the node tells it and blocks have any."""

    height: int
    hash: str
    work: int | None = None

    def has_more_work_than(self, other: Look) -> bool:
        """By the work of both chains; where a node does not tell it, or both have as much, by their heights."""
        if self.work is not None and other.work is not None and self.work != other.work:
            return self.work > other.work
        return self.height > other.height


class PendingWay(msgspec.Struct, frozen=True, kw_only=True):
    """A way of reading that the node may offer later: it is tried again as blocks come."""

    way: str
    height: int | None = None
    """Up to here the node has built its index; None where the way could not be tried, because the node lacks data of its newest block."""
    of_height: int | None = None
    """The node's tip when that was seen."""


class NodeSide(Protocol):
    """What a family's connector keeps for one node."""

    @property
    def name(self) -> str:
        """The node's address, without secrets."""

    def look(self) -> Look:
        """Ask for the tip. Raises SourceError, WrongChain for a node of another chain."""

    def forget(self) -> None:
        """The node failed: its next answer may come from another version."""

    def close(self) -> None: ...

    @property
    def version(self) -> str | None: ...

    @property
    def ways(self) -> Sequence[str]:
        """The ways of reading that the node offers, as far as they were tried; the one in use first."""

    @property
    def pending(self) -> Sequence[PendingWay]:
        """The ways of reading of which it is not known yet whether the node offers them, or that it is still preparing."""

    @property
    def unproved(self) -> Sequence[str]:
        """What of the blocks read the node could not show, in words, each once; it is not the pool's."""


SideT = TypeVar("SideT", bound=NodeSide)


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What is known of one node."""

    node: str
    is_followed: bool
    version: str | None
    height: int | None
    ways: tuple[str, ...]
    answers_in_ms: int | None
    """How long its last answer about its tip took."""
    is_in_trouble: bool
    trouble: str | None
    """The last one, whether it is over or not."""
    trouble_ago_s: int | None
    pending: tuple[PendingWay, ...] = ()
    """The ways of reading that it may offer later."""
    unproved: tuple[str, ...] = ()
    """What of the blocks read it could not show, and is not the pool's."""


class _Known:
    """What is known of one node. Instants are the clock's."""

    def __init__(self) -> None:
        self.look: Look | None = None
        self.took_s: float | None = None
        self.trouble: str | None = None
        self.trouble_at = 0.0
        self.is_in_trouble = False
        self.is_tip_missing = False
        """Its last trouble was with its tip: it did not tell it, or lags."""
        self.asked_rest_until = float("-inf")
        self.rest_s = FIRST_REST_S
        self.usable_from = float("-inf")


class Nodes(Generic[SideT]):
    """The nodes of one chain. Not thread-safe."""

    def __init__(self, sides: Sequence[SideT], clock: Callable[[], float], journal: Any, chain: str) -> None:
        """`clock`: seconds, from any beginning. The first of `sides` is followed first."""
        self.sides = tuple(sides)
        self._clock, self._journal, self._chain = clock, journal, chain
        self._known = {id(side): _Known() for side in self.sides}
        self._at = 0
        self._looked_at: float | None = None
        self._stood_at: str | None = None

    @property
    def current(self) -> SideT:
        """The node that is followed."""
        return self.sides[self._at]

    def now(self) -> float:
        """The clock, seconds."""
        return self._clock()

    @property
    def are_several(self) -> bool:
        return len(self.sides) > 1

    def others(self) -> list[SideT]:
        """The nodes that are not followed and may be asked now."""
        now = self._clock()
        return [side for side in self.sides if side is not self.current and self._known[id(side)].usable_from <= now]

    # --- troubles --------------------------------------------------------------------------------------------------

    def looked(self, side: SideT) -> Look:
        """Ask a node for its tip, and remember what it said and how long that took. Raises what `look` raises.

        A node that answers may be asked at once, whatever it was left alone for, until the time that it asked for itself. What it does not do then
        makes the next rest longer all the same: that is over when it `worked`.
        """
        begun = self._clock()
        look = side.look()
        known = self._known[id(side)]
        known.look, known.took_s, known.is_in_trouble, known.is_tip_missing = look, self._clock() - begun, False, False
        known.usable_from = known.asked_rest_until
        return look

    def failed(self, side: SideT, error: Exception, *, is_tip_missing: bool = False) -> None:
        """A node failed: it is left alone for a while, longer each time. `is_tip_missing`: it did not tell its tip, or lags."""
        known = self._known[id(side)]
        asked_s = error.retry_after_s if isinstance(error, NodeBusy) else None
        known.trouble, known.trouble_at, known.is_in_trouble = text_of(error), self._clock(), True
        known.is_tip_missing = is_tip_missing
        if isinstance(error, NodeBusy):
            known.asked_rest_until = known.trouble_at + max(known.rest_s, asked_s or 0.0)
        known.usable_from = known.trouble_at + max(known.rest_s, asked_s or 0.0)
        known.rest_s = min(2 * known.rest_s, LONGEST_REST_S)
        if not isinstance(error, NodeBusy):  # a node that asks to be asked more slowly is the same node
            side.forget()

    def worked(self, side: SideT) -> None:
        """A node did what it was asked to."""
        known = self._known[id(side)]
        known.is_in_trouble, known.rest_s, known.is_tip_missing = False, FIRST_REST_S, False
        known.usable_from = known.asked_rest_until = float("-inf")

    def fail_over(self, error: SourceError) -> bool:
        """The followed node failed: whether another one is followed now.

        Nodes that did not answer, or lagged, when they were asked last are asked again although they are left alone: they may be back. Not so where
        the followed node only asks for a pause: it is the better one to wait for.
        """
        self.failed(self.current, error)
        others = self.others()
        if not isinstance(error, NodeBusy):
            others += [side for side in self.sides if side is not self.current and side not in others and self._may_be_back(side)]
        for side in others:
            try:
                self.looked(side)
            except SourceError as other:
                self.failed(side, other, is_tip_missing=True)
            else:
                self.follow(side, message("the node at {name} is in trouble: {error}", name=self.current.name, error=error))
                return True
        return False

    def _may_be_back(self, side: SideT) -> bool:
        known = self._known[id(side)]
        return known.is_tip_missing and known.asked_rest_until <= self._clock()

    def trouble_of_all(self, error: SourceError) -> SourceError:
        """The error to raise when no node can be followed: what the followed one said, and what the others did."""
        if not self.are_several:
            return error
        told = [(side.name, self._known[id(side)]) for side in self.sides if side is not self.current]
        said = [f"{error}"] + [
            message("{name}: {trouble}", name=name, trouble=known.trouble) for name, known in told if known.is_in_trouble and known.trouble
        ]
        return NoNodeUsable(message("no node of {chain} can be followed: {said}", chain=self._chain, said=joined("; ", said)))

    def troubles_of_others(self) -> str:
        """The last trouble of each node that is not followed."""
        told = [(side.name, self._known[id(side)].trouble) for side in self.sides if side is not self.current]
        return joined("; ", [message("{name}: {trouble}", name=name, trouble=trouble) for name, trouble in told if trouble])

    # --- the one with most work ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Before the first step: where there are several nodes, look at each, and follow the one with most work."""
        if not self.are_several:
            return
        self.look_at_all()
        best: tuple[Look, SideT] | None = None
        for side in self.sides:
            known = self._known[id(side)]
            if known.look is not None and not known.is_in_trouble and (best is None or known.look.has_more_work_than(best[0])):
                best = known.look, side
        if best is not None and best[1] is not self.current:
            self.follow(best[1], f"at {best[0].height} it has the most work of the nodes that answer")

    def follow_most_work(self, *, is_urgent: bool) -> bool:
        """Look at the other nodes; whether another one is followed now, because its chain has more work.

        `is_urgent`: the followed node waits, or its blocks would replace the log's. Else the other ones are looked at every `LOOK_EVERY_S` seconds, and
        take over only when the followed one stood still between two looks while another was ahead: blocks reach one node sooner than the other.
        """
        now = self._clock()
        if not self.are_several or (not is_urgent and self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S):
            return False
        self._looked_at = now
        mine = self._known[id(self.current)].look
        best: tuple[Look, SideT] | None = None
        for side in self.others():
            try:
                look = self.looked(side)
            except SourceError as error:
                self.failed(side, error, is_tip_missing=True)
                continue
            if mine is not None and look.has_more_work_than(mine) and (best is None or look.has_more_work_than(best[0])):
                best = look, side
        if best is None or mine is None:
            self._stood_at = None
            return False
        if not is_urgent and self._stood_at != mine.hash:
            self._stood_at = mine.hash
            return False
        self.follow(
            best[1],
            message(
                "its tip {height} has more work than {height_2} of {name}",
                height=best[0].height,
                height_2=mine.height,
                name=self.current.name,
            ),
        )
        return True

    def follow(self, side: SideT, why: str) -> None:
        """Follow that node from now on. `why`: for the process's log."""
        self._at, self._stood_at = self.sides.index(side), None
        self._journal.warning("node-changed", chain=self._chain, node=side.name, why=why)

    # --- the outside -----------------------------------------------------------------------------------------------

    def reports(self) -> tuple[NodeReport, ...]:
        """What is known of each node, in the order of the settings."""
        now = self._clock()
        found = []
        for side in self.sides:
            known = self._known[id(side)]
            found.append(
                NodeReport(
                    node=side.name,
                    is_followed=side is self.current,
                    version=side.version,
                    height=known.look.height if known.look else None,
                    ways=tuple(side.ways),
                    answers_in_ms=round(known.took_s * 1000) if known.took_s is not None else None,
                    is_in_trouble=known.is_in_trouble,
                    trouble=known.trouble,
                    trouble_ago_s=round(now - known.trouble_at) if known.trouble else None,
                    pending=tuple(side.pending),
                    unproved=tuple(side.unproved),
                )
            )
        return tuple(found)

    def look_at_all(self) -> None:
        """Ask each node for its tip, for `esep nodes` without a running service; troubles are remembered."""
        for side in self.sides:
            try:
                self.looked(side)
            except SourceError as error:
                self.failed(side, error, is_tip_missing=True)

    def close(self) -> None:
        for side in self.sides:
            side.close()


class NoNodeUsable(SourceError):
    """Several nodes are configured, and none can be followed now."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)
