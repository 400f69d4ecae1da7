"""Whether a certificate may sign for the pool: its time, and whose it is. Pure.

Kazakhstan's certificates name an organisation in OU (`BIN201040000013`) and a person in serialNumber (`IIN…`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pipeline.model.message import message

from .names import with_long_names

_NUMBER = re.compile(r"(?:BIN|IIN)?([0-9]{12})")


@dataclass(frozen=True)
class KeyCertificate:
    """The certificate of the configured key, looked at before anything is signed with it."""

    name: str
    """Names it once and for all: its digest, or its serial number."""
    not_before: int
    """Unix seconds."""
    not_after: int
    numbers: frozenset[str]
    """The BINs and IINs that it names."""


def key_certificate(certificate: x509.Certificate) -> KeyCertificate:
    """What is looked at of a certificate."""
    return KeyCertificate(
        hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
        frozenset(numbers_of(certificate)),
    )


@with_long_names
def numbers_of(certificate: x509.Certificate) -> set[str]:
    """The BINs and IINs that the subject names: in OU, and for a pool that is a person in serialNumber."""
    found = set()
    for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.SERIAL_NUMBER, NameOID.ORGANIZATION_IDENTIFIER):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            match = _NUMBER.fullmatch(str(attribute.value).strip())
            if match:
                found.add(match[1])
    return found


@with_long_names
def subject_of(certificate: x509.Certificate) -> str:
    """Whom it names, in one line (RFC 4514)."""
    return certificate.subject.rfc4514_string()


def certificate_fault(certificate: x509.Certificate, pool_bin: str, now: int) -> str:
    """Why the certificate may not sign at `now` (Unix seconds) for the pool; empty when it may. Shows no number of anybody."""
    return key_fault(key_certificate(certificate), pool_bin, now)


def key_fault(key: KeyCertificate, pool_bin: str, now: int) -> str:
    """The same of what is known of a key's certificate."""
    if now < key.not_before:
        return message("the certificate is not valid before {day}: wait, or use the former one", day=_day(key.not_before))
    if now > key.not_after:
        return message("the certificate ended on {day}: get a new one", day=_day(key.not_after))
    if pool_bin not in key.numbers:
        return message("the certificate's subject does not name the pool's BIN: use a key of the organisation in [pool]")
    return ""


def days_left(not_after: int, now: int) -> int:
    """Whole days until a certificate ends; negative when it has."""
    return (not_after - now) // 86_400


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
