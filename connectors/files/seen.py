"""The same ledger file again: known by its digest, so that it is not read row by row only to find that the log has it all.

Enters: a file, how it is read, the log. Leaves: what importing it would do, when that was found out before and nothing changed since that it depends on; else nothing. What it depends on: the
file's bytes and name, how it is read (columns, layout, zone, assets, networks, payers), the assets' supplies, the newest event of the pool in the ledger, the registry and the months'
decisions, and the program. Kept only of a file that the log has whole and that raises no question, because time and consent change nothing then. Derived (law 1): without it the file is read.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any, Protocol

from pipeline.log.protocol import EventLog
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Review, ReviewContext, Sum

KINDS: tuple[LedgerKind, ...] = ("allocations", "payments")
"""Openings are few, and checked against everything in the log."""


class SeenFiles(Protocol):
    """Where what was found out about files is kept."""

    def basis_of(self, content: Any) -> str:
        """A digest of the content and of the program."""
        ...

    def get(self, name: str, basis: str) -> Any: ...
    def put(self, name: str, basis: str, content: Any) -> None: ...


class SeenFile:
    """One ledger file, and what was found out about it."""

    def __init__(
        self, held: SeenFiles | None, data: bytes, source: str, kind: LedgerKind, terms: object, known: ReviewContext | None
    ) -> None:
        """`data`: the file's bytes, which are what is read, too; `source`: its name; `terms`: how it is read."""
        self._held = held if kind in KINDS else None
        digest = hashlib.sha256(data).hexdigest() if self._held is not None else ""
        self._now_us = known.now_us if known is not None else None
        supplies = sorted(known.supplies.items()) if known is not None else []
        self._content = [digest, source, kind, repr(terms), supplies]
        self._name = f"import-{kind}-{digest[:2]}"

    def found(self, marks: Marks) -> Review | None:
        """What importing it would do: nothing, as the log has it all. None when that must be looked for."""
        if self._held is None:
            return None
        content = self._held.get(self._name, self._held.basis_of([self._content, marks]))
        if content is None or self._now_us is None or self._now_us < content["now_us"]:
            return None
        return Review(**content["review"] | {"sums": [Sum(**one) for one in content["review"]["sums"]]})

    def keep(self, review: Review, marks: Marks) -> None:
        """Keep what importing it again would do, once all of its rows are in the log that ends at `marks`.

        A question that only a repeated import would raise is ruled out: amounts are compared with the ledger's greatest, which is 0 for an asset that has no amounts.
        """
        has_amounts = {one.asset for one in review.sums if one.amount.strip("0.")} == {one.asset for one in review.sums}
        if self._held is None or self._now_us is None or review.questions or review.faults or not has_amounts:
            return
        known = review.new + review.known + review.restated
        again = replace(review, new=0, known=known, restated=0, restated_by={}, restatements=[], repeated=0)
        content = {"now_us": self._now_us, "review": asdict(again)}
        self._held.put(self._name, self._held.basis_of([self._content, marks]), content)


Marks = list[tuple[str, int, str, str] | None]
"""Topic, offset, id and digest of the newest event of each topic that an import depends on; None where there is none."""


def marks_of(log: EventLog, pool_id: str) -> Marks:
    """How far the log is."""
    marks: Marks = []
    for topic in ("ledger", "registry", "months"):
        record = log.last(topic, pool_id)
        marks.append(None if record is None else (topic, record.offset, record.id, hashlib.sha256(record.value).hexdigest()))
    return marks
