"""Certification paths: what leads to a trusted certificate, in whatever order the certificates come, and what does not."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.signing.path import NotCheckable, path_fault

BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
NOW = int(datetime(2026, 11, 15, tzinfo=UTC).timestamp())
SIGNS, SIGNS_NO_CERTIFICATE = (x509.KeyUsage(*[True] * 2, *[False] * 3, is_signing, *[False] * 3) for is_signing in (True, False))
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "other root", "between", "below", "signer", "forger")}


def issued(
    name: str, by: str, *, is_authority: bool = True, path_length: int | None = None, usage: x509.KeyUsage | None = None,
    extended: x509.ObjectIdentifier | None = None, ends: datetime = ENDS, key: str | None = None, signed_with: str | None = None,
) -> x509.Certificate:  # fmt: skip
    """A certificate of `name`, issued by `by`; without a name as SAN, as a national authority's are."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by)).public_key(KEYS[key or name].public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(BEGINS).not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
    )  # fmt: skip
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=True)
    return builder.sign(KEYS[signed_with or by], hashes.SHA256())


ROOT = issued("root", "root", usage=SIGNS)
BETWEEN = issued("between", "root", usage=SIGNS)
BELOW = issued("below", "between", usage=SIGNS)
SIGNER = issued("signer", "below", is_authority=False)


def test_a_path_is_found_in_any_order_and_a_trusted_certificate_needs_none():
    for others in itertools.permutations([ROOT, BETWEEN, BELOW, SIGNER]):
        assert path_fault(SIGNER, others, [ROOT], NOW) == ""
    assert path_fault(SIGNER, [], [SIGNER], NOW) == ""
    assert path_fault(SIGNER, [], [BELOW], NOW) == ""
    assert "no trusted certificate leads to 'CN=signer'" in path_fault(SIGNER, [BELOW], [ROOT], NOW)


def test_a_certificate_for_time_stamps_needs_no_name_of_a_server():
    assert path_fault(issued("signer", "root", is_authority=False, extended=ExtendedKeyUsageOID.TIME_STAMPING), [], [ROOT], NOW) == ""


@pytest.mark.parametrize("length", [0, 1])
def test_a_path_longer_than_an_authority_allows_is_refused(length: int):
    limited = issued("between", "root", path_length=length)
    fault = path_fault(SIGNER, [limited, BELOW], [ROOT], NOW)
    assert (fault == "") == (length == 1)
    assert length == 1 or "path length" in fault


def test_a_cross_signed_authority_passes_whatever_the_order():
    """`between` is certified by the trusted root and by another one, whose path is a dead end; one of its certificates has ended, too."""
    crossed = [BETWEEN, issued("between", "other root"), issued("between", "root", ends=datetime(2021, 1, 1, tzinfo=UTC)), BELOW]
    for others in itertools.permutations([*crossed, issued("other root", "other root")]):
        assert path_fault(SIGNER, others, [ROOT], NOW) == ""
    loop = [issued("root", "between"), BETWEEN, BELOW]
    for others in itertools.permutations(loop):
        assert path_fault(SIGNER, others, [ROOT], NOW) == ""
        assert path_fault(SIGNER, others, [issued("other root", "other root")], NOW) != ""


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (issued("between", "root", is_authority=False), "basicConstraints.cA"),
        (issued("between", "root", usage=SIGNS_NO_CERTIFICATE), "key usage"),
        (issued("between", "root", ends=datetime(2021, 1, 1, tzinfo=UTC)), "valid"),
        (issued("between", "root", signed_with="forger"), "signature"),
        (issued("between", "root", key="forger"), "signature"),
    ],
)
def test_what_may_not_issue_or_did_not_issue_is_no_link(between: x509.Certificate, reason: str):
    assert reason in path_fault(SIGNER, [between, BELOW], [ROOT], NOW)


def test_nothing_leads_past_an_end():
    for at in (BEGINS.timestamp() - 1, ENDS.timestamp() + 1):
        assert "no trusted certificate leads" in path_fault(SIGNER, [BETWEEN, BELOW], [ROOT], int(at))


def _gost(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate, said to be signed by GOST R 34.10-2012: ecdsa-with-SHA256 has an identifier of the same length here."""
    ecdsa, gost = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a85030701010302")
    content = certificate.public_bytes(Encoding.DER)
    assert content.count(ecdsa) == 2
    return x509.load_der_x509_certificate(content.replace(ecdsa, gost))


def _of_an_unknown_key(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate with a key of a kind that nothing here computes: its identifier is as long as that of a curve's key."""
    curve, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a830e030a0101")
    content = certificate.public_bytes(Encoding.DER)
    assert content.count(curve) == 1
    return x509.load_der_x509_certificate(content.replace(curve, unknown))


def test_a_path_through_a_key_that_can_not_be_computed_can_not_be_checked_here():
    for signer, others in ((issued("signer", "root", is_authority=False), []), (SIGNER, [BETWEEN, BELOW])):
        with pytest.raises(NotCheckable, match="can't be computed here"):
            path_fault(signer, others, [_of_an_unknown_key(ROOT)], NOW)


def test_a_key_that_can_be_computed_makes_no_signature_that_can_not():
    """Whoever names another algorithm in the certificate, or puts a key of an unknown kind into it, has not the authority's signature."""
    for signer, others in (
        (_gost(SIGNER), [BETWEEN, BELOW]),
        (SIGNER, [_gost(BETWEEN), BELOW]),
        (_of_an_unknown_key(issued("signer", "root", is_authority=False)), []),
    ):
        assert "no trusted certificate leads" in path_fault(signer, others, [ROOT], NOW)


def test_a_gost_link_excuses_no_other_fault():
    forged = issued("signer", "below", is_authority=False, signed_with="forger")
    assert "no trusted certificate leads" in path_fault(forged, [_gost(BETWEEN), BELOW], [ROOT], NOW)
    assert "no trusted certificate leads" in path_fault(_gost(SIGNER), [BELOW], [ROOT], NOW)
