"""Approvals forged: a server that can write anything beside a bundle approves nothing without the approver's passkey (ADR 24)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.log.events import encode
from pipeline.log.events.ledger import Complete
from pipeline.log.events.months import Approved
from pipeline.log.events.users import PasskeyRevoked, UserSet
from pipeline.signing.passkey import approval_challenge
from pipeline.verify.shapes import APPROVALS
from tests.passkeys import SoftPasskey

from .forger import came_to, manifest_of

THEIRS, SERVERS = SoftPasskey("B. Approver"), SoftPasskey("B. Approver")
SET = UserSet(id="user-set:b", user="B. Approver", roles=["approver"], by="Admin", reason="joins", at=1)


def approved(bundle: Path, passkey: SoftPasskey = THEIRS, **more: Any) -> Approved:
    """An approval of the bundle's report by a passkey."""
    manifest = manifest_of(bundle)
    event = Approved(
        id="approved:1",
        month=manifest["month"],
        version=manifest["version"],
        digest=manifest["digest"],
        by="B. Approver",
        reason="ok",
        at=9,
    )
    event = replace(event, **more)
    return replace(event, assertion=passkey.answer(approval_challenge(event)))


def write(bundle: Path, *events: Any) -> None:
    """Lay the events beside the bundle."""
    (bundle / APPROVALS).write_bytes(b"".join(encode(event).value + b"\n" for event in events))


def judged(bundle: Path, *events: Any) -> tuple[set[str], str, int]:
    write(bundle, *events)
    return came_to(bundle, "approvals")


def test_an_approval_by_passkey_is_proved_offline(bundle: Path) -> None:
    assert came_to(bundle, "approvals") == (set(), "", 0), "a bundle without approvals is as good as before"
    failing, said, code = judged(bundle, SET, THEIRS.added(), approved(bundle))
    assert (failing, code) == (set(), 0), said


REVOKED = PasskeyRevoked(id="r", user="B. Approver", credential_id=THEIRS.credential_id, by="Admin", reason="lost", at=3)
OTHER = Complete(id="c", through="2026-10-31")
FORGERIES: dict[str, tuple[Callable[[Path], list[Any]], str]] = {
    "without an assertion": (lambda b: [SET, THEIRS.added(), replace(approved(b), assertion=None)], "no assertion"),
    "by a key of the server": (lambda b: [SET, THEIRS.added(), approved(b, SERVERS)], "none of B. Approver"),
    "under the passkey's name": (
        lambda b: [SET, THEIRS.added(), approved(b, replace_id(SERVERS, THEIRS))],
        "signature does not hold",
    ),
    "of another report": (lambda b: [SET, THEIRS.added(), approved(b, digest="0" * 64)], "not this report"),
    "moved to this report": (lambda b: [SET, THEIRS.added(), moved(b)], "another question"),
    "with other words": (lambda b: [SET, THEIRS.added(), replace(approved(b), reason="all is well")], "another question"),
    "in another name": (lambda b: [SET, THEIRS.added(), replace(approved(b), by="C. Other")], "C. Other is no approver"),
    "by nobody's passkey": (lambda b: [SET, approved(b)], "none of B. Approver"),
    "by no approver": (lambda b: [replace(SET, roles=["operator"]), THEIRS.added(), approved(b)], "is no approver"),
    "after the revocation": (lambda b: [SET, THEIRS.added(), REVOKED, approved(b)], "none of B. Approver"),
    "with rubbish": (lambda b: [SET, THEIRS.added(), THEIRS.added(), approved(b), replace(SET, id="x"), OTHER], "is no approval"),
}


def replace_id(passkey: SoftPasskey, other: SoftPasskey) -> SoftPasskey:
    """The key of the one, in the name of the other."""
    return SoftPasskey(passkey.user, private=passkey.private, credential_id=other.credential_id)


def moved(bundle: Path) -> Approved:
    """A true approval of another report, told of this one."""
    return replace(approved(bundle, digest="0" * 64), digest=manifest_of(bundle)["digest"])


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_approval_fails(bundle: Path, name: str) -> None:
    make, why = FORGERIES[name]
    failing, said, code = judged(bundle, *make(bundle))
    assert failing == {"approvals"} and why in said and code == 8


def test_a_file_that_is_no_approvals_fails(bundle: Path) -> None:
    (bundle / APPROVALS).write_bytes(b"\xff{}\n")
    assert came_to(bundle, "approvals")[0] == {"approvals"}
