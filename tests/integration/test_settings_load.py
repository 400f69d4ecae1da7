"""esep.toml to settings: what is read, and that every fault is named at once."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bitcoin.strategies import NAMES
from pipeline.app.open_connector import further_nodes
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.networks import read_networks
from pipeline.model.errors import SettingsError
from pipeline.model.rules import Rules
from pipeline.settings import ChainSettings, Settings, load_settings, template_path
from pipeline.settings.begin import PLACEHOLDER_BIN, PLACEHOLDER_NAME
from pipeline.settings.reference import reference_page, sections
from pipeline.verify.opened import networks_of

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "config" / "esep.toml"

GOOD = """
[pool]
key = "p"
bin = "201040000013"
name = "Pool"
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
[[chains.bitcoin.wallets]]
name = "pool"
addresses = ["2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"]
"""


def load(tmp_path: Path, text: str | bytes, **environ: str) -> Settings:
    path = tmp_path / "esep.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(path, environ)


def faults(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, **environ)
    return caught.value.faults


def filled(text: str) -> str:
    """The template with a pool's own BIN and name."""
    return text.replace(PLACEHOLDER_BIN, "201040000013").replace(PLACEHOLDER_NAME, "ЖШС «Пул»")


def test_the_template_is_a_settings_file_but_for_its_placeholders(tmp_path: Path) -> None:
    assert faults(tmp_path, TEMPLATE.read_bytes()) == [
        "pool.bin: '000000000000' is the template's placeholder: put in the pool's IIN/BIN",
        "pool.name: 'ЖШС «Менің пулым»' is the template's placeholder: put in the pool's name",
    ]
    loaded = load(tmp_path, filled(TEMPLATE.read_text(encoding="utf-8")), HOME="/home/someone")
    assert loaded.chains["bitcoin"].cookie_file == Path("/home/someone/.bitcoin/.cookie")
    assert loaded.var == tmp_path / "var"
    assert template_path("esep.toml") == TEMPLATE


def test_the_template_uncommented_is_one_too(tmp_path: Path) -> None:
    """What the template shows behind # must be right as well, but for the placeholders and the second way to log in."""
    lines = []
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        if (
            re.match(r"# (\w+ = |\[)", line)
            and "…" not in line
            and not re.match(
                r"# (networks|user|password_file|addresses_file|bearer_file|header_name|header_file|token_file|secret_file) ", line
            )
        ):
            line = line[2:]
        lines.append(line)
    text = "\n".join(lines).replace(
        'name = "Power company"', 'address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"\nname = "Power company"'
    )
    text = text.replace('code = "unknown-outflow"', 'code = "unknown-outflow"\nref = "x:1"')
    databases = [
        f"ESEP_SOURCES_{name}_{key}" for name in ("BOOKS", "MPOS_BOOKS", "YIIMP_BOOKS", "OWN_BOOKS") for key in ("USER", "PASSWORD")
    ]
    services = [f"ESEP_SOURCES_{name}_TOKEN" for name in ("LUXOR", "F2POOL", "SBI", "BRAIINS", "OWN_SOFTWARE")]
    logins = dict.fromkeys([*databases, *services, "ESEP_SOURCES_SBI_SECRET"], "x")
    loaded = load(tmp_path, filled(text), HOME="/home/someone", **logins)
    assert [source.kind for source in loaded.sources.values()] == [
        "miningcore",
        "mpos",
        "yiimp",
        "sql",
        "luxor",
        "f2pool",
        "sbi",
        "braiins",
        "ocean",
        "push",
    ]
    assert loaded.labels[0].outflow_class == "vendor" and loaded.waivers[0].month == "2026-10"
    assert loaded.payout_unit == {"BTC": 10_000}
    assert loaded.ledger.columns.payments == {"txid": "TX hash"}
    defaults = load(tmp_path, filled(TEMPLATE.read_text(encoding="utf-8")), HOME="/home/someone")
    for name in ("store", "report"):
        assert getattr(loaded, name).model_dump(exclude={"path", "published"}) == getattr(defaults, name).model_dump(
            exclude={"path", "published"}
        )
    assert [node.cookie_file for node in loaded.chains["bitcoin"].nodes] == [tmp_path / "second.cookie"]
    shown = loaded.chains["bitcoin"].model_copy(
        update={
            "first_used_height": None,
            "gap": None,
            "nodes": (),
            "witnesses": None,
            "blocks_a_step": None,
            "explorer": None,
            "headers_from_checkpoint": None,
        }
    )
    assert shown.model_dump() == defaults.chains["bitcoin"].model_dump(), "a shown default differs from the real one"


