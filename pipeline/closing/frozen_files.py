"""What is signed and filed is what was frozen: files of a bundle, read and compared with the `frozen` event before anything is done with them.

Enters: a `frozen` event, and the bundle's files as they lie on the disk. Leaves: their bytes; or a failure that names the file and both digests. The
event's `manifest_digest` vouches for the manifest, and the manifest for every other file.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from pipeline.log.events.months import Frozen
from pipeline.model.errors import EsepError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.typed import decoder

MANIFEST = "manifest.json"


class Files(Protocol):
    """The files of bundles, as they lie on the disk."""

    def read(self, month: Month, version: int, name: str) -> bytes: ...
    def digest(self, month: Month, version: int, name: str) -> str: ...


class _Manifest(msgspec.Struct):
    files: dict[str, str]
    not_reproducible: tuple[str, ...] = ()


def read_frozen(files: Files, event: Frozen, names: Iterable[str], *, failure: type[EsepError], whole: bool = False) -> dict[str, bytes]:
    """The bytes of the named files, each as it was frozen. `whole`: every other file that the manifest names is compared, too, but for those that are never written alike twice.

    Raises `failure` for the first that is not, with both digests, or is missing; OSError for one that can't be read.
    """
    month = Month.parse(event.month)
    with _in_words(event, failure):
        manifest = files.read(month, event.version, MANIFEST)
    _require(event, MANIFEST, hashlib.sha256(manifest).hexdigest(), event.manifest_digest, failure)
    try:
        told = decoder(_Manifest).decode(manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise failure(
            message(
                "{month} v{version}: {manifest} is as frozen and names no files: {error}",
                month=event.month,
                version=event.version,
                manifest=MANIFEST,
                error=error,
            )
        ) from error
    digests = told.files
    found = {MANIFEST: manifest}
    for name in names:
        if name == MANIFEST:
            continue
        with _in_words(event, failure):
            found[name] = files.read(month, event.version, name)
        _require(event, name, hashlib.sha256(found[name]).hexdigest(), digests.get(name, message("no digest")), failure)
    if whole:
        for name, digest in sorted(digests.items()):
            if (
                name not in found and name not in told.not_reproducible
            ):  # no check opens these; a bundle rebuilt from the log has them in other bytes
                with _in_words(event, failure):
                    found_digest = files.digest(month, event.version, name)
                _require(event, name, found_digest, digest, failure)
    return found


@contextlib.contextmanager
def _in_words(event: Frozen, failure: type[EsepError]) -> Iterator[None]:
    """A file that is missing raises `failure`, which says how it comes back."""
    try:
        yield
    except FileNotFoundError as error:
        raise failure(
            message(
                "{month} v{version}: {name} is missing. Nothing was signed or sent: move the version's folder away, and `esep replay {month}` rebuilds it from the log",
                month=event.month, version=event.version, name=error.filename,
            )
        ) from error  # fmt: skip


def _require(event: Frozen, name: str, found: str, frozen: str, failure: type[EsepError]) -> None:
    if found != frozen:
        raise failure(
            message(
                "{month} v{version}: {name} on the disk is not the one that was frozen: its SHA-256 is {found}, frozen was {frozen}. Nothing was signed or sent: find out who changed it (`esep replay {month}` shows all that differs), then move the folder away: it is rebuilt from the log",
                month=event.month,
                version=event.version,
                name=name,
                found=found,
                frozen=frozen,
            )
        )
