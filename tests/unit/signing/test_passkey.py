"""A passkey's assertion holds for its key, its host, its challenge and a verified holder; anything else does not."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from pipeline.signing.passkey import assertion_fault, from_base64, to_base64
from tests.passkeys import RP, SoftPasskey

CHALLENGE = b"c" * 32


@pytest.mark.parametrize("passkey", [SoftPasskey("A"), SoftPasskey("A", private=Ed25519PrivateKey.generate())], ids=["ES256", "EdDSA"])
def test_an_assertion_by_the_book_holds(passkey: SoftPasskey) -> None:
    assert assertion_fault(passkey.added().public_key, RP, CHALLENGE, passkey.answer(CHALLENGE)) == ""
    assert assertion_fault(passkey.added().public_key, RP, CHALLENGE, passkey.answer(CHALLENGE, origin="http://localhost:8450")) == ""


@pytest.mark.parametrize(
    ("made_wrong", "said"),
    [
        ({"flags": 0x01}, "did not verify its holder"),
        ({"flags": 0x04}, "did not verify its holder"),
        ({"rp_id": "elsewhere.kz"}, "for another host"),
        ({"type": "webauthn.create"}, "none of a sign-in or approval"),
        ({"challenge": to_base64(b"d" * 32)}, "another question"),
        ({"challenge": 7}, "another question"),
        ({"origin": "https://elsewhere.kz"}, "by another site"),
        ({"origin": "https://localhost.elsewhere.kz"}, "by another site"),
        ({"origin": "http://other.localhost"}, "by another site"),
        ({"origin": None}, "by another site"),
        ({"crossOrigin": True}, "by another site"),
    ],
)
def test_what_is_not_by_the_book_is_refused(made_wrong: dict[str, Any], said: str) -> None:
    passkey = SoftPasskey("A")
    assert said in assertion_fault(passkey.added().public_key, RP, CHALLENGE, passkey.answer(CHALLENGE, **made_wrong))


def test_another_key_another_signature_and_rubbish_are_refused() -> None:
    passkey, other = SoftPasskey("A"), SoftPasskey("A")
    answer, public = passkey.answer(CHALLENGE), passkey.added().public_key
    assert "signature does not hold" in assertion_fault(other.added().public_key, RP, CHALLENGE, answer)
    flipped = bytearray(from_base64(answer.authenticator_data))
    flipped[-1] ^= 1
    assert "signature does not hold" in assertion_fault(
        public, RP, CHALLENGE, replace(answer, authenticator_data=to_base64(bytes(flipped)))
    )
    assert "signature does not hold" in assertion_fault("AAAA", RP, CHALLENGE, answer)
    for name in ("authenticator_data", "client_data", "signature"):
        assert assertion_fault(public, RP, CHALLENGE, replace(answer, **{name: "A"})) != ""
    assert "can't be read" in assertion_fault(public, RP, CHALLENGE, replace(answer, client_data=to_base64(b"[" * 100_000)))
