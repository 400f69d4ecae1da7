"""Reads a CMS signature (RFC 5652) and puts a time stamp into it: just enough DER for what was signed, by which certificate, when. Pure.

Enters: DER bytes. Leaves: the certificates, the signed attributes, the message digest, the signature's bytes, the time stamp. Left out:
indefinite lengths (BER), more than one signer, and what the parts mean: `signature` judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.errors import SigningError
from pipeline.model.message import message

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SIGNING_TIME = bytes.fromhex("2a864886f70d010905")
_TIMESTAMP = bytes.fromhex("2a864886f70d010910020e")
"""id-aa-signatureTimeStampToken (RFC 3161, appendix A)."""
_SEQUENCE, _SET, _OID, _INTEGER, _OCTETS, _CONTEXT_0, _CONTEXT_1 = 0x30, 0x31, 0x06, 0x02, 0x04, 0xA0, 0xA1
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


@dataclass(frozen=True)
class SignatureParts:
    """What a signature is made of. Algorithms and types are dotted OIDs."""

    certificates: list[bytes]
    """DER."""
    issuer: bytes
    """Of the signer's certificate: the name's DER; empty when the signer is named otherwise."""
    serial: int
    digest_algorithm: str
    signature_algorithm: str
    signed_attributes: bytes
    """Their DER, without the tag and length."""
    message_digest: bytes
    signature: bytes
    content_type: str
    content: bytes | None
    """What the signature carries; None when it is detached."""
    signed_at: int | None
    """Unix seconds, as the signer says."""
    timestamp: bytes | None
    """A time stamp's token (RFC 3161), DER."""

    @property
    def is_detached(self) -> bool:
        return self.content is None


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and the place after it. Raises SigningError for a length that does not fit."""
    try:
        tag, length, at = data[at], data[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise SigningError(message("not a DER signature: a length of another kind"))
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
    except IndexError:
        raise SigningError(message("not a DER signature: it ends too early")) from None
    if at + length > len(data):
        raise SigningError(message("not a DER signature: it ends too early"))
    return tag, data[at : at + length], at + length


def read_values(data: bytes) -> list[tuple[int, bytes, bytes]]:
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
        raise SigningError(message("not a CMS signature: another structure stands where it should be"))
    return content


def read_signature(der: bytes) -> SignatureParts:
    """The parts of a signature with one signer. Raises SigningError for anything else."""
    signed_data = read_values(_signed_data(der))
    certificates = [
        whole for tag, content, _ in signed_data if tag == _CONTEXT_0 for inner, _, whole in read_values(content) if inner == _SEQUENCE
    ]
    contents = [content for tag, content, _ in signed_data if tag == _SEQUENCE]
    signers = signed_data[-1] if signed_data else (0, b"", b"")
    if signers[0] != _SET or not contents or len(read_values(signers[1])) != 1:
        raise SigningError(message("not a CMS signature of one signer"))
    signer = read_values(read_values(signers[1])[0][1])
    algorithms = [content for tag, content, _ in signer[2:] if tag == _SEQUENCE]
    if len(signer) < 5 or signer[-1 if signer[-1][0] == _OCTETS else -2][0] != _OCTETS or len(algorithms) != 2:
        raise SigningError(message("not a CMS signature: its signer's structure is another one"))
    signed = next((content for tag, content, _ in signer if tag == _CONTEXT_0), b"")
    unsigned = next((content for tag, content, _ in signer if tag == _CONTEXT_1), b"")
    attributes = _attributes(signed)
    if _MESSAGE_DIGEST not in attributes:
        raise SigningError(message("the signature has no message digest among its signed attributes"))
    issuer, serial = _signer_of(signer[1])
    kind, carried = _content(contents[0])
    if _CONTENT_TYPE in attributes and oid_of(read_values(attributes[_CONTENT_TYPE])[0][1]) != kind:
        raise SigningError(message("the signature was made over content of another type"))
    return SignatureParts(
        certificates=certificates,
        issuer=issuer,
        serial=serial,
        digest_algorithm=oid_of(_first(algorithms[0])),
        signature_algorithm=oid_of(_first(algorithms[1])),
        signed_attributes=signed,
        message_digest=_first(attributes[_MESSAGE_DIGEST]),
        signature=next(content for tag, content, _ in signer if tag == _OCTETS),
        content_type=kind,
        content=carried,
        signed_at=_instant(attributes[_SIGNING_TIME]) if _SIGNING_TIME in attributes else None,
        timestamp=read_values(unsigned_values)[0][2] if (unsigned_values := _attributes(unsigned).get(_TIMESTAMP)) else None,
    )


def with_timestamp(der: bytes, token: bytes) -> bytes:
    """The signature with the token among its unsigned attributes, in place of any there. Raises SigningError as `read_signature`."""
    read_signature(der)
    signed_data = read_values(_signed_data(der))
    signer = [whole for tag, _, whole in read_values(read_values(signed_data[-1][1])[0][1]) if tag != _CONTEXT_1]
    attribute = _put(_SEQUENCE, _put(_OID, _TIMESTAMP) + _put(_SET, token))
    signers = _put(_SET, _put(_SEQUENCE, b"".join(signer) + _put(_CONTEXT_1, attribute)))
    inner = _put(_SEQUENCE, b"".join(whole for _, _, whole in signed_data[:-1]) + signers)
    return _put(_SEQUENCE, _put(_OID, _SIGNED_DATA) + _put(_CONTEXT_0, inner))


def signed_attributes_digest(parts: SignatureParts) -> bytes:
    """The bytes that the key signed: the signed attributes as a SET (RFC 5652, section 5.4)."""
    return _put(_SET, parts.signed_attributes)


def _signed_data(der: bytes) -> bytes:
    outer = read_values(_only(der, _SEQUENCE))
    if len(outer) < 2 or outer[0][:2] != (_OID, _SIGNED_DATA):
        raise SigningError(message("not a CMS signature: no signedData"))
    return _only(outer[1][1], _SEQUENCE)


def _signer_of(identifier: tuple[int, bytes, bytes]) -> tuple[bytes, int]:
    """Issuer and serial number; nothing for a signer that is named by its key's identifier."""
    if identifier[0] != _SEQUENCE:
        return b"", 0
    parts = read_values(identifier[1])
    if len(parts) != 2 or parts[1][0] != _INTEGER:
        raise SigningError(message("not a CMS signature: its signer's name is another structure"))
    return parts[0][2], int.from_bytes(parts[1][1], "big", signed=True)


