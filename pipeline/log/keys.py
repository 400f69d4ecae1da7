"""The keys of an opened log: the root key that counts, and the private keys at hand, by which appends are signed (ADR 14).

Enters: the root key's public half, private keys, the state of the stream that is appended to. Leaves: the same events, signed; or a LogError that says who may not
write what, before anything is written. Left out: files and passwords (`app.open_keys`), and when a stream is read (the log's own part).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from pipeline.model.errors import LogError
from pipeline.model.message import joined, message
from pipeline.model.typed import decoder

from .authenticity import Stream
from .records import NewEvent
from .roles import KEY_TAGS, ROLES_IN, why_not
from .signatures import event_digest, parts_of, public_of, running_digest, sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class _Agreed(msgspec.Struct):
    by: str


class _Head(msgspec.Struct):
    """As much of an event as tells who may write it."""

    type: str
    by: str = ""
    agreed: _Agreed | None = None
    """Of an import that a person agreed to."""


_head = decoder(_Head)


class LogKeys:
    """The keys in force for one log. Immutable; threads may share it."""

    def __init__(self, root: str, pool: str, ring: Iterable[Ed25519PrivateKey] = (), *, locked: Sequence[str] = ()) -> None:
        """`root`: the root key's public half, hex. `ring`: private keys at hand, the root key's too where keys are granted; none to read alone.
        `locked`: files of keys that could not be opened, for messages."""
        self.root = root
        self.pool = pool
        self._locked = locked
        self._ring = {public_of(private).hex(): private for private in ring}

    def begin(self, topic: str, key: str, state: bytes | None = None) -> Stream:
        """A stream's beginning, or where `state` (`Stream.save`) stands."""
        return Stream(self.root, topic, key, state=state)

    def is_ours(self, key: str) -> bool:
        """Whether a (topic, key) is one of the pool's streams: nobody signs others."""
        return key == self.pool or key.startswith(f"{self.pool}/")

    def owners(self, stream: Stream, role: str) -> list[str]:
        """Whose keys at hand have a role in a stream, sorted."""
        grants = stream.state.grants
        held = {grants[key].owner for key in self._ring if key in grants and grants[key].until is None and role in grants[key].roles}
        return sorted(held)

    def signed(self, stream: Stream, events: Sequence[NewEvent]) -> list[NewEvent]:
        """The events as they are to be appended next to `stream`, signed by the keys that may. Raises LogError when there is none."""
        state = stream.state
        number, previous = state.number, state.digest
        found: list[NewEvent] = []
        for signer, run in groupby(self._signers(stream, events), key=lambda pair: pair[0]):
            private = self._ring[signer]
            for part in parts_of([event for _, event in run]):
                number += 1
                digests = [event_digest(event) for event in part]
                signature = sign(private, state.topic, state.key, number, previous, digests)
                previous = running_digest(state.topic, state.key, signature.signer, number, previous, digests)
                found += [part[0]._replace(signature=signature.pack()), *part[1:]]
        return found

    def _signers(self, stream: Stream, events: Sequence[NewEvent]) -> list[tuple[str, NewEvent]]:
        """Each event with the key that signs it, hex."""
        state = stream.state
        place = message("{topic} of {key}", topic=state.topic, key=repr(state.key))
        by_topic: str | None = None
        chosen: list[tuple[str, NewEvent]] = []
        in_force = state.is_in_force
        for event in events:
            if state.topic != "months" and by_topic is not None:
                chosen.append((by_topic, event))
                continue
            head = _head.decode(event.value)
            if head.type in KEY_TAGS:
                if self.root not in self._ring:
                    raise LogError(
                        message(
                            "{place}: only the root key writes {type}, and it is not at hand: name its file with --root-key",
                            place=place,
                            type=repr(head.type),
                        )
                    )
                in_force = True
                chosen.append((self.root, event))
                continue
            if not in_force:
                raise LogError(
                    message(
                        "{place}: [keys] root names a root key, and no key is granted here yet, so nothing of it would be authentic: `esep keys start` begins it",
                        place=place,
                    )
                )
            signer = self._signer(stream, head)
            if state.topic != "months":
                by_topic = signer
            chosen.append((signer, event))
        return chosen

    def _signer(self, stream: Stream, head: _Head) -> str:
        """The key that may write an event of this type and name, hex. Raises LogError with why each one at hand may not."""
        state = stream.state
        wanted = ROLES_IN.get(state.topic, ())  # type: ignore[call-overload]
        refused = []
        for key in sorted(self._ring):
            grant = state.grants.get(key)
            if grant is None or grant.until is not None:
                continue
            why = why_not(state.topic, head.type, head.by, grant.owner, grant.roles)
            if not why and head.agreed is not None and head.agreed.by != grant.owner:
                why = message("{by} agreed to it, and this is the key of {owner}", by=repr(head.agreed.by), owner=repr(grant.owner))
            if not why:
                return key
            refused.append(why)
        reasons = joined("; ", refused) or message(
            "none at hand is granted anything there (wanted: {wanted})", wanted=joined(message(" or "), wanted)
        )
        if self._locked:
            reasons += message("; {locked} could not be opened (ESEP_KEYS_PASSWORD)", locked=", ".join(self._locked))
        raise LogError(
            message(
                "{topic} of {key}: no key may write this {type}, nothing was appended: {reasons}; `esep keys list` shows the keys",
                topic=state.topic,
                key=repr(state.key),
                type=repr(head.type),
                reasons=reasons,
            )
        )
