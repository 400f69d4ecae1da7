"""Valid signatures, tokens and certificates with one byte or one part changed: refused, or shown to say exactly what the valid one says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sign.pkcs12 import Pkcs12Signer
from connectors.sign.timestamp import TimestampAuthority
from pipeline.model.errors import SigningError
from pipeline.signing.certificate import numbers_of
from pipeline.signing.cms import SignatureParts, read_signature
from pipeline.signing.path import path_fault
from pipeline.signing.signature import check_signature, check_timestamp, others_of, signer_certificate

from ..integration.authority import Authority, time_stamps

BIN, NOW, CONTENT = "201040000013", 1_794_700_800, b'{"month": "2026-10"}\n'
Said = tuple[object, ...]


class Signed:
    """A stamped signature below an authority between, and what a check of it says."""

    def __init__(self, folder: Path) -> None:
        self.root = Authority()
        self.root.write_p12(folder / "key.p12", BIN)
        with time_stamps(self.root, folder / "tsa") as url:
            signer = Pkcs12Signer(folder / "key.p12", None, BIN, stamp=TimestampAuthority(url).stamp)
            self.signature = signer.sign({"manifest.json": CONTENT}, now=NOW).by_file["manifest.json"]
        parts = read_signature(self.signature)
        assert parts.timestamp is not None
        self.token, self.stamped = parts.timestamp, parts.signature
        self.certificate = signer_certificate(parts)
        self.said, self.token_said = self.check(self.signature), self.check_token(self.token)

    def check(self, signature: bytes) -> Said:
        """All that a verifier relies on, once every check passed. Raises SigningError."""
        parts = read_signature(signature)
        if not parts.is_detached:
            raise SigningError("not detached")
        certificate = signer_certificate(parts)
        check_signature(parts, CONTENT, certificate)
        stamp = self.check_token(parts.timestamp) if parts.timestamp is not None else ()
        self._path(certificate, parts)
        return (*self._essence(parts, certificate), numbers_of(certificate), stamp)

    def check_token(self, token: bytes) -> Said:
        stamp = check_timestamp(token, self.stamped)
        self._path(stamp.certificate, stamp.parts)
        return (stamp.at, stamp.parts.content, *self._essence(stamp.parts, stamp.certificate))

    def _path(self, certificate: x509.Certificate, parts: SignatureParts) -> None:
        fault = path_fault(certificate, others_of(parts), [self.root.certificate], NOW)
        if fault:
            raise SigningError(fault)

    @staticmethod
    def _essence(parts: SignatureParts, certificate: x509.Certificate) -> Said:
        """What was signed and by whom. Version numbers, unsigned attributes and certificates that nobody needs are not of it."""
        return (
            certificate.tbs_certificate_bytes, parts.signed_attributes, parts.message_digest, parts.signature, parts.signed_at,
            parts.content_type,
        )  # fmt: skip


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the machine to be the time stamp authority")
    return Signed(tmp_path_factory.mktemp("signed"))


def flipped(content: bytes, place: int, change: int) -> bytes:
    place %= len(content)
    return content[:place] + bytes([content[place] ^ change]) + content[place + 1 :]


places, changes = st.integers(0, 1 << 16), st.integers(1, 255)
many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(place=places, change=changes)
def test_a_signature_with_one_byte_changed(signed: Signed, place: int, change: int) -> None:
    try:
        said = signed.check(flipped(signed.signature, place, change))
    except SigningError:
        return
    # The time stamp is no part of what was signed: an attribute that is not read any more takes the stamp away, and adds nothing.
    assert said[:-1] == signed.said[:-1]
    assert said[-1] in (signed.said[-1], ())


@many
@given(place=places, change=changes)
def test_a_time_stamp_with_one_byte_changed(signed: Signed, place: int, change: int) -> None:
    try:
        said = signed.check_token(flipped(signed.token, place, change))
    except SigningError:
        return
    assert said == signed.token_said


@many
@given(place=places, change=changes)
def test_a_certificate_with_one_byte_changed_has_no_path(signed: Signed, place: int, change: int) -> None:
    try:
        certificate = x509.load_der_x509_certificate(flipped(signed.certificate.public_bytes(Encoding.DER), place, change))
        fault = path_fault(certificate, [], [signed.root.certificate], NOW)
    except (SigningError, ValueError, x509.InvalidVersion):
        return
    # What the authority signed is unchanged: only the wrapping of its signature differs.
    assert fault or certificate.tbs_certificate_bytes == signed.certificate.tbs_certificate_bytes


@many
@given(at=places, length=st.integers(1, 64))
def test_a_signature_cut_or_with_a_part_repeated(signed: Signed, at: int, length: int) -> None:
    whole = signed.signature
    at %= len(whole)
    for changed in (whole[:at], whole[:at] + whole[at + length :], whole[: at + length] + whole[at:]):
        if changed == whole:
            continue
        try:
            said = signed.check(changed)
        except SigningError:
            continue
        assert said == signed.said


def test_every_part_taken_from_another_valid_signature_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = Authority()
    key = ec.generate_private_key(ec.SECP256R1())
    other.write_p12(tmp_path / "key.p12", BIN, key=key)
    foreign = Pkcs12Signer(tmp_path / "key.p12", None, BIN).sign({"manifest.json": CONTENT}, now=NOW).by_file["manifest.json"]
    mine, theirs = read_signature(signed.signature), read_signature(foreign)
    for name in ("signature", "signed_attributes"):
        changed = signed.signature.replace(getattr(mine, name), getattr(theirs, name))
        with pytest.raises(SigningError):
            signed.check(changed)
    with pytest.raises(SigningError, match="no trusted certificate leads"):
        signed.check(foreign)
