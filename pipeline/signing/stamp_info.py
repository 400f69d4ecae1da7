"""What a time stamp's token says (RFC 3161, section 2.4.2), read from its DER. Pure.

Enters: the content of a token. Leaves: the imprint, the instant, the nonce. Read here and not by a library: Kazakhstan's authority answers with nonces that are negative numbers, half of
them, which `rfc3161-client` refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.errors import SigningError
from pipeline.model.message import message

from .cms import oid_of, read_values

_SEQUENCE, _INTEGER, _OCTETS, _OID, _GENERALIZED_TIME = 0x30, 0x02, 0x04, 0x06, 0x18
_TIME = re.compile(r"([0-9]{14})(?:\.[0-9]*[1-9])?Z")


@dataclass(frozen=True)
class StampInfo:
    """What is stamped, and when."""

    algorithm: str
    """Of the imprint, dotted."""
    imprint: bytes
    at: int
    """Unix seconds, fractions cut off."""
    nonce: int | None


def read_stamp_info(content: bytes) -> StampInfo:
    """The parts of a TSTInfo. Raises SigningError for bytes that are none."""
    outer = read_values(content)
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        raise SigningError(message("the time stamp can't be read: it is another structure"))
    parts = read_values(outer[0][1])
    if [tag for tag, _, _ in parts[:5]] != [_INTEGER, _OID, _SEQUENCE, _INTEGER, _GENERALIZED_TIME] or parts[0][1] != b"\x01":
        raise SigningError(message("the time stamp can't be read: it is another structure"))
    imprint = read_values(parts[2][1])
    if [tag for tag, _, _ in imprint] != [_SEQUENCE, _OCTETS]:
        raise SigningError(message("the time stamp can't be read: its imprint is another structure"))
    algorithm = read_values(imprint[0][1])
    if not algorithm or algorithm[0][0] != _OID:
        raise SigningError(message("the time stamp can't be read: its imprint's algorithm has no name"))
    nonces = [value for tag, value, _ in parts[5:] if tag == _INTEGER]
    return StampInfo(
        oid_of(algorithm[0][1]), imprint[1][1], _instant(parts[4][1]), int.from_bytes(nonces[0], "big", signed=True) if nonces else None
    )


def _instant(text: bytes) -> int:
    found = _TIME.fullmatch(text.decode("ascii", "replace"))
    try:
        return int(datetime.strptime(found[1] if found else "", "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise SigningError(message("the time stamp can't be read: its time is none")) from None