def _content(encapsulated: bytes) -> tuple[str, bytes | None]:
    """The content's type, and the content where it is carried."""
    parts = read_values(encapsulated)
    if not parts or parts[0][0] != _OID:
        raise SigningError(message("not a CMS signature: no content type"))
    return oid_of(parts[0][1]), (_first(parts[1][1]) if len(parts) > 1 else None)


def _attributes(attributes: bytes) -> dict[bytes, bytes]:
    """The values of each attribute, DER, by the attribute's OID."""
    found = {}
    for _, attribute, _ in read_values(attributes):
        parts = read_values(attribute)
        if len(parts) != 2 or parts[0][0] != _OID or parts[1][0] != _SET or not read_values(parts[1][1]):
            raise SigningError(message("not a CMS signature: an attribute is another structure"))
        found[parts[0][1]] = parts[1][1]
    return found


def _instant(values: bytes) -> int:
    tag, text, _ = read_values(values)[0]
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(tag)
    try:
        return int(datetime.strptime(text.decode("ascii"), form or "").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise SigningError(message("not a CMS signature: its signing time is no time")) from None


def _first(values: bytes) -> bytes:
    """The content of the first value."""
    found = read_values(values)
    if not found:
        raise SigningError(message("not a CMS signature: a value is missing"))
    return found[0][1]


def oid_of(content: bytes) -> str:
    """Dotted."""
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        raise SigningError(message("not a CMS signature: an algorithm without a name"))
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def _put(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content
