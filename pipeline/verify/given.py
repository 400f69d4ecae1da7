"""What an auditor names on the command line: the bundle's folder, Bitcoin's headers that they have, the authorities of signatures.

Enters: paths. Leaves: values, or a SettingsError that says what the path is and what was wanted: nothing is said about a bundle where what was given
besides it can't be used. What a file of a bundle's own lacks is for its checks to say.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from pipeline.chains.bitcoin.merkle import meets_target
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Header, parse_header
from pipeline.chains.evidence import HEADERS
from pipeline.model.errors import SettingsError
from pipeline.model.message import message, text_of
from pipeline.model.system_words import system_words

from .shapes import MANIFEST

MAINNET = "bitcoin"
_ZIP_MAGIC = b"PK\x03\x04"
_BUNDLE_LIKE = message("a bundle is a folder like months/2026-10/v1 with a {manifest}", manifest=MANIFEST)


def require_folder(folder: Path) -> None:
    """Raises SettingsError where the path is no folder, or a folder in which bundles lie and that is none itself. A folder without a manifest is a bundle that lacks it."""
    if folder.is_dir():
        if not (folder / MANIFEST).exists() and (inner := _bundles_in(folder)):
            raise _refused(message("{folder}: what lies in it are bundles: give one of them, such as {inner}", folder=folder, inner=inner))
        return
    if not folder.exists():
        raise _refused(message("{folder}: {why}; {wanted}", folder=folder, why=message("No such file or directory"), wanted=_BUNDLE_LIKE))
    if folder.name == MANIFEST:
        raise _refused(message("{folder}: give the folder that it lies in", folder=folder))
    if folder.is_file() and _begins_with(folder, _ZIP_MAGIC):
        raise _refused(message("{folder}: a ZIP archive: unpack it, and give the folder; {wanted}", folder=folder, wanted=_BUNDLE_LIKE))
    raise _refused(message("{folder}: {why}; {wanted}", folder=folder, why=message("Not a directory"), wanted=_BUNDLE_LIKE))


def load_headers(path: Path) -> dict[int, Header]:
    """Headers of Bitcoin by height, of a file shaped as a bundle's `evidence/headers.csv` (of a later month, perhaps). Raises SettingsError.

    Each must meet the target that it claims. Whether they are the chain's is for whoever gives the file to know.
    """
    wanted = message("--headers wants a file like a bundle's evidence/headers.csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = _read_headers(csv.reader(file, strict=True))
    except OSError as error:
        raise _refused(message("{path}: {why}: {wanted}", path=path, why=system_words(error), wanted=wanted)) from error
    except UnicodeDecodeError as error:
        raise _refused(message("{path}: {why}: {wanted}", path=path, why=message("it is not UTF-8 text"), wanted=wanted)) from error
    except ValueError as error:
        raise _refused(message("{path}: {why}: {wanted}", path=path, why=text_of(error), wanted=wanted)) from error
    if not found:
        raise _refused(message("{path}: it has no header of Bitcoin's: {wanted}", path=path, wanted=wanted))
    return found


def _read_headers(rows: Iterable[list[str]]) -> dict[int, Header]:
    """Raises ValueError naming the line."""
    found, number = {}, 0
    try:
        for number, row in enumerate(rows, 1):
            if number == 1:
                if row != list(HEADERS):
                    raise ValueError(message("its first line is not {line}", line=",".join(HEADERS)))
                continue
            named = dict(zip(HEADERS, row, strict=True))
            height, raw = int(named["height"]), bytes.fromhex(named["header"])
            if len(raw) == HEADER_SIZE and meets_target(raw, network(MAINNET)):
                found[height] = parse_header(raw)
    except (ValueError, csv.Error) as error:
        if number < 2:
            raise ValueError(message("its first line is not {line}", line=",".join(HEADERS))) from error
        raise ValueError(message("line {number} is none of a header", number=number)) from error
    return found


def load_trusted(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises SettingsError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(
            message("{path}: {strerror}: --trust wants a file of certificates, PEM", path=path, strerror=system_words(error))
        ) from error
    if b"CERTIFICATE-----" not in raw:
        raise _refused(
            message(
                "{path}: no certificates in PEM (-----BEGIN CERTIFICATE-----), which --trust wants; a certificate in DER becomes one by openssl x509 -inform DER -in FILE -out FILE.pem",
                path=path,
            )
        )
    try:
        return x509.load_pem_x509_certificates(raw)
    except (ValueError, x509.InvalidVersion) as error:
        raise _refused(message("{path}: a certificate in it can't be read: cut off, or changed", path=path)) from error


def _refused(fault: str) -> SettingsError:
    return SettingsError([fault], source="")


def _bundles_in(folder: Path) -> Path | None:
    """The first bundle of those within, as an archive or the folder of a month has them."""
    for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}"):
        if found := sorted(folder.glob(pattern)):
            return found[0].parent
    return None


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
