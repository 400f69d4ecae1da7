"""The shape of a bundle: plain files of known names, under limits, and a manifest whose parts are of the types they should be.

Enters: a folder that anybody may have made. Leaves: its files by name, its manifest; or a VerifyError, one sentence. Nothing is followed, nothing
special is opened, nothing is unpacked before its size is known.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Meta

from pipeline.enrich.frames import SHAPES
from pipeline.model.errors import VerifyError
from pipeline.model.rules import NEWEST_EDITION

from .parquet_pages import unpacked_bytes

MANIFEST = "manifest.json"
DECISIONS = "evidence/decisions.jsonl"
"""People's decisions and what the root key said, each with its signature (ADR 14)."""
SIGNATURES = ("manifest.json.p7s", "report.json.p7s")
"""Signatures that may join a bundle after its freeze."""
JOINING = (*SIGNATURES, "manifest.json.ots")
"""What may join it: signatures, and the proof of its public time."""
REQUIRED = (
    "report.csv", "report.json", "outflows.csv", "transfers.csv", "balances.csv", "issues.csv", "rows.csv", "debts.csv",
    "evidence/headers.csv", "evidence/proofs.jsonl",
)  # fmt: skip
_KNOWN = re.compile(
    r"(report|outflows|transfers|balances|issues|rows|debts|coins)\.csv|report\.json|report(\.[a-z]{2})?\.(xlsx|pdf)|month\.duckdb"
    r"|evidence/(headers\.csv|proofs\.jsonl|decisions\.jsonl|account_proofs\.jsonl|wallets\.jsonl)|evidence/facts/("
    + "|".join(SHAPES)
    + r")\.parquet"
)
FILTERS_FOLDER = "filters"
"""Compact block filters that joined a bundle, a file a chain (ADR 19)."""
FOLDERS = ("evidence", "evidence/facts", FILTERS_FOLDER)
_FILTERS = re.compile(FILTERS_FOLDER + r"/[0-9A-Za-z][0-9A-Za-z._-]{0,63}\.jsonl")
_FILED_FOLDER = re.compile(r"submissions(/[0-9A-Za-z][0-9A-Za-z._-]{0,127})?")
_FILED = re.compile(r"submissions/[0-9A-Za-z][0-9A-Za-z._-]{0,127}/(body|[0-9]{4,9}-[0-9A-Za-z_-]{0,64}\.txt)")
"""What was filed and answered joins a bundle later, too: kept as it was, proved by nothing."""

MAX_MANIFEST_BYTES = 32 << 20
MAX_FILTERS_BYTES = 2 << 30
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

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Amounts = dict[str, str]
Whole = Annotated[int, Meta(ge=0, le=2**62)]


class _Asset(msgspec.Struct, forbid_unknown_fields=True):
    chain: str
    decimals: Annotated[int, Meta(ge=0, le=38)]
    contract: str | None = None


class _Payer(msgspec.Struct, forbid_unknown_fields=True):
    way: Literal["on-chain", "off-chain"]
    chain: str | None = None


class _Rules(msgspec.Struct):
    assets: dict[str, _Asset]
    finality: dict[str, Annotated[int, Meta(ge=1, le=1_000_000)]]
    payout_unit: dict[str, Annotated[int, Meta(ge=1)]]
    has_payments_ledger: bool
    network: dict[str, str]
    edition: Annotated[int, Meta(ge=1)] = 1
    payers: dict[str, _Payer] = {}
    witnesses: dict[str, Annotated[int, Meta(ge=2, le=2)]] = {}


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    about: Literal["label", "waiver", "transfer"]
    ref: str
    name: str
    digest: str
    size: Whole
    by: str
    reason: str
    at: Whole


