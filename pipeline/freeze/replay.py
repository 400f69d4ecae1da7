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
from pathlib import Path
from typing import cast

import msgspec

from pipeline.assess.manifest import NOT_REPRODUCIBLE
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog, Record
from pipeline.log.read import Streams, batches
from pipeline.model.errors import VerifyError
from pipeline.model.message import message
from pipeline.render.file_names import Format
from pipeline.verify.files import MANIFEST, holds
from pipeline.verify.repacked import is_repacked

from .bundle import Bundle, Content, write_bundle, write_report
from .freeze import check_debts_carry_over


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
    repacked: list[str]
    """Names of the documents with the same contents, which another zlib deflated otherwise when they were frozen (`verify.repacked`); these are not differences."""

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
    repacked: list[str] = []
    compared = 0
    if first is not None and (first / MANIFEST).is_file():
        manifest = msgspec.json.decode((first / MANIFEST).read_bytes())
        files: dict[str, str] = manifest["files"]
        for name in sorted(set(files) | set(bundle.files)):
            if name in NOT_REPRODUCIBLE:
                continue
            compared += 1
            if not holds(first, name, bundle.files.get(name)):
                is_packing = holds(first, name, files.get(name)) and _is_packing(first / name, folder / name, manifest["software"])
                (repacked if is_packing else differences).append(name)
        compared += 1
        if differing := _differing_keys(first, folder):
            differences.append(f"{MANIFEST} ({', '.join(differing)})")
    return Replay(bundle, event.digest, differences, compared, repacked)


def _is_packing(first: Path, again: Path, software: dict[str, str]) -> bool:
    """Whether two files are a document of the same contents, deflated by different zlibs."""
    format = cast("Format", again.suffix.removeprefix("."))
    with contextlib.suppress(ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error):  # no sound document: a difference
        return format in ("xlsx", "pdf") and again.is_file() and is_repacked(again, first, format, software) is True
    return False


def _differing_keys(first: Path, second: Path) -> list[str]:
    """The keys whose values differ in two manifests, except the programs' versions and the files' digests."""
    ours, theirs = (msgspec.json.decode((folder / MANIFEST).read_bytes()) for folder in (first, second))
    told = {"software", "files"}  # versions of today; the files were compared one by one
    differing = {name for name in ours.keys() & theirs.keys() - told if ours[name] != theirs[name]}
    return sorted(
        differing | (ours.keys() - theirs.keys())
    )  # a manifest of before may lack what is stated today, but states nothing that is not stated today
