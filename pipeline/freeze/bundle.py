"""The bundle of a frozen month: which files it has and what is in them (design, section 6).

Enters: facts, what enrichment made of them, evidence, the `frozen` event's content. Leaves: a folder, written whole and then
renamed into place, with `manifest.json` naming the SHA-256 of every other file. The same input gives the same bytes in every
file but `month.duckdb`, whose pages are DuckDB's own business, and `manifest.json`, which names its digest.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Self

import msgspec
import polars as pl

from pipeline.assess.coins import COINS_CSV, FIRST_EDITION, MonthCoins, describe_coins, month_coins, printed_coins
from pipeline.assess.debts import DEBTS_CSV, describe_debts, printed_debts
from pipeline.assess.documents import describe_documents
from pipeline.assess.keys import describe_keys
from pipeline.assess.manifest import describe_month
from pipeline.assess.month import Assessment, MonthState
from pipeline.assess.opening_line import NEWEST_FORMAT, OPENING_LINE_CSV, LineDigests, digest_of_line, printed_line
from pipeline.assess.opening_line import SINCE as LINE_SINCE
from pipeline.assess.printed import TABLES, printed_parts
from pipeline.assess.wallets import WALLETS_JSONL, encode_addresses, listed_addresses
from pipeline.chains.evidence import Evidence
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import FRAMES_MAY_BE_ABSENT, MAY_BE_ABSENT, SHAPES, UNITS, Facts
from pipeline.freeze.evidence import write_decisions, write_evidence
from pipeline.log.events.months import Frozen
from pipeline.model.durable import move_into_place, sync, temporary_path
from pipeline.model.message import as_plain, grouped, message
from pipeline.model.months import Month
from pipeline.model.packed import zlib_here
from pipeline.model.rules import Rules
from pipeline.render import NEWEST_LAYOUT, Document, render_all
from pipeline.render.canonical import write_report_csv, write_table_csv, write_table_parts
from pipeline.render.form import Language
from pipeline.render.report_rows import ReportFile
from pipeline.render.totals import printed_totals
from pipeline.verify.files import DECISIONS, MANIFEST, digest_of
from pipeline.verify.grounds import SINCE as GROUNDS_SINCE
from pipeline.verify.grounds import describe_grounds
from pipeline.verify.receipts import describe_folder

_OF_WAIVER = ("code", "ref", "by", "reason", "at")
_SOFTWARE = ("esep", "polars", "duckdb", "msgspec", "reportlab", "xlsxwriter", "tzdata")


@dataclass(frozen=True)
class Version:
    """Which version of a month is frozen: by which rules, under which header, in which languages, when, by whom and why."""

    month: Month
    number: int
    """From 1; more than 1 is an amendment (rule 8.3)."""
    rules: Rules
    header: dict[str, str]
    """Of the form (rule 7.6)."""
    languages: Sequence[Language]
    at: int
    """Unix seconds."""
    by: str
    reason: str
    layout: int = NEWEST_LAYOUT
    """Of the printed documents (ADR 26)."""
    pdf_rows: int = 0
    """The most rows that a PDF prints; 0: all."""
    has_opening_line: bool = True
    """Whether its bundle has the month's opening line (ADR 25)."""
    line_format: int = NEWEST_FORMAT
    """Of the opening line."""
    begins_from_line: bool = False
    """Whether the bundle's allocations begin with the month, its opening line in place of all before it (ADR 27)."""

    @classmethod
    def of(cls, event: Frozen) -> Self:
        """The version that an event froze."""
        month, rules = Month.parse(event.month), Rules.from_json(event.rules)
        languages: list[Language] = event.languages  # type: ignore[assignment]
        return cls(
            month, event.version, rules, event.header, languages, event.at, event.by, event.reason, event.layout, event.pdf_rows,
            has_opening_line=event.closing_line_digest is not None, line_format=event.line_format, begins_from_line=event.begins_from_line,
        )  # fmt: skip

    def limit_of(self, rows: int) -> int:
        """`Document.pdf_rows` of a form of so many rows."""
        return self.pdf_rows if rows > self.pdf_rows else 0


