"""A bundle's files as both its writer and its verifier know them: the manifest's name, digests, and the facts as Parquet."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import polars as pl

from pipeline.enrich.frames import FRAMES_MAY_BE_ABSENT, MAY_BE_ABSENT, SHAPES, Facts
from pipeline.model.message import message
from pipeline.model.paths import path_within
from pipeline.model.typed import decoder

from .shapes import DECISIONS, MANIFEST, MAX_LINE_BYTES, require_modest_frame, strict_json

__all__ = ["DECISIONS", "MANIFEST", "digest_of", "digest_of_lines", "holds", "json_lines", "read_facts"]

_Line = TypeVar("_Line")


def read_facts(folder: Path) -> Facts:
    """What `write_facts` wrote. Raises OSError, ValueError or a polars error for a file that can't be read, or would unpack beyond its limits."""
    return Facts(**{name: _read_frame(folder / f"{name}.parquet", name) for name in SHAPES})


def _read_frame(path: Path, name: str) -> pl.DataFrame:
    shape = pl.Schema(SHAPES[name])
    if name in FRAMES_MAY_BE_ABSENT and not path.exists():
        return pl.DataFrame(schema=shape)
    require_modest_frame(path)
    frame = pl.read_parquet(path)
    if unknown := sorted(set(frame.columns) - set(shape)):
        raise ValueError(
            message(
                "{name}: it has the columns {unknown}, which no frame of that name has", name=path.name, unknown=", ".join(unknown)[:200]
            )
        )
    absent = [column for column in MAY_BE_ABSENT.get(name, ()) if column not in frame.columns]
    return frame.with_columns(pl.lit(None, shape[column]).alias(column) for column in absent).select(list(shape)).cast(shape)


def json_lines(raw: bytes, place: str, kind: type[_Line], *, what: str) -> list[_Line]:
    """A JSON document a line, each of this kind, no object with a key twice. Raises ValueError naming `place` and the line; `what` a line is."""
    found = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(message("{count} bytes are more than a {what} has", count=format(len(line), ","), what=what))
            strict_json(line)
            found.append(decoder(kind).decode(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(message("{place}:{number}: {error}", place=place, number=number, error=error)) from error
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_lines(path: Path) -> str:
    """SHA-256, hex, of a text as it was before its line ends became Windows's (CR LF for LF)."""
    digest, held = hashlib.sha256(), b""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            piece = held + piece
            held = b"\r" if piece.endswith(b"\r") else b""
            digest.update(piece.removesuffix(held).replace(b"\r\n", b"\n"))
    digest.update(held)
    return digest.hexdigest()


def holds(folder: Path, name: str, digest: str | None) -> bool:
    """Whether the folder has a plain file of this name with this SHA-256. False for a name that leads elsewhere, whatever lies there."""
    try:
        path = path_within(folder, name)
    except ValueError:
        return False
    return path.is_file() and not path.is_symlink() and digest_of(path) == digest
