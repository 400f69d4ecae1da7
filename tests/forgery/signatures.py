"""Signatures forged (kind 1): stripped, replayed, renamed, of strangers. The pool's authority is made here; the forger has what the pool published, and keys of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from tests.integration.authority import Authority

POOL_BIN = "201040000023"
_SHA256 = bytes.fromhex("608648016503040201")
_NO_DIGEST = bytes.fromhex("608648016503040206")
"""An algorithm's name that nothing here computes, of the same length."""
_RSA, _PSS = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01010a")
_EC_KEY, _GOST_KEY = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a830e030a0101")
"""A key of an elliptic curve, and one of a kind that nothing here computes: its name is as long."""


@cache
def authority() -> Authority:
    """Whom the auditor trusts."""
    return Authority()


@cache
def _key(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def _sign(
    content: bytes,
    *,
    by: Authority | None = None,
    kind: str = "rsa",
    unit: str = f"BIN{POOL_BIN}",
    ends: datetime | None = None,
    begins: datetime | None = None,
    is_with_certificate: bool = True,
    is_detached: bool = True,
) -> bytes:
    key = _key(kind)
    wanted = ({} if ends is None else {"ends": ends}) | ({} if begins is None else {"begins": begins})
    certificate = (by or authority()).issue("Pool", key, unit=unit, **wanted)
    options = [pkcs7.PKCS7Options.Binary, *([pkcs7.PKCS7Options.DetachedSignature] if is_detached else [])]
    options += [] if is_with_certificate else [pkcs7.PKCS7Options.NoCerts]
    return (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(content)
        .add_signer(certificate, key, hashes.SHA256())
        .sign(serialization.Encoding.DER, options)
    )


def signed(bundle: Path, make: Callable[[bytes], bytes] = _sign) -> Path:
    """The bundle with both of its signatures, as the pool makes them, or as `make` does."""
    for name in ("manifest.json", "report.json"):
        (bundle / f"{name}.p7s").write_bytes(make((bundle / name).read_bytes()))
    return bundle


def stripped(bundle: Path) -> None:
    """No signature at all."""


def one_stripped(bundle: Path) -> None:
    (signed(bundle) / "manifest.json.p7s").unlink()


def _replayed(_: bytes) -> bytes:
    """What the pool signed in another bundle."""
    return _sign(b'{"month": "2026-09"}')


def replayed(bundle: Path) -> None:
    signed(bundle, _replayed)


def replayed_and_digest_renamed(bundle: Path) -> None:
    signed(bundle, lambda content: _replayed(content).replace(_SHA256, _NO_DIGEST))


def _last_renamed(raw: bytes, old: bytes, new: bytes) -> bytes:
    """In the signer's part alone, which stands last: the certificate stays what it was."""
    head, found, tail = raw.rpartition(old)
    assert found
    return head + new + tail


def replayed_and_algorithm_renamed(bundle: Path) -> None:
    signed(bundle, lambda content: _last_renamed(_replayed(content), _RSA, _PSS))


def digest_renamed(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content).replace(_SHA256, _NO_DIGEST))


def _broken(content: bytes) -> bytes:
    made = bytearray(_sign(content))
    made[-5] ^= 1
    return bytes(made)


def broken(bundle: Path) -> None:
    signed(bundle, _broken)


def broken_and_algorithm_renamed(bundle: Path) -> None:
    """So that "can't be checked" would come before the signature is."""
    signed(bundle, lambda content: _last_renamed(_broken(content), _RSA, _PSS))


def of_a_stranger_s_authority(bundle: Path) -> None:
    stranger = Authority("Root")
    signed(bundle, lambda content: _sign(content, by=stranger))


def of_another_bin(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content, unit="BIN201040000034"))


def of_a_certificate_that_had_ended(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content, ends=datetime(2021, 1, 1, tzinfo=UTC)))


def of_a_certificate_that_had_not_begun(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content, begins=datetime(2119, 1, 1, tzinfo=UTC)))


def without_its_certificate(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content, is_with_certificate=False))


def with_its_own_content(bundle: Path) -> None:
    signed(bundle, lambda content: _sign(content, is_detached=False))


def no_signature(bundle: Path) -> None:
    signed(bundle, lambda content: b"\x30\x03no")


def too_large(bundle: Path) -> None:
    signed(bundle, lambda content: b"\x30" * (2 << 20))


def _of_an_uncomputable_key(content: bytes) -> bytes:
    """A certificate in the trusted authority's name for a key of a kind that nothing here computes: the authority never signed it."""
    made = _sign(content, kind="ec")
    begins = made.index(_EC_KEY)
    return made[:begins] + _GOST_KEY + made[begins + len(_EC_KEY) :]


def of_an_uncomputable_key(bundle: Path) -> None:
    signed(bundle, _of_an_uncomputable_key)


def replayed_of_an_uncomputable_key(bundle: Path) -> None:
    signed(bundle, lambda content: _of_an_uncomputable_key(b"of another bundle"))


SIGNED: list[tuple[str, Callable[[Path], object], str]] = [
    ("stripped", stripped, "--trust asks for the pool's signatures"),
    ("one stripped", one_stripped, "manifest.json.p7s is missing beside report.json.p7s"),
    ("replayed", replayed, "the signature is of other bytes"),
    ("replayed and digest renamed", replayed_and_digest_renamed, "names the digest 2.16.840.1.101.3.4.2.6"),
    ("replayed and algorithm renamed", replayed_and_algorithm_renamed, "the signature is of other bytes"),
    ("digest renamed", digest_renamed, "names the digest 2.16.840.1.101.3.4.2.6"),
    ("broken", broken, "does not verify with its certificate's key"),
    ("broken and algorithm renamed", broken_and_algorithm_renamed, "does not verify with its certificate's key"),
    ("of a stranger's authority", of_a_stranger_s_authority, "no trusted certificate leads to"),
    ("of another BIN", of_another_bin, "does not name the pool's BIN"),
    ("of a certificate that had ended", of_a_certificate_that_had_ended, "had ended by"),
    ("of a certificate that had not begun", of_a_certificate_that_had_not_begun, "was not valid yet at"),
    ("without its certificate", without_its_certificate, "does not carry the certificate"),
    ("with its own content", with_its_own_content, "carries content of its own"),
    ("no signature", no_signature, "not a DER signature"),
    ("too large", too_large, "more than"),
    ("of an uncomputable key", of_an_uncomputable_key, "no trusted certificate leads to"),
    ("replayed of an uncomputable key", replayed_of_an_uncomputable_key, "the signature is of other bytes"),
]


def trusted() -> list[x509.Certificate]:
    """The certificates that the auditor names."""
    return [authority().certificate]
