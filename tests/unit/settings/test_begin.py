"""The first settings: the template with a person's answers in it, and nothing else changed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pipeline.settings.begin import BeginChain, Beginning, BeginWallet, placeholder_faults, settings_text

TEMPLATE = (Path(__file__).resolve().parents[3] / "config" / "esep.toml").read_text(encoding="utf-8")
DESCRIPTOR = "wpkh([aed22c49/0'/0'/0']02fcbe7c2dad01bd2d1c27759e4f0e58dc350c1f34d818a1102b32d2773f310e98)#7acl0cth"


def answers(**changed: object) -> Beginning:
    chain = BeginChain(
        "litecoin", "litecoin_regtest", "LTC", "http://127.0.0.1:19443",
        [BeginWallet("payouts", [DESCRIPTOR]), BeginWallet("hot", (), ["rltc1q3np6vmr5lrtrh6nn45mgs9pp0tq5054ffeuy68"])],
        cookie_file="/home/pool/.litecoin/regtest/.cookie", start_height=7,
    )  # fmt: skip
    return Beginning(**({"key": "altyn", "bin": "201040000013", "name": 'ЖШС «Алтын» "пул"', "chain": chain} | changed))  # type: ignore[arg-type]


def test_the_answers_stand_in_the_template() -> None:
    made = tomllib.loads(settings_text(answers(), TEMPLATE))
    assert made["pool"] == tomllib.loads(TEMPLATE)["pool"] | {"key": "altyn", "bin": "201040000013", "name": 'ЖШС «Алтын» "пул"'}
    assert made["chains"] == {
        "litecoin": {
            "network": "litecoin_regtest", "asset": "LTC", "rpc_url": "http://127.0.0.1:19443", "start_height": 7,
            "cookie_file": "/home/pool/.litecoin/regtest/.cookie",
            "wallets": [
                {"name": "payouts", "descriptors": [DESCRIPTOR]},
                {"name": "hot", "addresses": ["rltc1q3np6vmr5lrtrh6nn45mgs9pp0tq5054ffeuy68"]},
            ],
        }
    }  # fmt: skip
    assert made["closing"] == {} and made["ledger"] == tomllib.loads(TEMPLATE)["ledger"]


def test_profiles_and_the_first_month_stand_in_their_tables() -> None:
    profiles = {"ledger.files.allocations": "excel-ru", "ledger.files.payments": "excel-ru", "registry.files.miners": "excel-ru"}
    made = tomllib.loads(settings_text(answers(profiles=profiles, first_month="2026-10"), TEMPLATE))
    assert made["closing"] == {"first_month": "2026-10"}
    assert made["ledger"]["files"]["allocations"] == made["ledger"]["files"]["payments"] == {"profile": "excel-ru"}
    assert made["registry"]["files"] == {"miners": {"profile": "excel-ru"}}


def test_every_comment_of_the_template_is_kept_but_those_of_the_wallets() -> None:
    made = settings_text(answers(), TEMPLATE)
    lost = [line for line in TEMPLATE.splitlines() if line.startswith("# ") and line not in made and "chains.bitcoin" not in line]
    assert len(lost) < 15, lost


def test_the_placeholders_are_told_apart_from_a_pools_own() -> None:
    assert len(placeholder_faults("000000000000", "ЖШС «Менің пулым»")) == 2
    assert placeholder_faults("201040000013", "«Мысал» майнинг пулы") == []
