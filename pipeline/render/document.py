"""The printed document: a frozen month as strings, the input of every format.

What enters: the rows of the canonical report, already printed (rules 2.2, 7.5), the form's header (rule 7.6) and the
month's totals (rule 7.4). What leaves: one immutable value that every format is a pure function of. No arithmetic here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import polars as pl

from pipeline.model.errors import VerifyError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder

from .canonical import check_rows
from .csv_parts import ROWS_AT_ONCE
from .form import COLUMNS
from .report_rows import ReportFile, ReportRows, longest_values

NEWEST_LAYOUT: Final = 4
"""How new versions are laid out on paper (ADR 26). 1: as until then; 2: workbooks print at 7 points and more and have the totals below the rows, PDFs keep
the signatures with the totals and long names to few lines; 3: the rows are the same bytes in every language; 4: those of a workbook are deflated faster."""
LEAST_PDF_ROWS: Final = 1_000
"""A form of fewer rows is always printed whole."""
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
    layout: int = 1
    pdf_rows: int = 0


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
    rows: ReportRows = field(repr=False)
    """The form's fifteen columns, all strings, null where empty; dates YYYY-MM-DD, amounts with all decimals."""
    totals: dict[str, Any]
    """Amounts as printed, by asset or currency; counts as whole numbers."""
    frozen_at: int
    """Unix seconds: the date in the files' metadata, so that their bytes are reproducible."""
    layout: int = NEWEST_LAYOUT
    """Which of the layouts of workbook and PDF: a frozen version keeps the one that it was printed in."""
    pdf_rows: int = 0
    """The most rows that the PDF prints, at least `LEAST_PDF_ROWS`, less than there are: it then says where the rows are, instead. 0: it prints them all."""

    def __post_init__(self) -> None:
        if isinstance(self.rows, pl.DataFrame):
            check_rows(self.rows)
        if self.pdf_rows and not LEAST_PDF_ROWS <= self.pdf_rows < self.rows.height:
            raise ValueError(
                message(
                    "pdf_rows is {pdf_rows}, and the form has {rows} rows: a PDF leaves rows out only beyond a limit of {least} or more",
                    pdf_rows=self.pdf_rows,
                    rows=self.rows.height,
                    least=LEAST_PDF_ROWS,
                )
            )
        if not 1 <= self.layout <= NEWEST_LAYOUT:
            raise ValueError(
                message(
                    "layout {layout} of the documents is not one that this program knows (1 to {newest_layout}): upgrade it",
                    layout=self.layout,
                    newest_layout=NEWEST_LAYOUT,
                )
            )
        unknown = sorted(set(self.header) - set(HEADER_FIELDS))
        if unknown:
            raise ValueError(
                message(
                    "the form's header has no field {unknown}; it has {header_fields}",
                    unknown=", ".join(unknown),
                    header_fields=", ".join(HEADER_FIELDS),
                )
            )

    @cached_property
    def names(self) -> pl.Series:
        """Every miner's name once, in the rows' order; a name that is absent is null."""
        return self._measures[0]

    @cached_property
    def longest(self) -> dict[str, int]:
        """Of each column the length of its longest value, in characters; 0 where all are empty."""
        return self._measures[1]

    @cached_property
    def _measures(self) -> tuple[pl.Series, dict[str, int]]:
        names, longest = pl.Series("miner_name", [], pl.String), dict.fromkeys(COLUMNS, 0)
        for part in self.rows.iter_slices(ROWS_AT_ONCE):
            names = pl.concat([names, part["miner_name"]]).unique(maintain_order=True)
            longest = {name: max(longest[name], length) for name, length in longest_values(part).items()}
        return names, longest

    @classmethod
    def load(cls, bundle_dir: Path) -> Self:
        """The document of a bundle, from its `report.csv` and `manifest.json`.

        Raises VerifyError when one is absent or unreadable, or the report's digest is not the manifest's.
        """
        try:
            with (bundle_dir / "report.csv").open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            manifest = decoder(_Manifest).decode((bundle_dir / "manifest.json").read_bytes())
            month = Month.parse(manifest.month)
        except OSError as error:
            raise VerifyError(
                message(
                    "{filename}: {strerror}; a bundle needs report.csv and manifest.json",
                    filename=error.filename,
                    strerror=system_words(error),
                )
            ) from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise VerifyError(
                message(
                    "{bundle_dir}: {error}; restore the bundle, or freeze the month again",
                    bundle_dir=bundle_dir / "manifest.json",
                    error=error,
                )
            ) from error
        if digest != manifest.digest:
            raise VerifyError(
                message(
                    "{bundle_dir}: its SHA-256 is {digest}, the manifest says {digest_2}; the report was changed after the freeze: restore the bundle, or replay the month",
                    bundle_dir=bundle_dir / "report.csv",
                    digest=digest,
                    digest_2=manifest.digest,
                )
            )
        try:
            rows = ReportFile(bundle_dir / "report.csv")
            return cls(
                month,
                manifest.version,
                digest,
                manifest.header,
                rows,
                manifest.totals,
                manifest.frozen_at,
                manifest.layout,
                manifest.pdf_rows,
            )
        except ValueError as error:
            raise VerifyError(
                message("{bundle_dir}: {error}; restore the bundle, or replay the month", bundle_dir=bundle_dir, error=error)
            ) from error
