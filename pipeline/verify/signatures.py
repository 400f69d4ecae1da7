"""Checks the signatures that joined a bundle after its freeze: `manifest.json.p7s`, `report.json.p7s`. Offline.

Enters: the bundle, and the roots that the auditor trusts (none, perhaps). Leaves: faults, what was seen, and what was not checked, each in words: a
chain without roots, revocation always, a signature whose algorithm nothing here computes. The certificate must name the pool's BIN and have been
valid when it signed: by the time stamp where there is one, else by the signer's own word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from pipeline.model.errors import SigningError
from pipeline.model.message import message
from pipeline.signing.certificate import numbers_of
from pipeline.signing.cms import SignatureParts, read_signature
from pipeline.signing.path import NotCheckable, path_fault
from pipeline.signing.signature import (
    Timestamp,
    check_signature,
    check_timestamp,
    others_of,
    signer_certificate,
    validity_fault,
)
from pipeline.signing.signer import SIGNED_FILES

from .shapes import MAX_SIGNATURE_BYTES, read_plain


@dataclass
class SignatureReport:
    """The result of checking the signatures."""

    faults: list[str] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    """What no bundle can prove offline."""
    on_word: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    """What the bundle contains that can't be checked on this machine: such a bundle does not count as proved."""


def check_signatures(folder: Path, manifest: dict[str, Any], trusted: Sequence[x509.Certificate] = ()) -> SignatureReport:
    """Check every signature in the bundle. A fault: one of the signatures missing; or all of them, if authorities are `trusted`."""
    report = SignatureReport()
    present = [name for name in SIGNED_FILES if (folder / f"{name}.p7s").exists()]
    if not present:
        (report.faults if trusted else report.not_checked).append(
            message("not signed") + (message(": --trust asks for the pool's signatures") if trusted else "")
        )
        return report
    report.faults += [
        message("{name}.p7s is missing beside {present}.p7s", name=name, present=present[0]) for name in SIGNED_FILES if name not in present
    ]
    for name in present:
        try:
            _check(folder, name, str(manifest["header"]["bin"]), trusted, report)
        except SigningError as error:
            report.faults.append(message("{name}.p7s: {error}", name=name, error=error))
    return report


def _check(folder: Path, name: str, pool_bin: str, trusted: Sequence[x509.Certificate], report: SignatureReport) -> None:
    try:
        parts = read_signature(read_plain(folder / f"{name}.p7s", MAX_SIGNATURE_BYTES))
    except (OSError, ValueError) as error:
        raise SigningError(message("can't be read: {error}", error=error)) from error
    if not parts.is_detached:
        raise SigningError(message("carries content of its own: it is no signature of the file beside it"))
    certificate = signer_certificate(parts)
    try:
        check_signature(parts, (folder / name).read_bytes(), certificate)
        over = message("{name}: signed over these very bytes", name=name)
    except NotCheckable as reason:
        over = message("{name}: certificate", name=name)
        report.undecided.append(message("the signature of {name} itself: {reason}; NCANode's /cms/verify can", name=name, reason=reason))
    if pool_bin not in numbers_of(certificate):
        raise SigningError(message("the signer's certificate does not name the pool's BIN of the form's header"))
    stamp = _stamp(parts, name, report)
    at = stamp.at if stamp is not None else parts.signed_at
    if at is None:
        raise SigningError(message("neither a time stamp nor the signer says when it was made"))
    fault = validity_fault(certificate, at)
    if fault:
        raise SigningError(message("the signer's certificate {fault}", fault=fault))
    if stamp is None:
        report.on_word.append(message("when {name} was signed: no time stamp says it", name=name))
    by = message("by its time stamp") if stamp is not None else message("by the signer's own word")
    report.proved.append(
        message(
            "{over}, by a certificate of the pool's BIN valid at {fromtimestamp} UTC, {by}",
            over=over,
            fromtimestamp=format(datetime.fromtimestamp(at, UTC), "%Y-%m-%d %H:%M:%S"),
            by=by,
        )
    )
    _check_chains(name, certificate, parts, stamp, at, trusted, report)


def _stamp(parts: SignatureParts, name: str, report: SignatureReport) -> Timestamp | None:
    """The time stamp, checked; None where there is none, or one that nothing here computes."""
    if parts.timestamp is None:
        return None
    try:
        return check_timestamp(parts.timestamp, parts.signature)
    except NotCheckable as reason:
        report.undecided.append(message("the time stamp of {name}: {reason}", name=name, reason=reason))
        return None


def _check_chains(
    name: str,
    certificate: x509.Certificate,
    parts: SignatureParts,
    stamp: Timestamp | None,
    at: int,
    trusted: Sequence[x509.Certificate],
    report: SignatureReport,
) -> None:
    said = report.not_checked
    revocation = message("whether a certificate was revoked")
    said += [revocation] if revocation not in said else []
    if not trusted:
        chains = message("who issued the certificates: give the authorities' certificates with --trust")
        said += [chains] if chains not in said else []
        return
    try:
        fault = path_fault(certificate, others_of(parts), trusted, at)
        if not fault and stamp is not None:
            fault = path_fault(stamp.certificate, others_of(stamp.parts), trusted, at)
    except NotCheckable as reason:
        report.undecided.append(
            message("who issued the certificates of {name}: {reason}; NCANode's /cms/verify can", name=name, reason=reason)
        )
        return
    if fault:
        report.faults.append(message("{name}.p7s: {fault}", name=name, fault=fault))
    else:
        report.proved.append(message("{name}: chains end at trusted certificates", name=name))
