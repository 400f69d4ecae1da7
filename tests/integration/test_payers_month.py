"""A front's month on an account chain, the whole way from its node to the verified bundle, with traps (rule 10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.assess.statement import statements_of
from pipeline.chains.evm.address import to_checksum
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.tables import read_tables

from ..simulation.evm_world import CHAIN_ID, TOKEN, Served, Spend, World
from .payers_month import DAY, MINERS, MONTH, OCTOBER, PAYER, SETTINGS, Front, play, printed, rows, write, write_registry

WORD = "the upstream's mistake"
LOST = ("P03", "P041", "P06", "P10", "P11")
"""A transaction that failed; a call that was undone; a look-alike of the token; an address of the pool's; a transaction that left the chain."""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with play(tmp_path_factory.mktemp("front")) as front:
        assert front.esep("freeze", MONTH, "--by", "B.") == 3 and not front.bundle.exists()
        for payment in LOST:
            assert front.esep("waive", MONTH, "payment-not-on-chain", payment, "--by", "B.", "--reason", WORD) == 0
        assert front.esep("freeze", MONTH, "--by", "B.") == 0
        yield front


def test_the_transfers_are_what_the_payers_transactions_did(front: Front) -> None:
    told = sorted(
        (row["payer"], row["txid"], row["address"].lower(), row["asset"], row["amount_sat"], row["explanation"])
        for row in rows(front.bundle / "transfers.csv")
    )
    first, second, third = MINERS.values()
    t = front.txids
    expected = [
        ("big", t["plain"], first, "ETH", 1000, "exact"),
        ("big", t["batch"], first, "ETH", 300, "exact"),
        ("big", t["batch"], second, "ETH", 400, "exact"),
        ("big", t["batch"], third, "ETH", 500, "exact"),
        ("big", t["undone"], first, "ETH", 90, "exact"),
        ("big", t["token"], first, "USDT", 25, "exact"),
        ("big", t["token"], second, "USDT", 35, "exact"),
        ("big", t["back"], third, "ETH", 60, "exact"),
        ("big", t["again"], third, "ETH", 111, "exact"),
        ("big", t["coming"], second, "ETH", 31, "exact"),
        ("", t["own"], second, "ETH", 800, "exact"),
        ("desk", "INV-7", "shot 7", "ETH", 10, "attested"),
    ]
    assert told == sorted((payer, txid, where, asset, str(amount), said) for payer, txid, where, asset, amount, said in expected)


def test_its_issues_are_the_expected_ones(front: Front) -> None:
    told = sorted((row["code"], row["ref"]) for row in rows(front.bundle / "issues.csv"))
    lost = [("payment-not-on-chain", payment) for payment in LOST]
    assert told == sorted(
        [
            *lost,
            ("payer-differs", "P08"),
            ("transfer-not-proven", "desk:INV-7:shot 7"),
            *[row for row in told if row[0] == "transfer-exceeds-allocations"],
        ]
    )


def test_nothing_of_the_payers_is_an_outflow_and_the_pools_balances_hold(front: Front) -> None:
    assert {row["txid"] for row in rows(front.bundle / "outflows.csv")} == {front.txids["own"]}
    (eth,) = [row for row in rows(front.bundle / "balances.csv") if row["wallet"] == "hot/ETH"]
    assert int(eth["out_sat"]) == 800 and eth["closing_sat"] == eth["unspent_sat"]


def test_the_manifest_counts_by_payer_and_says_that_all_was_looked_for(front: Front) -> None:
    manifest = json.loads((front.bundle / "manifest.json").read_text())
    big = manifest["by_payer"]["big"]
    assert (big["transfers"], big["amount"]["ETH"]) == (10, printed(2492, "ETH"))
    assert manifest["by_payer"]["desk"]["transfers"] == manifest["by_payer"][""]["transfers"] == 1
    met = {condition["name"]: condition for condition in manifest["conditions"]}
    assert met["eth: payers' transactions looked for"]["is_met"]
    assert met["eth: payers' transactions looked for"]["detail"] == "all 16 payments of on-chain payers were looked for"


def test_the_manifest_names_what_each_payers_sums_rest_on(front: Front) -> None:
    """The chain's own asset by calls inside a transaction: the node's word. What the transaction itself pays, and tokens: proved."""
    wei = "0.0000000000000{:05}".format
    assert json.loads((front.bundle / "manifest.json").read_text())["rests_on"] == {
        "": {"proof": {"ETH": wei(800)}},
        "big": {"node": {"ETH": wei(300 + 400 + 500 + 90 + 60)}, "proof": {"ETH": wei(1000 + 111 + 31), "USDT": "0.000060"}},
        "desk": {"ledger": {"ETH": wei(10)}},
    }


