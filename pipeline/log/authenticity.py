"""A walk through one stream (the events of one topic and key): which of its events count, and why others don't (ADR 14, laws 2 and 8). Pure.

Enters: a stream's records from its first to its last, and the root key. Leaves: a `Verdict` on each, a function of the records up to it alone; and the state
between two records, which can be kept and taken up again. Before the stream's `keys-root` every event counts: it is of before keys. After it:

- an event without a valid signature of a key that was granted the role for it counts for nothing;
- an append whose number came already is a replay, or out of order: it counts for nothing;
- an append whose number skips some, or that stands on another digest than ours, counts, for its signature holds, and so do the events that follow a missing one in an
  append: that something was removed or changed before it is its fault, and is told.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from pipeline.model.message import joined, message
from pipeline.model.typed import decoder, msgpack_decoder

from .events import decode
from .events.keys import KeyGranted, KeyRevoked, KeysRoot
from .records import Record
from .roles import ROLES_IN, why_not
from .signatures import AppendSignature, digest_if_signed, event_digest, unpack, unsigned_digest

MOST_SKIPPED = 1 << 32
"""How many appends may be missing before one: a granted key must not be able to use up the numbers."""
BEGIN = bytes(32)
"""The running digest before a stream's first event."""


class Grant(msgspec.Struct):
    """What a stream says of a key."""

    owner: str
    roles: list[str]
    since: int
    """The number of the append that granted it."""
    until: int | None = None
    """The number of the append that revoked it; None while it is in force."""


class StreamState(msgspec.Struct):
    """What is known of a stream after some of its records: kept where its positions are kept, never anywhere else (law 4)."""

    root: str
    """The root key, hex."""
    topic: str
    key: str
    is_in_force: bool = False
    """Whether the root key's `keys-root` was read."""
    number: int = 0
    """Of the newest append that holds."""
    digest: bytes = BEGIN
    """The running digest after it."""
    before_keys: int = 0
    """How many events stand before the `keys-root`."""
    refused: int = 0
    """How many events count for nothing."""
    grants: dict[str, Grant] = {}
    """By public key, hex."""
    signer: str = ""
    """Who signed the newest append, hex."""
    awaited: list[bytes] = []
    """The digests of its events that were not read yet."""


class SignedEvent(NamedTuple):
    """A decision, or what the root key said, with the signature that covers it: enough to check it without its stream."""

    topic: str
    key: str
    id: str
    type: str
    value: bytes
    signature: bytes


_states = msgpack_decoder(StreamState)


def read_state(content: bytes) -> StreamState:
    """What `Stream.save` wrote."""
    return _states.decode(content)


class Verdict(NamedTuple):
    """What is to be made of a record."""

    counts: bool
    fault: str = ""
    """What is wrong, in words; not empty when it does not count, and where something before it is missing."""


_COUNTS = Verdict(True)


class _Head(msgspec.Struct):
    """As much of a decision as tells whether its signer may say it."""

    type: str
    by: str = ""


_head = decoder(_Head)


