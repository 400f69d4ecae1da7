"""The watch list: scripts of addresses and descriptors, faults together, rescan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.bitcoin.read_blocks import PAYEE
from connectors.bitcoin.watch import DEFAULT_RANGE, WatchList, union, watch_list
from pipeline.chains.bitcoin.descriptors import parse_descriptor
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of, script_of
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SettingsError

POOL = json.loads((Path(__file__).parents[4] / "docs" / "example" / "2026-10" / "pool.json").read_text())
REGTEST, MAIN = network("regtest"), network("bitcoin")
XPUB = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V"
"""The account of BIP 84's own example: m/84'/0'/0'."""
TPUB = "tpubDDYWXjPS9KcLkUSCc1RX9E4LBfR6sUMg9vBWdBGPa6JJEVR83aVSXrZj7Ht87mxL1e3zHwhegtbtdqsqQ6cSaYp2pffPENLLsZRpT7DULMZ"


def first(descriptor: str, count: int = 1, chain: str = "regtest") -> list[bytes]:
    return [script for _, script in parse_descriptor(descriptor, network(chain)).scripts(0, count)]


def test_every_address_the_pool_handed_out_is_among_those_of_its_descriptors():
    wallets = [WatchedWallet(name=w["name"], descriptors=w["descriptors"], descriptor_range=60) for w in POOL["wallets"]]
    scripts = watch_list(wallets, REGTEST).scripts
    for wallet in POOL["wallets"]:
        assert wallet["addresses"]
        assert {scripts.get(script_of(address, REGTEST)) for address in wallet["addresses"]} == {wallet["name"]}


def test_bip_86_s_own_vector():
    xpub = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ"
    scripts = first(f"tr({xpub}/0/*)", 2, "bitcoin")
    assert [address_of(script, MAIN) for script in scripts] == [
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
    ]


def test_the_short_way_derives_what_the_long_way_does():
    from embit.descriptor import Descriptor

    for wrapped in (
        f"pkh({TPUB}/7/*)",
        f"wpkh({TPUB}/1/*)",
        f"sh(wpkh({TPUB}/0/*))",
        f"tr({TPUB}/5/9/*)",
        f"wpkh([9cc131ba/84h/1h/0h]{TPUB}/*)",
    ):
        long_way = Descriptor.from_string(wrapped)
        assert first(wrapped, 5) == [bytes(long_way.derive(n).script_pubkey().data) for n in range(5)]


def test_kinds_of_descriptors():
    key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    assert first(f"pk({key})") == [b"\x21" + bytes.fromhex(key) + b"\xac"]
    assert first(f"multi(1,{key})") == [b"\x51\x21" + bytes.fromhex(key) + b"\x51\xae"]
    assert first(f"wpkh({key})")[0].hex() == "0014751e76e8199196d454941c45d1b3a323f1433bd6"
    assert first(f"pkh({key})")[0].hex() == "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac"
    assert first(f"combo({key})") == [*first(f"pk({key})"), *first(f"pkh({key})"), *first(f"wpkh({key})"), *first(f"sh(wpkh({key}))")]
    assert first(f"rawtr({key[2:]})") == [b"\x51\x20" + bytes.fromhex(key[2:])]
    assert first("raw(6a00)") == [b"\x6a\x00"]
    assert first("addr(bcrt1qqnjfclc6fzy034nfcsp03gwypnlgkgrqg3cerz)") == [
        script_of("bcrt1qqnjfclc6fzy034nfcsp03gwypnlgkgrqg3cerz", REGTEST)
    ]
    both = first(f"wpkh({TPUB}/<0;1>/*)", 2)
    assert sorted(both) == sorted(first(f"wpkh({TPUB}/0/*)", 2) + first(f"wpkh({TPUB}/1/*)", 2))
    assert len(first(f"wsh(sortedmulti(2,{TPUB}/0/*,{TPUB}/1/*))", 3)[0]) == 34
    assert len(first(f"sh(wsh(multi(1,{TPUB}/0/*)))")[0]) == 23
    assert len(first(f"tr({TPUB}/0/*,pk({TPUB}/1/*))")[0]) == 34
    assert not parse_descriptor(f"wpkh({TPUB}/0/5)", REGTEST).is_ranged


@pytest.mark.parametrize(
    ("descriptor", "says"),
    [
        (POOL["wallets"][0]["descriptors"][0][:-1] + "x", "its checksum should be #nvtpadrl"),
        (f"wpkh({XPUB}/0/*)", "belongs to the main network"),
        (f"wpkh({TPUB}/*h)", "private key"),
        (f"wpkh({TPUB}/0'/*)", "can't be read"),
        ("wpkh(", "bracket"),
        ("", "bracket"),
        ("nonsense(1)", "can't be read"),
        (f"wpkh({TPUB}", "bracket"),
        (f"wpkh({TPUB}/0/*))", "can't be read"),
        ("addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)", "another network"),
        ("raw(zz)", "can't be read"),
        ("wpkh(é)", "Invalid character"),
    ],
)
def test_what_is_wrong_with_a_descriptor_is_said(descriptor: str, says: str):
    with pytest.raises(ValueError, match=says):
        parse_descriptor(descriptor, REGTEST)


def test_a_private_key_is_refused_and_not_repeated():
    secret = "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK"
    for text in (f"wpkh({secret}/0/*)", "wpkh(cVpF924EspNh8KjYsfhgY96mmxvT6DgdWiTYMtMjuM74hJaU5psW)"):
        with pytest.raises(ValueError, match="holds a private key") as refused:
            parse_descriptor(text, REGTEST)
        assert text[5:20] not in str(refused.value)


def test_all_faults_are_told_together():
    wallets = [
        WatchedWallet(name="a", addresses=["bcrt1qnope"], descriptors=["wpkh("]),
        WatchedWallet(name="a", addresses=["bcrt1qqnjfclc6fzy034nfcsp03gwypnlgkgrqg3cerz"]),
        WatchedWallet(name="b", addresses=["BCRT1QQNJFCLC6FZY034NFCSP03GWYPNLGKGRQG3CERZ"]),
    ]
    with pytest.raises(SettingsError) as refused:
        watch_list(wallets, REGTEST)
    assert len(refused.value.faults) == 4
    with pytest.raises(SettingsError, match="neither an address nor a descriptor"):
        watch_list([WatchedWallet(name="empty")], REGTEST)


def test_a_pool_that_others_pay_for_watches_their_payees_alone():
    address = "bcrt1qqnjfclc6fzy034nfcsp03gwypnlgkgrqg3cerz"
    assert watch_list([], REGTEST, [address]).scripts == {script_of(address, REGTEST): PAYEE}


def a_list(length: int) -> WatchList:
    return watch_list([WatchedWallet(name="w", descriptors=[f"wpkh({TPUB}/0/*)"], descriptor_range=length)], REGTEST)


def test_a_range_grows_when_its_last_fifth_is_used():
    watched = a_list(20)
    by_index = {index: script for script, index in watched.indexes.items()}
    assert len(by_index) == 20
    assert watched.extended([by_index[15]], gap=None) is None
    extended = watched.extended([by_index[16]], gap=None)
    assert extended is not None and extended[0].descriptor_range == 40
    assert watched.extended([by_index[16]], gap=3) is None
    extended = watched.extended([by_index[17]], gap=3)
    assert extended is not None and extended[0].descriptor_range == 40
    assert watched.extended([b"unknown"], gap=None) is None
    new = watch_list(extended, REGTEST).changed_since(watched)
    assert len(new) == 20 and set(new.values()) == {"w"}


@pytest.mark.parametrize("gap", [None, 0, 1, 5, 100])
def test_after_growing_no_used_index_lies_in_the_gap(gap: int | None):
    for length in (1, 2, 3, 10):
        watched = a_list(length)
        extended = watched.extended(list(watched.indexes), gap=gap)
        after = extended[0].descriptor_range if extended else length
        assert after - 1 - (length - 1) >= (gap if gap is not None else 1)


def test_a_range_has_a_default():
    assert watch_list([WatchedWallet(name="w", descriptors=[f"wpkh({TPUB}/0/*)"])], REGTEST).wallets[0].descriptor_range == DEFAULT_RANGE


def test_what_was_watched_stays_watched():
    logged = [
        WatchedWallet(name="old", addresses=["x", "y"], descriptors=["d#1"], descriptor_range=50),
        WatchedWallet(name="gone", addresses=["z"]),
    ]
    configured = [WatchedWallet(name="old", addresses=["x"]), WatchedWallet(name="new", addresses=["y"], descriptors=["d"])]
    wallets, warnings = union(configured, logged)
    assert wallets == [
        WatchedWallet(name="old", addresses=["x"], descriptor_range=50),
        WatchedWallet(name="new", addresses=["y"], descriptors=["d"]),
        WatchedWallet(name="gone", addresses=["z"]),
    ]
    assert len(warnings) == 1 and "'gone'" in warnings[0]


def test_a_bad_wallet_hides_no_other():
    wallets = [WatchedWallet(name=f"bad{n}", addresses=["nonsense"]) for n in range(60)] + [WatchedWallet(name="empty")]
    with pytest.raises(SettingsError) as told:
        watch_list(wallets, REGTEST)
    for wallet in wallets:
        assert f"wallet {wallet.name!r}" in str(told.value)


def test_a_descriptor_that_two_wallets_share_is_one_fault():
    text = f"wpkh({TPUB}/0/*)"
    wallets = [WatchedWallet(name="a", descriptors=[text]), WatchedWallet(name="b", descriptors=[text]), WatchedWallet(name="c")]
    with pytest.raises(SettingsError) as told:
        watch_list(wallets, REGTEST)
    assert str(told.value).count("a script belongs to one wallet") == 1
    assert "wallet 'c' has neither" in str(told.value)
