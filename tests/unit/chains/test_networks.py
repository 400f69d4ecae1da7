"""Networks as data: our tables, a pool's own laid over them, and what a month records of them."""

from __future__ import annotations

import tomllib

import pytest

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.networks import OURS, address_on, networks_over, recorded
from pipeline.model.packaged import packaged_path

OWN = """
[mycoin]
family = "bitcoin"
coin = "MYC"
decimals = 6
chain = "main"
genesis = "00000000000000000000000000000000000000000000000000000000000000aa"
p2pkh_prefix = "32"
p2sh_prefix = "05"
hrp = "myc"

["evm:8888"]
family = "evm"
coin = "EIGHT"

[litecoin]
finality = 99
"""


def own(text: str) -> dict[str, object]:
    return tomllib.loads(text)


def test_every_table_of_ours_is_read_and_recorded_as_it_is() -> None:
    for name in OURS.names:
        network = OURS.of(name)
        assert network.name == name
        told = network.facts.to_json()
        assert recorded({name: told}).of(name) is network
        assert "bitcoinlib" not in told, "what is recorded does not depend on bitcoinlib's version"


def test_facts_stand_once() -> None:
    """The coins' decimals and greatest supplies are those of assets.toml."""
    assets = tomllib.loads(packaged_path("assets.toml").read_text(encoding="utf-8"))
    for network in map(OURS.of, OURS.names):
        if network.coin in assets:
            assert (network.decimals, network.facts.supply) == (assets[network.coin]["decimals"], assets[network.coin]["supply"])
    coins = [network.coin for network in map(OURS.of, OURS.names) if network.coin]
    assert len(coins) == len(set(coins))
    assert {network.facts.test_of for network in map(OURS.of, OURS.names)} - {None} <= set(OURS.names)


def test_own_tables_are_laid_over_ours_key_by_key() -> None:
    known, faults = networks_over(own(OWN), "own.toml")
    assert faults == []
    mine, eight, litecoin = known.of("mycoin"), known.of("evm:8888"), known.of("litecoin")
    assert isinstance(mine, Network) and (mine.coin, mine.decimals, mine.checkpoint, mine.marks) == ("MYC", 6, None, ())
    assert isinstance(eight, AccountNetwork) and (eight.coin, eight.decimals, eight.chain_id) == ("EIGHT", 18, 8888)
    ours = OURS.of("litecoin")
    assert isinstance(litecoin, Network) and isinstance(ours, Network)
    assert litecoin.facts.finality == 99 and litecoin.genesis == ours.genesis and litecoin.checkpoint == ours.checkpoint
    assert ours.facts.finality != 99, "ours stay as they are"
    assert known.of("bitcoin") is OURS.of("bitcoin")
    assert address_on(mine, _own_address(mine).upper()) == _own_address(mine)


def _own_address(network: Network) -> str:
    from pipeline.chains.bitcoin.script import address_of

    address = address_of(b"\x00\x14" + bytes(range(20)), network)
    assert address is not None and address.startswith("myc1q")
    return address


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[x]\ncoin = 'X'", "own.toml: x.family: is missing: use bitcoin or evm"),
        ("[x]\nfamily = 'utxo'", "own.toml: x.family: 'utxo' is not known: use bitcoin or evm"),
        ("x = 1", "own.toml: x: is no table"),
        ("[x]\nfamily = 'bitcoin'\nchain = 'main'", "own.toml: x.genesis: is missing"),
        ("[bitcoin]\ngensis = 'a'", "own.toml: bitcoin.gensis: is no key of a network (is genesis meant?)"),
        ("[bitcoin]\ngenesis = 'ABC'", "own.toml: bitcoin.genesis: 'ABC' is not 64 hexadecimal digits in small letters"),
        ("[bitcoin]\ndecimals = '8'", "own.toml: bitcoin.decimals: expected `int`, got `str`"),
        ("[bitcoin]\np2pkh_prefix = 'zz'", "own.toml: bitcoin.p2pkh_prefix: 'zz' is not hexadecimal"),
        ("[bitcoin]\npow_limit = 'ff'", "own.toml: bitcoin.pow_limit: 'ff' has 1 bytes"),
        ("[bitcoin]\nbitcoinlib = 'dash'", "own.toml: bitcoin.bitcoinlib: bitcoinlib knows no network 'dash'"),
        ("[bitcoin]\npow = 'scrypt-auxpow'", "own.toml: bitcoin.merged_mining_id: belongs to"),
        (
            "[bitcoin.retarget]\ninterval = 0\nspacing_s = 1\nreaches_back = 1",
            "own.toml: bitcoin.retarget: interval, spacing_s and reaches_back",
        ),
        ("[bitcoin.retarget]\nrule = 'new'", "own.toml: bitcoin.retarget"),
        ("[bitcoin.retarget]\nspacing_s = 1\nbegins = 9_000_000", "own.toml: bitcoin.checkpoint: lies before block 9000000"),
        (
            "[ecash.retarget]\nrule = 'asert'\nspacing_s = 1\nbegins = 2\nanchor = { height = 1, bits = 2, parent_time = 3, half_life_s = 4 }",
            "own.toml: ecash.retarget.begins: an anchor says by itself",
        ),
        (
            "[dogecoin_testnet.checkpoint]\nheight = 0\nhash = 'x'\nchain_work = '0'",
            "own.toml: dogecoin_testnet.checkpoint: its height and its work",
        ),
        ("[[bitcoin.forks]]\nheight = 1\nhash = 'x'", "own.toml: bitcoin.forks[1]: 'x' is not 64"),
        ("['evm:x']\nfamily = 'evm'", "own.toml: evm:x: an EVM chain's table is named by its chain id"),
        ("['evm:5']\nfamily = 'evm'\nhrp = 'bc'", "own.toml: evm:5.hrp: is no key of a network"),
    ],
)
def test_a_fault_names_file_table_and_key(text: str, told: str) -> None:
    _, faults = networks_over(own(text), "own.toml")
    assert any(fault.startswith(told) for fault in faults), faults


def test_all_faults_at_once() -> None:
    _, faults = networks_over(own("[bitcoin]\ngenesis = 'x'\np2sh_prefix = 'zz'\n[litecoin]\ndecimals = true"), "f")
    assert len(faults) == 3


def test_what_a_month_recorded_is_used_where_it_differs() -> None:
    known, _ = networks_over(own(OWN), "own.toml")
    facts = {name: known.of(name).facts.to_json() for name in ("mycoin", "evm:8888", "litecoin", "bitcoin")}
    again = recorded(facts)
    assert again.own == ["mycoin", "evm:8888", "litecoin"]
    assert again.of("mycoin").facts == known.of("mycoin").facts
    with pytest.raises(ValueError, match=r"mycoin\.genesis"):
        recorded({"mycoin": facts["mycoin"] | {"genesis": 1}})
