"""Signatures: what OpenSSL says of them, which certificates are refused, and that a key never travels in the clear."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.sign.ncanode import NcanodeSigner
from connectors.sign.pkcs12 import Pkcs12Signer, verify_signature
from pipeline.model.errors import SettingsError, SigningError
from pipeline.signing.certificate import days_left, numbers_of
from pipeline.signing.cms import read_signature

from .serving import served

POOL_BIN = "201040000013"
NOW = int(datetime(2026, 11, 15, tzinfo=UTC).timestamp())
FILES = {"manifest.json": b'{"month": "2026-10"}\n', "report.json": '{"name": "ЖШС"}\r\n'.encode() * 1000}


def make_key(kind: str = "rsa") -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


RSA = make_key()


def write_p12(
    path: Path,
    *,
    key=RSA,
    unit: str = f"BIN{POOL_BIN}",
    begins: int = -30,
    ends: int = 300,
    password: str | None = "secret",
    serial: str = "IIN900101300017",
) -> x509.Certificate:
    at = datetime.fromtimestamp(NOW, UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Pool"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
        ]
    )
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(at + timedelta(days=begins)).not_valid_after(at + timedelta(days=ends)).sign(key, hashes.SHA256())
    )  # fmt: skip
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"key", key, certificate, None, encryption))
    return certificate


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_signature_is_what_openssl_accepts_and_other_bytes_are_not(tmp_path: Path, kind: str) -> None:
    write_p12(tmp_path / "key.p12", key=make_key(kind))
    signed = Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).sign(FILES, now=NOW)
    assert set(signed.by_file) == set(FILES) and days_left(signed.not_after, NOW) == 300
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the machine to ask for a second opinion")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / "sig").write_bytes(signed.by_file[name])
        ask = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "sig", "-content", name, "-noverify", "-out", "seen"]
        assert subprocess.run(ask, cwd=tmp_path, capture_output=True).returncode == 0
        assert (tmp_path / "seen").read_bytes() == content
        (tmp_path / name).write_bytes(content + b" ")
        assert subprocess.run(ask, cwd=tmp_path, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ends": -1}, "ended on 2026-11-14"),
        ({"begins": 1}, "not valid before 2026-11-16"),
        ({"unit": "BIN201040000024"}, "does not name the pool's BIN"),
        ({"unit": "Accounting"}, "does not name the pool's BIN"),
        ({"password": "other"}, "can't be opened"),
    ],
)
def test_a_certificate_that_may_not_sign_is_refused(tmp_path: Path, change: dict, said: str) -> None:
    write_p12(tmp_path / "key.p12", **change)
    with pytest.raises(SigningError, match=said) as caught:
        Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).sign(FILES, now=NOW)
    assert POOL_BIN not in str(caught.value) and "secret" not in str(caught.value)


def test_a_pool_that_is_a_person_signs_with_its_iin(tmp_path: Path) -> None:
    certificate = write_p12(tmp_path / "key.p12", unit="none", serial=f"IIN{POOL_BIN}")
    assert numbers_of(certificate) == {POOL_BIN}
    Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).sign(FILES, now=NOW)


@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.p12"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SigningError, match=r"key\.p12"):
        Pkcs12Signer(path, "secret", POOL_BIN).sign(FILES, now=NOW)


def test_a_signature_of_other_bytes_or_another_key_does_not_verify(tmp_path: Path) -> None:
    certificate = write_p12(tmp_path / "key.p12")
    other = write_p12(tmp_path / "other.p12", key=make_key("ec"))
    made = Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).sign({"a": b"a"}, now=NOW).by_file["a"]
    verify_signature(made, b"a", certificate)
    for content, judge in ((b"b", certificate), (b"a", other)):
        with pytest.raises(SigningError):
            verify_signature(made, content, judge)
    broken = bytearray(made)
    broken[-5] ^= 1
    with pytest.raises(SigningError, match="does not verify"):
        verify_signature(bytes(broken), b"a", certificate)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_bit_that_changed_in_what_is_signed_or_in_the_signature_is_seen(tmp_path: Path, kind: str) -> None:
    """Every byte of the file in turn: the signed attributes and the signature's own bytes bind; elsewhere it is a signature or a SigningError."""
    certificate = write_p12(tmp_path / "key.p12", key=make_key(kind))
    made = Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).sign({"a": b"a"}, now=NOW).by_file["a"]
    parts = read_signature(made)
    verify_signature(made, b"a", certificate)
    passed = set()
    for place in range(len(made)):
        broken = bytearray(made)
        broken[place] ^= 1
        try:
            verify_signature(bytes(broken), b"a", certificate)
        except SigningError:
            continue
        passed.add(place)
    for bound in (parts.signature, parts.signed_attributes):
        begins = made.rindex(bound)
        assert len(bound) >= 60 and not passed & set(range(begins, begins + len(bound)))
    assert passed, "what binds nothing, such as the certificates beside the signature, was read past"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "key.p12"
    write_p12(path)
    return Pkcs12Signer(path, "secret", POOL_BIN).sign({"a": b"a"}, now=NOW).by_file["a"]


