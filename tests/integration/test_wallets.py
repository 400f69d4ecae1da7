"""Signatures of the pool's keys, from the messages that a command prints to a bundle that proves them (ADR 15)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.months import month_state
from pipeline.log.events import encode
from pipeline.store import Store
from pipeline.store.ingest import Ingest
from pipeline.verify.bundle import verify_bundle

from .account_month import CHAIN, HEADER, HOT, KEY, MONTH, POOL, chain_events, freeze, other_events
from .example_month import esep

SETTINGS = f"""
[pool]
key = "{POOL}"
bin = "201040000013"
name = "Pool"
[chains.{CHAIN}]
network = "evm:1"
asset = "ETH"
rpc_url = "http://127.0.0.1:1"
start_height = 100
finality = 2
[[chains.{CHAIN}.wallets]]
name = "hot"
addresses = ["{HOT}"]
[assets.ETH]
chain = "{CHAIN}"
decimals = 18
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "esep.toml").write_text(SETTINGS)
    (tmp_path / "var").mkdir()
    log = SqliteLog(tmp_path / "var" / "log.sqlite")
    for topic, key, told in (
        ("chain", f"{POOL}/{CHAIN}", chain_events()),
        *((topic, POOL, told) for topic, told in other_events().items()),
    ):
        with log.writer(topic, key) as writer:
            writer.append([encode(event) for event in told])
    log.close()
    return tmp_path / "esep.toml"


def rows(config: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    capsys.readouterr()
    assert esep("wallets", "messages", "--config", config) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def write(path: Path, told: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, told[0].keys())
        writer.writeheader()
        writer.writerows(told)
    return path


def test_a_signature_goes_from_the_printed_message_into_the_log_and_the_bundle(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = rows(config, capsys)
    assert (line["address"], line["wallet"], line["signature"]) == (HOT, "hot", "") and "201040000013" in line["message"]
    file = write(tmp_path / "wallets.csv", [line])
    assert esep("wallets", "import", file, "--by", "A. Person", "--config", config) == 0, "rows without a signature are passed over"
    signature = "0x" + Account.sign_message(encode_defunct(text=line["message"]), KEY).signature.hex()
    file = write(tmp_path / "wallets.csv", [line | {"signature": signature}])
    assert esep("wallets", "import", file, "--by", "A. Person", "--config", config) == 0
    assert "1 signatures taken" in capsys.readouterr().out
    assert esep("wallets", "import", file, "--by", "A. Person", "--config", config) == 0
    assert "nothing new" in capsys.readouterr().out
    assert [row["signature"] for row in rows(config, capsys)] == [signature]
    log = SqliteLog(config.parent / "var" / "log.sqlite")
    with Store.open(tmp_path / "store.duckdb") as store:
        Ingest(log, store).catch_up()
        assert [s.by for s in month_state(store, MONTH).wallet_signatures] == ["A. Person"]
        HEADER["bin"] = "201040000013"
        try:
            bundle, _ = freeze(log, store, tmp_path / "months")
        finally:
            HEADER["bin"] = "x"
    log.close()
    checks = {check.name: check for check in verify_bundle(bundle, left_out=["documents"])}
    assert checks["wallets"].holds and "the keys of 1 of 1 addresses of the pool's signed for it" in checks["wallets"].detail
    assert checks["wallets"].on_word == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signature": "0x" + "11" * 65}, "does not hold"),
        ({"signature": "0x00", "address": "0x" + "11" * 20}, "none of the pool's addresses"),
        ({"signature": "0x00", "address": "bc1q"}, "not an address"),
        ({"signature": "0x00", "chain": "bitcoin"}, "there is no [chains.bitcoin]"),
    ],
)
def test_what_does_not_hold_is_refused_with_its_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    (line,) = rows(config, capsys)
    file = write(tmp_path / "wallets.csv", [line | change])
    assert esep("wallets", "import", file, "--by", "A. Person", "--config", config) == 4
    told = capsys.readouterr().err
    assert said in " ".join(told.split()) and "line 2" in told
    assert [row["signature"] for row in rows(config, capsys)] == [""]


@pytest.mark.parametrize("content", [b"", b"chain,address\nx,y\n", b"\xff\xfe", b'a,"b\n'])
def test_a_file_of_another_shape_is_refused(config: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "wallets.csv"
    file.write_bytes(content)
    assert esep("wallets", "import", file, "--by", "A. Person", "--config", config) == 4
    assert esep("wallets", "import", tmp_path / "none.csv", "--by", "A. Person", "--config", config) == 4
    assert esep("wallets", "import", file, "--by", " ", "--config", config) == 2
