"""The console's users by the log: their roles and passkeys, and which approvals count because a passkey gave them (ADR 24). Pure.

Enters: the events of topic `months` in the log's order. Leaves: `Users`. What an approval needs: one in the name of somebody who has, or ever had, a passkey counts only with an
assertion of a passkey that is theirs at that place, over this very event, while they are an approver; so no key of a server approves for them. Others approve by name, as before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.log.events import AnyEvent
from pipeline.log.events.months import Approved
from pipeline.log.events.users import PasskeyAdded, PasskeyRevoked, UserEvent, UserRevoked, UserRole, UserSet
from pipeline.model.message import message

from .passkey import approval_challenge, assertion_fault


@dataclass
class User:
    """One user, as the log says now."""

    name: str
    roles: frozenset[UserRole] = frozenset()
    """Empty when they were revoked, or only ever given a passkey."""
    passkeys: dict[str, PasskeyAdded] = field(default_factory=dict)
    """Those in force, by credential id."""
    had_passkey: bool = False
    since: int = 0
    """When they were last set or revoked, Unix seconds."""

    @property
    def is_active(self) -> bool:
        return bool(self.roles)


@dataclass
class Users:
    """All users. `apply` events in the log's order."""

    known: dict[str, User] = field(default_factory=dict)
    """By name; those who were revoked, too."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Approvals that do not count: the event's id, and why."""

    story: list[UserEvent | Approved] = field(default_factory=list)
    """What was said of users, and the approvals by passkey that count, in the log's order: what a bundle carries (`approvals_of`)."""

    @property
    def active(self) -> list[User]:
        """Those who may sign in, by name."""
        return sorted((user for user in self.known.values() if user.is_active), key=lambda user: user.name)

    def roles_of(self, name: str) -> frozenset[UserRole]:
        user = self.known.get(name)
        return user.roles if user else frozenset()

    def holder_of(self, credential_id: str) -> tuple[User, PasskeyAdded] | None:
        """Whose passkey in force it is."""
        for user in self.known.values():
            if user.is_active and credential_id in user.passkeys:
                return user, user.passkeys[credential_id]
        return None

    def apply(self, event: AnyEvent) -> bool:
        """Take in the next event; False for an approval that does not count."""
        if isinstance(event, UserEvent):
            self.story.append(event)
        match event:
            case UserSet():
                user = self._user(event.user)
                user.roles, user.since = frozenset(event.roles), event.at
            case UserRevoked():
                user = self._user(event.user)
                user.roles, user.since = frozenset(), event.at
                user.passkeys.clear()
            case PasskeyAdded():
                if all(event.credential_id not in other.passkeys for other in self.known.values()):
                    user = self._user(event.user)
                    user.passkeys[event.credential_id] = event
                    user.had_passkey = True
            case PasskeyRevoked():
                self._user(event.user).passkeys.pop(event.credential_id, None)
            case Approved():
                fault = self.approval_fault(event)
                if fault:
                    self.refused.append((event.id, fault))
                    return False
                if event.assertion is not None:
                    self.story.append(event)
        return True

    def approvals_of(self, month: str, version: int) -> list[UserEvent | Approved]:
        """The version's approvals by passkey, after all that was said before of those who gave them; none where nobody did."""
        named = {event.by for event in self.story if isinstance(event, Approved) and (event.month, event.version) == (month, version)}
        return (
            [
                event
                for event in self.story
                if ((event.month, event.version) == (month, version) if isinstance(event, Approved) else event.user in named)
            ]
            if named
            else []
        )

    def approval_fault(self, event: Approved) -> str:
        """Why an approval that stands next in the log does not count; "" when it does."""
        user = self.known.get(event.by)
        if event.assertion is None:
            if user is not None and user.had_passkey:
                return message("{user} approves by passkey alone, and this approval carries none", user=event.by)
            return ""
        if user is None or "approver" not in user.roles:
            return message("{user} is no approver", user=event.by)
        passkey = user.passkeys.get(event.assertion.credential_id)
        if passkey is None:
            return message("the passkey is none of {user} that is in force", user=event.by)
        return assertion_fault(passkey.public_key, passkey.rp_id, approval_challenge(event), event.assertion)

    def _user(self, name: str) -> User:
        return self.known.setdefault(name, User(name))