class _Waiver(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    ref: str
    by: str
    reason: str
    at: Whole
    facts: list[str] | None = None


class _Condition(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    is_met: bool
    detail: str


class _Previous(msgspec.Struct, forbid_unknown_fields=True):
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    closing: Amounts
    closing_digest: str


class _Debts(msgspec.Struct, forbid_unknown_fields=True):
    totals: dict[str, Amounts]
    opening_digest: str
    closing_digest: str
    previous: _Previous | None
    restated: Amounts | None


class _CoinsOfChain(msgspec.Struct, forbid_unknown_fields=True):
    first_height: Whole
    opening_height: Whole | None
    closing_height: Whole
    opening: Whole
    created: Whole
    spent: Whole
    closing: Whole
    opening_digest: Digest
    closing_digest: Digest


class _PreviousCoins(msgspec.Struct, forbid_unknown_fields=True):
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    closing: dict[str, Digest]


class _Coins(msgspec.Struct, forbid_unknown_fields=True):
    chains: dict[str, _CoinsOfChain]
    previous: _PreviousCoins | None


class _Receipts(msgspec.Struct, forbid_unknown_fields=True):
    leaves: Whole
    root: Digest


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: Digest
    owner: str
    roles: list[str]
    since: Whole
    until: Whole | None


class _Stream(msgspec.Struct, forbid_unknown_fields=True):
    is_in_force: bool
    appends: Whole
    digest: Digest
    before_keys: Whole
    refused: Whole
    keys: list[_Key]


class _Keys(msgspec.Struct, forbid_unknown_fields=True):
    root: Digest
    streams: dict[str, _Stream]


class _OfPayer(msgspec.Struct, forbid_unknown_fields=True):
    transfers: Whole
    amount: Amounts
    credited: Amounts
    distinct_transfers: Amounts
    distinct_transfers_count: Whole


class _Witnesses(msgspec.Struct, forbid_unknown_fields=True):
    needed: Whole
    transactions: dict[str, Whole]
    by_fewer: dict[str, list[str]]


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The types of everything in a manifest; what else stands in one is proved by nothing, and refused."""

    schema: Annotated[int, Meta(ge=1)]
    form: str
    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    digest: Digest
    rows: Whole
    rows_carried: Whole
    rows_unsettled: Whole
    due: str
    header: dict[str, str]
    totals: dict[str, Amounts | int]
    debts: _Debts
    frozen_at: Annotated[int, Meta(ge=0, le=253_402_300_799)]
    frozen_by: str
    reason: str
    previous_digest: Digest | None
    positions: dict[str, Whole]
    rules: _Rules
    languages: list[str]
    chains: dict[str, dict[str, str | int]]
    conditions: list[_Condition]
    issues: dict[str, Whole]
    waivers: list[_Waiver]
    software: dict[str, str]
    files: dict[str, Digest]
    not_reproducible: list[str]
    coins: _Coins | None = None
    receipts: _Receipts | None = None
    documents: list[_Document] | None = None
    keys: _Keys | None = None
    by_payer: dict[str, _OfPayer] | None = None
    witnesses: dict[str, _Witnesses] | None = None


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
            raise VerifyError(f"{path}: schema {schema} is newer than this program knows ({NEWEST_EDITION}): upgrade it")
        typed = msgspec.convert(manifest, _Manifest)
    except FileNotFoundError as error:
        raise VerifyError(f"{path}: {error.strerror}; a bundle is a folder like months/2026-10/v1 with a {MANIFEST}") from error
    except OSError as error:
        raise VerifyError(f"{path}: {error.strerror}; a bundle's manifest is a plain file") from error
    except (ValueError, RecursionError) as error:
        raise VerifyError(f"{path}: not a bundle's manifest: {error}") from error
    if typed.rules.edition != typed.schema:
        raise VerifyError(f"{path}: a bundle of schema {typed.schema} can't be of edition {typed.rules.edition} of the rules")
    if unnamed := sorted({asset.chain for asset in typed.rules.assets.values()} & set(typed.rules.finality) - set(typed.rules.network)):
        raise VerifyError(f"{path}: the rules name no network for {', '.join(unnamed)}")
    return manifest


def strict_json(raw: bytes, *, with_fractions: bool = True) -> Any:
    """JSON in which no object has a key twice; `with_fractions`: whether numbers may be other than whole. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} stands in it twice")
        return found

    def refused(text: str) -> Any:
        raise ValueError(f"{text} is no number that it may have")

    return json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=refused, parse_float=None if with_fractions else refused)