TWO_NODES = """rpc_url = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
cookie_file = "shared.cookie"
[[chains.bitcoin.nodes]]
rpc_url = "http://127.0.0.1:3"
user = "second"
password_file = "second.password"
"""


def test_several_nodes_share_a_login_or_have_their_own(tmp_path: Path) -> None:
    (tmp_path / "second.password").write_text("hunter2\n")
    (tmp_path / "second.password").chmod(0o600)
    text = GOOD.replace('rpc_url = "http://127.0.0.1:1"\n', "").replace(
        "[[chains.bitcoin.wallets]]", TWO_NODES + "[[chains.bitcoin.wallets]]"
    )
    text = re.sub(r'^cookie_file = "(?!shared).*\n', "", text, flags=re.MULTILINE)
    loaded = load(tmp_path, text)
    first, *further = loaded.chains["bitcoin"].rpc_url[0], *further_nodes(loaded.chains["bitcoin"])
    assert first == "http://127.0.0.1:1"
    assert [(node.rpc_url, node.cookie_path, node.user, node.password) for node in further] == [
        ("http://127.0.0.1:2", tmp_path / "shared.cookie", None, None),
        ("http://127.0.0.1:3", None, "second", "hunter2"),
    ]
    assert "hunter2" not in repr(loaded) + repr(further)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"http://127.0.0.1:2"]', '"http://127.0.0.1:1"]'), "chains.bitcoin.rpc_url: names one node twice"),
        (('"http://127.0.0.1:2"]', '"http://u:p@127.0.0.1:2"]'), "chains.bitcoin.rpc_url: no. 2 holds a user or password"),
        (('["http://127.0.0.1:1", "http://127.0.0.1:2"]', "[]"), "chains.bitcoin.rpc_url: names 0 nodes: 1 to 9"),
        (('"http://127.0.0.1:3"', '"http://127.0.0.1:2"'), "chains.bitcoin.nodes[1].rpc_url: that node is named already"),
        (('password_file = "second.password"', 'password = "x"'), "chains.bitcoin.nodes[1].password: is not kept in the settings: use password_file"),
        (('password_file = "second.password"', ""), "chains.bitcoin.nodes[1]: user without a password: set password_file"),
        (('user = "second"', 'bearer_file = "second.password"'), "chains.bitcoin.nodes[1].bearer_file: is for EVM chains"),
        (('"http://127.0.0.1:3"', '"http://example.org:3"'), "chains.bitcoin.nodes[1].rpc_url"),
    ],
)  # fmt: skip
def test_faults_of_several_nodes(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "second.password").write_text("hunter2\n")
    text = GOOD.replace('rpc_url = "http://127.0.0.1:1"\n', "").replace(
        "[[chains.bitcoin.wallets]]", TWO_NODES + "[[chains.bitcoin.wallets]]"
    )
    text = re.sub(r'^cookie_file = "(?!shared).*\n', "", text, flags=re.MULTILINE)
    assert change[0] in text
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text.replace(*change))
    assert any(fault.startswith(says) for fault in raised.value.faults), raised.value.faults


def test_every_key_stands_commented_in_the_template_and_in_the_reference() -> None:
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference_page(), "docs/settings.md is older than the settings: make docs"
    every = sections(Settings)
    keys, headings = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for n, line in enumerate(lines):
        if key_of := re.match(r"(?:# )?(\w+) = ", line):
            keys[key_of[1]].append(n)
        if heading_of := re.match(r"(?:# )?\[+(\w+)[].]", line):
            headings[heading_of[1]].append(n)
    for place, section in every:
        for name, field in section.model_fields.items():
            key = field.alias or name
            is_table = any(re.search(rf"\b{name}\b", other) for other, _ in every if other.startswith((f"[{name}", f"[[{name}"))) or any(
                other == f"{place[:-1]}.{name}]" for other, _ in every
            )
            if place in ("[ledger.files]", "[registry.files]"):
                continue
            if field.exclude or is_table or "columns" in place or name in ("columns", "wallets", "nodes", "files", "fees", "addresses"):
                continue
            found, heading = keys[key], headings[key]
            assert found or heading, f"{place} {key} is not in config/esep.toml"
            assert field.description, f"{place} {key} has no description"
            assert any(lines[n - 1].startswith("# ") for n in found + heading), f"{place} {key} has no comment"
            assert f"| `{key}` |" in page


