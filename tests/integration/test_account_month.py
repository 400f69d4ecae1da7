"""A month on an account chain from log to verified bundle, and forgeries of what proves it (ADR 7)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.model.errors import MonthError, StoreError
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest
from pipeline.verify.account_evidence import prove_account_transaction
from pipeline.verify.bundle import verify_bundle

from .account_month import (  # fmt: skip
    AFTER,
    ANNA,
    BATCH,
    BORAT,
    CHAIN,
    ETHER,
    HOT,
    A,
    B,
    chain_events,
    freeze,
    log_of,
    payments_block,
    receipt_of,
    token_log,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frozen bundle. Nobody changes it: copy it."""
    with Store.memory() as store:
        return freeze(log_of(chain_events()), store, tmp_path_factory.mktemp("accounts") / "months")[0]


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "v1"
    shutil.copytree(made, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def failing(bundle: Path) -> dict[str, str]:
    return {check.name: check.detail for check in verify_bundle(bundle) if not check.holds}


def proofs_of(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "evidence" / "proofs.jsonl").read_text().splitlines()]


def forge(bundle: Path, of: int, **change: Any) -> None:
    """Change one proof, and reseal the manifest as a forger would."""
    proofs = proofs_of(bundle)
    for proof in proofs:
        if proof["position"] == of:
            proof.update(change)
    (bundle / "evidence" / "proofs.jsonl").write_text("".join(json.dumps(proof) + "\n" for proof in proofs))
    reseal(bundle)


