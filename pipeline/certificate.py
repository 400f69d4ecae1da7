"""Whether a certificate may sign for the pool: its time, and whose it is. Pure.

Kazakhstan's certificates name an organisation in OU (`BIN201040000013`) and a person in serialNumber (`IIN…`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

_NUMBER = re.compile(r"(?:BIN|IIN)?([0-9]{12})")


def numbers_of(certificate: x509.Certificate) -> set[str]:
    """The BINs and IINs that the subject names: in OU, and for a pool that is a person in serialNumber."""
    found = set()
    for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.SERIAL_NUMBER, NameOID.ORGANIZATION_IDENTIFIER):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            match = _NUMBER.fullmatch(str(attribute.value).strip())
            if match:
                found.add(match[1])
    return found


def certificate_fault(certificate: x509.Certificate, pool_bin: str, now: int) -> str:
    """Why the certificate may not sign at `now` (Unix seconds) for the pool; empty when it may. Shows no number of anybody."""
    if now < certificate.not_valid_before_utc.timestamp():
        return f"the certificate is not valid before {_day(certificate.not_valid_before_utc)}: wait, or use the former one"
    if now > certificate.not_valid_after_utc.timestamp():
        return f"the certificate ended on {_day(certificate.not_valid_after_utc)}: get a new one"
    if pool_bin not in numbers_of(certificate):
        return "the certificate's subject does not name the pool's BIN: use a key of the organisation in [pool]"
    return ""


def days_left(not_after: int, now: int) -> int:
    """Whole days until a certificate ends; negative when it has."""
    return (not_after - now) // 86_400


def _day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
