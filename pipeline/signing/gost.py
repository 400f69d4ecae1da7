"""Signatures by Kazakhstan's GOST R 34.10-2015 keys of 512 bits (OIDs 1.2.398.3.10.1.1.2…), verified without anybody's library (ADR 17). Pure.

Enters: a certificate, the bytes signed, the signature. Leaves: nothing, or SigningError saying what does not hold. The mathematics is that of GOST R 34.10-2012 (RFC 7091) over the curve of
RFC 7836's parameter set A of 512 bits, the digest Streebog-512. How the National Certification Authority writes it down is no RFC's: a signature is r ‖ s, each least
significant byte first; so are a key's x ‖ y. That was found, and is tried, on certificates, lists of revocation and CMS signatures that it issued. Left out: keys of 256 bits and
GOST 34.310-2004, of which nothing is issued any more.
"""

from __future__ import annotations

from cryptography import x509

from pipeline.model.errors import SigningError
from pipeline.model.message import message

from .cms import oid_of, read_values
from .streebog import streebog512

KEY_OID = "1.2.398.3.10.1.1.2.2"
"""A key of 512 bits."""
CURVE_OID = "1.2.398.3.10.1.1.2.2.1"
"""Parameter set A."""
SIGNATURE_OID = "1.2.398.3.10.1.1.2.3.2"
"""Signature of 512 bits, with the digest of 512 bits."""
DIGEST_OID = "1.2.398.3.10.1.3.3"
"""GOST R 34.11-2015 of 512 bits: Streebog-512."""
MOST_BYTES = 16 << 20
"""What is digested here at most: it takes some minutes."""

_P = (1 << 512) - 0x239
_A = _P - 3
_B = int(
    "e8c2505dedfc86ddc1bd0b2b6667f1da34b82574761cb0e879bd081cfd0b6265ee3cb090f30d27614cb4574010da90dd862ef9d4ebee4761503190785a71c760", 16
)
_Q = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff27e69532f48d89116ff22b8d4e0560609b4b38abfad2b85dcacdb1411f10b275", 16
)
_BASE = (
    3,
    int(
        "7503cfe87a836ae3a61b8816e25450e6ce5e1c93acf1abc1778064fdcbefa921df1626be4fd036e93d75e6a50e3a41e98028fe5fc235f5b889a589cb5215f2a4",
        16,
    ),
)
"""The curve y² = x³ + ax + b mod p, its order and its base point (RFC 7836, appendix A.2)."""
_HALF = 64
Point = tuple[int, int] | None
"""None: the point at infinity."""


def gost_key(certificate: x509.Certificate) -> tuple[int, int] | None:
    """The certificate's key where it is of the kind computed here; None for every other kind. Raises SigningError for one that is no point of the curve."""
    parts = read_values(read_values(certificate.tbs_certificate_bytes)[0][1])
    after_version = parts[1:] if parts[0][0] == 0xA0 else parts
    algorithm, bits = read_values(after_version[5][1])[:2]
    named = read_values(algorithm[1])
    if oid_of(named[0][1]) != KEY_OID:
        return None
    curve = read_values(named[1][1]) if len(named) > 1 and named[1][0] == 0x30 else []
    if not curve or oid_of(curve[0][1]) != CURVE_OID or (len(curve) > 1 and oid_of(curve[1][1]) != DIGEST_OID):
        return None
    octets = read_values(bits[1][1:])
    if bits[1][:1] != b"\0" or len(octets) != 1 or len(octets[0][1]) != 2 * _HALF:
        raise SigningError(message("the certificate's GOST key is no point of its curve"))
    x, y = (int.from_bytes(octets[0][1][at : at + _HALF], "little") for at in (0, _HALF))
    if not (x < _P and y < _P and (y * y - (x * x * x + _A * x + _B)) % _P == 0):
        raise SigningError(message("the certificate's GOST key is no point of its curve"))
    return x, y


def check_gost(key: tuple[int, int], signed: bytes, signature: bytes) -> None:
    """Whether the key signed exactly these bytes (RFC 7091, section 6.2). Raises SigningError."""
    if len(signature) != 2 * _HALF:
        raise SigningError(
            message("a GOST signature of 512 bits has {wanted} bytes, this one has {found}", wanted=2 * _HALF, found=len(signature))
        )
    r, s = (int.from_bytes(signature[at : at + _HALF], "little") for at in (0, _HALF))
    e = int.from_bytes(streebog512(signed), "little") % _Q or 1
    if 0 < r < _Q and 0 < s < _Q:
        v = pow(e, -1, _Q)
        found = _add(_times(s * v % _Q, _BASE), _times(-r * v % _Q, key))
        if found is not None and found[0] % _Q == r:
            return
    raise SigningError(message("the signature does not verify with its certificate's key"))


def _add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % _P == 0:
            return None
        slope = (3 * one[0] * one[0] + _A) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P) % _P
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _times(factor: int, point: Point) -> Point:
    found: Point = None
    for bit in bin(factor)[2:]:
        found = _add(found, found)
        if bit == "1":
            found = _add(found, point)
    return found
