"""An authority of our own: a root, the certificates that it issues, and a time stamp authority of OpenSSL's behind a small HTTP server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .serving import served

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


class Authority:
    """A root and what stands below it. Everything is valid for a century: the signers' clock is the machine's."""

    def __init__(self, name: str = "Root") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._make(name, self.key.public_key(), None, is_authority=True)

    def issue(
        self,
        name: str,
        key: Key,
        *,
        unit: str = "",
        usage: x509.ObjectIdentifier | None = None,
        begins: datetime = BEGINS,
        ends: datetime = ENDS,
    ) -> x509.Certificate:
        return self._make(name, key.public_key(), self.certificate, unit=unit, usage=usage, begins=begins, ends=ends)

    def write_p12(self, path: Path, pool_bin: str, *, key: Key | None = None, ends: datetime = ENDS) -> x509.Certificate:
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = self.issue("Pool", key, unit=f"BIN{pool_bin}", ends=ends)
        path.write_bytes(pkcs12.serialize_key_and_certificates(b"key", key, certificate, None, serialization.NoEncryption()))
        return certificate

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def _make(
        self,
        name: str,
        public,
        issuer: x509.Certificate | None,
        *,
        unit: str = "",
        usage=None,
        is_authority=False,
        begins=BEGINS,
        ends=ENDS,
    ) -> x509.Certificate:
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        attributes += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
        subject = x509.Name(attributes)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )  # fmt: skip
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        return builder.sign(self.key, hashes.SHA256())


TSA = """[ tsa ]
default_tsa = here
[ here ]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@contextmanager
def time_stamps(
    authority: Authority, folder: Path, *, usage=ExtendedKeyUsageOID.TIME_STAMPING, spoil: Callable[[bytes], bytes] = lambda r: r
) -> Iterator[str]:
    """The address of a time stamp authority that `openssl ts -reply` answers for; `spoil` changes its answers."""
    folder.mkdir(parents=True)
    key = rsa.generate_private_key(65537, 2048)
    certificate = authority.issue("TSA", key, usage=usage)
    (folder / "tsa.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tsa.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "tsa.cnf").write_text(TSA.format(folder=folder))
    (folder / "serial").write_text("01\n")

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            reply = [
                "openssl",
                "ts",
                "-reply",
                "-queryfile",
                "query",
                "-signer",
                "tsa.pem",
                "-inkey",
                "tsa.key",
                "-config",
                "tsa.cnf",
                "-out",
                "reply",
            ]
            made = subprocess.run(reply, cwd=folder, capture_output=True)
            content = spoil((folder / "reply").read_bytes()) if made.returncode == 0 else b""
            self.send_response(200 if made.returncode == 0 else 500)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with served(Answers) as url:
        yield url
