"""OpenTimestamps proofs (.ots): that a digest stood before a Bitcoin block. The format read, written, joined and computed. Pure.

Enters: bytes of a proof. Leaves: what it comes to: for each end of it a calendar's promise, or a block's height and the Merkle root that the block's header must have. Format: that of
OpenTimestamps' own library and server (version 1 of the proof, `application/vnd.opentimestamps.v1`). A proof comes from strangers, so its depth, its numbers and its messages are
bounded. Left out: hashing with SHA-1 and Keccak beyond what proofs use, attestations of other chains (kept, and named as unknown), and whether a header is the chain's: `verify` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.model.message import grouped, message

MAGIC = bytes.fromhex("004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294")
VERSION = 1
PENDING, BITCOIN = bytes.fromhex("83dfe30d2ef90c8e"), bytes.fromhex("0588960d73d71901")
_APPEND, _PREPEND, _REVERSE, _HEXLIFY = 0xF0, 0xF1, 0xF2, 0xF3
_HASHES = {0x02: "sha1", 0x03: "ripemd160", 0x08: "sha256"}
SHA256 = 0x08
MOST_MESSAGE_BYTES = 4096
MOST_PAYLOAD_BYTES = 8192
MOST_URL_CHARACTERS = 1000
MOST_DEPTH = 256
MOST_STEPS = 4096
MOST_PROOF_BYTES = 1 << 16


class ProofUnreadable(ValueError):
    """The bytes are no proof, or one beyond the limits."""


@dataclass(frozen=True)
class Promise:
    """A calendar says that it will have the message stamped: its word alone."""

    url: str


@dataclass(frozen=True)
class InBlock:
    """The message is the Merkle root in the header of a Bitcoin block."""

    height: int


@dataclass(frozen=True)
class Unknown:
    """Another attestation: kept as it is, judged by nobody here."""

    tag: bytes
    payload: bytes


Attestation = Promise | InBlock | Unknown
Operation = tuple[int, bytes]
"""Its number, and its argument where it has one."""


@dataclass
class Timestamp:
    """A message, what attests it, and what is made of it further on."""

    message: bytes
    attestations: list[Attestation] = field(default_factory=list)
    operations: dict[Operation, Timestamp] = field(default_factory=dict)

    def ends(self) -> Iterable[tuple[bytes, Attestation]]:
        """Every attestation with the message that it attests."""
        waiting = [self]
        while waiting:
            stamp = waiting.pop()
            for attestation in stamp.attestations:
                yield stamp.message, attestation
            waiting += stamp.operations.values()

    def join(self, other: Timestamp) -> None:
        """Take in what another timestamp of the same message knows. Raises ProofUnreadable for one of another message."""
        if other.message != self.message:
            raise ProofUnreadable(message("it is of another message"))
        self.attestations += [attestation for attestation in other.attestations if attestation not in self.attestations]
        for operation, stamp in other.operations.items():
            if operation in self.operations:
                self.operations[operation].join(stamp)
            else:
                self.operations[operation] = stamp

    def upgraded(self, replies: dict[bytes, Timestamp]) -> None:
        """Put a calendar's answers in place of its promises, by the message that it had promised to stamp."""
        waiting = [self]
        while waiting:
            stamp = waiting.pop()
            waiting += stamp.operations.values()
            if stamp.message in replies:
                stamp.attestations = [found for found in stamp.attestations if not isinstance(found, Promise)]
                stamp.join(replies[stamp.message])


def read_proof(raw: bytes) -> Timestamp:
    """The timestamp of the SHA-256 that a .ots file is about. Raises ProofUnreadable."""
    if len(raw) > MOST_PROOF_BYTES:
        raise ProofUnreadable(message("{size} bytes are more than a proof has", size=grouped(len(raw))))
    reader = _Reader(raw)
    if reader.take(len(MAGIC)) != MAGIC:
        raise ProofUnreadable(message("it is no proof of OpenTimestamps"))
    if (version := reader.number()) != VERSION:
        raise ProofUnreadable(message("version {version} of the format is not known here", version=version))
    if reader.take(1)[0] != SHA256:
        raise ProofUnreadable(message("it is not about a SHA-256"))
    stamp = reader.timestamp(reader.take(32))
    reader.end()
    return stamp


def write_proof(stamp: Timestamp) -> bytes:
    """The .ots file of the timestamp of a SHA-256."""
    return MAGIC + _number(VERSION) + bytes([SHA256]) + stamp.message + write_timestamp(stamp)


def read_timestamp(raw: bytes, stamped: bytes) -> Timestamp:
    """What a calendar answers about a message. Raises ProofUnreadable."""
    if len(raw) > MOST_PROOF_BYTES:
        raise ProofUnreadable(message("{size} bytes are more than a calendar answers", size=grouped(len(raw))))
    reader = _Reader(raw)
    stamp = reader.timestamp(stamped)
    reader.end()
    return stamp


