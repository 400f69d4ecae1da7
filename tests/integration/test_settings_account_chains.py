"""Settings of EVM chains: what they need, what they refuse, and that a pool without one keeps the rules it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.bitcoin import BitcoinConnector
from connectors.evm import EvmConnector
from connectors.standins.log_memory import MemoryLog
from pipeline.app.open_connector import open_connector
from pipeline.settings import Settings, load_settings

from .test_settings_load import GOOD, faults, load

A = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
WRONG = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
EVM = (
    GOOD
    + f"""
[chains.ethereum]
network = "evm:1"
asset = "ETH"
rpc_url = "http://127.0.0.1:8545"
start_height = 100
finality = 64
[[chains.ethereum.wallets]]
name = "hot"
addresses = ["{A.lower()}"]
"""
)


def test_an_evm_chain_brings_its_assets_with_their_contracts(tmp_path: Path) -> None:
    settings = load(tmp_path, EVM)
    assert settings.chains["ethereum"].wallets[0].addresses == (A,)
    rules = settings.rules()
    assert rules.network["ethereum"] == "evm:1"
    assert {name: (a.decimals, a.contract) for name, a in rules.assets.items() if a.chain == "ethereum"} == {
        "ETH": (18, None),
        "USDT": (6, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
        "USDC": (6, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
    }
    assert rules.from_json(rules.to_json()) == rules


def test_a_pool_without_one_has_the_rules_it_had(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).rules().to_json()["assets"] == {
        "BTC": {"chain": "bitcoin", "decimals": 8},
        "DOGE": {"chain": "dogecoin", "decimals": 8},
        "LTC": {"chain": "litecoin", "decimals": 8},
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"evm:1"', '"evm:0x1"', "use evm:CHAIN_ID"),
        ("finality = 64\n", "", "chains.ethereum.finality: say how many confirmations"),
        ("start_height = 100\n", "", "chains.ethereum.start_height: say the first block that is read"),
        (A.lower(), WRONG, "has a wrong checksum (EIP-55)"),
        (A.lower(), A[:-1], "is not an address of evm:1: 0x and 40 hexadecimal digits"),
        (f'["{A.lower()}"]', f'["{A.lower()}", "{A}"]', "twice in it"),
        ("finality = 64", 'finality = 64\nrest = "on"', "chains.ethereum.rest: is for Bitcoin-like chains only"),
        ("finality = 64", 'finality = 64\ncookie_file = "x"', "chains.ethereum.cookie_file: is for Bitcoin-like chains only"),
        ("finality = 64", 'finality = 64\nbearer = "secret"', "chains.ethereum.bearer: is not kept in the settings: use bearer_file"),
        ("finality = 64", 'finality = 64\nheader_name = "X-Key"', "header_name and its value go together: set header_file or ESEP_CHAINS_ETHEREUM_HEADER"),
        ("finality = 64", 'finality = 64\ninternal_calls = "never"', "chains.ethereum.internal_calls"),
        ('asset = "BTC"', 'asset = "BTC"\nblock_reward = "ecip1017"', "chains.bitcoin.block_reward: is for EVM chains"),
        ('asset = "ETH"', 'asset = "USDT"', "USDT is a token"),
        (f'addresses = ["{A.lower()}"]', 'descriptors = ["wpkh(x)"]', "chains.ethereum.wallets[1].descriptors: an EVM chain has addresses only"),
        ("[pool]", f'[assets.X]\nchain = "bitcoin"\ndecimals = 1\ncontract = "{A}"\n[pool]', "chain 'bitcoin' is no EVM chain"),
        ("[pool]", f'[assets.X]\nchain = "ethereum"\ndecimals = 1\ncontract = "{WRONG}"\n[pool]', "wrong checksum"),
        ("[pool]", '[assets.X]\nchain = "ethereum"\ndecimals = 1\nwrapped = true\n[pool]', "only a token is a wrapped coin"),
        (
            "[pool]",
            '[assets.X]\nchain = "ethereum"\ndecimals = 6\ncontract = "0xdac17f958d2ee523a2206206994597c13d831ec7"\n[pool]',
            "assets.X.contract: is that of USDT too",
        ),
        ("[pool]", '[payers.up]\nway = "on-chain"\n[pool]', "payers.up.chain: say which chain its transactions are on"),
        ("[pool]", '[payers.up]\nway = "on-chain"\nchain = "dogecon"\n[pool]', "payers.up.chain: there is no [chains.dogecon]"),
        ("[pool]", '[payers.up]\nway = "off-chain"\nchain = "ethereum"\n[pool]', "payers.up.chain: an off-chain payer has none"),
        ("[pool]", '[payers.up]\nway = "sideways"\n[pool]', "payers.up.way"),
    ],
)  # fmt: skip
def test_each_fault_says_where_and_what(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in EVM
    found = faults(tmp_path, EVM.replace(old, new, 1))
    assert any(fault in line for line in found), found


def test_a_payer_may_pay_on_a_known_chain_that_is_not_followed(tmp_path: Path) -> None:
    """Its payments in another chain's asset are issue `unknown-payer` (rule 10.1), which no refused settings could say."""
    declared = load(tmp_path, EVM.replace("[pool]", '[payers.up]\nway = "on-chain"\nchain = "dogecoin"\n[pool]', 1))
    assert declared.rules().on_chain_payers("dogecoin") == ["up"]


def test_secrets_come_from_files_or_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    text = EVM.replace("finality = 64", 'finality = 64\nbearer_file = "token"\nheader_name = "X-Key"', 1)
    settings = load(tmp_path, text, ESEP_CHAINS_ETHEREUM_HEADER="k3y")
    assert settings.chains["ethereum"].secret_headers() == {"Authorization": "Bearer t0ken", "X-Key": "k3y"}
    assert "t0ken" not in repr(settings) and "k3y" not in repr(settings)
    assert load(tmp_path, GOOD).chains["bitcoin"].secret_headers() == {}


def test_each_family_gets_its_connector(tmp_path: Path) -> None:
    settings: Settings = load(tmp_path, EVM)
    assert isinstance(load_settings(tmp_path / "esep.toml", {}), Settings)
    for chain, kind in (("bitcoin", BitcoinConnector), ("ethereum", EvmConnector)):
        with open_connector(settings, MemoryLog(), chain) as connector:
            assert isinstance(connector, kind)
            assert connector.describe().chain == chain
