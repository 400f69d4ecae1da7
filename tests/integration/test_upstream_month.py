"""A recorded month of a pool that is paid by a bigger one (rule 10), the whole way from node to bundle, beside what an independent program computed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.model.amounts import from_units

from .example_month import esep

CAPTURE = Path(__file__).resolve().parents[1] / "captures" / "2026-11-upstream"
MONTH = "2026-11"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("upstream") / "var"
    assert esep("demo", CAPTURE, "--var", var, "--waive-all", "a recorded month") == 0
    return var / "months" / MONTH / "v1"


@pytest.mark.parametrize("name", ["report.csv", "outflows.csv", "transfers.csv", "balances.csv"])
def test_the_month_comes_out_byte_for_byte(bundle: Path, name: str) -> None:
    assert (bundle / name).read_bytes() == (CAPTURE / "expected" / name).read_bytes()


def test_its_issues_are_the_expected_ones(bundle: Path) -> None:
    def keys(path: Path) -> list[tuple[str, str, str]]:
        with path.open(newline="", encoding="utf-8") as lines:
            return sorted((row["code"], row["severity"], row["ref"]) for row in csv.DictReader(lines))

    assert keys(bundle / "issues.csv") == keys(CAPTURE / "expected" / "issues.csv")


def test_the_manifest_counts_by_payer_and_says_that_all_payments_were_looked_for(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    expected = json.loads((CAPTURE / "expected" / "summary.json").read_text())["by_payer"]
    for name, sums in expected.items():
        told = manifest["by_payer"][name]
        assert {key: told[key] for key in ("transfers", "distinct_transfers", "distinct_transfers_count")} == {
            key: sums[key] for key in ("transfers", "distinct_transfers", "distinct_transfers_count")
        }
        assert told["amount"] == {"BTC": from_units(sums["amount_sat"], 8)}
    assert {
        "name": "bitcoin: payers' transactions looked for",
        "is_met": True,
        "detail": "all 968 payments of on-chain payers were looked for",
    } in manifest["conditions"]
    assert manifest["rules"]["payers"] == {"luxor": {"way": "on-chain", "chain": "bitcoin"}}


def test_a_replay_gives_the_same_month(bundle: Path) -> None:
    var = bundle.parents[2]
    assert esep("replay", MONTH, "--config", var / "esep.toml") == 0