def read_plain(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes, no link followed. Raises OSError; ValueError for another kind or a larger one."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path.name} is not a plain file")
        if status.st_size > limit:
            raise ValueError(f"{path.name} has {status.st_size:,} bytes, more than {limit:,}")
        return file.read(limit + 1)


def shape_faults(folder: Path, files: dict[str, str]) -> list[str]:
    """What in the folder is no plain file of a known name that the manifest names; what is missing; what is a link, a pipe, a device."""
    faults = [f"the manifest names {name!r}, which is no file of a bundle" for name in sorted(files) if not _KNOWN.fullmatch(name)]
    faults += [f"{name} is missing from the manifest" for name in REQUIRED if name not in files]
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
                    faults.append(f"{name!r} is {_kind(kind)}: a bundle has plain files only")
                elif name in files:
                    found.add(name)
                elif name != MANIFEST and name not in JOINING and not _FILED.fullmatch(name) and not _FILTERS.fullmatch(name):
                    faults.append(f"{name!r} is not in the manifest")
    return faults + [f"{name} is missing" for name in sorted(set(files) - found) if not any(repr(name) in fault for fault in faults)]


def require_plain_files(folder: Path, files: dict[str, str]) -> None:
    """Raises VerifyError naming what is no plain file: before anything in the folder is opened by name."""
    for name in (*FOLDERS, *files, *JOINING, MANIFEST):
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise VerifyError(f"{folder / MANIFEST}: it names {name!r}, which lies outside the bundle")
        try:
            status = (folder / name).lstat()
            kind = status.st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise VerifyError(f"{folder / MANIFEST}: it names {name[:80]!r}, which is no file's name: {error}") from error
        if not (stat.S_ISDIR(kind) if name in FOLDERS else stat.S_ISREG(kind)):
            raise VerifyError(f"{folder / name} is {_kind(kind)}: a bundle has plain files only")
        most = MAX_FILE_BYTES.get(Path(name).suffix, MAX_SIGNATURE_BYTES)
        if status.st_size > most and name not in FOLDERS:
            raise VerifyError(f"{folder / name} has {status.st_size:,} bytes: no such file of a bundle has more than {most:,}")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder that no bundle has"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def require_modest_frame(path: Path) -> None:
    """Raises ValueError for a Parquet file that would unpack to more than it may: rows, pages, columns in memory, texts written out from dictionaries."""
    size = path.stat().st_size
    limit = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_GROWTH * size))
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            fields = list(file.schema_arrow)
            if metadata.num_columns > 64 or metadata.num_rows > MAX_ROWS:
                raise ValueError(
                    f"{path.name}: {metadata.num_rows:,} rows of {metadata.num_columns} columns are more than a frame may have"
                )
            texts = [field.name for field in fields if _is_text(field.type)]
            if strange := [field.name for field in fields if field.name not in texts and not _is_plain(field.type)]:
                raise ValueError(f"{path.name}: {', '.join(strange)} are of types that no frame has")
            in_memory = sum(metadata.num_rows * max(field.type.bit_width, 8) // 8 for field in fields if field.name not in texts)
            declared = max(unpacked_bytes(path, metadata), in_memory + 16 * metadata.num_rows * len(texts))
            if declared > limit:
                raise ValueError(
                    f"{path.name}: {metadata.num_rows:,} rows of {metadata.num_columns} columns, {declared:,} bytes unpacked, "
                    f"are more than its {size:,} bytes may hold"
                )
        total = 0
        for column in texts:
            with pq.ParquetFile(path, read_dictionary=[column]) as file:
                for batch in file.iter_batches(batch_size=1 << 16, columns=[column], use_threads=False):
                    total += _written_out(batch.column(0))
                    if total > limit:
                        raise ValueError(
                            f"{path.name}: its texts take {total:,} bytes and more written out, more than its {size:,} bytes may hold"
                        )
    except pa.ArrowException as error:
        raise ValueError(f"{path.name}: not a sound Parquet file: {str(error).splitlines()[0][:200]}") from error


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
