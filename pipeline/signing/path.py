"""Whether a certification path (RFC 5280, section 6) leads from a certificate to a trusted one. Pure.

Enters: the certificate, those that may stand between, those trusted, an instant. Leaves: nothing, or why there is no path. The path is
found and validated by `cryptography.x509.verification`: signatures, validity, basic constraints and their path length, name constraints,
critical extensions. Its rules for web servers (a DNS name, an extended key usage) are not asked for: certificates of a national PKI have
neither. Links signed by GOST keys (`gost`), which that library does not know, are followed here by the same rules: signatures, validity, basic constraints and their path
length, key usage; an extension that is critical and not one of these is refused. Left out: revocation, which only the authority knows, and GOST algorithms that are issued no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from pipeline.model.errors import SigningError
from pipeline.model.message import message

from .gost import SIGNATURE_OID, check_gost, gost_key
from .names import with_long_names


class NotCheckable(SigningError):
    """It may hold or not: nothing here can compute its algorithm."""


def _may_issue(_policy: Policy, _authority: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError(message("an authority's key usage must allow it to sign certificates"))


_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_issue)
)
_SIGNER = ExtensionPolicy.permit_all()


@with_long_names
def path_fault(certificate: x509.Certificate, others: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], at: int) -> str:
    """Why no path leads from the certificate to a trusted one at an instant (Unix seconds); empty when one does.

    `others`: certificates that may stand between, in any order. Raises NotCheckable when the only path has a link signed with an
    algorithm that can't be computed here (GOST).
    """
    when = datetime.fromtimestamp(at, UTC)
    anchors = [authority for authority in trusted if _is_computable(authority)]
    between = [authority for authority in others if authority != certificate and _is_computable(authority)]
    reason = message("none of the certificates trusted can be computed here")
    if anchors and _is_computable(certificate):
        verifier = (
            PolicyBuilder()
            .store(Store(anchors))
            .time(when.replace(tzinfo=None))
            .extension_policies(ca_policy=_AUTHORITY, ee_policy=_SIGNER)
            .build_client_verifier()
        )
        try:
            verifier.verify(certificate, between)
            return ""
        except (VerificationError, ValueError) as error:
            reason = _words(str(error))
    gost_path = _own_path(certificate, [*others, *trusted], trusted, when)
    if gost_path is not None:
        return gost_path
    if _has_uncomputable_path(certificate, [*others, *trusted], trusted, when):
        raise NotCheckable(message("the path to a trusted certificate has a link of a kind that can't be computed here (GOST)"))
    return message(
        "no trusted certificate leads to {rfc4514_string}: {reason}",
        rfc4514_string=repr(certificate.subject.rfc4514_string()),
        reason=reason,
    )


_UNDERSTOOD = (
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.ExtendedKeyUsage.oid,
    x509.CertificatePolicies.oid,
    x509.SubjectAlternativeName.oid,
)
"""Extensions that may be critical on a path that is followed here: what the last three narrow is not asked of a signature of a document."""
MOST_LINKS = 8


def _own_path(
    certificate: x509.Certificate, at_hand: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], when: datetime
) -> str | None:
    """Empty where a path with GOST links leads to a trusted certificate, every link verified; None where there is none. Raises SigningError for a key that is none."""
    waiting = [(certificate, 0)]
    seen = {certificate}
    has_gost = False
    while waiting:
        current, below = waiting.pop()
        if below and current in trusted and has_gost:
            return ""
        if below >= MOST_LINKS or not _is_understood(current):
            continue
        for issuer in at_hand:
            if issuer in seen or issuer.subject != current.issuer or not _is_authority(issuer, below, when):
                continue
            if _link(current, issuer):
                has_gost |= gost_key(issuer) is not None
                seen.add(issuer)
                waiting.append((issuer, below + 1))
    return None


def _link(certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    """Whether the issuer's key signed the certificate; None where nothing here can compute it."""
    if gost_key(issuer) is not None:
        return _is_signed_by_gost(certificate, issuer)
    if certificate.signature_algorithm_oid.dotted_string == SIGNATURE_OID:
        return False  # the algorithm is known, and this key is none of its kind
    # A key that can be computed makes signatures that can be, whatever algorithm the certificate below names and whatever its own key is.
    return _is_signed_by(certificate, issuer) if _has_computable_key(issuer) else None


def _is_signed_by_gost(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    key = gost_key(issuer)
    if key is None or certificate.signature_algorithm_oid.dotted_string != SIGNATURE_OID:
        return False
    try:
        check_gost(key, certificate.tbs_certificate_bytes, certificate.signature)
    except SigningError:
        return False
    return True


def _is_authority(issuer: x509.Certificate, below: int, when: datetime) -> bool:
    """Whether it may issue at that instant a certificate with `below` authorities between it and the signer."""
    if not issuer.not_valid_before_utc <= when <= issuer.not_valid_after_utc:
        return False
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca or (constraints.path_length is not None and constraints.path_length < below):
            return False
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid
    except ValueError:
        return False
    return usage.key_cert_sign


def _is_understood(certificate: x509.Certificate) -> bool:
    try:
        return all(not extension.critical or extension.oid in _UNDERSTOOD for extension in certificate.extensions)
    except ValueError:
        return False


def _is_computable(certificate: x509.Certificate) -> bool:
    """Whether its key, and the algorithm of the signature on it, are kinds that can be computed here."""
    try:
        certificate.public_key()
        return certificate.signature_hash_algorithm is not None
    except (UnsupportedAlgorithm, ValueError):
        return False


def _has_computable_key(certificate: x509.Certificate) -> bool:
    try:
        certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return False
    return True


def _has_uncomputable_path(
    certificate: x509.Certificate, at_hand: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], when: datetime
) -> bool:
    """Whether a trusted certificate is reached when links that can't be computed are followed by name, and all others are verified."""
    waiting, seen = [(certificate, False)], {certificate}
    while waiting:
        current, is_uncomputable = waiting.pop()
        if is_uncomputable and current in trusted:
            return True
        for issuer in at_hand:
            if issuer in seen or issuer.subject != current.issuer or not issuer.not_valid_before_utc <= when <= issuer.not_valid_after_utc:
                continue
            link = _link(current, issuer)
            if link is not False:
                seen.add(issuer)
                waiting.append((issuer, is_uncomputable or link is None))
    return False


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _words(said: str) -> str:
    """The verifier's reason without its own frame."""
    reason = said.removeprefix("validation failed: ").removeprefix("candidates exhausted: ").partition(" (encountered processing")[0]
    return message("none of the certificates at hand issued it") if "all candidates exhausted" in reason else reason
