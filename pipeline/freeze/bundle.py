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
from dataclasses import asdict, dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.assess.conditions import Condition, describe_chains
from pipeline.assess.debts import DEBTS_CSV, printed_debts
from pipeline.assess.printed import TABLES, printed_parts
from pipeline.chains.evidence import Evidence
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import MAY_BE_ABSENT, SHAPES, UNITS, Facts
from pipeline.freeze.evidence import write_evidence
from pipeline.log.events.months import Waived
from pipeline.model.durable import move_into_place, part_of, sync
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render import Document, render_all
from pipeline.render.canonical import write_report_csv, write_table_csv
from pipeline.render.form import Language
from pipeline.verify.files import MANIFEST, digest_of

NOT_REPRODUCIBLE = ("month.duckdb",)
"""Files whose bytes may differ between two equal freezes; their content may not."""
_OF_WAIVER = ("code", "ref", "by", "reason", "at")
_SOFTWARE = ("esep", "polars", "duckdb", "msgspec", "reportlab", "xlsxwriter", "tzdata")


@dataclass(frozen=True)
class Content:
    """Everything that a bundle is made of."""

    month: Month
    version: int
    rules: Rules
    header: dict[str, str]
    positions: dict[str, int]
    previous_digest: str | None
    frozen_at: int
    """Unix seconds."""
    by: str
    reason: str
    facts: Facts
    enriched: Enriched
    evidence: Evidence
    internal_calls: Mapping[str, str]
    """How calls inside transactions were seen, by chain; chains without such calls are absent (ADR 7)."""
    waivers: Sequence[Waived]
    conditions: Sequence[Condition]
    languages: Sequence[Language]
    debts: dict[str, Any]
    """The manifest's section of that name (`debts.describe_debts`)."""


@dataclass(frozen=True)
class Bundle:
    """A bundle as it was written."""

    folder: Path
    digest: str
    manifest_digest: str
    files: dict[str, str]
    """SHA-256 by name."""


def write_bundle(
    content: Content, folder: Path, *, export: Callable[[Path], object], progress: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Write every file of the bundle into the new folder `folder` (mode 0700, files 0400, all of it synced to disk).

    `export` writes `month.duckdb`. `progress` is told each part, and of the long ones how many rows are done. Raises FileExistsError when the folder is there already.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    for inner in (folder / "evidence", folder / "evidence" / "facts"):
        inner.mkdir(mode=0o700)
    progress("tables")
    printed_rows: list[pl.DataFrame] = []
    with (folder / "report.csv").open("wb") as file:
        digest = write_report_csv(
            _kept(printed_parts(content.enriched, content.rules), printed_rows, content.enriched.reported.height, progress), file
        )
    rows = pl.concat(printed_rows)
    for name, printed in TABLES.items():
        with (folder / name).open("wb") as file:
            write_table_csv(printed(content.enriched), file)
    with (folder / DEBTS_CSV).open("wb") as file:
        write_table_csv(printed_debts(content.enriched.debts, content.rules), file)
    progress("evidence")
    write_evidence(content.evidence, folder / "evidence")
    write_facts(content.facts, folder / "evidence" / "facts")
    progress("documents")
    document = Document(content.month, content.version, digest, content.header, rows, content.enriched.totals, content.frozen_at)
    render_all(document, folder, languages=content.languages, progress=progress)
    height = rows.height
    del document, rows, printed_rows  # the database takes room of its own
    progress("database")
    export(folder / "month.duckdb")
    files = {str(path.relative_to(folder)): digest_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    progress("manifest")
    manifest = msgspec.json.format(msgspec.json.encode(_manifest(content, digest, height, files), order="deterministic"), indent=1) + b"\n"
    (folder / MANIFEST).write_bytes(manifest)
    _sync(folder)
    return Bundle(folder, digest, hashlib.sha256(manifest).hexdigest(), files)


def _kept(parts: Iterable[pl.DataFrame], kept: list[pl.DataFrame], total: int, progress: Callable[[str], None]) -> Iterator[pl.DataFrame]:
    """The parts as they come, each kept and told."""
    done = 0
    for part in parts:
        kept.append(part)
        yield part
        done += part.height
        progress(f"report.csv: {done:,} of {total:,} rows")


def _manifest(content: Content, digest: str, rows: int, files: dict[str, str]) -> dict[str, Any]:
    issues = content.enriched.issues
    return {
        "schema": content.rules.edition,
        "form": "ЦМПМ1",
        "month": str(content.month),
        "version": content.version,
        "digest": digest,
        "rows": rows,
        "rows_carried": content.enriched.reported.count_carried(),
        "rows_unsettled": content.enriched.reported.rows["transfer"].null_count(),
        "due": content.month.deadline.isoformat(),
        "header": content.header,
        "totals": content.enriched.totals,
        "debts": content.debts,
        "frozen_at": content.frozen_at,
        "frozen_by": content.by,
        "reason": content.reason,
        "previous_digest": content.previous_digest,
        "positions": content.positions,
        "rules": content.rules.to_json(),
        "languages": list(content.languages),
        "chains": describe_chains(content.facts, content.month, content.rules.finality, content.internal_calls),
        "conditions": [asdict(condition) for condition in content.conditions],
        "issues": dict(issues.group_by("code").len().sort("code").iter_rows()),
        "waivers": [{key: getattr(waiver, key) for key in _OF_WAIVER} for waiver in content.waivers],
        "software": {name: version_of(name) for name in _SOFTWARE} | {"python": platform.python_version()},
        "files": files,
        "not_reproducible": list(NOT_REPRODUCIBLE),
    }


def write_facts(facts: Facts, folder: Path) -> None:
    """The facts as Parquet, a file a frame; amounts as DECIMAL(38,0). With them `verify` computes the report anew."""
    for name in SHAPES:
        frame: pl.DataFrame = getattr(facts, name)
        if name in MAY_BE_ABSENT:
            frame = frame.drop(column for column in MAY_BE_ABSENT[name] if frame[column].null_count() == frame.height)
            if frame.is_empty() and not MAY_BE_ABSENT[name]:
                continue
        amounts = [column for column, dtype in frame.schema.items() if dtype == UNITS]
        with disk_named(folder / f"{name}.parquet") as path:
            frame.with_columns(pl.col(amounts).cast(pl.Decimal(38, 0))).write_parquet(path, compression="zstd", statistics=False)


@contextlib.contextmanager
def disk_named(path: Path) -> Iterator[Path]:
    """The disk's troubles within name `path`: a write has no name of its own, and polars says them in words alone. Raises OSError."""
    try:
        yield path
    except OSError as error:
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
        raise FileExistsError(f"{final} is there already: a frozen version is never changed")
    try:
        move_into_place(built, final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = part_of(final)
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
    """Remove what an interrupted freeze left behind."""
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Every file and folder on disk, files read-only from now on."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o400)
        sync(path)
    sync(folder)