@dataclass(frozen=True)
class Content:
    """Everything that a bundle is written from."""

    version: Version
    state: MonthState
    assessed: Assessment
    evidence: Evidence
    """Proofs of the transactions in `transactions_to_prove`."""

    @cached_property
    def totals(self) -> dict[str, object]:
        """The month's totals, as printed (rule 7.4)."""
        return printed_totals(self.assessed.enriched.totals, self.version.rules.assets)

    @property
    def has_opening_line(self) -> bool:
        """Whether the version has the month's opening line."""
        return self.version.has_opening_line and self.version.rules.edition >= LINE_SINCE

    def debts(self, files: Mapping[str, str]) -> dict[str, Any]:
        """The manifest's section of that name. `files`: SHA-256 of the written files by name, the opening line's among them."""
        enriched, lines = self.assessed.enriched, None
        if self.has_opening_line:
            format = self.version.line_format
            lines = LineDigests(files[OPENING_LINE_CSV], digest_of_line(printed_line(enriched.closing_line, format)), format)
        return describe_debts(enriched.debts, self.state.previous_debts, self.version.rules, lines)

    @cached_property
    def coins(self) -> MonthCoins | None:
        """The month's coins (ADR 15); None before the edition that has them."""
        version = self.version
        return month_coins(self.state.facts, version.month, version.rules) if version.rules.edition >= FIRST_EDITION else None

    @cached_property
    def coins_section(self) -> dict[str, Any] | None:
        """The manifest's section of that name; None with no coins."""
        return describe_coins(self.coins, self.state.previous_coins) if self.coins is not None else None


@dataclass(frozen=True)
class WrittenReport:
    """The canonical report as it was written into a bundle that is being built."""

    folder: Path
    """The bundle's."""
    digest: str
    """SHA-256 of `report.csv`, hex (rule 8.2)."""
    height: int
    """How many rows."""


@dataclass(frozen=True)
class Bundle:
    """A bundle as it was written."""

    folder: Path
    digest: str
    manifest_digest: str
    files: dict[str, str]
    """SHA-256 by name."""
    debts: dict[str, Any]
    """The manifest's section of that name."""


