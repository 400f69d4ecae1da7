"""Scripts in a node's words."""

from __future__ import annotations

import pytest
from embit.descriptor.checksum import checksum

from connectors.standins.bitcoin_node.descriptors import scripts_of
from connectors.standins.bitcoin_node.errors import RpcError
from connectors.standins.bitcoin_node.printing import amount, asm, descriptor, difficulty, is_on_curve, real
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import script_of

REGTEST = network("regtest")
GENERATOR_X = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
GENERATOR_Y = bytes.fromhex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")


SIGNATURE = "30440220763cbfa794910dde7a00066c76729382f91cd00471c424fd86e36b796f212c25022062038e1405edfce4a56a45cf7eb70432a2c2771ea7a2fde83218c03b0e79376a"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", ""),
        ("76a914" + "11" * 20 + "88ac", "OP_DUP OP_HASH160 " + "11" * 20 + " OP_EQUALVERIFY OP_CHECKSIG"),
        ("00", "0"),
        ("4f5160", "-1 1 16"),
        ("0101", "1"),
        ("0181", "-1"),
        ("02ff80", "-255"),
        ("0480000000", "128"),
        ("04ffffffff", "-2147483647"),
        ("050000000000", "0000000000"),
        ("6a50baff", "OP_RETURN OP_RESERVED OP_CHECKSIGADD OP_INVALIDOPCODE"),
        ("61b0b1b2b3b9bb", "OP_NOP OP_NOP1 OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY OP_NOP4 OP_NOP10 OP_UNKNOWN"),
        ("a5a6aaae", "OP_WITHIN OP_RIPEMD160 OP_HASH256 OP_CHECKMULTISIG"),
        ("5102ab", "1 [error]"),
        ("4d", "[error]"),
    ],
)
def test_asm(script: str, words: str) -> None:
    assert asm(bytes.fromhex(script)) == words