@given(begin=st.integers(0, 2000), gone=st.integers(0, 2000), piece=st.binary(max_size=40))
@example(begin=0, gone=10_000, piece=b"")
@example(begin=0, gone=10_000, piece=b"\x30")
def test_any_bytes_are_a_signature_or_a_signing_error(sound: bytes, begin: int, gone: int, piece: bytes) -> None:
    """Random bytes alone never get past the first tag: a signature with a piece replaced does."""
    try:
        read_signature(sound[:begin] + piece + sound[begin + gone :])
    except SigningError:
        return


@pytest.mark.parametrize(
    ("url", "leaks"),
    [
        ("http://127.0.0.1:14579", False), ("http://[::1]:14579", False), ("http://localhost:14579", False), ("https://ncanode.example", False),
        ("http://ncanode.example", True), ("http://10.0.0.5:14579", True), ("http://127.0.0.1.example", True), ("ftp://127.0.0.1", True), ("", True),
    ],
)  # fmt: skip
def test_the_key_travels_on_this_machine_or_over_tls_alone(url: str, leaks: bool, tmp_path: Path) -> None:
    if not leaks:
        NcanodeSigner(url, tmp_path / "key.p12", "secret", POOL_BIN)
    else:
        with pytest.raises(SettingsError, match="ncanode_url"):
            NcanodeSigner(url, tmp_path / "key.p12", "secret", POOL_BIN)


class Ncanode(BaseHTTPRequestHandler):
    """Answers in the shapes of NCANode's own sources (`…Request`, `…Response`, `ErrorResponse`), with a real signature of the key in the request."""

    seen: list[dict] = []  # noqa: RUF012 - the test looks here
    valid = True

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append({"path": self.path, **told})
        if self.path == "/cms/verify":
            return self._answer({"status": 200, "message": "OK", "valid": self.valid, "signers": []})
        if told.get("tsaPolicy") not in (None, "TSA_GOST_POLICY", "TSA_GOSTGT_POLICY", "TSA_GOST2015_POLICY"):
            return self._answer(
                {"timestamp": "2026-11-15T00:00:00.000+00:00", "status": 400, "error": "Bad Request", "path": self.path}, 400
            )
        (signer,) = told["keys"] if self.path == "/pkcs12/info" else told["signers"]
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(signer["key"]), signer["password"].encode())
        except ValueError:
            return self._answer({"status": 500, "message": "signers[0]: wrong password"}, 500)
        if self.path == "/pkcs12/info":
            (number,) = (name for name in numbers_of(certificate) if name == POOL_BIN)
            info = {"valid": True, "serialNumber": "7", "subject": {"commonName": "Pool", "bin": number}}
            info |= {name: f"{at:%Y-%m-%dT%H:%M:%S}.000+00:00" for name, at in
                     (("notBefore", certificate.not_valid_before_utc), ("notAfter", certificate.not_valid_after_utc))}  # fmt: skip
            return self._answer({"status": 200, "message": "OK", "valid": True, "signers": [info]})
        options = [pkcs7.PKCS7Options.Binary] + [pkcs7.PKCS7Options.DetachedSignature] * told["detached"]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(base64.b64decode(told["data"])).add_signer(certificate, key, hashes.SHA256())
        return self._answer(
            {"status": 200, "message": "OK", "cms": base64.b64encode(builder.sign(serialization.Encoding.DER, options)).decode()}
        )

    def _answer(self, told: dict, status: int = 200) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def ncanode() -> Iterator[str]:
    Ncanode.seen, Ncanode.valid = [], True
    with served(Ncanode) as url:
        yield url