def test_rules_and_header(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD + "[payout_unit]\nBTC = 10000\n")
    rules = loaded.rules()
    assert (rules.finality, rules.payout_unit["BTC"], rules.payout_unit["LTC"]) == ({"bitcoin": 6}, 10_000, 1)
    assert (rules.assets["BTC"].chain, rules.assets["BTC"].decimals, rules.network) == ("bitcoin", 8, {"bitcoin": "regtest"})
    assert list(loaded.header()) == ["bin", "name", "address", "telephone", "email", "executor_name", "executor_telephone", "head_name"]
    assert loaded.store.path == tmp_path / "var" / "store.duckdb" and loaded.log_path == tmp_path / "var" / "log.sqlite"


def test_all_faults_come_together(tmp_path: Path) -> None:
    """Faults of single keys beside those that need several keys."""
    text = GOOD.replace('bin = "201040000013"', 'bin = "201040000014"').replace('"BTC"', '"LTC"').replace("kTwg", "kTwh")
    text += "[report]\nlanguages = ['de']\n[[labels]]\naddress = 'x'\nclass = 'payout'\nname = 'n'\nreason = 'because'\n"
    found = faults(tmp_path, text)
    wanted = [
        r"pool\.bin: has a wrong control digit",
        r"chains\.bitcoin\.asset: LTC is an asset of chain 'litecoin'",
        r"chains\.bitcoin\.wallets\[1\]\.addresses: .*kTwh",
        r"report\.languages\[1\]: must be 'kk', 'ru' or 'en', not 'de'",
        r"labels\[1\]\.class: 'payout' is a class that the rules give",
    ]
    assert len(found) == len(wanted)
    for pattern in wanted:
        assert any(re.search(pattern, fault) for fault in found), (pattern, found)