def test_asm_names_the_kinds_of_signatures() -> None:
    def pushed(text: str) -> bytes:
        return bytes([len(text) // 2]) + bytes.fromhex(text)

    assert asm(pushed(SIGNATURE + "01"), has_signatures=True) == SIGNATURE + "[ALL]"
    assert asm(pushed(SIGNATURE + "83"), has_signatures=True) == SIGNATURE + "[SINGLE|ANYONECANPAY]"
    assert asm(pushed(SIGNATURE + "01")) == SIGNATURE + "01"
    assert asm(b"\x6a" + pushed(SIGNATURE + "01"), has_signatures=True) == f"OP_RETURN {SIGNATURE}01"
    for wrong in (SIGNATURE + "04", SIGNATURE + "00", "31" + SIGNATURE[2:] + "01", SIGNATURE[:8] + "80" + SIGNATURE[10:] + "01"):
        assert asm(pushed(wrong), has_signatures=True) == wrong


@pytest.mark.parametrize(
    ("script", "body"),
    [
        (b"\x21\x02" + GENERATOR_X + b"\xac", f"pk(02{GENERATOR_X.hex()})"),
        (b"\x41\x06" + GENERATOR_X * 2 + b"\xac", f"raw(4106{(GENERATOR_X * 2).hex()}ac)"),
        (b"\x51\x21\x02" + GENERATOR_X + b"\x21\x03" + GENERATOR_X + b"\x52\xae", f"multi(1,02{GENERATOR_X.hex()},03{GENERATOR_X.hex()})"),
        (b"\x51\x41\x07" + GENERATOR_X * 2 + b"\x51\xae", f"raw(514107{(GENERATOR_X * 2).hex()}51ae)"),
        (b"\x51\x20" + GENERATOR_X, f"rawtr({GENERATOR_X.hex()})"),
        (b"\x51\x20" + b"\xff" * 32, "addr(bcrt1plllllllllllllllllllllllllllllllllllllllllllllllllllsvqjwfl)"),
        (b"\x51\x02\x4e\x73", "addr(bcrt1pfeesnyr2tx)"),
        (b"\x6a\x01a", "raw(6a0161)"),
        (b"", "raw()"),
    ],
)
def test_descriptors(script: bytes, body: str) -> None:
    found, _, check = descriptor(script, REGTEST).partition("#")
    if body.startswith("addr(bcrt1pl"):
        assert found.startswith("addr(bcrt1pllll") and script_of(found[5:-1], REGTEST) == script
    else:
        assert found == body
        assert scripts_of(body, REGTEST) == [script]
    assert check == checksum(found)


def test_points_of_the_curve() -> None:
    assert is_on_curve(GENERATOR_X) and is_on_curve(GENERATOR_X, GENERATOR_Y)
    assert not is_on_curve(GENERATOR_X, GENERATOR_X)
    assert not is_on_curve((5).to_bytes(32, "big"))
    assert not is_on_curve(b"\xff" * 32)


def test_numbers() -> None:
    assert [bytes(amount(value)) for value in (0, 1, 25_0000_2670, 2_100_000_000_000_000)] == [
        b"0.00000000", b"0.00000001", b"25.00002670", b"21000000.00000000",
    ]  # fmt: skip
    assert bytes(real(difficulty(0x207FFFFF))) == b"4.656542373906925e-10"
    assert bytes(real(difficulty(0x1D00FFFF))) == b"1"
    assert bytes(real(difficulty(0x1B0404CB))) == b"16307.42093852398"


KEY_ORIGIN = (
    "[9cc131ba/84h/1h/0h]tpubDCdoako5v4SkTZSZ6C5vz1xF84NMdp6HVZ8zTdp4PYiDGzEhX3hAsMwURihiWmGDa2qmhmVNkwGHoh3QLVEgLRJyQAFdgYMdbQC6k7uqb1z"
)


def test_ranged_descriptor() -> None:
    scripts = scripts_of({"desc": f"wpkh({KEY_ORIGIN}/0/*)#qqk538cs", "range": [3, 5]}, REGTEST)
    assert len(scripts) == 3 and all(script[:2] == b"\0\x14" for script in scripts)
    assert scripts_of({"desc": f"wpkh({KEY_ORIGIN}/0/*)", "range": 5}, REGTEST)[3:] == scripts
    assert len(scripts_of(f"wpkh({KEY_ORIGIN}/0/7)", REGTEST)) == 1


@pytest.mark.parametrize(
    ("scan_object", "code", "message"),
    [
        (3, -8, "Scan object needs to be either a string or an object"),
        ({}, -8, "Descriptor needs to be provided"),
        ("foo", -5, "'foo' is not a valid descriptor function"),
        ("foo(1)", -5, "'foo.1.' is not a valid descriptor function"),
        ("raw(00)#aaaaaaaa", -5, "Provided checksum 'aaaaaaaa' does not match computed checksum"),
        ("raw(zz)", -5, "Raw script is not hex"),
        ("addr(bc1pfeessrawgf)", -5, "Address is not valid"),
        ("raw(é)", -5, "Invalid characters"),
        ("multi(3,02,03)", -5, "not a valid descriptor"),
        ("wpkh(02ab)", -5, "not a valid descriptor"),
        ({"desc": f"wpkh({KEY_ORIGIN}/*)", "range": [5, 3]}, -8, "must not have begin after end"),
        ({"desc": f"wpkh({KEY_ORIGIN}/*)", "range": -1}, -8, "must not have begin after end"),
        ({"desc": f"wpkh({KEY_ORIGIN}/*)", "range": [-1, 3]}, -8, "greater or equal than 0"),
        ({"desc": f"wpkh({KEY_ORIGIN}/*)", "range": 10**6}, -8, "too large"),
        ({"desc": f"wpkh({KEY_ORIGIN}/*)", "range": "a"}, -8, "must be specified as"),
    ],
)
def test_scan_objects_that_are_refused(scan_object: object, code: int, message: str) -> None:
    with pytest.raises(RpcError, match=message) as refusal:
        scripts_of(scan_object, REGTEST)
    assert refusal.value.code == code
