"""What the page "Who did what" calls each deed, role and way of signing in, and a deed's details in words.

Enters: events of the topics `months` and `audit`. Leaves: messages, which whoever shows them translates. Pure. Left out: which deeds there are (`deeds`).
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.closing.submission import OUTCOME_WORDS
from pipeline.model.message import joined, message
from pipeline.texts import N_

ROLE_WORDS: Final = {"viewer": N_("looks"), "operator": N_("decides and files"), "approver": N_("approves"), "admin": N_("manages users")}
WAYS: Final = {
    "link": N_("one-time link"),
    "password": N_("password"),
    "passkey": N_("passkey"),
    "proxy": N_("proxy"),
    "token": N_("token"),
}
DEED_WORDS: Final = {
    "frozen": N_("frozen"), "approved": N_("approved"), "signed": N_("signed"), "submitting": N_("submission made"), "sending": N_("sent"),
    "answered": N_("answered"), "as-frozen": N_("to be filed as frozen"), "drafted": N_("further version drafted"), "label": N_("said whose address it is"),
    "waive": N_("waived an issue"), "document": N_("added a document"), "wallet-signed": N_("added a wallet's signature"),
    "source-decided": N_("decided what waited at a source"), "user-set": N_("set a user's roles"), "user-revoked": N_("ended a user's access"),
    "passkey-added": N_("added a passkey"), "passkey-revoked": N_("ended a passkey"), "key-granted": N_("granted a key"), "key-revoked": N_("revoked a key"),
    "keys-root": N_("set the root key"), "signed-in": N_("signed in"), "sign-in-failed": N_("failed to sign in"), "signed-out": N_("signed out"),
    "numbers-seen": N_("saw IINs or BINs"),
}  # fmt: skip
"""By an event's type."""
DETAIL_WORDS: Final = {
    "outflow_class": N_("class: {value}"), "digest": N_("digest: {value}"), "outcome": N_("outcome: {value}"), "receipt": N_("receipt: {value}"),
    "roles": N_("roles: {value}"), "signer": N_("signer: {value}"), "submission_id": N_("submission: {value}"), "version": N_("version: {value}"),
    "amount": N_("amount: {value}"), "name": N_("name: {value}"),
}  # fmt: skip
_OUTCOMES: Final = OUTCOME_WORDS | {
    "paid": N_("it was paid"), "not-paid": N_("it was not paid"), "accept": N_("it counts as the source says"),
    "refuse": N_("it does not count"), "dated": N_("it counts from a day on"),
}  # fmt: skip


def deed_word(kind: str) -> str:
    """What an event's type is called."""
    return message(DEED_WORDS[kind]) if kind in DEED_WORDS else kind


def role_words(role: str) -> str:
    """What a role lets a person do."""
    return message(ROLE_WORDS[role]) if role in ROLE_WORDS else role


def way_word(way: str) -> str:
    """How somebody signed in."""
    return message(WAYS[way]) if way in WAYS else way


def detail_words(name: str, value: Any) -> str:
    """A field of an event, in words."""
    shown = str(value)
    if name == "roles":
        shown = joined(", ", [role_words(role) for role in value])
    elif name == "outcome" and value in _OUTCOMES:
        shown = message(_OUTCOMES[value])
    return message(DETAIL_WORDS[name], value=shown)
