"""Descriptors whose scripts the network does not have, or whose key is one for another kind of script, are refused."""

from __future__ import annotations

import pytest
from embit import base58

from pipeline.chains.bitcoin.descriptors import parse_descriptor
from pipeline.chains.bitcoin.networks import network

XPUB = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
VERSIONS = {"y": "049d7cb2", "z": "04b24746", "Y": "0295b43f", "Z": "02aa7ed3"}


def key(prefix: str) -> str:
    """The same key, as SLIP-132 spells it for that kind of script."""
    spelt = str(base58.encode_check(bytes.fromhex(VERSIONS[prefix]) + base58.decode_check(XPUB)[4:]))
    assert spelt.startswith(f"{prefix}pub")
    return spelt


@pytest.mark.parametrize(("prefix", "right"), [("z", "wpkh(KEY/0/*)"), ("y", "sh(wpkh(KEY/0/*))")])
def test_a_key_for_one_kind_of_script_is_taken_there_alone(prefix: str, right: str) -> None:
    bitcoin = network("bitcoin")
    as_xpub = list(parse_descriptor(right.replace("KEY", XPUB), bitcoin).scripts(0, 2))
    assert list(parse_descriptor(right.replace("KEY", key(prefix)), bitcoin).scripts(0, 2)) == as_xpub
    for wrong in ("pkh(KEY/0/*)", "tr(KEY/0/*)", "sh(wpkh(KEY/0/*))", "wpkh(KEY/0/*)", "wsh(multi(1,KEY/0/*))"):
        if wrong != right:
            with pytest.raises(ValueError, match=f"its key {prefix}pub… is one for "):
                parse_descriptor(wrong.replace("KEY", key(prefix)), bitcoin)


@pytest.mark.parametrize("text", ["wpkh(KEY)", "tr(KEY)", "sh(wpkh(KEY))", "wsh(pk(KEY))", "combo(KEY)"])
def test_a_network_without_segregated_witness_refuses_its_scripts(text: str) -> None:
    with pytest.raises(ValueError, match="dogecoin has no segregated witness"):
        parse_descriptor(text.replace("KEY", XPUB), network("dogecoin"))


def test_it_takes_the_scripts_that_it_has() -> None:
    ((_, script),) = parse_descriptor(f"pkh({XPUB})", network("dogecoin")).scripts(0, 1)
    assert script[:3] == b"\x76\xa9\x14"
