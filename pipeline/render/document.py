"""The printed document: a frozen month as strings, the input of every format.

What enters: the rows of the canonical report, already printed (rules 2.2, 7.5), the form's header (rule 7.6) and the
month's totals (rule 7.4). What leaves: one immutable value that every format is a pure function of. No arithmetic here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import polars as pl

from pipeline.model.errors import VerifyError
from pipeline.model.months import Month

from .canonical import check_rows, read_report_csv

HEADER_FIELDS = ("bin", "name", "address", "telephone", "email", "executor_name", "executor_telephone", "head_name")
"""The keys of `Document.header` (rule 7.6)."""


class _Manifest(msgspec.Struct, frozen=True):
    """The keys of a bundle's manifest that the printed document needs; other keys are ignored."""

    month: str
    version: int
    digest: str
    header: dict[str, str]
    totals: dict[str, Any]
    frozen_at: int


@dataclass(frozen=True)
class Document:
    """A version of a month, ready to print."""

    month: Month
    version: int
    """From 1; more than 1 is an amendment (rule 8.3)."""
    digest: str
    """SHA-256, hex, of the canonical report (rule 8.2)."""
    header: dict[str, str]
    """`HEADER_FIELDS`; one that is absent or empty is printed as a blank to fill in."""
    rows: pl.DataFrame = field(repr=False)
    """The form's fifteen columns, all strings, null where empty; dates YYYY-MM-DD, amounts with all decimals."""
    totals: dict[str, Any]
    """Amounts as printed, by asset or currency; counts as whole numbers."""
    frozen_at: int
    """Unix seconds: the date in the files' metadata, so that their bytes are reproducible."""

    def __post_init__(self) -> None:
        check_rows(self.rows)
        unknown = sorted(set(self.header) - set(HEADER_FIELDS))
        if unknown:
            raise ValueError(f"the form's header has no field {', '.join(unknown)}; it has {', '.join(HEADER_FIELDS)}")

    @classmethod
    def load(cls, bundle_dir: Path) -> Self:
        """The document of a bundle, from its `report.csv` and `manifest.json`.

        Raises VerifyError when one is absent or unreadable, or the report's digest is not the manifest's.
        """
        try:
            content = (bundle_dir / "report.csv").read_bytes()
            manifest = msgspec.json.decode((bundle_dir / "manifest.json").read_bytes(), type=_Manifest)
            month = Month.parse(manifest.month)
        except OSError as error:
            raise VerifyError(f"{error.filename}: {error.strerror}; a bundle needs report.csv and manifest.json") from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise VerifyError(f"{bundle_dir / 'manifest.json'}: {error}; restore the bundle, or freeze the month again") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != manifest.digest:
            raise VerifyError(
                f"{bundle_dir / 'report.csv'}: its SHA-256 is {digest}, the manifest says {manifest.digest}; "
                "the report was changed after the freeze: restore the bundle, or replay the month"
            )
        try:
            return cls(month, manifest.version, digest, manifest.header, read_report_csv(content), manifest.totals, manifest.frozen_at)
        except ValueError as error:
            raise VerifyError(f"{bundle_dir}: {error}; restore the bundle, or replay the month") from error
