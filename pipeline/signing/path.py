"""Whether a certification path (RFC 5280, section 6) leads from a certificate to a trusted one. Pure.

Enters: the certificate, those that may stand between, those trusted, an instant. Leaves: nothing, or why there is no path. The path is
found and validated by `cryptography.x509.verification`: signatures, validity, basic constraints and their path length, name constraints,
critical extensions. Its rules for web servers (a DNS name, an extended key usage) are not asked for: certificates of a national PKI have
neither. Left out: revocation, which only the authority knows, and GOST algorithms, which nothing here computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from pipeline.model.errors import SigningError


class NotCheckable(SigningError):
    """It may hold or not: nothing here can compute its algorithm."""


def _may_issue(_policy: Policy, _authority: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority's key usage must allow it to sign certificates")


_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_issue)
)
_SIGNER = ExtensionPolicy.permit_all()


def path_fault(certificate: x509.Certificate, others: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], at: int) -> str:
    """Why no path leads from the certificate to a trusted one at an instant (Unix seconds); empty when one does.

    `others`: certificates that may stand between, in any order. Raises NotCheckable when the only path has a link signed with an
    algorithm that can't be computed here (GOST).
    """
    when = datetime.fromtimestamp(at, UTC)
    anchors = [authority for authority in trusted if _is_computable(authority)]
    between = [authority for authority in others if authority != certificate and _is_computable(authority)]
    reason = "none of the certificates trusted can be computed here"
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
    if _has_uncomputable_path(certificate, [*others, *trusted], trusted, when):
        raise NotCheckable("the path to a trusted certificate has a link of a kind that can't be computed here (GOST)")
    return f"no trusted certificate leads to {certificate.subject.rfc4514_string()!r}: {reason}"


def _is_computable(certificate: x509.Certificate) -> bool:
    """Whether its key, and the algorithm of the signature on it, are kinds that can be computed here."""
    try:
        certificate.public_key()
        return certificate.signature_hash_algorithm is not None
    except (UnsupportedAlgorithm, ValueError):
        return False


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
            is_checked = _is_computable(current) and _is_computable(issuer)
            if not is_checked or _is_signed_by(current, issuer):
                seen.add(issuer)
                waiting.append((issuer, is_uncomputable or not is_checked))
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
    return "none of the certificates at hand issued it" if "all candidates exhausted" in reason else reason
