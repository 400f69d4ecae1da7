"""The shape of a bundle: plain files of known names, under limits, and a manifest whose parts are of the types they should be.

Enters: a folder that anybody may have made. Leaves: its files by name, its manifest; or a VerifyError, one sentence. Nothing is followed, nothing
special is opened, nothing is unpacked before its size is known.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.assess.wallets import DESCRIPTORS_JSONL
from pipeline.enrich.frames import SHAPES
from pipeline.model.errors import VerifyError
from pipeline.model.message import grouped, message
from pipeline.model.rules import NEWEST_EDITION
from pipeline.model.system_words import system_words
from pipeline.model.typed import convert

from .manifest_shape import Manifest
from .parquet_pages import unpacked_bytes

MANIFEST = "manifest.json"
WORLDLY = frozenset(
    (errno.EACCES, errno.EPERM, errno.EIO, errno.ENXIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)
)
"""Of the system's errors those that say nothing of a bundle: this user may not read it, the disk fails."""
DECISIONS = "evidence/decisions.jsonl"
"""People's decisions and what the root key said, each with its signature (ADR 14)."""
SIGNATURES = ("manifest.json.p7s", "report.json.p7s")
"""Signatures that may join a bundle after its freeze."""
APPROVALS = "approvals.jsonl"
"""Approvals by passkey, after what the log says of those who gave them (ADR 24)."""
REBUILT = "rebuilt.json"
"""In a bundle that was rebuilt from the log: the digests of its files that are never written alike twice, by name."""
JOINING = (*SIGNATURES, "manifest.json.ots", APPROVALS, DESCRIPTORS_JSONL, REBUILT)
"""What may join it: signatures, the proof of its public time, approvals, for an auditor the wallets' descriptors, and what a rebuilt bundle says of itself."""
MAX_DESCRIPTORS_BYTES = 4 << 20
MAX_REBUILT_BYTES = 1 << 16
REQUIRED = (
    "report.csv", "report.json", "outflows.csv", "transfers.csv", "balances.csv", "issues.csv", "rows.csv", "debts.csv",
    "evidence/headers.csv", "evidence/proofs.jsonl",
)  # fmt: skip
_KNOWN = re.compile(
    r"(report|outflows|transfers|balances|issues|rows|debts|coins)\.csv|report\.json|report(\.[a-z]{2})?\.(xlsx|pdf)|month\.duckdb"
    r"|evidence/(headers\.csv|proofs\.jsonl|decisions\.jsonl|account_proofs\.jsonl|wallets\.jsonl|opening_line\.csv)|evidence/facts/("
    + "|".join(SHAPES)
    + r")\.parquet"
)
FILTERS_FOLDER = "filters"
"""Compact block filters that joined a bundle, a file a chain (ADR 19)."""
HEADERS_FOLDER = "headers"
"""Headers since the network's checkpoint that joined a bundle, a file a chain (ADR 4)."""
FOLDERS = ("evidence", "evidence/facts", FILTERS_FOLDER, HEADERS_FOLDER)
_JOINED = re.compile(
    rf"({FILTERS_FOLDER}/[0-9A-Za-z][0-9A-Za-z._-]{{0,63}}\.jsonl|{HEADERS_FOLDER}/[0-9A-Za-z][0-9A-Za-z._-]{{0,63}}\.bin)"
)
_FILED_FOLDER = re.compile(r"submissions(/[0-9A-Za-z][0-9A-Za-z._-]{0,127})?")
_FILED = re.compile(r"submissions/[0-9A-Za-z][0-9A-Za-z._-]{0,127}/(body|[0-9]{4,9}-[0-9A-Za-z_-]{0,64}\.txt)")
"""What was filed and answered joins a bundle later, too: kept as it was, proved by nothing."""

_LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", ".directory")
"""Besides `._NAME`, which macOS lays beside a file NAME on disks of other systems."""

MAX_MANIFEST_BYTES = 32 << 20
MAX_FILTERS_BYTES = MAX_HEADERS_BYTES = 2 << 30
"""A main network's month of filters is about 120 MB, and each block that is carried whole up to 6 MB."""
MAX_SIGNATURE_BYTES = 1 << 20
MAX_LINE_BYTES = 8 << 20
"""Of `proofs.jsonl`: a transaction with its proof."""
MAX_FILE_BYTES = {
    ".csv": 4 << 30,
    ".jsonl": 4 << 30,
    ".parquet": 4 << 30,
    ".pdf": 2 << 30,
    ".xlsx": 2 << 30,
    ".json": 8 << 30,
    ".duckdb": 64 << 30,
}
"""Of any other file, by how its name ends: ten million rows take about half of it."""
MAX_ROWS = 50_000_000
MAX_UNPACKED_BYTES = 4 << 30
MAX_GROWTH = 200
"""A frame may unpack to this many times its file's bytes, beyond `FREE_BYTES`."""
FREE_BYTES = 64 << 20


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle's folder, every part of the type it should be. Raises VerifyError, one sentence."""
    return parse_manifest(folder / MANIFEST)


