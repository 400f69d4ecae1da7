"""Who acts: with keys in force, `--by` is the owner of a key at hand (ADR 14).

Enters: the name given, perhaps none; the log's keys. Leaves: the person's name, or a refusal before anything is computed. Without a root key anybody's name is taken as
it is given, and one is needed. Left out: the signature itself (`log.keys` takes the key of the person named, and the log's readers check it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline.closing.diary import Diary
from pipeline.log.events import AnyEvent
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader
from pipeline.model.errors import LogError, SettingsError, SigningError
from pipeline.model.message import message

KeyRole = Literal["decide", "import", "agree", "file"]
"""What a key is needed for in the console: the roles of keys, and `agree`: to import in the name of a person who agreed to what is odd."""


class People:
    """The people whose keys are at hand for one pool's log."""

    def __init__(self, log: EventLog, pool: str, diary: Diary) -> None:
        self._log = log
        self._pool = pool
        self._diary = diary

    @property
    def are_all_taken(self) -> bool:
        """Whether anybody's name is taken as it is given: no root key is in force."""
        return self._log.keys is None

    def decider(self, by: str) -> str:
        """Who decides: `by`, or the one owner of a key at hand for `decide`. Raises SettingsError without a name, LogError for another's."""
        return _person(by, self._diary.deciders(), "decide")

    def importer(self, by: str, *, is_needed: bool = True) -> str:
        """Who agrees to an import: as `decider`, for the roles `import` and `capture`. Reads the stream of the ledger where keys are in force.

        Not `is_needed`: "" where no name is given and none follows from the keys.
        """
        owners = self._importers()
        if not is_needed and not by.strip() and (owners is None or len(owners) != 1):
            return ""
        return _person(by, owners, "import")

    def hindrance(self, person: str, role: KeyRole = "decide") -> str:
        """Why a person who is signed in to the console can do nothing in it that needs a key of this role, in words; "" where nothing hinders them.

        The console signs with the keys on its own machine, and a key signs in its owner's name alone (ADR 14). What is imported and filed has no name that a key must be of, so any key of the role will do.
        """
        if role == "import" or role == "agree":
            owners, role_of_key = self._importers(), "import"
        else:
            owners, role_of_key = self._diary.owners(role), role
        if owners is None or person in owners or (owners and role in ("import", "file")):
            return ""
        if not owners:
            return message(
                "[keys] root is in force, and no key on the console's machine has the role {role} here: nobody does this in the console before there is one. On this machine: esep keys make NAME, then where the root key is: esep keys grant PUBLIC --owner {owner} --role {role}; where nothing is signed yet, esep keys start before that.",
                role=role_of_key, owner=repr(person) if role in ("decide", "agree") else "NAME",
            )  # fmt: skip
        if role == "agree":
            return message(
                "[keys] root is in force: what needs a person's agreement is imported here by {owners} alone, whose keys for it lie on this machine. {person} imports it by command where their own key lies.",
                owners=", ".join(owners), person=person,
            )  # fmt: skip
        return message(
            "[keys] root is in force: the console signs with the keys on its machine, which are of {owners}, and each signs in its owner's name alone. {person} can look at everything here and decide nothing: sign in under one of these names, or decide by command where your own key lies.",
            owners=", ".join(owners), person=person,
        )  # fmt: skip

    def require_key(self, person: str, role: KeyRole) -> None:
        """Raises SigningError with `hindrance`, before anything is computed."""
        told = self.hindrance(person, role)
        if told:
            raise SigningError(told)

    def _importers(self) -> list[str] | None:
        if self._log.keys is None:
            return None
        reader: KeyReader[AnyEvent] = KeyReader(self._log, "ledger", self._pool, ())
        for _ in reader.new():
            pass
        assert reader.stream is not None
        return sorted({owner for role in ("import", "capture") for owner in self._log.keys.owners(reader.stream, role)})


def _person(by: str, owners: Sequence[str] | None, role: str) -> str:
    """`owners`: whose keys at hand have the role; None where no keys are in force."""
    by = by.strip()
    if owners is None:
        if not by:
            raise SettingsError([message("--by: give the name of the person who says so; it stands in the log")], source="")
        return by
    if not owners:
        raise LogError(
            message(
                "--by: no key at hand is granted the role {role}, and [keys] root wants one: `esep keys list` shows the keys, `esep keys grant` grants a role, `esep keys start` begins where nothing is signed yet",
                role=role,
            )
        )
    if not by and len(owners) > 1:
        raise LogError(message("--by: several people's keys are at hand: say whose decision it is: {owners}", owners=", ".join(owners)))
    if by and by not in owners:
        raise LogError(
            message(
                "--by: {by} has no key at hand for the role {role}: the keys here are of {owners}, and each signs in its owner's name alone",
                by=repr(by),
                role=role,
                owners=", ".join(owners),
            )
        )
    return by or owners[0]
