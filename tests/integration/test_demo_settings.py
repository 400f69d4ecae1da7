"""What `esep demo` writes as settings, whatever the recording brings."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.demo.demo import open_demo, read_pool, write_settings
from pipeline.model.errors import SettingsError, SourceError
from pipeline.settings import Settings, load_settings
from pipeline.settings.toml_text import toml_lines

ADDRESS = "2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"
POOL = {
    "chain": "bitcoin",
    "network": "regtest",
    "month": "2026-10",
    "wallets": [{"name": "pool", "addresses": [ADDRESS], "descriptors": []}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    path.mkdir()
    (path / "pool.json").write_text(json.dumps(POOL))
    return path


def settings_of(folder: Path, own: str | None = None) -> Settings:
    if own is not None:
        (folder / "esep.toml").write_text(own, encoding="utf-8")
    return load_settings(write_settings(folder, folder / "var", read_pool(folder)), {})


def test_finality_six_and_payout_unit_ten_thousand_unless_said_otherwise(folder: Path) -> None:
    rules = settings_of(folder).rules()
    assert (rules.finality, rules.payout_unit["BTC"], rules.network) == ({"bitcoin": 6}, 10_000, {"bitcoin": "regtest"})
    assert not rules.has_payments_ledger, "the recording has no payments (rule 5.4)"
    (folder / "payments.csv").touch()
    assert settings_of(folder).rules().has_payments_ledger


@pytest.mark.parametrize(
    "own",
    [
        "finality = 3\npayout_unit = 1000\n",
        "finality = 3\n[payout_unit]\nBTC = 1000\n",
        "[chains.bitcoin]\nfinality = 3\n[payout_unit]\nBTC = 1000\n",
        "[finality]\nbitcoin = 3\n[payout_unit]\nBTC = 1000\n",
    ],
)
def test_a_recordings_own_settings_in_our_layout_or_plain(folder: Path, own: str) -> None:
    rules = settings_of(folder, own).rules()
    assert (rules.finality["bitcoin"], rules.payout_unit["BTC"]) == (3, 1000)


def test_labels_and_waivers_need_no_more_than_what_they_name(folder: Path) -> None:
    own = f'[[labels]]\naddress = "{ADDRESS}"\nclass = "vendor"\n[[waivers]]\ncode = "unknown-outflow"\nref = "x:1"\n'
    settings = settings_of(folder, own)
    assert (settings.labels[0].chain, settings.labels[0].outflow_class) == ("bitcoin", "vendor")
    assert (settings.waivers[0].month, settings.waivers[0].ref) == ("2026-10", "x:1")


def test_a_whole_file_of_ours_serves_as_the_recordings_own(folder: Path) -> None:
    """Where things lie, who serves the chain and the pool's name in the log stay the demo's."""
    own = f"""
var = "elsewhere"
[pool]
key = "other"
bin = "201040000013"
name = "Их пул"
[store]
path = "/nowhere/else.duckdb"
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://example.org"
cookie_file = "x"
finality = 2
[[chains.bitcoin.wallets]]
name = "theirs"
addresses = ["{ADDRESS}"]
[ledger]
payments = false
"""
    settings = settings_of(folder, own)
    assert settings.pool.name == "Их пул" and settings.pool.key == "demo"
    assert settings.var == folder / "var" and settings.store.path == folder / "var" / "store.duckdb"
    assert settings.chains["bitcoin"].cookie_file is None and settings.chains["bitcoin"].wallets[0].name == "theirs"
    assert settings.rules().finality == {"bitcoin": 2} and not settings.rules().has_payments_ledger


def test_a_litecoin_recording(folder: Path) -> None:
    pool = POOL | {"chain": "litecoin", "wallets": [{"name": "pool", "addresses": ["rltc1qjfee07a65kcnmksq3ytv9dz6zzn3dh4xq4yv3l"]}]}
    (folder / "pool.json").write_text(json.dumps(pool))
    with pytest.raises(SettingsError, match="checksum"):  # the chain, network and asset stand; the address is mistyped
        settings_of(folder)


def test_faults_of_the_recordings_own_settings_are_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match="finalty: no such key"):
        settings_of(folder, "[chains.bitcoin]\nfinalty = 3\n")
    with pytest.raises(SettingsError, match="can't be read"):
        settings_of(folder, "finality = \n")


def test_a_folder_of_another_recording_is_left_alone(folder: Path) -> None:
    settings_of(folder)
    settings_of(folder, "finality = 4\n")  # the same recording, other settings: fine
    (folder / "pool.json").write_text(json.dumps(POOL | {"month": "2026-11"}))
    with pytest.raises(SettingsError, match="holds something else"):
        settings_of(folder)


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", json.dumps(POOL | {"month": "2026-13"}), json.dumps(POOL | {"wallets": 1})])
def test_a_pool_that_can_not_be_read(folder: Path, content: str) -> None:
    (folder / "pool.json").write_text(content)
    with pytest.raises(SourceError, match=r"pool\.json"):
        open_demo(folder, folder / "var", {}, lambda: 0)
    with pytest.raises(SourceError, match=r"pool\.json"):
        read_pool(folder / "nowhere")


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_plain = _texts | st.integers(-(2**63), 2**63 - 1) | st.booleans()
_tables = st.recursive(
    st.dictionaries(_texts.filter(bool), _plain | st.lists(_texts, max_size=3), max_size=3),
    lambda inner: st.dictionaries(_texts.filter(bool), inner | st.lists(inner.filter(bool), min_size=1, max_size=2), max_size=3),
    max_leaves=6,
)


@given(_tables)
def test_what_is_written_reads_back_the_same(table: dict[str, object]) -> None:
    assert tomllib.loads("\n".join(toml_lines(table))) == table
