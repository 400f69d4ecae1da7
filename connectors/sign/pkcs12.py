"""Signs with a key from a .p12 file: detached CMS over SHA-256, verified at once.

Enters: files' bytes, the pool's BIN, `now`. Leaves: a DER signature a file. Refused: a certificate that has ended, has not begun or names
another BIN; a file of keys that can't be opened. RSA and elliptic-curve keys; GOST keys need NCANode (`sign_ncanode`). A time stamp over the
signature is asked of an authority where one is given. It leaves out the chain of trust and revocation, which the receiver judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from pipeline.model.errors import SigningError
from pipeline.model.message import message
from pipeline.model.system_words import system_words
from pipeline.signing.certificate import KeyCertificate, certificate_fault, key_certificate, subject_of
from pipeline.signing.cms import read_signature, with_timestamp
from pipeline.signing.signature import check_signature, check_timestamp, signer_certificate
from pipeline.signing.signer import Signature


class Pkcs12Signer:
    """`pipeline.closing.advance.Signer` with a key file. The file is opened at every signing, so a renewed one is taken up."""

    def __init__(self, path: Path, password: str | None, pool_bin: str, *, stamp: Callable[[bytes], bytes] | None = None) -> None:
        """`stamp`: gives a time stamp's token (RFC 3161, DER) over bytes; None for signatures without one."""
        self._stamp = stamp
        self._path = path
        self._password = password
        self._bin = pool_bin

    def certificate(self) -> KeyCertificate:
        """The certificate of the key. Raises SigningError."""
        return key_certificate(self._load()[1])

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature:
        """Detached CMS of each file, each verified. Raises SigningError."""
        key, certificate = self._load()
        fault = certificate_fault(certificate, self._bin, now)
        if fault:
            raise SigningError(message("{path}: {fault}", path=self._path, fault=fault))
        made = {}
        for name, content in files.items():
            builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
            signature = builder.sign(
                serialization.Encoding.DER,
                [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities],
            )
            if self._stamp is not None:
                signature = with_timestamp(signature, self._stamp(read_signature(signature).signature))
            verify_signature(signature, content, certificate, is_stamped=self._stamp is not None)
            made[name] = signature
        return Signature(
            made,
            subject_of(certificate),
            hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
            int(certificate.not_valid_after_utc.timestamp()),
        )

    def _load(self) -> tuple[rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, x509.Certificate]:
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise SigningError(
                message("{path}: {strerror}: set signing.pkcs12_file to the key's .p12 file", path=self._path, strerror=system_words(error))
            ) from error
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(content, self._password.encode() if self._password else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningError(
                message(
                    "{path} can't be opened: a wrong password, no PKCS #12 file, or a key of a kind only NCANode knows (GOST)",
                    path=self._path,
                )
            ) from error
        if certificate is None or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise SigningError(
                message("{path} holds no RSA or elliptic-curve key with its certificate: use NCANode for GOST keys", path=self._path)
            )
        return key, certificate


def verify_signature(signature: bytes, content: bytes, certificate: x509.Certificate, *, is_stamped: bool = False) -> None:
    """Check a detached signature just made against its content, its certificate and, where it is stamped, its time stamp. Raises SigningError."""
    parts = read_signature(signature)
    if not parts.is_detached or signer_certificate(parts) != certificate:
        raise SigningError(message("the signature is not one of this certificate beside its content: nothing was signed"))
    try:
        check_signature(parts, content, certificate)
    except SigningError as error:
        raise SigningError(message("nothing was signed: {error}: do the key and the certificate belong together?", error=error)) from error
    if is_stamped:
        if parts.timestamp is None:
            raise SigningError(message("the signature lacks its time stamp: nothing was signed"))
        check_timestamp(parts.timestamp, parts.signature)
