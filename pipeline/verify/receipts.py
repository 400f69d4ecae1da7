"""The root of the report's rows, in the manifest and in miners' receipts (`assess.receipts`): computed anew from a bundle, or from a receipt alone.

Enters: a bundle's folder; or a receipt, and a root that was published. Leaves: the tree, a finding, or checks. Nothing but files is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.assess.receipts import Receipt, ReportTree, describe_receipts, month_key, read_receipt, receipt_faults, report_rows
from pipeline.model.errors import SettingsError, VerifyError
from pipeline.model.message import joined, message
from pipeline.model.system_words import system_words
from pipeline.render.canonical import check_rows
from pipeline.render.csv_parts import csv_parts

from .files import digest_of
from .finding import Check, Finding
from .given import require_folder
from .shapes import MANIFEST, parse_manifest, read_manifest, read_plain

REPORT_CSV, ROWS_CSV = "report.csv", "rows.csv"
MAX_RECEIPT_BYTES = 1 << 30
ROOT = "root"
"""The check of a receipt against what was published."""
_ROOT = re.compile(r"[0-9a-f]{64}")


def describe_folder(folder: Path, *, month: str, version: int) -> dict[str, Any]:
    """The manifest's section `receipts` for the report in a folder, read in parts. Raises OSError, or ValueError for files that are no report's."""
    rows = (row for part in _parts(folder) for row in part.iter_rows())
    return describe_receipts(rows, _key(folder), month=month, version=version, digest=digest_of(folder / REPORT_CSV))


def _parts(folder: Path) -> Iterator[pl.DataFrame]:
    """The rows as leaves have them, in parts. Raises OSError, ValueError."""
    for report, ties in zip_longest(csv_parts(folder / REPORT_CSV), csv_parts(folder / ROWS_CSV)):
        if report is None or ties is None:
            raise ValueError(message("rows.csv is not of this report"))
        check_rows(report)
        yield report_rows(report, ties)


def _key(folder: Path) -> bytes:
    return month_key(_pieces(folder / REPORT_CSV), _pieces(folder / ROWS_CSV))


class MinersReceipts:
    """The receipts of one bundle's miners."""

    def __init__(self, tree: ReportTree, rows: pl.DataFrame) -> None:
        """`rows`: all, as leaves have them."""
        self._tree = tree
        self._rows = rows.partition_by("miner_id", maintain_order=True, as_dict=True)

    def of(self, miner_id: str) -> Receipt | None:
        """The miner's receipt; None for one who has no row."""
        rows = self._rows.get((miner_id,))
        if rows is None:
            return None
        return self._tree.receipt(miner_id, [int(n) for n in rows["n"]], rows.rows())


def open_receipts(folder: Path) -> MinersReceipts | None:
    """What receipts of a bundle are made from; None for one of editions 1 and 2. Raises VerifyError when its manifest states another root than its report has."""
    manifest = read_manifest(folder)
    stated = manifest.get("receipts")
    if stated is None:
        return None
    rows = pl.concat(_parts(folder))
    digest = digest_of(folder / REPORT_CSV)
    tree = ReportTree(rows.iter_rows(), _key(folder), month=manifest["month"], version=manifest["version"], digest=digest)
    if tree.described != stated:
        raise VerifyError(
            message(
                "{folder}: its report's rows have another root than its manifest states; esep verify {folder} says what is wrong with it",
                folder=folder,
            )
        )
    return MinersReceipts(tree, rows)


def check_root(folder: Path, manifest: dict[str, Any]) -> Finding:
    """The root that the manifest states is that of the report's rows. Bundles of editions 1 and 2 state none."""
    stated = manifest.get("receipts")
    if stated is None and manifest["schema"] < 3:
        return Finding(
            [],
            "",
            message(
                "no root of the report's rows is stated (edition {schema}): miners can't check receipts against this bundle",
                schema=manifest["schema"],
            ),
        )
    found = describe_folder(folder, month=manifest["month"], version=manifest["version"])
    faults = (
        []
        if found == stated
        else [
            message(
                "the report's {leaves} rows have the root {root}, the manifest says otherwise", leaves=found["leaves"], root=found["root"]
            )
        ]
    )
    return Finding(faults, message("the report's {leaves} rows have the root {root}", leaves=found["leaves"], root=found["root"]))


def check_receipt(path: Path, root: str | None, bundle: Path | None) -> list[Check]:
    """A receipt by itself, and against what the pool published: a root (64 hexadecimal digits), or a bundle, or its manifest alone.

    Raises VerifyError for files that are no receipt or no manifest; SettingsError for a root that is none, and for a path at which nothing can be read.
    """
    if root is not None and not _ROOT.fullmatch(root.lower()):
        raise SettingsError(
            [message("--root {root} is no root: 64 hexadecimal digits, as `receipts` of the manifest states it", root=repr(root))],
            source="",
        )
    try:
        receipt = read_receipt(read_plain(path, MAX_RECEIPT_BYTES))
    except OSError as error:
        raise SettingsError(
            [message("{path}: {strerror}; a receipt is a file like NUMBER-v1.receipt.json", path=path, strerror=system_words(error))],
            source="",
        ) from error
    except (ValueError, RecursionError) as error:
        raise VerifyError(message("{path}: not a receipt: {error}", path=path, error=error)) from error
    faults = receipt_faults(receipt)
    what = message(
        "{count} rows of the miner {miner_id} stand in the report of {month} v{version}, SHA-256 {digest}",
        count=len(receipt.rows),
        miner_id=receipt.miner_id,
        month=receipt.month,
        version=receipt.version,
        digest=receipt.digest,
    )
    own = Check(
        "receipt", not faults, joined("; ", faults) or message("{what}, if the root {root} is its root", what=what, root=receipt.root)
    )
    checks = [own]
    if root is not None:
        checks.append(_compared(root.lower() == receipt.root, message("the root given")))
    if bundle is not None:
        checks.append(_compared(_is_of(receipt, bundle), message("the root of {bundle}", bundle=bundle)))
    if len(checks) == 1:
        checks.append(
            Check(
                ROOT,
                True,
                "",
                undecided=message("no root was given to compare: give the one that the pool published (--root), or its bundle or manifest"),
            )
        )
    return checks


def _compared(is_same: bool, whose: str) -> Check:
    """The receipt's root against one published."""
    if not is_same:
        return Check(ROOT, False, message("{whose} is not that of this receipt: these rows do not stand in that report", whose=whose))
    return Check(
        ROOT,
        True,
        message("{whose} is the receipt's", whose=whose),
        on_word=(message("that this root is the one that was filed: the manifest's signature shows whose it is"),),
    )


def _is_of(receipt: Receipt, bundle: Path) -> bool:
    manifest = _manifest_at(bundle)
    stated = manifest.get("receipts")
    if stated is None:
        raise VerifyError(
            message(
                "{bundle}: this manifest states no root of the report's rows (edition {schema}): no receipt can be checked against it",
                bundle=bundle,
                schema=manifest["schema"],
            )
        )
    named = (manifest["month"], manifest["version"], manifest["digest"], stated["leaves"], stated["root"])
    return named == (receipt.month, receipt.version, receipt.digest, receipt.leaves, receipt.root)


def _manifest_at(path: Path) -> dict[str, Any]:
    if path.is_dir() or not path.is_file():
        require_folder(path)
        return read_manifest(path)
    if path.name == MANIFEST:
        return read_manifest(path.parent)
    return parse_manifest(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
