"""A bundle's own tables, read back as they were frozen: what statements for miners are made from.

Enters: a bundle's folder. Leaves: `MonthTables`, every file's digest compared with the manifest's. Left out: whether the report is true (`bundle`).
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.assess.debts import DEBTS_CSV
from pipeline.assess.statement import MonthTables, rows_on_word
from pipeline.model.errors import VerifyError
from pipeline.model.message import message
from pipeline.model.rules import Rules
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder
from pipeline.render import Document

from .files import MANIFEST

ROWS_CSV = "rows.csv"
MINERS = "evidence/facts/miners.parquet"


class _Files(msgspec.Struct, frozen=True):
    files: dict[str, str]
    rules: dict[str, Any] = {}


def read_tables(folder: Path) -> MonthTables:
    """The tables of a bundle. Raises VerifyError for a file that is absent, unreadable, or not the one that the manifest names."""
    document = Document.load(folder)
    try:
        report = document.rows.slice(0)
        manifest = decoder(_Files).decode((folder / MANIFEST).read_bytes())
        digests = manifest.files
        names = pl.read_parquet(io.BytesIO(_content(folder, MINERS, digests)), columns=["miner_id", "name"])
        links = pl.read_csv(_content(folder, ROWS_CSV, digests), infer_schema=False)
        is_paid_by_others = "payer" in links.columns
        return MonthTables(
            month=document.month,
            version=document.version,
            digest=document.digest,
            at=document.frozen_at,
            pool=document.header,
            report=report,
            links=links.drop("payer", strict=False),
            debts=pl.read_csv(_content(folder, DEBTS_CSV, digests), infer_schema=False),
            names=dict(names.iter_rows()),
            **(rows_on_word(report, links["payer"], Rules.from_json(manifest.rules)) if is_paid_by_others else {}),
        )
    except (msgspec.MsgspecError, pl.exceptions.PolarsError, ValueError) as error:
        raise VerifyError(
            message("{folder}: {error}; esep verify {folder} says what is wrong with it", folder=folder, error=error)
        ) from error


def _content(folder: Path, name: str, digests: dict[str, str]) -> bytes:
    """A file's bytes, the very ones that the manifest names."""
    if name not in digests:
        raise VerifyError(
            message(
                "{folder}: this bundle has no {name}: it was frozen before there were any, and statements can't be made from it",
                folder=folder,
                name=name,
            )
        )
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise VerifyError(
            message(
                "{filename}: {strerror}; restore the bundle, or replay the month", filename=error.filename, strerror=system_words(error)
            )
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != digests[name]:
        raise VerifyError(
            message(
                "{folder}: its SHA-256 is {digest}, the manifest says {digests}; it was changed after the freeze: restore the bundle, or replay the month",
                folder=folder / name,
                digest=digest,
                digests=digests[name],
            )
        )
    return content