def reseal(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"] = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in manifest["files"]}
    manifest["digest"] = manifest["files"]["report.csv"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_the_month_is_frozen_and_its_bundle_holds_naming_what_rests_on_the_trace(made: Path) -> None:
    report = pl.read_csv(made / "report.csv", infer_schema=False)
    assert sorted(report.select("miner_id", "wallet", "asset", "amount", "transfer_amount", "transfer_date").rows()) == [
        (ANNA, A, "ETH", "1.000000000000000000", "1.000000000000000000", "2026-10-10"),
        (ANNA, A, "ETH", "2.000000000000000000", "2.000000000000000000", "2026-10-10"),
        (BORAT, B, "USDT", "5.000000", "5.000000", "2026-10-10"),
    ]
    outflows = pl.read_csv(made / "outflows.csv", infer_schema=False)
    assert sorted(outflows.filter(pl.col("class") == "payout").select("asset", "amount_sat").rows()) == [
        ("ETH", str(ETHER)), ("ETH", str(2 * ETHER)), ("USDT", "5000000"),
    ]  # fmt: skip
    assert outflows.filter(pl.col("class") == "fee")["asset"].to_list() == ["ETH"] * 4
    checks = {check.name: check for check in verify_bundle(made)}
    assert {name: check.detail for name, check in checks.items() if not check.holds} == {}
    (said,) = checks["reported transfers"].on_word
    assert f"1 transfer(s) of which the sum rests on the node's trace of calls: 1.000000000000000000 ETH to {A} in " in said
    manifest = json.loads((made / "manifest.json").read_bytes())
    assert manifest["chains"][CHAIN]["internal_calls"] == "debug_trace"
    assert manifest["issues"] == {"node-answer-changed": 1}


def test_observed_balances_are_stored_shown_and_exported(tmp_path: Path, made: Path) -> None:
    with Store.memory() as store:
        Ingest(log_of(chain_events()), store).catch_up()
        facts = read_facts(store.connection)
        assert facts.observations.select("height", "wallet", "address", "asset").rows() == [
            (99, "hot", HOT, "ETH"), (99, "hot", HOT, "USDT"), (102, "hot", HOT, "ETH"), (102, "hot", HOT, "USDT"),
        ]  # fmt: skip
        assert facts.observations.filter(pl.col("height") == 102)["value"].to_list() == list(AFTER.values())
        assert facts.doubts.select("height", "detail").rows() == [(101, "a log was missing")]
        assert facts.transactions["fee_wallet"].to_list() == ["hot"] * 4
        assert store.connection.execute("SELECT count(*) FROM observed_balances").fetchall() == [(4,)]
        assert store.connection.execute("SELECT DISTINCT internal_calls FROM chains").fetchall() == [("debug_trace",)]
    with Store.open(_copied(made / "month.duckdb", tmp_path / "month.duckdb")) as month:
        assert month.connection.execute("SELECT count(*) FROM raw_balance").fetchall() == [(4,)]
        assert month.connection.execute("SELECT count(*) FROM doubts").fetchall() == [(1,)]


def _copied(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    return target


def test_balances_that_do_not_stand_after_the_last_block_stop_the_chain() -> None:
    events = chain_events()
    moved = [*events[:6], *events[7:]]  # told after the next block instead
    late = events[6]
    renumbered = [
        type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | {"seq": n, "id": f"{CHAIN}:{n}"}) for n, e in enumerate([*moved, late])
    ]
    with (
        Store.memory() as store,
        pytest.raises(StoreError, match=r"balances after block .* \(102\), but the main chain of 'ethereum' ends with"),
    ):
        Ingest(log_of(renumbered), store).catch_up()


@pytest.mark.parametrize(
    ("after", "detail"),
    [
        ({"ETH": None, "USDT": AFTER["USDT"]}, "wallet-does-not-balance"),
        ({"ETH": AFTER["ETH"] - 1, "USDT": AFTER["USDT"]}, "wallet-does-not-balance"),
    ],
)
def test_a_month_whose_balances_do_not_prove_it_does_not_close(tmp_path: Path, after: dict[str, int | None], detail: str) -> None:
    with Store.memory() as store, pytest.raises(MonthError, match=detail):
        freeze(log_of(chain_events(after)), store, tmp_path / "months")


def _other_receipt(bundle: Path) -> None:
    forge(bundle, 1, receipt=receipt_of(1, logs=[token_log(B, 6_000_000)]).hex())


def _proof_of_a_neighbour(bundle: Path) -> None:
    other = next(proof for proof in proofs_of(bundle) if proof["position"] == 2)
    forge(bundle, 1, **{name: other[name] for name in ("transaction_proof", "receipt_proof", "raw", "receipt")})


FORGERIES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "receipt": (_other_receipt, "proofs", "another receipt stands at its place"),
    "no receipt": (lambda b: forge(b, 1, receipt=None), "proofs", "lacks the receipt"),
    "no nodes": (lambda b: forge(b, 1, receipt_proof=[]), "proofs", "does not begin at the header's root"),
    "nodes of nonsense": (lambda b: forge(b, 1, transaction_proof=["00ff"]), "proofs", "does not begin at the header's root"),
    "other transaction": (lambda b: forge(b, 0, raw=proofs_of(b)[1]["raw"]), "proofs", "another transaction stands at its place"),
    "neighbour": (_proof_of_a_neighbour, "proofs", "its proof"),
    "other id": (lambda b: forge(b, 0, txid="ab" * 32), "proofs", "its bytes hash to another id"),
    "other place": (lambda b: forge(b, 0, position=9), "proofs", "its proof"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_proof_is_caught(bundle: Path, name: str) -> None:
    spoil, check, words = FORGERIES[name]
    spoil(bundle)
    assert words in failing(bundle)[check]


@pytest.mark.parametrize(
    ("old", "new"), [("2.000000000000000000,2026-10-10", "3.000000000000000000,2026-10-10"), ("5.000000,2026", "6.000000,2026")]
)
def test_a_forged_sum_of_a_plain_transfer_or_a_token_is_caught(bundle: Path, old: str, new: str) -> None:
    path = bundle / "report.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    reseal(bundle)
    assert "the row says" in failing(bundle)["reported transfers"]


def test_a_forged_header_is_caught(bundle: Path) -> None:
    path = bundle / "evidence" / "headers.csv"
    text = path.read_text(encoding="utf-8")
    header = payments_block_header(text)
    path.write_text(text.replace(header, header[:-2] + ("00" if header[-2:] != "00" else "01")), encoding="utf-8")
    reseal(bundle)
    assert "the header's hash is" in failing(bundle)["headers"]


def payments_block_header(headers_csv: str) -> str:
    return next(line.split(",")[4] for line in headers_csv.splitlines() if line.startswith(f"{CHAIN},101,"))


def test_a_failed_transaction_proves_no_payment_and_a_successful_one_what_its_receiver_keeps() -> None:
    prev = "cd" * 32
    header, told = payments_block(prev)

    def shown(position: int) -> Any:
        t = told[position]
        assert t.raw is not None
        return prove_account_transaction(header, txid=t.txid, position=position, raw=t.raw, receipt=t.receipt, transaction_proof=t.transaction_proof,
                                         receipt_proof=t.receipt_proof)  # fmt: skip

    assert shown(0).amounts == {(A, None): 2 * ETHER} and not shown(0).may_call
    assert shown(2).amounts == {(BATCH, None): ETHER} and shown(2).may_call
    assert shown(3).amounts == {} and not shown(3).may_call