def write_report(enriched: Enriched, rules: Rules, folder: Path, *, progress: Callable[[str], None] = lambda _: None) -> WrittenReport:
    """Begin a bundle in the new folder `folder` (mode 0700) with `report.csv`, whose digest is found while it is written.

    `progress` is told how many rows are done. Raises FileExistsError when the folder is there already.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    progress(message("tables"))
    height = enriched.reported.height
    with (folder / "report.csv").open("wb") as file:
        digest = write_report_csv(_told(printed_parts(enriched, rules), height, progress), file)
    return WrittenReport(folder, digest, height)


def write_bundle(
    content: Content, report: WrittenReport, *, export: Callable[[Path], object], progress: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Write all the other files of the bundle beside `report.csv` (files 0400, all of it synced to disk).

    `export` writes `month.duckdb`. `progress` is told each part, and of the long ones how many rows are done.
    """
    folder, version, enriched = report.folder, content.version, content.assessed.enriched
    for inner in (folder / "evidence", folder / "evidence" / "facts"):
        inner.mkdir(mode=0o700)
    for name, printed in TABLES.items():
        with (folder / name).open("wb") as file:
            write_table_parts(printed(enriched), file)
    with (folder / DEBTS_CSV).open("wb") as file:
        write_table_csv(printed_debts(enriched.debts, version.rules), file)
    if content.coins is not None:
        with (folder / COINS_CSV).open("wb") as file:
            write_table_csv(printed_coins(content.coins), file)
    progress(message("evidence"))
    if content.has_opening_line:
        with (folder / OPENING_LINE_CSV).open("wb") as file:
            write_table_csv(printed_line(enriched.opening_line, version.line_format), file)
    write_evidence(content.evidence, folder / "evidence")
    if content.state.streams:
        write_decisions(content.state.signed, version.month, folder / DECISIONS)
    write_facts(content.state.facts, folder / "evidence" / "facts")
    if version.rules.edition >= FIRST_EDITION:
        listed = listed_addresses(content.state.facts, content.state.wallet_signatures, version.header["bin"])
        (folder / WALLETS_JSONL).write_bytes(encode_addresses(listed))
    progress(message("documents"))
    _render(content, report, progress)
    progress(message("database"))
    export(folder / "month.duckdb")
    files = {str(path.relative_to(folder)): digest_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    progress(message("manifest"))
    debts = content.debts(files)
    manifest = (
        msgspec.json.format(
            msgspec.json.encode(_manifest(content, report, files, debts), enc_hook=as_plain, order="deterministic"), indent=1
        )
        + b"\n"
    )
    (folder / MANIFEST).write_bytes(manifest)
    _sync(folder)
    return Bundle(folder, report.digest, hashlib.sha256(manifest).hexdigest(), files, debts)


def _told(parts: Iterable[pl.DataFrame], total: int, progress: Callable[[str], None]) -> Iterator[pl.DataFrame]:
    """The parts unchanged; `progress` is called after each."""
    done = 0
    for part in parts:
        yield part
        done += part.height
        progress(message("report.csv: {done} of {total} rows", done=grouped(done), total=grouped(total)))


def _render(content: Content, report: WrittenReport, progress: Callable[[str], None]) -> None:
    """The report's rows as they stand in `report.csv`, printed in every format and language."""
    version = content.version
    rows = ReportFile(report.folder / "report.csv")
    document = Document(
        version.month, version.number, report.digest, version.header, rows, content.totals, version.at, version.layout, version.limit_of(rows.height)
    )  # fmt: skip
    render_all(document, report.folder, languages=version.languages, progress=progress)


def _manifest(content: Content, report: WrittenReport, files: dict[str, str], debts: dict[str, Any]) -> dict[str, Any]:
    version, state, enriched = content.version, content.state, content.assessed.enriched
    receipts = describe_folder(report.folder, month=str(version.month), version=version.number) if version.rules.edition > 2 else None
    of_waiver = (*_OF_WAIVER, "facts") if version.rules.edition > 1 else _OF_WAIVER
    keys = describe_keys(state.streams)
    documents = describe_documents(state.documents, version.month, enriched.outflows, enriched.transfers)
    is_told = version.rules.edition >= GROUNDS_SINCE
    grounds = describe_grounds(enriched.reported.settled_by(), content.evidence.proofs, version.rules) if is_told else None
    return describe_month(enriched, state.facts, version.month, version.rules, state.internal_calls, state.authorizations_from) | {
        "version": version.number,
        "digest": report.digest,
        "header": version.header,
        "debts": debts,
        **({"starts_at": enriched.starts_at} if version.begins_from_line else {}),
        **({"coins": content.coins_section} if content.coins_section is not None else {}),
        **({"receipts": receipts} if receipts is not None else {}),
        **({"keys": keys} if keys is not None else {}),
        **({"documents": documents} if documents else {}),
        **({"rests_on": grounds} if grounds is not None else {}),
        "frozen_at": version.at,
        "frozen_by": version.by,
        "reason": version.reason,
        "previous_digest": state.previous_digest,
        "positions": state.positions,
        "languages": list(version.languages),
        **({"layout": version.layout} if version.layout > 1 else {}),
        **({"pdf_rows": limit} if (limit := version.limit_of(report.height)) else {}),
        "conditions": [condition.for_manifest() for condition in content.assessed.conditions],
        "waivers": [{key: getattr(waiver, key) for key in of_waiver} for waiver in state.waivers],
        "software": {name: version_of(name) for name in _SOFTWARE} | {"python": platform.python_version(), "zlib": zlib_here()},
        "files": files,
    }


def write_facts(facts: Facts, folder: Path) -> None:
    """The facts as Parquet, a file a frame; amounts as DECIMAL(38,0). With them `verify` computes the report anew."""
    for name in SHAPES:
        frame: pl.DataFrame = getattr(facts, name)
        if frame.is_empty() and name in FRAMES_MAY_BE_ABSENT:
            continue
        frame = frame.drop(column for column in MAY_BE_ABSENT.get(name, ()) if frame[column].null_count() == frame.height)
        amounts = [column for column, dtype in frame.schema.items() if dtype == UNITS]
        with naming_file_in_disk_errors(folder / f"{name}.parquet") as path:
            frame.with_columns(pl.col(amounts).cast(pl.Decimal(38, 0))).write_parquet(path, compression="zstd", statistics=False)


@contextlib.contextmanager
def naming_file_in_disk_errors(path: Path) -> Iterator[Path]:
    """The disk's troubles within name `path`: a write has no name of its own, and polars says them in words alone. Raises OSError."""
    try:
        yield path
    except OSError as error:
        if error.errno is None and (number := re.search(r"\(os error ([0-9]+)\)", str(error))):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error  # polars says it in words alone
        error.filename = error.filename or str(path)
        raise
    except pl.exceptions.PolarsError as error:
        if number := re.search(r"\(os error ([0-9]+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise


def put_in_place(built: Path, final: Path) -> None:
    """Rename a finished folder to its place, on disk before it returns. A folder already there is never touched: FileExistsError.

    What was built on another disk is copied beside its place first, so that it appears there whole, too.
    """
    if final.exists():
        raise FileExistsError(message("{final} is there already: a frozen version is never changed", final=final))
    try:
        move_into_place(built, final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = temporary_path(final)
        discard(part)
        try:
            part.mkdir(mode=0o700)
            for path in sorted(built.rglob("*")):
                target = part / path.relative_to(built)
                target.mkdir(mode=0o700) if path.is_dir() else shutil.copyfile(path, target)
            _sync(part)
            move_into_place(part, final)
        except OSError as error:
            error.filename, error.filename2 = str(part), None  # a copy names what it reads, whatever of the two fails
            raise
        finally:
            discard(part)


def discard(folder: Path) -> None:
    """Remove the folder of an interrupted freeze."""
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make the files read-only and sync everything to disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o400)
        sync(path)
    sync(folder)
