"""Signs with a key from a .p12 file: detached CMS over SHA-256, verified at once.

Enters: files' bytes, the pool's BIN, `now`. Leaves: a DER signature a file. Refused: a certificate that has ended, has not begun or names
another BIN; a file of keys that can't be opened. RSA and elliptic-curve keys; GOST keys need NCANode (`sign_ncanode`). It leaves out
the chain of trust and revocation, which the receiver judges, and time stamps, which NCANode asks for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from pipeline.certificate import certificate_fault
from pipeline.closing import Signature
from pipeline.cms import read_signature, signed_attributes_digest
from pipeline.errors import SigningError


class Pkcs12Signer:
    """`pipeline.closing.Signer` with a key file. The file is opened at every signing, so a renewed one is taken up."""

    def __init__(self, path: Path, password: str | None, pool_bin: str) -> None:
        self._path = path
        self._password = password
        self._bin = pool_bin

    def certificate(self) -> x509.Certificate:
        """The certificate of the key. Raises SigningError."""
        return self._load()[1]

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature:
        """Detached CMS of each file, each verified. Raises SigningError."""
        key, certificate = self._load()
        fault = certificate_fault(certificate, self._bin, now)
        if fault:
            raise SigningError(f"{self._path}: {fault}")
        made = {}
        for name, content in files.items():
            builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
            made[name] = builder.sign(
                serialization.Encoding.DER,
                [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities],
            )
            verify_signature(made[name], content, certificate)
        return Signature(
            made,
            certificate.subject.rfc4514_string(),
            hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
            int(certificate.not_valid_after_utc.timestamp()),
        )

    def _load(self) -> tuple[rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, x509.Certificate]:
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise SigningError(f"{self._path}: {error.strerror}: set signing.pkcs12_file to the key's .p12 file") from error
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(content, self._password.encode() if self._password else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningError(
                f"{self._path} can't be opened: a wrong password, no PKCS #12 file, or a key of a kind only NCANode knows (GOST)"
            ) from error
        if certificate is None or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise SigningError(f"{self._path} holds no RSA or elliptic-curve key with its certificate: use NCANode for GOST keys")
        return key, certificate


def verify_signature(signature: bytes, content: bytes, certificate: x509.Certificate) -> None:
    """Check a detached CMS signature over SHA-256 against the content and the certificate's key. Raises SigningError."""
    parts = read_signature(signature)
    if parts.message_digest != hashlib.sha256(content).digest():
        raise SigningError("the signature is of other bytes: nothing was signed")
    if certificate not in [x509.load_der_x509_certificate(raw) for raw in parts.certificates]:
        raise SigningError("the signature does not carry its certificate: nothing was signed")
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(parts.signature, signed_attributes_digest(parts), padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(parts.signature, signed_attributes_digest(parts), ec.ECDSA(hashes.SHA256()))
        else:
            raise SigningError(f"signatures of a {type(key).__name__} can't be verified here: use NCANode")
    except InvalidSignature as error:
        raise SigningError(
            "the signature made does not verify with its own certificate: the key and the certificate belong to different pairs"
        ) from error