def test_ncanode_signs_verifies_at_once_and_is_given_what_it_wants(tmp_path: Path, ncanode: str) -> None:
    certificate = write_p12(tmp_path / "key.p12")
    signer = NcanodeSigner(
        ncanode, tmp_path / "key.p12", "secret", POOL_BIN, key_alias="k", with_tsp=True, tsa_policy="TSA_GOST2015_POLICY"
    )
    signed = signer.sign(FILES, now=NOW)
    for name, content in FILES.items():
        verify_signature(signed.by_file[name], content, certificate)
    assert [call["path"] for call in Ncanode.seen] == ["/cms/sign", "/cms/verify"] * 2
    first = Ncanode.seen[0]
    assert first["detached"] is True and first["withTsp"] is True and first["tsaPolicy"] == "TSA_GOST2015_POLICY"
    assert set(first["signers"][0]) == {"key", "password", "keyAlias"} and first["signers"][0]["keyAlias"] == "k"


def test_ncanode_tells_of_the_key_before_it_signs(tmp_path: Path, ncanode: str) -> None:
    certificate = write_p12(tmp_path / "key.p12")
    known = NcanodeSigner(ncanode, tmp_path / "key.p12", "secret", POOL_BIN).certificate()
    assert (known.name, known.numbers) == ("7", {POOL_BIN})
    ours = Pkcs12Signer(tmp_path / "key.p12", "secret", POOL_BIN).certificate()
    assert (known.not_before, known.not_after) == (ours.not_before, ours.not_after)
    assert ours.name == certificate.fingerprint(hashes.SHA256()).hex() and ours.numbers >= {POOL_BIN}
    with pytest.raises(SigningError, match="wrong password"):
        NcanodeSigner(ncanode, tmp_path / "key.p12", "other", POOL_BIN).certificate()
    with pytest.raises(SigningError, match="no key without a password"):
        NcanodeSigner(ncanode, tmp_path / "key.p12", None, POOL_BIN).certificate()


def test_what_spring_refuses_before_ncanode_is_asked_is_named(tmp_path: Path, ncanode: str) -> None:
    write_p12(tmp_path / "key.p12")
    with pytest.raises(SigningError, match="Bad Request"):
        NcanodeSigner(ncanode, tmp_path / "key.p12", "secret", POOL_BIN, with_tsp=True, tsa_policy="NONE").sign(FILES, now=NOW)


def test_ncanodes_faults_are_named_without_the_key(tmp_path: Path, ncanode: str) -> None:
    write_p12(tmp_path / "key.p12")
    with pytest.raises(SigningError, match="wrong password") as caught:
        NcanodeSigner(ncanode, tmp_path / "key.p12", "no-such-word", POOL_BIN).sign(FILES, now=NOW)
    assert "no-such-word" not in str(caught.value)
    Ncanode.valid = False
    with pytest.raises(SigningError, match="does not verify"):
        NcanodeSigner(ncanode, tmp_path / "key.p12", "secret", POOL_BIN).sign(FILES, now=NOW)
    write_p12(tmp_path / "old.p12", ends=-1)
    with pytest.raises(SigningError, match="ended on"):
        NcanodeSigner(ncanode, tmp_path / "old.p12", "secret", POOL_BIN).sign(FILES, now=NOW)
    with pytest.raises(SigningError, match="is NCANode running"):
        NcanodeSigner("http://127.0.0.1:1", tmp_path / "key.p12", "secret", POOL_BIN).sign(FILES, now=NOW)