def test_a_pool_has_wallets_on_a_chain_or_says_who_pays_there(tmp_path: Path) -> None:
    without = GOOD.partition("[[")[0]
    missing = "chains.bitcoin.wallets: is missing"
    for text in ("", "[payers.big]\nway = 'on-chain'\nchain = 'litecoin'", "[ledger]\npayments = false\n[payers.desk]\nway = 'off-chain'"):
        assert [fault[: len(missing)] for fault in faults(tmp_path, f"{without}\n{text}")] == [missing]
    for way in ("'on-chain'\nchain = 'bitcoin'", "'off-chain'"):
        assert load(tmp_path, f"{without}\n[payers.big]\nway = {way}").chains["bitcoin"].wallets == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("rpc_url", "rpc_ulr"), "chains.bitcoin.rpc_ulr: no such key: did you mean rpc_url?"),
        (('name = "Pool"', 'name = "Pool"\nphone = "1"'), "pool.phone: is now pool.telephone"),
        (('name = "Pool"', ""), "pool.name: is missing"),
        (('"http://127.0.0.1:1"', '"http://u:p@127.0.0.1:1"'), "chains.bitcoin.rpc_url: holds a user or password: they have settings of their own; write it like http://127.0.0.1:8332, and log in by cookie_file, or user with password_file"),
        (('asset = "BTC"', 'asset = "BTC"\npassword = "hush"'), "chains.bitcoin.password: is not kept in the settings"),
        (('asset = "BTC"', 'asset = "BTC"\nfinality = "6"'), "chains.bitcoin.finality: must be a valid integer, not '6'"),
        (('asset = "BTC"', 'asset = "BTC"\nfinality = 0'), "chains.bitcoin.finality: must be greater than or equal to 1, not 0"),
        (('asset = "BTC"', 'asset = "BTC"\nuser = "u"'), "chains.bitcoin: user without a password"),
        (('"regtest"', '"regtst"'), "chains.bitcoin.network: no network is named 'regtst'"),
        (('asset = "BTC"', 'asset = "XBT"'), "chains.bitcoin.asset: no asset is named 'XBT'"),
        (('key = "p"', 'key = "P p"'), "pool.key: 'P p' does not have the form"),
        (("[pool]", "[payout_unit]\nBTC = 0\n[pool]"), "payout_unit.BTC: must be greater than or equal to 1, not 0"),
        (("[pool]", "[payout_unit]\nETH = 5\n[pool]"), "payout_unit.ETH: no asset is named 'ETH'"),
        (("[pool]", "[ledger]\ntimezone = 'Asia'\n[pool]"), "ledger.timezone: 'Asia' is no time zone"),
        (("[pool]", "log = 'postgres://x'\n[pool]"), "log: 'postgres://x' does not have the form"),
        (("[pool]", "[[waivers]]\nmonth = '2026-13'\ncode = 'x'\nref = 'r'\nreason = 'why not'\n[pool]"), "waivers[1].month: '2026-13' is not a month"),
        (("[pool]", "[[waivers]]\nmonth = '2026-10'\ncode = 'licence-not-in-force'\nref = 'r'\nreason = 'why not'\n[pool]"), "waivers[1].code: 'licence-not-in-force' is no blocking issue"),
        (("[[chains.bitcoin.wallets]]", "[[chains.bitcoin.wallets]]\nname='pool'\naddresses=['2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg']\n[[chains.bitcoin.wallets]]"), "chains.bitcoin.wallets[2].name: a second wallet is named 'pool'"),
        (('addresses = ["2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"]', ""), "chains.bitcoin.wallets[1]: has nothing to watch"),
        (('addresses = ["2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"]', "addresses_file = 'none.txt'\n"), "chains.bitcoin.wallets[1].addresses_file: "),
    ],
)  # fmt: skip
def test_each_fault_says_where_and_what(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    assert change[0] in GOOD
    found = faults(tmp_path, GOOD.replace(*change))
    assert any(line.startswith(fault) for line in found), found


@pytest.mark.parametrize(
    ("network", "asset", "keys", "fault"),
    [
        ("bitcoin", "BTC", "finality = 2", "chains.bitcoin.finality: final after 2 confirmations: the least for bitcoin is 3"),
        ("bitcoin", "BTC", "finality = 3", None),
        ("litecoin", "LTC", "finality = 5", "chains.litecoin.finality: final after 5 confirmations: the least for litecoin is 6"),
        ("regtest", "BTC", "finality = 1", None),
        ("bitcoin", "BTC", "[payout_unit]\nBTC = 100001", "payout_unit.BTC: rounded to 100001 base units: the most for bitcoin is 100000"),
        ("bitcoin", "BTC", "[payout_unit]\nBTC = 100000", None),
        ("regtest", "BTC", "[payout_unit]\nBTC = 100000000", None),
    ],
)
def test_what_verify_would_refuse_is_no_setting(tmp_path: Path, network: str, asset: str, keys: str, fault: str | None) -> None:
    chain = "litecoin" if network == "litecoin" else "bitcoin"
    address = {"bitcoin": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "litecoin": "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1"}
    wallets = f'[[chains.{chain}.wallets]]\nname = "pool"\naddresses = ["{address.get(network, "2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg")}"]'
    of_chain, tables = (keys, "") if keys.startswith("finality") else ("", keys)
    text = f"""
[pool]
key = "p"
bin = "201040000013"
name = "Pool"
[chains.{chain}]
network = "{network}"
asset = "{asset}"
rpc_url = "http://127.0.0.1:1"
{of_chain}
{wallets}
{tables}
"""
    if fault is None:
        load(tmp_path, text)
    else:
        found = faults(tmp_path, text)
        assert len(found) == 1 and found[0].startswith(fault), found


def test_addresses_from_a_file_are_read_and_its_faults_named_by_line(tmp_path: Path) -> None:
    text = GOOD.replace('addresses = ["2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"]', 'addresses_file = "a.txt"')
    (tmp_path / "a.txt").write_text("# the pool\n2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg # change\n\n")
    assert load(tmp_path, text).chains["bitcoin"].wallets[0].addresses == ("2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg",)
    (tmp_path / "a.txt").write_text("ok\ntwo words\n")
    assert any("a.txt:2: 2 words" in fault for fault in faults(tmp_path, text))


def test_addresses_become_what_the_node_prints(tmp_path: Path) -> None:
    address = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"
    loaded = load(tmp_path, GOOD.replace("2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg", address.upper()))
    assert loaded.chains["bitcoin"].wallets[0].addresses == (address,)
    twice = GOOD.replace('"2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"', f'"{address}", "{address.upper()}"')
    assert any("twice" in fault for fault in faults(tmp_path, twice))


def test_secrets_come_from_the_environment_or_a_file_and_never_print(tmp_path: Path) -> None:
    text = GOOD.replace('asset = "BTC"', 'asset = "BTC"\nuser = "u"')
    loaded = load(tmp_path, text, ESEP_CHAINS_BITCOIN_PASSWORD="hush-hush")
    password = loaded.chains["bitcoin"].password
    assert password is not None and password.get_secret_value() == "hush-hush"
    assert "hush-hush" not in repr(loaded) and "hush-hush" not in str(loaded.model_dump())
    (tmp_path / "pw").write_text("hush-hush\n")
    loaded = load(tmp_path, text.replace('user = "u"', 'user = "u"\npassword_file = "pw"'))
    assert loaded.chains["bitcoin"].password == password
    (tmp_path / "pw").write_text("hush\nhush\n")
    found = faults(tmp_path, text.replace('user = "u"', 'user = "u"\npassword_file = "pw"'))
    assert len(found) == 1 and "one line" in found[0] and "hush" not in found[0]


def test_strategies_are_the_connectors() -> None:
    """The core knows no connector, so the names stand twice."""
    shape = ChainSettings.model_json_schema()["properties"]["strategy"]
    assert shape["enum"] == ["auto", *NAMES]


def test_settings_can_not_change(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    with pytest.raises(ValueError, match="frozen"):
        loaded.pool.name = "x"  # type: ignore[misc]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="esep init"):
        load_settings(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(tmp_path, {})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_give_settings_faults_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SettingsError):
        load(tmp_path, content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), st.sampled_from(["", "\x00", '"', "[", "]]", "=", "[[labels]]", "1e999", "{}", "\n", "chains", "true", "'''"])), min_size=1, max_size=4))  # fmt: skip
