"""Signs as Kazakhstan's GOST keys of 512 bits do, for tests: certificates and CMS in the shape that the National Certification Authority gives them.

The shape is that of its own test certificates and of CMS signatures made with its library; the mathematics of signing is RFC 7091's, section 6.1.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.signing import gost
from pipeline.signing.cms import read_values
from pipeline.signing.streebog import streebog512

KEY, CURVE, SIGNATURE, DIGEST = (bytes.fromhex(text) for text in ("2a830e030a01010202", "2a830e030a0101020201", "2a830e030a0101020302", "2a830e030a010303"))  # fmt: skip
SIGNED_DATA, DATA = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d010701")
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (bytes.fromhex(f"2a864886f70d0109{n:02x}") for n in (3, 4, 5))


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = (len(content).bit_length() + 7) // 8
    head = bytes([tag, len(content)]) if len(content) < 0x80 else bytes([tag, 0x80 | size]) + len(content).to_bytes(size, "big")
    return head + content


class GostKey:
    """A secret and its point."""

    def __init__(self) -> None:
        self.secret = secrets.randbelow(gost._Q - 1) + 1
        point = gost._times(self.secret, gost._BASE)
        assert point is not None
        self.octets = b"".join(number.to_bytes(64, "little") for number in point)

    def sign(self, signed: bytes) -> bytes:
        """r ‖ s, each least significant byte first."""
        e = int.from_bytes(streebog512(signed), "little") % gost._Q or 1
        while True:
            k = secrets.randbelow(gost._Q - 1) + 1
            point = gost._times(k, gost._BASE)
            assert point is not None
            r = point[0] % gost._Q
            s = (r * self.secret + k * e) % gost._Q
            if r and s:
                return r.to_bytes(64, "little") + s.to_bytes(64, "little")


def as_gost(certificate: x509.Certificate, key: GostKey, issuer: GostKey, *, curve: bytes = CURVE) -> x509.Certificate:
    """The same certificate with a GOST key in it, signed by a GOST key."""
    parts = [whole for _, _, whole in read_values(read_values(certificate.tbs_certificate_bytes)[0][1])]
    algorithm = der(0x30, der(0x06, SIGNATURE), der(0x05))
    parts[2] = algorithm
    parts[6] = der(
        0x30,
        der(0x30, der(0x06, KEY), der(0x30, der(0x06, curve), der(0x06, DIGEST))),
        der(0x03, b"\0", der(0x04, key.octets)),
    )
    tbs = der(0x30, *parts)
    return x509.load_der_x509_certificate(der(0x30, tbs, algorithm, der(0x03, b"\0", issuer.sign(tbs))))


def signed_cms(
    content: bytes, certificate: x509.Certificate, key: GostKey, at: int, *others: x509.Certificate, digest: bytes = DIGEST
) -> bytes:
    """A detached CMS signature of the content (RFC 5652)."""
    when = datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M%SZ").encode()
    attributes = sorted(
        der(0x30, der(0x06, name), der(0x31, value))
        for name, value in (
            (CONTENT_TYPE, der(0x06, DATA)),
            (MESSAGE_DIGEST, der(0x04, streebog512(content))),
            (SIGNING_TIME, der(0x17, when)),
        )
    )
    signature = key.sign(der(0x31, *attributes))
    tbs = read_values(read_values(certificate.tbs_certificate_bytes)[0][1])
    signer = der(
        0x30, der(0x02, b"\1"), der(0x30, tbs[3][2], tbs[1][2]), der(0x30, der(0x06, digest), der(0x05)), der(0xA0, *attributes),
        der(0x30, der(0x06, SIGNATURE), der(0x05)), der(0x04, signature),
    )  # fmt: skip
    certificates = der(0xA0, *(one.public_bytes(Encoding.DER) for one in (certificate, *others)))
    digests = der(0x31, der(0x30, der(0x06, digest), der(0x05)))
    signed_data = der(0x30, der(0x02, b"\1"), digests, der(0x30, der(0x06, DATA)), certificates, der(0x31, signer))
    return der(0x30, der(0x06, SIGNED_DATA), der(0xA0, signed_data))
