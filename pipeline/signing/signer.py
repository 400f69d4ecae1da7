"""The protocol of signers, and the signature that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.log.events.months import SignedFile

if TYPE_CHECKING:
    from pipeline.signing.certificate import KeyCertificate

SIGNED_FILES: tuple[SignedFile, ...] = ("manifest.json", "report.json")
"""The files that are signed: the manifest, which has the digest of every file of the bundle, and the report, which is filed."""


@dataclass(frozen=True)
class Signature:
    """Signatures of one key, verified."""

    by_file: dict[str, bytes]
    """Detached CMS, DER."""
    signer: str
    certificate_digest: str
    not_after: int


class Signer(Protocol):
    """Signs, and verifies at once. Raises SigningError for a key or certificate that may not be used."""

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature: ...
    def certificate(self) -> KeyCertificate: ...