def parse_manifest(path: Path) -> dict[str, Any]:
    """The manifest in a file of whatever name. Raises VerifyError, one sentence."""
    try:
        raw = read_plain(path, MAX_MANIFEST_BYTES)
        manifest: dict[str, Any] = strict_json(raw, with_fractions=False)
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if type(schema) is int and schema > NEWEST_EDITION:
            raise VerifyError(message("{path}: schema {schema} is newer than this program knows ({newest_edition}): upgrade it", path=path, schema=schema, newest_edition=NEWEST_EDITION))  # fmt: skip
        typed = convert(manifest, Manifest)
    except FileNotFoundError as error:
        raise VerifyError(message("{path}: {strerror}; a bundle is a folder like months/2026-10/v1 with a {manifest}", path=path, strerror=system_words(error), manifest=MANIFEST)) from error  # fmt: skip
    except OSError as error:
        if error.errno in WORLDLY:
            raise
        raise VerifyError(
            message("{path}: {strerror}; a bundle's manifest is a plain file", path=path, strerror=system_words(error))
        ) from error
    except (ValueError, RecursionError) as error:
        raise VerifyError(message("{path}: not a bundle's manifest: {error}", path=path, error=error)) from error
    if typed.rules.edition != typed.schema:
        raise VerifyError(message("{path}: a bundle of schema {schema} can't be of edition {edition} of the rules", path=path, schema=typed.schema, edition=typed.rules.edition))  # fmt: skip
    if unnamed := sorted({asset.chain for asset in typed.rules.assets.values()} & set(typed.rules.finality) - set(typed.rules.network)):
        raise VerifyError(message("{path}: the rules name no network for {unnamed}", path=path, unnamed=", ".join(unnamed)))
    return manifest


