"""Users by the log: roles, passkeys, revocations; and which approvals count."""

from msgspec.structs import replace

from pipeline.log.events import decode, encode
from pipeline.log.events.months import Approved
from pipeline.log.events.users import PasskeyRevoked, UserRevoked, UserRole, UserSet
from pipeline.signing.passkey import approval_challenge
from pipeline.signing.users import Users
from tests.passkeys import SoftPasskey


def approved(by: str = "B. Approver", **more: object) -> Approved:
    event = Approved(id=f"approved:2026-10:1:{by}", month="2026-10", version=1, digest="0" * 64, by=by, reason="looked at", at=5)
    return replace(event, **more)


def user_set(user: str, *roles: UserRole, at: int = 1) -> UserSet:
    return UserSet(id=f"user-set:{user}:{at}", user=user, roles=list(roles), by="Admin", reason="joins", at=at)


def by_passkey(passkey: SoftPasskey, event: Approved) -> Approved:
    return replace(event, assertion=passkey.answer(approval_challenge(event)))


def users_with(passkey: SoftPasskey, *roles: UserRole) -> Users:
    users = Users()
    for event in (user_set(passkey.user, *roles), passkey.added()):
        assert users.apply(event)
    return users


def test_an_approval_by_passkey_counts_and_survives_the_log() -> None:
    passkey = SoftPasskey("B. Approver")
    users = users_with(passkey, "approver")
    event = by_passkey(passkey, approved())
    assert users.apply(decode(encode(event).value)) and users.refused == []
    assert users.approvals_of("2026-10", 1)[-1] == event
    assert users.approvals_of("2026-10", 2) == [] == users.approvals_of("2026-09", 1)


def test_who_has_a_passkey_approves_by_it_alone() -> None:
    passkey = SoftPasskey("B. Approver")
    users = users_with(passkey, "approver")
    assert not users.apply(approved())
    assert users.apply(approved("C. Other")), "others approve by name, as before"
    users.apply(PasskeyRevoked(id="r", user=passkey.user, credential_id=passkey.credential_id, by="Admin", reason="lost", at=3))
    assert not users.apply(approved()), "a revoked passkey does not bring back approving by name"
    assert not users.apply(by_passkey(passkey, approved()))


def test_no_other_words_than_those_seen_are_approved() -> None:
    passkey = SoftPasskey("B. Approver")
    seen = by_passkey(passkey, approved())
    for name, other in {"digest": "1" * 64, "version": 2, "month": "2026-11", "reason": "x", "at": 6, "id": "y"}.items():
        assert not users_with(passkey, "approver").apply(replace(seen, **{name: other})), name


def test_another_persons_passkey_a_lost_role_and_a_revoked_user_do_not_approve() -> None:
    mine, yours = SoftPasskey("B. Approver"), SoftPasskey("C. Other")
    users = users_with(mine, "approver")
    users.apply(user_set("C. Other", "approver"))
    users.apply(yours.added())
    assert not users.apply(by_passkey(yours, approved())), "signed by another's passkey"
    users.apply(replace(yours.added(), credential_id=mine.credential_id, user="C. Other"))
    assert users.known["B. Approver"].passkeys[mine.credential_id].user == "B. Approver", "nobody takes over another's passkey"
    users.apply(user_set("B. Approver", "operator", at=4))
    assert not users.apply(by_passkey(mine, approved()))
    users.apply(user_set("B. Approver", "approver", at=5))
    assert users.apply(by_passkey(mine, approved()))
    users.apply(UserRevoked(id="u", user="B. Approver", by="Admin", reason="left", at=6))
    assert not users.apply(by_passkey(mine, approved())) and users.roles_of("B. Approver") == frozenset()
    assert [user.name for user in users.active] == ["C. Other"]
