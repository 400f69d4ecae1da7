"""Signed messages against vectors that others published: Bitcoin Core's own tests, BIP 322's, and EIP-191 as eth_account signs it."""

from __future__ import annotations

import base64

import pytest
from embit import ec
from embit import script as embit_script
from embit.base58 import decode_check
from eth_account import Account
from eth_account.messages import encode_defunct

from pipeline.chains.bitcoin.messages import _to_sign, legacy_hash, message_fault
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.evm.messages import account_message_fault

BITCOIN = network("bitcoin")
SEGWIT = "bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l"
TAPROOT = "bc1ppv609nr0vr25u07u95waq5lucwfm6tde4nydujnu8npg4q75mr5sxq8lt3"
WIF = "L3VFeEujGtevx9w18HD1fhRbCH67Az2dpCymeRE1SoPK6XQtaN2k"
"""BIP 322's test key."""

HOLDS = [
    # Bitcoin Core, src/test/util_tests.cpp, message_verify
    ("15CRxFdyRpGZLW9w8HnHvVduizdL5jKNbs", "Trust no one", "IPojfrX2dfPnH26UegfbGQQLrdK844DlHq5157/P6h57WyuS/Qsl+h/WSVGDF4MUi4rWSswW38oimDYfNNUBUOk="),
    ("11canuhp9X2NocwCq7xNrQYTmUgZAnLK3", "Trust me", "IIcaIENoYW5jZWxsb3Igb24gYnJpbmsgb2Ygc2Vjb25kIGJhaWxvdXQgZm9yIGJhbmtzIAaHRtbCeDZINyavx14="),
    # BIP 322, bip-0322/basic-test-vectors.json
    (SEGWIT, "", "AkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI="),
    (SEGWIT, "", "AkgwRQIhAPkJ1Q4oYS0htvyuSFHLxRQpFAY56b70UvE7Dxazen0ZAiAtZfFz1S6T6I23MWI2lK/pcNTWncuyL8UL+oMdydVgzAEhAsfxIAMZZEKUPYWI4BruhAQjzFT8FSFSajuFwrDL1Yhy"),
    (SEGWIT, "Hello World", "AkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI="),
    (SEGWIT, "Hello World", "smpAkgwRQIhAOzyynlqt93lOKJr+wmmxIens//zPzl9tqIOua93wO6MAiBi5n5EyAcPScOjf1lAqIUIQtr3zKNeavYabHyR8eGhowEhAsfxIAMZZEKUPYWI4BruhAQjzFT8FSFSajuFwrDL1Yhy"),
    (TAPROOT, "Hello World", "AUHd69PrJQEv+oKTfZ8l+WROBHuy9HKrbFCJu7U1iK2iiEy1vMU5EfMtjc+VSHM7aU0SDbak5IUZRVno2P5mjSafAQ=="),
]  # fmt: skip


@pytest.mark.parametrize(("address", "text", "signature"), HOLDS)
def test_published_signatures_hold_for_their_address_and_text_alone(address: str, text: str, signature: str) -> None:
    assert message_fault(BITCOIN, address, text, signature) == ""
    assert message_fault(BITCOIN, address, text + "!", signature)
    others = {"1": "11canuhp9X2NocwCq7xNrQYTmUgZAnLK3" if address[:3] == "15C" else "15CRxFdyRpGZLW9w8HnHvVduizdL5jKNbs"}
    other = others.get(address[0]) or "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    assert message_fault(BITCOIN, other, text, signature)


def key() -> ec.PrivateKey:
    return ec.PrivateKey(decode_check(WIF)[1:33])


def test_a_taproot_signature_without_a_type_is_the_default_one() -> None:
    secret = key()
    script = bytes(embit_script.p2tr(secret.get_public_key()).data)
    digest = _to_sign(script, "text").sighash_taproot(0, [embit_script.Script(script)], [0])
    made = secret.taproot_tweak(b"").schnorr_sign(digest).serialize()
    signature = base64.b64encode(b"\x01\x40" + made).decode()
    assert message_fault(BITCOIN, TAPROOT, "text", signature) == ""
    assert message_fault(BITCOIN, TAPROOT, "other text", signature)


@pytest.mark.parametrize(
    ("address", "signature", "said"),
    [
        (SEGWIT, "not base64!", "can't be read"),
        (SEGWIT, "", "can't be read"),
        (SEGWIT, "AA==", "no signature by one key"),
        (SEGWIT, "A" * 4000, "longer than"),
        (SEGWIT, base64.b64encode(b"\x02\x01\x01\xff").decode(), "no signature by one key"),
        (SEGWIT, base64.b64encode(b"\0" * 65).decode(), "first byte"),
        (SEGWIT, base64.b64encode(b"\x1f" + b"\0" * 64).decode(), "can't be read"),
        (TAPROOT, base64.b64encode(b"\x01\x40" + b"\0" * 64).decode(), "another key"),
        ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", base64.b64encode(b"\x01\x01\x01").decode(), "can't be checked here"),
        ("no address", "AA==", "can't be read"),
    ],
)  # fmt: skip
def test_what_is_no_signature_is_said(address: str, signature: str, said: str) -> None:
    assert said in message_fault(BITCOIN, address, "text", signature)


def test_the_words_before_the_text_are_the_network_s() -> None:
    """The same key, the same text: on Litecoin another hash is signed."""
    assert (
        legacy_hash(network("litecoin"), "Trust no one")
        != legacy_hash(BITCOIN, "Trust no one")
        == legacy_hash(network("regtest"), "Trust no one")
    )


def test_an_account_s_signature() -> None:
    made = Account.from_key("0x" + "46" * 32)
    signed = Account.sign_message(encode_defunct(text="this is ours"), made.key)
    assert account_message_fault(made.address, "this is ours", signed.signature.hex()) == ""
    assert account_message_fault(made.address.lower(), "this is ours", "0x" + signed.signature.hex()) == ""
    assert "another" in account_message_fault(made.address, "this is mine", signed.signature.hex())
    assert "another" in account_message_fault("0x" + "11" * 20, "this is ours", signed.signature.hex())
    for wrong in ("zz", "00", "00" * 65, signed.signature.hex()[:-2] + "05"):
        assert account_message_fault(made.address, "this is ours", wrong)