def write_timestamp(stamp: Timestamp) -> bytes:
    """A timestamp without its message, in the order of the format: so the same content has the same bytes."""
    items = sorted(b"\0" + _attestation(attestation) for attestation in stamp.attestations)
    items += [_operation(operation) + write_timestamp(below) for operation, below in sorted(stamp.operations.items())]
    if not items:
        raise ProofUnreadable(message("nothing attests it"))
    return b"".join(b"\xff" + item for item in items[:-1]) + items[-1]


def _attestation(attestation: Attestation) -> bytes:
    match attestation:
        case Promise(url):
            return PENDING + _bytes(_bytes(url.encode()))
        case InBlock(height):
            return BITCOIN + _bytes(_number(height))
        case Unknown(tag, payload):
            return tag + _bytes(payload)


def _operation(operation: Operation) -> bytes:
    number, argument = operation
    return bytes([number]) + (_bytes(argument) if number in (_APPEND, _PREPEND) else b"")


def apply(operation: Operation, stamped: bytes) -> bytes:
    """What the operation makes of the message. Raises ProofUnreadable for one that is not known, or beyond the limits."""
    number, argument = operation
    if number == _APPEND:
        made = stamped + argument
    elif number == _PREPEND:
        made = argument + stamped
    elif number == _REVERSE:
        made = stamped[::-1]
    elif number == _HEXLIFY:
        made = stamped.hex().encode()
    elif number in _HASHES:
        try:
            made = hashlib.new(_HASHES[number], stamped).digest()
        except ValueError as error:
            raise ProofUnreadable(message("{name} is not computed on this machine", name=_HASHES[number])) from error
    else:
        raise ProofUnreadable(message("operation {number} is not known here", number=format(number, "#04x")))
    if not 0 < len(made) <= MOST_MESSAGE_BYTES:
        raise ProofUnreadable(message("a message of {size} bytes is beyond the format's limit", size=len(made)))
    return made


class _Reader:
    """Reads one structure after another. Raises ProofUnreadable where the bytes end, or say what the format does not allow."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at, self._steps = raw, 0, 0

    def take(self, size: int) -> bytes:
        found = self._raw[self._at : self._at + size]
        if len(found) != size:
            raise ProofUnreadable(message("it ends too early"))
        self._at += size
        return found

    def end(self) -> None:
        if self._at != len(self._raw):
            raise ProofUnreadable(message("{size} bytes follow its end", size=len(self._raw) - self._at))

    def number(self) -> int:
        found = shift = 0
        while True:
            byte = self.take(1)[0]
            found |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return found
            if shift > 63:
                raise ProofUnreadable(message("a number has more than 64 bits"))

    def packed(self, most: int, least: int = 0) -> bytes:
        size = self.number()
        if not least <= size <= most:
            raise ProofUnreadable(message("{size} bytes where {least} to {most} may stand", size=size, least=least, most=most))
        return self.take(size)

    def timestamp(self, stamped: bytes, depth: int = 0) -> Timestamp:
        if depth > MOST_DEPTH:
            raise ProofUnreadable(message("it is nested beyond the format's limit"))
        stamp = Timestamp(stamped)
        tag = self.take(1)[0]
        while tag == 0xFF:
            self._item(stamp, self.take(1)[0], depth)
            tag = self.take(1)[0]
        self._item(stamp, tag, depth)
        return stamp

    def _item(self, stamp: Timestamp, tag: int, depth: int) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise ProofUnreadable(message("it has more steps than any proof"))
        if tag == 0:
            stamp.attestations.append(self._attestation())
            return
        operation = tag, self.packed(MOST_MESSAGE_BYTES, 1) if tag in (_APPEND, _PREPEND) else b""
        below = self.timestamp(apply(operation, stamp.message), depth + 1)
        if operation in stamp.operations:
            raise ProofUnreadable(message("a step stands in it twice"))
        stamp.operations[operation] = below

    def _attestation(self) -> Attestation:
        tag = self.take(8)
        payload = self.packed(MOST_PAYLOAD_BYTES)
        inner = _Reader(payload)
        if tag == PENDING:
            raw = inner.packed(MOST_URL_CHARACTERS, 1)
            inner.end()
            if not all(0x21 <= byte <= 0x7E for byte in raw):
                raise ProofUnreadable(message("a calendar's address has characters that none has"))
            return Promise(raw.decode("ascii"))
        if tag == BITCOIN:
            height = inner.number()
            inner.end()
            return InBlock(height)
        return Unknown(tag, payload)


def _number(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _bytes(content: bytes) -> bytes:
    return _number(len(content)) + content