def test_a_damaged_file_gives_settings_or_settings_faults(tmp_path: Path, cuts: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, length, put in cuts:
        text = text[:at] + put + text[at + length :]
    try:
        load(tmp_path, text)
    except SettingsError as error:
        assert error.faults and all(error.faults)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["bitcoin", "wallets", "key", "x", "addresses_file", "password_file", "password"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items() if inner is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value if inner is not None) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08X}" for c in value if not 0xD800 <= ord(c) < 0xE000) + '"'
    return repr(value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*Settings.model_fields, "other"]), _values, max_size=4))
def test_any_toml_of_other_shapes_gives_settings_faults(tmp_path: Path, content: dict[str, object]) -> None:
    text = "\n".join(f"{key} = {_toml(value)}" for key, value in content.items() if value is not None)
    tomllib.loads(text)
    with pytest.raises(SettingsError):
        load(tmp_path, text)


OWN_NETWORK = """
[mycoin]
family = "bitcoin"
coin = "MYC"
decimals = 6
chain = "main"
genesis = "00000000000000000000000000000000000000000000000000000000000000aa"
p2pkh_prefix = "32"
p2sh_prefix = "05"
hrp = "myc"
"""
OWN_CHAIN = """
[chains.mychain]
network = "mycoin"
asset = "MYC"
rpc_url = "http://127.0.0.1:1"
[[chains.mychain.wallets]]
name = "pool"
addresses = ["MYC1QQQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSN4J8K4N"]
"""


def test_a_network_of_the_pools_own_is_known_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN_NETWORK, encoding="utf-8")
    text = 'networks = "own.toml"\n' + GOOD
    known = read_networks(tmp_path / "own.toml")[0].of("mycoin")
    assert isinstance(known, Network)
    address = address_of(b"\x00\x14" + bytes(20), known)
    assert address is not None
    settings = load(tmp_path, text + OWN_CHAIN.replace("MYC1QQQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSN4J8K4N", address.upper()))
    assert settings.networks == tmp_path / "own.toml" and settings.chains["mychain"].wallets[0].addresses == (address,)
    rules = settings.rules()
    assert (rules.assets["MYC"].chain, rules.assets["MYC"].decimals) == ("mychain", 6)
    assert rules.network_facts["mycoin"]["coin"] == "MYC" and rules.network_facts["regtest"]["chain"] == "regtest"
    assert Rules.from_json(rules.to_json()) == rules
    assert networks_of(rules)["mychain"].facts == known.facts


def test_faults_of_the_file_of_networks_are_told_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN_NETWORK.replace("genesis", "gensis"), encoding="utf-8")
    told = faults(tmp_path, 'networks = "own.toml"\n' + GOOD + OWN_CHAIN)
    assert any("own.toml: mycoin.gensis: is no key of a network (is genesis meant?)" in fault for fault in told)
    assert any("chains.mychain.network: no network is named 'mycoin'" in fault for fault in told)
    assert "can't be read" in faults(tmp_path, 'networks = "absent.toml"\n' + GOOD)[0]
    (tmp_path / "own.toml").write_text("[", encoding="utf-8")
    assert "own.toml: is not TOML" in faults(tmp_path, 'networks = "own.toml"\n' + GOOD)[0]
