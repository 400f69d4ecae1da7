"""Rebuilds a frozen month from the log alone and compares it with its bundle (law 2, rule 8.2).

Enters: the `frozen` event, and content read from an empty store that was filled up to the event's positions. Leaves: a bundle
in another folder and the differences, file by file.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.assess.manifest import NOT_REPRODUCIBLE
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog, Record
from pipeline.log.read import Streams, batches
from pipeline.model.errors import VerifyError
from pipeline.model.message import message
from pipeline.render.file_names import FORMATS
from pipeline.verify.documents import same_document
from pipeline.verify.files import MANIFEST, holds
from pipeline.verify.shapes import require_modest_frame

from .bundle import Bundle, Content, write_bundle, write_report
from .freeze import check_debts_carry_over

_WRITERS = ("esep", "polars", "reportlab", "xlsxwriter", "zlib")
"""What of a manifest's `software` decides the bytes of a file whose contents are the same."""


def positions_in_log(event: Frozen, log: EventLog) -> dict[str, int]:
    """The positions in `log` that correspond to the event's positions in the log where it was frozen: after the newest event of each key.

    Raises VerifyError if the log lacks one of those events, or has events before them that the original log did not have.
    """
    cuts: dict[str, int] = {}
    beyond: dict[str, Record] = {}
    awaited = dict(event.newest)
    streams = Streams(log.keys)
    for records in batches(log):
        for record in records:
            if not streams.judge(record).counts:
                continue
            name, place = f"{record.topic}/{record.key}", f"{record.topic}/{record.partition}"
            if name not in awaited:
                beyond.setdefault(place, record)
            elif awaited[name] == record.id:
                del awaited[name]
                cuts[place] = record.offset + 1
    if awaited:
        name, id_ = min(awaited.items())
        raise VerifyError(
            message(
                "{month} v{version} is a function of event {id} of {name}, which the log does not hold: bring back the log it was frozen from",
                month=event.month,
                version=event.version,
                id=repr(id_),
                name=name,
            )
        )
    for place, cut in sorted(cuts.items()):
        if place in beyond and beyond[place].offset < cut:
            raise VerifyError(
                message(
                    "{where}, event {id}, lies before what {month} v{version} is a function of, and was not there when it was frozen: bring back the log it was frozen from",
                    where=beyond[place].where,
                    id=repr(beyond[place].id),
                    month=event.month,
                    version=event.version,
                )
            )
    return cuts


@dataclass(frozen=True)
class Replay:
    """The result of a replay."""

    bundle: Bundle
    expected_digest: str
    differences: list[str]
    """Names of the files that differ from the first bundle's; empty if there was none to compare with."""
    compared: int
    in_other_bytes: list[str]
    """Names of the files with the same contents in other bytes, since other versions of a library wrote them when they were frozen; these are not differences."""
    other_versions: list[str]
    """These libraries, each with its version of then."""

    @property
    def is_same(self) -> bool:
        return self.bundle.digest == self.expected_digest and not self.differences


def replay_month(
    event: Frozen,
    content: Content,
    folder: Path,
    *,
    first: Path | None,
    export: Callable[[Path], object],
    progress: Callable[[str], None] = lambda _: None,
) -> Replay:
    """Write `content`, read from the log for the version that `event` froze, into the new `folder`; compare it with the bundle in `first`, if it is there."""
    check_debts_carry_over(content.version.month, content.assessed)
    report = write_report(content.assessed.enriched, content.version.rules, folder, progress=progress)
    bundle = write_bundle(content, report, export=export, progress=progress)
    differences: list[str] = []
    in_other_bytes: list[str] = []
    other_versions: list[str] = []
    compared = 0
    if first is not None and (first / MANIFEST).is_file():
        manifest, again = (msgspec.json.decode((of / MANIFEST).read_bytes()) for of in (first, folder))
        files: dict[str, str] = manifest["files"]
        software: dict[str, str] = manifest.get("software", {})
        for name in sorted(set(files) | set(bundle.files)):
            if name in NOT_REPRODUCIBLE:
                continue
            compared += 1
            if not holds(first, name, bundle.files.get(name)):
                is_same = holds(first, name, files.get(name)) and _has_same_contents(first / name, folder / name, software)
                (in_other_bytes if is_same else differences).append(name)
        compared += 1
        if differing := _differing_keys(manifest, again):
            differences.append(f"{MANIFEST} ({', '.join(differing)})")
        if in_other_bytes:
            other_versions = [
                f"{name} {software.get(name, 'unknown')}" for name in _WRITERS if software.get(name) != again["software"][name]
            ]
    return Replay(bundle, event.digest, differences, compared, in_other_bytes, other_versions)


def _has_same_contents(first: Path, again: Path, software: dict[str, str]) -> bool:
    """Whether two files that differ have the same contents, where other versions of what writes them explain it: Parquet names polars' version, and each may pack otherwise."""
    with contextlib.suppress(
        ValueError, LookupError, NotImplementedError, SyntaxError, pl.exceptions.PolarsError, zipfile.BadZipFile, zlib.error
    ):
        if not again.is_file():
            return False
        if again.suffix == ".parquet":
            return software.get("polars") != version_of("polars") and _has_same_rows(first, again)
        if again.stem.split(".")[0] == "report" and (format := again.suffix.removeprefix(".")) in FORMATS:
            return same_document(again, first, format, software) is True
    return False  # a difference; so is what is no sound file


def _has_same_rows(first: Path, again: Path) -> bool:
    """Whether two Parquet files have the same columns of the same types with the same values; a column at a time, which bounds memory."""
    require_modest_frame(first)
    schema = pl.read_parquet_schema(again)
    return pl.read_parquet_schema(first) == schema and all(
        pl.read_parquet(first, columns=[column]).equals(pl.read_parquet(again, columns=[column])) for column in schema
    )


def _differing_keys(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The keys whose values differ in two manifests, except the programs' versions and the files' digests."""
    told = {"software", "files"}  # versions of today; the files were compared one by one
    differing = {name for name in ours.keys() & theirs.keys() - told if ours[name] != theirs[name]}
    return sorted(
        differing | (ours.keys() - theirs.keys())
    )  # a manifest of before may lack what is stated today, but states nothing that is not stated today
