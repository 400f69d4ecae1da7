"""Reads a detached CMS signature (RFC 5652): just enough DER to check what was signed, by which certificate. Pure.

Enters: DER bytes. Leaves: the certificates, the signed attributes, the message digest and the signature's bytes. Left out:
indefinite lengths (BER), more than one signer, unsigned attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SigningError

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SEQUENCE, _SET, _OID, _INTEGER, _OCTETS, _CONTEXT_0, _CONTEXT_1 = 0x30, 0x31, 0x06, 0x02, 0x04, 0xA0, 0xA1


@dataclass(frozen=True)
class SignatureParts:
    """What a signature is made of."""

    certificates: list[bytes]
    """DER."""
    signed_attributes: bytes
    """Their DER, without the tag and length."""
    message_digest: bytes
    signature: bytes
    is_detached: bool


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and the place after it. Raises SigningError for a length that does not fit."""
    try:
        tag, length, at = data[at], data[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise SigningError("not a DER signature: a length of another kind")
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
    except IndexError:
        raise SigningError("not a DER signature: it ends too early") from None
    if at + length > len(data):
        raise SigningError("not a DER signature: it ends too early")
    return tag, data[at : at + length], at + length


def _items(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The values one after another: tag, content, and the whole with its tag."""
    found, at = [], 0
    while at < len(data):
        tag, content, after = _read(data, at)
        found.append((tag, content, data[at:after]))
        at = after
    return found


def _only(data: bytes, tag: int) -> bytes:
    found, content, after = _read(data, 0)
    if found != tag or after != len(data):
        raise SigningError("not a CMS signature: another structure stands where it should be")
    return content


def read_signature(der: bytes) -> SignatureParts:
    """The parts of a signature with one signer. Raises SigningError for anything else."""
    outer = _items(_only(der, _SEQUENCE))
    if len(outer) < 2 or outer[0][:2] != (_OID, _SIGNED_DATA):
        raise SigningError("not a CMS signature: no signedData")
    signed_data = _items(_only(outer[1][1], _SEQUENCE))
    certificates = [
        whole for tag, content, _ in signed_data if tag == _CONTEXT_0 for inner, _, whole in _items(content) if inner == _SEQUENCE
    ]
    contents = [content for tag, content, _ in signed_data if tag == _SEQUENCE]
    signers = signed_data[-1] if signed_data else (0, b"", b"")
    if signers[0] != _SET or not contents or len(_items(signers[1])) != 1:
        raise SigningError("not a CMS signature of one signer")
    attributes, signature = b"", b""
    for tag, content, _ in _items(_items(signers[1])[0][1]):
        if tag == _CONTEXT_0:
            attributes = content
        elif tag == _OCTETS:
            signature = content
    return SignatureParts(certificates, attributes, _message_digest(attributes), signature, len(_items(contents[0])) == 1)


def _message_digest(attributes: bytes) -> bytes:
    for _, attribute, _ in _items(attributes):
        name, values = _items(attribute)[:2]
        if name[:2] == (_OID, _MESSAGE_DIGEST):
            return _items(values[1])[0][1]
    raise SigningError("the signature has no message digest among its signed attributes")


def signed_attributes_digest(parts: SignatureParts) -> bytes:
    """The bytes that the key signed: the signed attributes as a SET (RFC 5652, section 5.4)."""
    length = len(parts.signed_attributes)
    if length < 0x80:
        return bytes([_SET, length]) + parts.signed_attributes
    size = (length.bit_length() + 7) // 8
    return bytes([_SET, 0x80 | size]) + length.to_bytes(size, "big") + parts.signed_attributes