def strict_json(raw: bytes, *, with_fractions: bool = True) -> Any:
    """JSON in which no object has a key twice; `with_fractions`: whether numbers may be other than whole. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(message("the key {twice} stands in it twice", twice=repr(twice)))
        return found

    def refused(text: str) -> Any:
        raise ValueError(message("{text} is no number that it may have", text=text))

    try:
        return json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=refused, parse_float=None if with_fractions else refused)
    except UnicodeDecodeError as error:
        raise ValueError(message("it is not UTF-8 text")) from error
    except json.JSONDecodeError as error:
        if raw.startswith(codecs.BOM_UTF8):
            raise ValueError(message("it begins with a byte order mark: an editor has saved it anew")) from error
        raise ValueError(message("no JSON at line {line}, column {column}, of {count} bytes: cut off, or changed", line=error.lineno, column=error.colno, count=len(raw))) from error  # fmt: skip


def read_plain(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes, no link followed. Raises OSError; ValueError for another kind or a larger one."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(message("{name} is not a plain file", name=path.name))
        if status.st_size > limit:
            raise ValueError(message("{name} has {st_size} bytes, more than {limit}", name=path.name, st_size=grouped(status.st_size), limit=grouped(limit)))  # fmt: skip
        return file.read(limit + 1)


def shape_faults(folder: Path, files: dict[str, str]) -> list[str]:
    """What in the folder is no plain file of a known name that the manifest names; what is missing; what is a link, a pipe, a device."""
    faults = [message("the manifest names {name}, which is no file of a bundle", name=repr(name)) for name in sorted(files) if not _KNOWN.fullmatch(name)]  # fmt: skip
    faults += [message("{name} is missing from the manifest", name=name) for name in REQUIRED if name not in files]
    found: set[str] = set()
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        with os.scandir(folder / inner) as entries:
            for entry in entries:
                name = f"{inner}/{entry.name}" if inner else entry.name
                kind = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(kind) and (name in FOLDERS or _FILED_FOLDER.fullmatch(name)):
                    waiting.append(name)
                elif not stat.S_ISREG(kind):
                    faults.append(message("{name} is {kind}: a bundle has plain files only", name=repr(name), kind=_kind(kind)))
                elif name in files:
                    found.add(name)
                elif name != MANIFEST and name not in JOINING and not _FILED.fullmatch(name) and not _JOINED.fullmatch(name):
                    faults.append(_unnamed(name, entry.name))
    return faults + [message("{name} is missing", name=name) for name in sorted(set(files) - found) if not any(repr(name) in fault for fault in faults)]  # fmt: skip


def _unnamed(name: str, last: str) -> str:
    """What is wrong with a plain file that the manifest does not name."""
    said = message("{name} is not in the manifest", name=repr(name))
    if last in _LEFT_BY_SYSTEMS or last.startswith("._"):
        return message("{said}: Windows and macOS leave such files in folders that they show; copy the bundle without it and check the copy", said=said)  # fmt: skip
    return said


def require_plain_files(folder: Path, files: dict[str, str]) -> None:
    """Raises VerifyError naming what is no plain file: before anything in the folder is opened by name."""
    for name in (*FOLDERS, *files, *JOINING, MANIFEST):
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise VerifyError(message("{folder}: it names {name}, which lies outside the bundle", folder=folder / MANIFEST, name=repr(name)))  # fmt: skip
        try:
            status = (folder / name).lstat()
            kind = status.st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise VerifyError(message("{folder}: it names {name}, which is no file's name: {error}", folder=folder / MANIFEST, name=repr(name[:80]), error=error)) from error  # fmt: skip
        if not (stat.S_ISDIR(kind) if name in FOLDERS else stat.S_ISREG(kind)):
            raise VerifyError(message("{folder} is {kind}: a bundle has plain files only", folder=folder / name, kind=_kind(kind)))
        most = MAX_FILE_BYTES.get(Path(name).suffix, MAX_SIGNATURE_BYTES)
        if not os.access(folder / name, os.R_OK | (os.X_OK if name in FOLDERS else 0)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder / name))
        if status.st_size > most and name not in FOLDERS:
            raise VerifyError(message("{folder} has {st_size} bytes: no such file of a bundle has more than {most}", folder=folder / name, st_size=grouped(status.st_size), most=grouped(most)))  # fmt: skip


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: message("a link"), stat.S_IFIFO: message("a pipe"), stat.S_IFSOCK: message("a socket"), stat.S_IFDIR: message("a folder that no bundle has"),}  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), message("a device"))


def require_modest_frame(path: Path) -> None:
    """Raises ValueError for a Parquet file that would unpack to more than it may: rows, pages, columns in memory, texts written out from dictionaries."""
    size = path.stat().st_size
    limit = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_GROWTH * size))
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            fields = list(file.schema_arrow)
            if metadata.num_columns > 64 or metadata.num_rows > MAX_ROWS:
                raise ValueError(message("{name}: {num_rows} rows of {num_columns} columns are more than a frame may have", name=path.name, num_rows=grouped(metadata.num_rows), num_columns=metadata.num_columns))  # fmt: skip
            texts = [field.name for field in fields if _is_text(field.type)]
            if strange := [field.name for field in fields if field.name not in texts and not _is_plain(field.type)]:
                raise ValueError(message("{name}: {strange} are of types that no frame has", name=path.name, strange=", ".join(strange)))
            in_memory = sum(metadata.num_rows * max(field.type.bit_width, 8) // 8 for field in fields if field.name not in texts)
            declared = max(unpacked_bytes(path, metadata), in_memory + 16 * metadata.num_rows * len(texts))
            if declared > limit:
                raise ValueError(message(
                    "{name}: {num_rows} rows of {num_columns} columns, {declared} bytes unpacked, are more than its {size} bytes may hold",
                    name=path.name, num_rows=grouped(metadata.num_rows), num_columns=metadata.num_columns,
                    declared=grouped(declared), size=grouped(size),
                ))  # fmt: skip
        total = 0
        for column in texts:
            with pq.ParquetFile(path, read_dictionary=[column]) as file:
                for batch in file.iter_batches(batch_size=1 << 16, columns=[column], use_threads=False):
                    total += _written_out(batch.column(0))
                    if total > limit:
                        raise ValueError(message("{name}: its texts take {total} bytes and more written out, more than its {size} bytes may hold", name=path.name, total=grouped(total), size=grouped(size)))  # fmt: skip
    except pa.ArrowException as error:
        raise ValueError(message("{name}: not a sound Parquet file: {splitlines}", name=path.name, splitlines=str(error).splitlines()[0][:200])) from error  # fmt: skip


def _is_plain(kind: pa.DataType) -> bool:
    """Whole numbers, truth values, days, decimals: what frames have besides texts. Floating point is none of them (law 7)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _written_out(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices.cast(pa.int64()))).as_py() or 0)
