"""What the root key says of keys, stream by stream: where it begins to count, which keys it grants, replaces and revokes (ADR 14).

Enters: the settings, a log opened with the root's private key, a clock. Leaves: `keys-root`, `key-granted` and `key-revoked` events in every stream of the pool that they
speak of, durable when a call returns. A call that was broken off is made again: what a stream says already is not said twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.log.authenticity import Grant, StreamState
from pipeline.log.events import content_digest, encode
from pipeline.log.events.keys import KeyEvent, KeyGranted, KeyRevoked, KeysRoot, Role
from pipeline.log.protocol import EventLog, Topic, append_shared
from pipeline.log.read import Streams, batches
from pipeline.log.roles import ROLES_IN
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.reason import require_reason
from pipeline.settings import Settings

Place = tuple[Topic, str]
"""A stream: topic and key."""


@dataclass(frozen=True)
class KnownKey:
    """A key as the pool's streams know it."""

    public: str
    owner: str
    roles: list[str]
    is_in_force: bool
    """In some stream."""
    streams: list[str]
    """Where it is in force."""


def places(settings: Settings) -> list[Place]:
    """Every stream that the pool's processes write to."""
    pool = settings.pool.key
    found: list[Place] = [("months", pool), ("ledger", pool), ("registry", pool)]
    return found + [("chain", f"{pool}/{chain}") for chain in sorted(settings.chains)]


class PoolKeys:
    """The keys of one pool's log."""

    def __init__(self, settings: Settings, log: EventLog, now: Callable[[], int]) -> None:
        """Raises SettingsError when the settings name no root key."""
        if log.keys is None:
            raise SettingsError(
                [message("keys.root: is not set: `esep keys make root` makes one and says what to put there")], source="esep keys"
            )
        self._root = log.keys.root
        self._settings = settings
        self._log = log
        self._now = now

    def states(self) -> dict[Place, StreamState]:
        """What is known of each of the pool's streams, read from the log's first event on."""
        keys = self._log.keys
        assert keys is not None
        streams = Streams(keys)
        for records in batches(self._log):
            for record in records:
                streams.judge(record)
        wanted = dict.fromkeys([*places(self._settings), *streams.found])
        return {place: (streams.found.get(place) or keys.begin(*place)).state for place in wanted}  # type: ignore[misc]

    def start(self, *, by: str, reason: str) -> dict[Place, StreamState]:
        """Let the root key count from here on, in every stream where it does not yet; those, with what stood there before."""
        begun = {place: state for place, state in self.states().items() if not state.is_in_force}
        at = self._now()
        for place in begun:
            self._say(place, KeysRoot(id=f"keys-root:{self._root}", root=self._root, by=by, reason=reason, at=at))
        return begun

    def grant(self, key: str, owner: str, roles: Sequence[Role], *, by: str, reason: str, replaces: str | None = None) -> list[Place]:
        """Let a key write what its roles allow; the streams where that is new. With `replaces` another key is revoked there."""
        if key == self._root:
            raise SettingsError([message("the root key signs keys alone: make another one for this")], source="esep keys")
        at, said = self._now(), []
        for place, state in self._in_force().items():
            held = state.grants.get(key)
            is_wanted = any(role in ROLES_IN[place[0]] for role in roles)
            is_held = held is not None and held.until is None and held.owner == owner and sorted(held.roles) == sorted(roles)
            is_replacing = replaces is not None and _is_active(state.grants.get(replaces))
            if (not is_wanted or is_held) and not is_replacing:
                continue
            id_ = f"key-granted:{content_digest([key, owner, sorted(roles), replaces, at])[:40]}"
            self._say(place, KeyGranted(id=id_, key=key, owner=owner, roles=list(roles), replaces=replaces, by=by, reason=reason, at=at))
            said.append(place)
        return said

    def rotate(self, old: str, new: str, *, by: str, reason: str) -> list[Place]:
        """Put a new key in an old one's place: the same owner and roles. Raises SettingsError when the old one is not in force."""
        held = next((state.grants[old] for state in self.states().values() if _is_active(state.grants.get(old))), None)
        if held is None:
            raise SettingsError([message("{old}: no such key is in force: `esep keys list`", old=old)], source="esep keys rotate")
        roles: list[Role] = held.roles  # type: ignore[assignment]
        return self.grant(new, held.owner, roles, by=by, reason=reason, replaces=old)

    def revoke(self, key: str, *, by: str, reason: str) -> list[Place]:
        """Let a key write nothing more; the streams where that is new."""
        at, said = self._now(), []
        for place, state in self._in_force().items():
            if _is_active(state.grants.get(key)):
                self._say(place, KeyRevoked(id=f"key-revoked:{content_digest([key, at])[:40]}", key=key, by=by, reason=reason, at=at))
                said.append(place)
        return said

    def known(self) -> list[KnownKey]:
        """Every key that was ever granted anything, by owner."""
        found: dict[str, KnownKey] = {}
        for (topic, key), state in self.states().items():
            for public, grant in state.grants.items():
                before = found.get(public)
                where = [*(before.streams if before else []), *([f"{topic}/{key}"] if grant.until is None else [])]
                found[public] = KnownKey(public, grant.owner, sorted(grant.roles), bool(where), where)
        return sorted(found.values(), key=lambda known: (not known.is_in_force, known.owner, known.public))

    def _in_force(self) -> dict[Place, StreamState]:
        """The streams where the root key counts. Raises SettingsError when there is none."""
        found = {place: state for place, state in self.states().items() if state.is_in_force}
        if not found:
            raise SettingsError([message("the root key counts nowhere yet: `esep keys start` begins it")], source="esep keys")
        return found

    def _say(self, place: Place, event: KeyEvent) -> None:
        require_reason(event.reason, "esep keys")
        append_shared(self._log, *place, [encode(event)])


def _is_active(grant: Grant | None) -> bool:
    return grant is not None and grant.until is None
