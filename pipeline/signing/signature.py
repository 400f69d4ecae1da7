"""Checks a CMS signature: over which bytes, by whose key, at which time; a time stamp likewise. Pure.

Enters: `cms.SignatureParts`, the bytes signed, certificates. Leaves: nothing, or SigningError saying what does not hold; `NotCheckable` where the
algorithm is none that can be computed here (GOST of the kinds that are issued no more). It leaves out the path to a trusted root (`path`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline.model.errors import SigningError
from pipeline.model.message import grouped, message

from .cms import SignatureParts, read_signature, signed_attributes_digest
from .gost import DIGEST_OID, MOST_BYTES, SIGNATURE_OID, check_gost, gost_key
from .names import with_long_names
from .path import NotCheckable
from .stamp_info import StampInfo, read_stamp_info
from .streebog import streebog512

TIMESTAMP_INFO = "1.2.840.113549.1.9.16.1.4"
"""id-ct-TSTInfo (RFC 3161, section 2.4.2)."""
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_PSS = "1.2.840.113549.1.1.10"


@dataclass(frozen=True)
class Timestamp:
    """A verified time stamp's content."""

    at: int
    """Unix seconds."""
    certificate: x509.Certificate
    parts: SignatureParts


@with_long_names
def signer_certificate(parts: SignatureParts) -> x509.Certificate:
    """The certificate that the signature names as its signer's. Raises SigningError when it does not carry it."""
    for certificate in _certificates(parts):
        try:
            is_the_signers = certificate.serial_number == parts.serial and certificate.issuer.public_bytes() == parts.issuer
        except ValueError as error:  # its parts are read only when they are asked for
            raise SigningError(message("the signature carries a certificate that can't be read: {error}", error=error)) from error
        if is_the_signers:
            return certificate
    raise SigningError(message("the signature does not carry the certificate that it names as its signer's"))


@with_long_names
def check_signature(parts: SignatureParts, content: bytes, certificate: x509.Certificate) -> None:
    """Whether the certificate's key signed exactly these bytes. Raises SigningError, NotCheckable.

    Digests are compared before anything else: the names of algorithms are not signed, and whoever changes one must not gain a "can't be checked".
    """
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        key = None
    gost = gost_key(certificate) if key is None else None
    known = {DIGEST_OID} if gost is not None else _DIGESTS.keys()
    if (key is not None or gost is not None) and parts.digest_algorithm not in known:
        raise SigningError(
            message(
                "the signature names the digest {digest_algorithm}, with which no key of its certificate's kind signs here",
                digest_algorithm=parts.digest_algorithm,
            )
        )
    if parts.message_digest != _hashed(parts.digest_algorithm, content):
        raise SigningError(message("the signature is of other bytes"))
    signed = signed_attributes_digest(parts)
    if gost is not None:
        if parts.signature_algorithm != SIGNATURE_OID:
            raise SigningError(
                message(
                    "the signature names the algorithm {signature_algorithm}, its certificate's key signs by {signature_oid}",
                    signature_algorithm=parts.signature_algorithm,
                    signature_oid=SIGNATURE_OID,
                )
            )
        check_gost(gost, signed, parts.signature)
        return
    if key is None:
        raise NotCheckable(message("the key is of a kind that can't be computed here (GOST of another kind)"))
    digest = _DIGESTS[parts.digest_algorithm]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            # The algorithm's name is not signed: whatever it says, an RSA key signs in one of two ways, and both can be computed.
            is_pss = parts.signature_algorithm == _PSS
            way = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO) if is_pss else padding.PKCS1v15()
            key.verify(parts.signature, signed, way, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(parts.signature, signed, ec.ECDSA(digest))
        else:
            raise NotCheckable(
                message(
                    "signatures of the kind {signature_algorithm} can't be computed here", signature_algorithm=parts.signature_algorithm
                )
            )
    except InvalidSignature as error:
        raise SigningError(message("the signature does not verify with its certificate's key")) from error


@with_long_names
def check_timestamp(token: bytes, stamped: bytes) -> Timestamp:
    """Whether the token stamps exactly these bytes, signed by a certificate for time stamps in its time. Raises SigningError, NotCheckable."""
    parts = read_signature(token)
    if parts.content_type != TIMESTAMP_INFO or parts.content is None:
        raise SigningError(message("the time stamp is no token of RFC 3161"))
    info = read_stamp_info(parts.content)
    if info.imprint != _hashed(info.algorithm, stamped):
        raise SigningError(message("the time stamp is of another signature"))
    certificate = signer_certificate(parts)
    check_signature(parts, parts.content, certificate)
    fault = _timestamping_fault(certificate) or validity_fault(certificate, info.at)
    if fault:
        raise SigningError(message("the time stamp's certificate {fault}", fault=fault))
    return Timestamp(info.at, certificate, parts)


def timestamp_info(token: bytes) -> StampInfo:
    """What the token says: imprint, instant, nonce. Raises SigningError."""
    parts = read_signature(token)
    if parts.content_type != TIMESTAMP_INFO or parts.content is None:
        raise SigningError(message("the time stamp is no token of RFC 3161"))
    return read_stamp_info(parts.content)


def validity_fault(certificate: x509.Certificate, at: int) -> str:
    """Why the certificate was not valid at an instant (Unix seconds); empty when it was."""
    when = datetime.fromtimestamp(at, UTC)
    if when < certificate.not_valid_before_utc:
        return message("was not valid yet at {when} UTC", when=format(when, "%Y-%m-%d %H:%M:%S"))
    if when > certificate.not_valid_after_utc:
        return message("had ended by {when} UTC", when=format(when, "%Y-%m-%d %H:%M:%S"))
    return ""


@with_long_names
def others_of(parts: SignatureParts) -> list[x509.Certificate]:
    """Every certificate that a signature carries."""
    return _certificates(parts)


def _timestamping_fault(certificate: x509.Certificate) -> str:
    """RFC 3161, section 2.3: the extended key usage is critical and is for time stamps alone."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return message("is not one for time stamps")
    return (
        "" if usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING] else message("is not one for time stamps alone")
    )


def _certificates(parts: SignatureParts) -> list[x509.Certificate]:
    try:
        certificates = [x509.load_der_x509_certificate(raw) for raw in parts.certificates]
        for certificate in certificates:  # a name is read only when it is asked for, and then may turn out to be no name
            certificate.subject.public_bytes(), certificate.issuer.public_bytes()
        return certificates
    except (ValueError, x509.InvalidVersion) as error:
        raise SigningError(message("the signature carries a certificate that can't be read: {error}", error=error)) from error


def _hashed(oid: str, content: bytes) -> bytes:
    """The content's digest by the algorithm's OID. Raises NotCheckable for one that is not computed here, or would take too long."""
    if oid == DIGEST_OID:
        if len(content) > MOST_BYTES:
            raise NotCheckable(
                message(
                    "{count} bytes are more than are digested by Streebog here ({most_bytes})",
                    count=grouped(len(content)),
                    most_bytes=grouped(MOST_BYTES),
                )
            )
        return streebog512(content)
    if oid not in _DIGESTS:
        raise NotCheckable(message("the digest {oid} is none that is computed here (SHA-256, SHA-384, SHA-512, Streebog-512)", oid=oid))
    return hashlib.new(_DIGESTS[oid].name, content).digest()