class Stream:
    """One stream, looked through record by record."""

    def __init__(self, root: str, topic: str, key: str, *, state: bytes | None = None) -> None:
        """`state`: from `save`, of the same stream under the same root key; a stream's beginning without it."""
        self.state = StreamState(root, topic, key) if state is None else read_state(state)
        self.proof: bytes | None = None
        """The packed signature that covers the record judged last; None when none does."""
        self._root = bytes.fromhex(root)
        self._awaited = deque(self.state.awaited)
        self._roles_wanted = ROLES_IN.get(topic, ())  # type: ignore[call-overload]
        self._grant: Grant | None = self.state.grants.get(self.state.signer)

    def save(self) -> bytes:
        """The state, to be taken up by another `Stream`."""
        self.state.awaited = list(self._awaited)
        return msgspec.msgpack.encode(self.state)

    def judge(self, record: Record) -> Verdict:
        """The verdict on the stream's next record."""
        verdict = self._judged(record)
        if not verdict.counts:
            self.state.refused += 1
        return verdict

    def _judged(self, record: Record) -> Verdict:
        if not self.state.is_in_force:
            return self._before_keys(record)
        digest = event_digest(record)
        if record.signature is None:
            return self._within(record, digest)
        try:
            found = unpack(record.signature)
        except ValueError as error:
            return Verdict(False, str(error))
        fault = self._why_no_append(found)
        if fault:
            return Verdict(False, fault)
        after = digest_if_signed(found, self.state.topic, self.state.key)
        if after is None:
            return Verdict(False, message("its signature does not hold in this place"))
        gap = self._gap(found)
        self._take_up(record, found, after)
        if found.digests[0] != digest:
            return Verdict(False, message("it was changed after it was signed") + (f"; {gap}" if gap else ""))
        return self._said(record, gap)

    def _before_keys(self, record: Record) -> Verdict:
        """An event of before keys counts; the root key's own word begins the stream of signed ones."""
        state = self.state
        if record.signature is not None and (found := _unpacked(record.signature)) is not None and found.signer == self._root:
            event = _decoded(record)
            if isinstance(event, KeysRoot) and event.root == state.root and found.digests[0] == event_digest(record):
                after = digest_if_signed(found, state.topic, state.key)
                if after is not None:
                    is_known = found.previous == state.digest
                    state.is_in_force = True
                    self._take_up(record, found, after)
                    return (
                        _COUNTS
                        if is_known
                        else Verdict(True, message("what stands before it is not what the root key's holder found there"))
                    )
        state.digest = unsigned_digest(state.digest, event_digest(record))
        state.before_keys += 1
        self.proof = None
        return _COUNTS

    def _why_no_append(self, found: AppendSignature) -> str:
        """Why no append may stand here that is signed so; "" when it may."""
        state = self.state
        if found.number <= state.number:
            return message(
                "it is append {number}, and append {number_2} was read before: it was repeated, or stands out of order",
                number=found.number,
                number_2=state.number,
            )
        if found.number > state.number + MOST_SKIPPED:
            return message("it is append {number}, and append {number_2} was the last one", number=found.number, number_2=state.number)
        if found.signer == self._root:
            return ""
        grant = state.grants.get(found.signer.hex())
        if grant is None:
            return message("no key {signer}… was granted here", signer=found.signer.hex()[:16])
        if grant.until is not None:
            return message("the key of {owner} was revoked by append {until}", owner=repr(grant.owner), until=grant.until)
        if not any(role in grant.roles for role in self._roles_wanted):
            return message(
                "the key of {owner} is for {roles}, not for {roles_wanted}",
                owner=repr(grant.owner),
                roles=", ".join(sorted(grant.roles)),
                roles_wanted=joined(message(" or "), self._roles_wanted),
            )
        return ""

    def _gap(self, found: AppendSignature) -> str:
        """What is missing before an append; "" when nothing is."""
        state = self.state
        if found.number != state.number + 1:
            first, last = state.number + 1, found.number - 1
            return message("what stood before it is missing: append {first}", first=first) + (
                message(" to {last}", last=last) if last > first else ""
            )
        if found.previous != state.digest:
            return message("it stands on another history than the one read: what stood before it was changed")
        if self._awaited:
            return message(
                "what stood before it is missing: {count} event(s) of append {number}", count=len(self._awaited), number=state.number
            )
        return ""

    def _take_up(self, record: Record, found: AppendSignature, after: bytes) -> None:
        """Go on from an append that holds."""
        self.state.number, self.state.digest, self.state.signer = found.number, after, found.signer.hex()
        self._awaited = deque(found.digests[1:])
        self._grant = self.state.grants.get(self.state.signer)
        self.proof = record.signature

    def _within(self, record: Record, digest: bytes) -> Verdict:
        """An event without a signature of its own: one of those that the append's names."""
        awaited = self._awaited
        missing = ""
        if not awaited or awaited[0] != digest:
            try:
                skipped = awaited.index(digest)
            except ValueError:
                return Verdict(False, message("nobody signed it"))
            missing = message(
                "what stood before it is missing: {skipped} event(s) of append {number}", skipped=skipped, number=self.state.number
            )
            for _ in range(skipped):
                awaited.popleft()
        awaited.popleft()
        return self._said(record, missing)

    def _said(self, record: Record, fault: str) -> Verdict:
        """The verdict on an event whose signer is known: whether that key may say it."""
        if self._grant is None:
            why = self._take_key(record)
        elif self.state.topic == "months":
            why = self._why_not(record, self._grant)
        else:
            why = ""  # all that a topic holds is for the same roles, which were asked for with the append
        if why:
            return Verdict(False, message("{why}; {fault}", why=why, fault=fault) if fault else why)
        return Verdict(True, fault) if fault else _COUNTS

    def _why_not(self, record: Record, grant: Grant) -> str:
        try:
            head = _head.decode(record.value)
        except (ValueError, RecursionError):
            return ""  # it can't be read at all: for whoever decodes it to say
        return why_not(self.state.topic, head.type, head.by, grant.owner, grant.roles)

    def _take_key(self, record: Record) -> str:
        """Take in what the root key says of keys; why it says nothing, "" when it does."""
        state, event = self.state, _decoded(record)
        match event:
            case KeysRoot():
                return ""
            case KeyGranted():
                if event.replaces is not None:
                    self._revoke(event.replaces)
                if event.key == state.root:
                    return message("the root key can't be granted a role")
                state.grants[event.key] = Grant(event.owner, list(event.roles), state.number)
                return ""
            case KeyRevoked():
                self._revoke(event.key)
                return ""
        return message("the root key writes keys alone")

    def _revoke(self, key: str) -> None:
        grant = self.state.grants.get(key)
        if grant is not None and grant.until is None:
            grant.until = self.state.number


def _unpacked(content: bytes) -> AppendSignature | None:
    try:
        return unpack(content)
    except ValueError:
        return None


def _decoded(record: Record) -> object:
    try:
        return decode(record.value)
    except (ValueError, RecursionError):
        return None
