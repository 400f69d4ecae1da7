"""Networks: one object of each, with the parameters of their own nodes."""

from __future__ import annotations

import pytest

from pipeline.chains.bitcoin.merkle import target_of
from pipeline.chains.bitcoin.networks import NETWORKS, network
from pipeline.chains.bitcoin.wire import parse_header

from .chains import GENESIS_HEADER

# name, chain, P2PKH and P2SH prefix, bech32 prefix, proof of work, and the bits of the genesis block (its easiest target)
EXPECTED = [
    ("bitcoin", "main", 0x00, 0x05, "bc", "sha256d", 0x1D00FFFF),
    ("testnet", "test", 0x6F, 0xC4, "tb", "sha256d", 0x1D00FFFF),
    ("testnet4", "testnet4", 0x6F, 0xC4, "tb", "sha256d", 0x1D00FFFF),
    ("signet", "signet", 0x6F, 0xC4, "tb", "sha256d", 0x1E0377AE),
    ("regtest", "regtest", 0x6F, 0xC4, "bcrt", "sha256d", 0x207FFFFF),
    ("litecoin", "main", 0x30, 0x32, "ltc", "scrypt", 0x1E0FFFFF),
    ("litecoin_testnet", "test", 0x6F, 0x3A, "tltc", "scrypt", 0x1E0FFFFF),
    ("litecoin_regtest", "regtest", 0x6F, 0x3A, "rltc", "scrypt", 0x207FFFFF),
    ("dogecoin", "main", 0x1E, 0x16, None, "scrypt-auxpow", 0x1E0FFFFF),
    ("bitcoincash", "main", 0x00, 0x05, None, "sha256d", 0x1D00FFFF),
    ("bitcoincash_regtest", "regtest", 0x6F, 0xC4, None, "sha256d", 0x207FFFFF),
    ("ecash", "main", 0x00, 0x05, None, "sha256d", 0x1D00FFFF),
    ("ecash_regtest", "regtest", 0x6F, 0xC4, None, "sha256d", 0x207FFFFF),
    ("dogecoin_testnet", "test", 0x71, 0xC4, None, "scrypt-auxpow", 0x1E0FFFFF),
]


@pytest.mark.parametrize(("name", "chain", "p2pkh", "p2sh", "hrp", "pow_", "bits"), EXPECTED)
def test_parameters(name: str, chain: str, p2pkh: int, p2sh: int, hrp: str | None, pow_: str, bits: int) -> None:
    found = network(name)
    assert (found.name, found.chain, found.p2pkh_prefix[0], found.p2sh_prefix[0], found.hrp, found.pow) == (
        name,
        chain,
        p2pkh,
        p2sh,
        hrp,
        pow_,
    )
    assert target_of(bits) <= found.pow_limit < target_of(bits) + (1 << 250 if name.endswith("regtest") else 1 << 230)
    assert found.has_mweb == name.startswith("litecoin")


def test_all_are_expected() -> None:
    assert set(NETWORKS) == {row[0] for row in EXPECTED}
    ours = [network(name) for name in NETWORKS]
    told_apart = {(each.genesis, each.marks and each.marks[-1].hash) for each in ours if each.chain != "regtest"}
    assert len(told_apart) == sum(each.chain != "regtest" for each in ours), "no two main networks pass as each other"


def test_genesis_blocks_by_their_own_headers() -> None:
    # Those whose genesis block has Bitcoin's coinbase differ in time, bits and nonce only.
    for name, time, bits, nonce in [
        ("bitcoin", 1231006505, 0x1D00FFFF, 2083236893),
        ("testnet", 1296688602, 0x1D00FFFF, 414098458),
        ("signet", 1598918400, 0x1E0377AE, 52613770),
        ("regtest", 1296688602, 0x207FFFFF, 2),
    ]:
        raw = GENESIS_HEADER[:68] + b"".join(number.to_bytes(4, "little") for number in (time, bits, nonce))
        assert parse_header(raw).hash.hex() == network(name).genesis


def test_one_object_each() -> None:
    assert network("bitcoin") is network("bitcoin")
    assert network("testnet") != network("testnet4")


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="no network is named 'bitcoln': use one of bitcoin, testnet"):
        network("bitcoln")
