"""Receipts: each miner can check that its own rows stand in the report that was filed, and learns nothing of anybody else's.

Enters: the report's rows and their ties, as printed. Leaves: a tree whose leaves are the rows, its root for the manifest, and for one miner its rows with the proof that they
are under that root. Pure.

A leaf is HMAC-SHA256(row's key, 00 ‖ row). A row's key is HMAC-SHA256(month's key, number), and the month's key is a hash of the whole report and its ties, under a label of its
own: it is not the digest that is printed and published, from which it can't be computed. Who has the report has all keys. Who has some rows, with their keys and the hashes
beside them, can test no guess at another row (an IIN has few enough to try): it would take that row's key, so all of the report.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec
import polars as pl
from msgspec import Meta

from pipeline.model.hash_tree import HashTree, count_and_root, root_of
from pipeline.model.message import message
from pipeline.model.typed import decoder
from pipeline.render.form import COLUMNS

FORM: Final = "esep-receipt"
EDITION: Final = 1
TIES: Final = ("allocation_id", "txid", "is_carried")
ROW: Final = (*COLUMNS, *TIES)
"""What a leaf is made of: the form's columns, then what ties the row to its allocation and its transaction."""
_MINER: Final = ROW.index("miner_id")
_MONTH_LABEL, _ROOT_LABEL, _LEAF = b"esep receipts 1\0", b"\x02esep receipts 1\0", b"\0"

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class ReceiptRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row with its key."""

    n: Annotated[int, Meta(ge=1)]
    """Its number in the report, from 1."""
    key: Hash
    values: list[str | None]
    """In the order of ROW."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One miner's rows of a version of a month, and their proof."""

    form: str
    edition: int
    month: str
    version: int
    digest: Hash
    """Of the report."""
    leaves: Annotated[int, Meta(ge=1)]
    root: Hash
    miner_id: str
    columns: list[str]
    rows: list[ReceiptRow]
    proof: list[Hash]


class ReportTree:
    """The tree of one version of a month."""

    def __init__(self, rows: Iterable[Sequence[str | None]], key: bytes, *, month: str, version: int, digest: str) -> None:
        """`rows`: in the report's order, the columns of ROW. `key`: the month's (`month_key`)."""
        self._key, self._month, self._version, self._digest = key, month, version, digest
        self._tree = HashTree(b"".join(_leaves(rows, key)))

    @property
    def count(self) -> int:
        return self._tree.count

    @property
    def root(self) -> str:
        """What the manifest states, hex: it binds the month, the version, the report's digest and the number of rows, too."""
        return stated_root(self._tree.root, self.count, self._month, self._version, self._digest)

    @property
    def described(self) -> dict[str, Any]:
        """The manifest's section `receipts`."""
        return {"leaves": self.count, "root": self.root}

    def receipt(self, miner_id: str, numbers: Sequence[int], rows: Sequence[Sequence[str | None]]) -> Receipt:
        """The receipt of a miner whose rows these are, by their numbers in the report."""
        return Receipt(
            FORM, EDITION, self._month, self._version, self._digest, self.count, self.root, miner_id, list(ROW),
            [ReceiptRow(number, row_key(self._key, number).hex(), list(row)) for number, row in zip(numbers, rows, strict=True)],
            [one.hex() for one in self._tree.proof([number - 1 for number in numbers])],
        )  # fmt: skip


def describe_receipts(rows: Iterable[Sequence[str | None]], key: bytes, *, month: str, version: int, digest: str) -> dict[str, Any]:
    """The manifest's section `receipts`: what `ReportTree.described` of the same says, with no tree in memory."""
    count, root = count_and_root(_leaves(rows, key))
    return {"leaves": count, "root": stated_root(root, count, month, version, digest)}


def _leaves(rows: Iterable[Sequence[str | None]], key: bytes) -> Iterator[bytes]:
    return (leaf_hash(row_key(key, number), row) for number, row in enumerate(rows, 1))


def month_key(report: Iterable[bytes], ties: Iterable[bytes]) -> bytes:
    """The month's key: a hash of `report.csv` and of `rows.csv`, each given in pieces."""
    sha256 = hashlib.sha256(_MONTH_LABEL)
    for pieces in (report, ties):
        inner = hashlib.sha256(_MONTH_LABEL)
        for piece in pieces:
            inner.update(piece)
        sha256.update(inner.digest())
    return sha256.digest()


def row_key(key: bytes, number: int) -> bytes:
    """The key of the row of that number, from the month's."""
    return hmac.digest(key, str(number).encode(), "sha256")


def leaf_hash(key: bytes, row: Sequence[str | None]) -> bytes:
    """A row under its own key."""
    return hmac.digest(key, _LEAF + msgspec.json.encode(row), "sha256")


def stated_root(root: bytes, count: int, month: str, version: int, digest: str) -> str:
    """The root as the manifest states it, hex."""
    return hashlib.sha256(_ROOT_LABEL + msgspec.json.encode([month, version, digest, count]) + root).hexdigest()


def report_rows(report: pl.DataFrame, ties: pl.DataFrame) -> pl.DataFrame:
    """The rows as leaves have them; who paid (rule 10.9) is no part of a leaf. Raises ValueError when the ties are not this report's."""
    if not report["n"].equals(ties["n"]) or set(ties.columns) - {"payer"} != {"n", *TIES}:
        raise ValueError(message("rows.csv is not of this report"))
    return pl.concat([report, ties.select(TIES)], how="horizontal").select(ROW)


def read_receipt(content: bytes) -> Receipt:
    """A receipt as it was written. Raises ValueError, in words, for anything else."""
    receipt = decoder(Receipt).decode(content)
    if receipt.form != FORM or receipt.edition != EDITION:
        raise ValueError(
            message(
                "it is {form} {edition}: this program knows {form_2} {edition_2}",
                form=receipt.form,
                edition=receipt.edition,
                form_2=FORM,
                edition_2=EDITION,
            )
        )
    if receipt.columns != list(ROW) or any(len(row.values) != len(ROW) for row in receipt.rows):
        raise ValueError(message("its rows do not have the columns of a report's rows"))
    return receipt


def receipt_faults(receipt: Receipt) -> list[str]:
    """What is wrong with a receipt by itself: rows of others, rows that do not lead to the root that it states."""
    faults: list[str] = [
        message("row {n} is not of the miner {miner_id}", n=row.n, miner_id=receipt.miner_id)
        for row in receipt.rows
        if row.values[_MINER] != receipt.miner_id
    ]
    faults += [
        message("row {n} says that its number is {values}", n=row.n, values=row.values[0])
        for row in receipt.rows
        if row.values[0] != str(row.n)
    ]
    numbers = [row.n for row in receipt.rows]
    if not receipt.rows or len(set(numbers)) != len(numbers):
        return [*faults, "it has no row, or one twice"]
    try:
        leaves = {row.n - 1: leaf_hash(bytes.fromhex(row.key), row.values) for row in receipt.rows}
        root = root_of(leaves, receipt.leaves, [bytes.fromhex(one) for one in receipt.proof])
    except ValueError as error:
        return [*faults, str(error)]
    if stated_root(root, receipt.leaves, receipt.month, receipt.version, receipt.digest) != receipt.root:
        faults.append(message("its rows do not lead to the root that it states: a row, a key or the proof was changed"))
    return faults
