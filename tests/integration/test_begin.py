"""`esep init` by flags, against the recorded node; and how nodes of this machine are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app.begin import FoundNode, NodeLogin, ask_node, candidates, wallets_by_name
from pipeline.app.standins import ReplayNode
from pipeline.cli.begin import _logged_in, _proved_start
from pipeline.model.errors import EsepError
from pipeline.settings import load_settings

from .example_month import RECORDED, esep

DESCRIPTOR = "wpkh(02fcbe7c2dad01bd2d1c27759e4f0e58dc350c1f34d818a1102b32d2773f310e98)"


def flags(node: ReplayNode, **changed: str) -> list[object]:
    given = {
        "bin": "201040000013",
        "name": "ТОО «Пул»",
        "node": node.rpc_url,
        "cookie": str(node.cookie_path),
        "wallet": f"hot={DESCRIPTOR}",
    }
    return [word for name, value in (given | changed).items() for word in (f"--{name}", value)]


def test_a_node_is_found_by_its_cookie_file_or_by_its_process(tmp_path: Path) -> None:
    home, data, proc = tmp_path / "home", tmp_path / "data", tmp_path / "proc"
    for cookie in (home / ".bitcoin" / ".cookie", data / "regtest" / ".cookie"):
        cookie.parent.mkdir(parents=True)
        cookie.write_text("u:p")
    (proc / "17").mkdir(parents=True)
    (proc / "17" / "cmdline").write_bytes(
        b"\0".join([b"/usr/bin/litecoind", b"-regtest", b"-datadir=" + str(data).encode(), b"-rpcport=4444", b""])
    )
    found = [(login.url, login.cookie_file) for login in candidates(home, proc)]
    assert found == [
        ("http://127.0.0.1:8332", home / ".bitcoin" / ".cookie"),
        ("http://127.0.0.1:4444", data / "regtest" / ".cookie"),
        ("http://127.0.0.1:8545", None),
    ]


def test_flags_answer_and_are_proved_against_the_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ReplayNode(RECORDED) as node:
        assert ask_node(NodeLogin(node.rpc_url, node.cookie_path)).network == "regtest"
        for wrong, says in (
            ({"bin": "12"}, "is not 12 digits"),
            ({"bin": "000000000000"}, "placeholder"),
            ({"wallet": "hot=wpkh(nonsense)"}, "wpkh(nonsense)"),
            ({"wallet": "hot=bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, "an address of another network"),
            ({"start": "999999"}, "blocks up to"),
            ({"profile": "excel-xx"}, "there is none of that name"),
            ({"first-month": "2026-13"}, "2026-13"),
        ):
            capsys.readouterr()
            assert esep("init", tmp_path / "pool", *flags(node, **wrong)) in (2, 5), wrong
            assert says in " ".join(capsys.readouterr().err.split()), wrong
            assert not (tmp_path / "pool" / "esep.toml").exists()
        assert esep("init", tmp_path / "pool", *flags(node, profile="excel-ru")) == 0
    text = (tmp_path / "pool" / "esep.toml").read_text(encoding="utf-8")
    assert 'network = "regtest"' in text and DESCRIPTOR in text and 'profile = "excel-ru"' in text
    assert esep("status", "--config", tmp_path / "pool" / "esep.toml") == 0


def test_a_pool_without_wallets_says_who_pays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pool" / "esep.toml"
    with ReplayNode(RECORDED) as node:
        given = flags(node)[:-2]
        assert esep("init", path.parent, *given) == 2
        assert "--payer" in capsys.readouterr().err
        assert esep("init", path.parent, *given, "--payer", "big") == 2
        assert "NAME=on-chain" in capsys.readouterr().err
        assert esep("init", path.parent, *given, "--payer", "big=on-chain", "--payer", "Тіркес 1=off-chain") == 0
        assert esep("watch", "--once", "--config", path) == 0
    settings = load_settings(path, {})
    assert {name: (payer.way, payer.chain) for name, payer in settings.payers.items()} == {
        "big": ("on-chain", "bitcoin"),
        "Тіркес 1": ("off-chain", None),
    }
    assert [chain.wallets for chain in settings.chains.values()] == [()]


def test_what_is_no_node_is_told(tmp_path: Path) -> None:
    with pytest.raises(EsepError):
        ask_node(NodeLogin("http://127.0.0.1:1"), timeout_s=2)


def test_wallets_are_named_before_the_sign() -> None:
    assert wallets_by_name(["hot=wpkh(a)", "multi(1,a=b)", "cold=x", "hot=y"]) == {
        "hot": ["wpkh(a)", "y"],
        "payouts": ["multi(1,a=b)"],
        "cold": ["x"],
    }


def test_an_account_chain_is_read_from_its_second_block_at_the_earliest() -> None:
    node = FoundNode(NodeLogin("http://127.0.0.1:8545"), "evm:1", "anvil", 20, 0, is_syncing=False, pruned_below=0)
    assert [_proved_start(node, text) for text in ("0", "1", "7")] == [1, 1, 7]


def test_a_wrong_cookie_file_is_asked_for_again_and_the_address_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReplayNode(RECORDED) as node:
        answers = iter([str(tmp_path / ".cookie"), str(node.cookie_path)])
        monkeypatch.setattr("builtins.input", lambda _: next(answers))
        assert _logged_in(node.rpc_url).network == "regtest"
    said = capsys.readouterr().out
    assert said.count("Its cookie file") == 2 and "there is no file" in said and not list(answers)