def test_verify_proves_them_and_names_what_rests_on_the_trace(front: Front) -> None:
    checks = {check.name: check for check in verify_bundle(front.bundle)}
    assert {name for name, check in checks.items() if not check.holds} == {"nonces"}, "the small chain's signatures are invented"
    said = checks["reported transfers"].on_word
    assert said[0].startswith(
        "5 transfer(s) of which the sum rests on the node's trace of calls"
    )  # three of the batch, one beside the undone call, "back"
    assert said[1] == "1 row(s) that desk paid off chain: the ledger's word alone (rule 10.5)"


def test_replay_and_statement_know_the_payer(front: Front) -> None:
    assert front.esep("replay", MONTH) == 0
    miner = next(iter(MINERS))
    assert front.esep("statement", MONTH, "--miner", miner, "--format", "csv", "--out", front.folder / "statements") == 0
    (statement,) = (front.folder / "statements").glob("*.csv")
    assert front.txids["batch"] in statement.read_text(encoding="utf-8")
    made = {one.miner_id: one for one in statements_of(read_tables(front.bundle))}
    assert [one.is_on_nodes_word for one in made.values()] == [True, True, True]
    assert [miner for miner, one in made.items() if one.is_on_ledgers_word] == ["201140000017"]  # desk's INV-7


def test_a_pool_without_wallets_reports_what_a_bigger_pool_pays_its_miners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And `status` tells of an older month that a late payment changed, though a newer one is frozen."""
    world = World(1, time=OCTOBER - DAY)
    front = Front(world, tmp_path / "front")
    first, *_ = MINERS.values()
    with Served(world) as served:
        before, _, wallets = SETTINGS.format(chain_id=CHAIN_ID, url=served.url, hot="", token=to_checksum(TOKEN)).partition(
            "[[chains.eth.wallets]]"
        )
        (front.folder / "esep.toml").parent.mkdir()
        (front.folder / "esep.toml").write_text(before + wallets[wallets.index("[assets.ETH]") :], encoding="utf-8")
        write_registry(front)
        front.mine(0.1)
        front.mine(1, ("plain", Spend(PAYER, first, 1000)))
        front.pay("P1", 0, 1000, front.txids["plain"], 1)
        front.mine(2, ("other", Spend(PAYER, first, 77)))  # names nobody: neither an outflow nor an issue
        front.pay("D1", 1, 30, "INV-7", 3, payer="desk", to="shot 7")
        front.allocate([(0, "ETH", 1100), (1, "ETH", 50)])
        front.mine(4)
        front.watch()
        front.import_payments()
        assert front.esep("issues", MONTH) == 0
        assert "was not looked for yet" in capsys.readouterr().out
        for day in (31.2, 31.3, 31.4, 61.2, 61.3, 61.4):
            front.mine(day)
        front.watch()
        assert front.esep("import", "complete", "2026-11-30") == 0
        assert front.esep("freeze", MONTH, "--by", "B.") == 0
        told = [(row["payer"], row["address"].lower(), row["amount_sat"]) for row in rows(front.bundle / "transfers.csv")]
        assert told == [("big", first, "1000"), ("desk", "shot 7", "30")]
        assert (
            rows(front.bundle / "outflows.csv") == [] == [row for row in rows(front.bundle / "issues.csv") if row["severity"] == "blocking"]
        )
        checks = verify_bundle(front.bundle)
        assert [check for check in checks if not check.holds] == []
        assert any("that the pool has no wallet" in word for check in checks for word in check.on_word)
        assert front.esep("replay", MONTH) == 0
        late = front.folder / "november.csv"
        write(
            late, ["allocation_id", "account", "asset", "allocated_at", "amount"], [["N1", "a0", "ETH", "2026-11-05T00:00:00+05:00", "1"]]
        )
        assert front.esep("import", "allocations", late, "--yes", "--by", "B.") == 0
        assert front.esep("freeze", "2026-11", "--by", "B.") == 0
        assert MONTH not in {view["month"] for view in status(front, capsys)}
        front.pay("D2", 1, 20, "INV-7", 40, payer="desk", to="shot 7")  # of a later month, on a reference that began in October (rule 10.5)
        front.payments["D2"][6] = "2026-11-09T00:00:00+05:00"
        front.import_payments()
        october = next(view for view in status(front, capsys) if view["month"] == MONTH)
        assert f"esep amend {MONTH}" in october["changed"]


def status(front: Front, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The months that `esep status` tells of."""
    capsys.readouterr()
    assert front.esep("status", "--json") == 0
    months: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["months"]
    return months
