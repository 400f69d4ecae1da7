"""A month frozen with `auditor_descriptors = true` (ADR 15): the descriptors lie beside the bundle, and in nothing that is filed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from connectors.standins.bitcoin_node import ReplayNode
from pipeline.assess.wallets import DESCRIPTORS_JSONL

from .example_month import DIGEST, OUTFLOW, RECORDED, esep
from .test_closing import close, configured

WAIVE = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
KEY = re.compile(rb"[tx]pub[1-9A-HJ-NP-Za-km-z]{50,}")


@pytest.fixture(scope="module")
def with_descriptors(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`var` of the month frozen so, its wallets watched by descriptors. Nobody changes it: copy it."""
    var = tmp_path_factory.mktemp("descriptors") / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    text = config.read_text(encoding="utf-8")
    for wallet in json.loads((RECORDED / "pool.json").read_text(encoding="utf-8"))["wallets"]:
        texts = ", ".join(json.dumps(text) for text in wallet["descriptors"])
        text, count = re.subn(
            rf'(?ms)^name = "{wallet["name"]}"\naddresses = \[.*?^\]', f'name = "{wallet["name"]}"\ndescriptors = [{texts}]', text
        )
        assert count == 1
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        told = f'rpc_url = "{node.rpc_url}"\ncookie_file = "{node.cookie_path}"\nauditor_descriptors = true'
        config.write_text(re.sub(r"(?m)^rpc_url = .*$", told, text), encoding="utf-8")
        assert esep("watch", "bitcoin", "--once", "--config", config) == 0
    assert esep(*WAIVE, "--config", config) == 0
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    return var


def test_they_lie_beside_the_bundle_and_verify_derives_the_addresses(with_descriptors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = with_descriptors / "months" / "2026-10" / "v1"
    laid = [json.loads(line) for line in (bundle / DESCRIPTORS_JSONL).read_bytes().splitlines()]
    assert [one["wallet"] for one in laid] == ["pool", "treasury"] and all(one["descriptors"] for one in laid)
    assert (bundle / DESCRIPTORS_JSONL).stat().st_mode & 0o777 == 0o400
    capsys.readouterr()
    assert esep("verify", bundle, "--test-network", "--json") == 0
    (check,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "descriptors"]
    told = re.findall(r"(\d+) of (\d+) listed addresses of (\w+) follow from its descriptors", check["detail"])
    assert [wallet for *_, wallet in told] == ["pool", "treasury"] and all(derived == listed != "0" for derived, listed, _ in told)


def test_nothing_that_is_frozen_or_filed_has_them(
    with_descriptors: Path, tmp_path: Path, clock: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(with_descriptors, tmp_path, "")
    bundle = tmp_path / "var" / "months" / "2026-10" / "v1"
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert manifest["digest"] == DIGEST and DESCRIPTORS_JSONL not in manifest["files"]
    holding = [path.name for path in bundle.rglob("*") if path.is_file() and KEY.search(path.read_bytes())]
    assert holding == [DESCRIPTORS_JSONL]
    assert esep("replay", "2026-10", "--config", config) == 0
    assert close(config, capsys)["2026-10"]["state"] == "submitting"
    (placed,) = (config.parent / "outbox").glob("2026-10-v1-*")
    filed = [path for path in placed.rglob("*") if path.is_file()]
    assert {"body.json", "report.pdf", "manifest.json"} <= {path.name for path in filed}
    assert not [path.name for path in filed if path.name == DESCRIPTORS_JSONL or KEY.search(path.read_bytes())]
    assert DESCRIPTORS_JSONL.encode() not in (placed / "manifest.json").read_bytes()


def test_the_month_s_database_names_wallets_without_descriptors(with_descriptors: Path) -> None:
    """It lies in every bundle, and compresses what it holds: so its tables are asked."""
    with duckdb.connect(str(with_descriptors / "months" / "2026-10" / "v1" / "month.duckdb"), read_only=True) as connection:
        ((wallets,),) = connection.execute("SELECT wallets FROM raw_watch").fetchall()
        named = json.loads(wallets)
        assert [one["name"] for one in named] == ["pool", "treasury"] and all(set(one) == {"name", "addresses"} for one in named)
        for (table,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall():
            assert not KEY.search(str(connection.execute(f'SELECT * FROM "{table}"').fetchall()).encode()), table
