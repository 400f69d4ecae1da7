"""An auditor's view: whatever is changed in a bundle, a check says so; and a forged report does not pass its own evidence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline.model.errors import VerifyError
from pipeline.model.rules import NEWEST_EDITION
from pipeline.verify.bundle import verify_bundle


@pytest.fixture
def bundle(frozen: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil."""
    copy = tmp_path / "v1"
    shutil.copytree(frozen / "months" / "2026-10" / "v1", copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def failing(bundle: Path) -> set[str]:
    """The checks that fail; printing the documents anew takes the most time, and is tried in tests/forgery."""
    return {check.name for check in verify_bundle(bundle, left_out=["documents"]) if not check.holds}


def reseal(bundle: Path) -> None:
    """Make manifest and digest agree with the files again, as a forger would."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"] = {
        name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in manifest["files"] if (bundle / name).exists()
    }
    manifest["digest"] = manifest["files"]["report.csv"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def first_transfer(bundle: Path) -> dict[str, str]:
    rows = pl.read_csv(bundle / "report.csv", infer_schema=False)
    return rows.filter(pl.col("transfer_date").is_not_null()).row(0, named=True)


def test_an_untouched_bundle_holds(bundle: Path):
    assert failing(bundle) == set()


def test_every_file_is_watched(bundle: Path):
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    for name in manifest["files"]:
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(content + b"\n")
        assert "files" in failing(bundle), name
        (bundle / name).write_bytes(content)
        if name.endswith(".csv") and "/" not in name:  # the whole check takes a second; one per kind of file is enough
            continue
        break
    (bundle / "evidence" / "extra.txt").write_text("x")
    assert failing(bundle) == {"files"}


def forge_amount(bundle: Path) -> None:
    row = first_transfer(bundle)
    edit(bundle / "report.csv", f",{row['transfer_amount']},{row['transfer_date']},", f",9.99999999,{row['transfer_date']},")


def forge_date(bundle: Path) -> None:
    row = first_transfer(bundle)
    edit(bundle / "report.csv", f",{row['transfer_amount']},{row['transfer_date']},", f",{row['transfer_amount']},2026-10-30,")


def forge_wallet(bundle: Path) -> None:
    row = first_transfer(bundle)
    edit(bundle / "report.csv", f",{row['wallet']},", ",bcrt1qforged,")


@pytest.mark.parametrize("forge", [forge_amount, forge_date, forge_wallet])
def test_a_forged_transfer_is_caught_by_the_chain_even_when_resealed(bundle: Path, forge: Callable[[Path], None]):
    forge(bundle)
    reseal(bundle)
    faults = failing(bundle)
    assert "reported transfers" in faults and "recomputed from facts" in faults and "files" not in faults


def test_a_forged_allocation_is_caught_by_the_facts(bundle: Path):
    row = first_transfer(bundle)
    edit(bundle / "report.csv", f",{row['asset']},{row['amount']},", f",{row['asset']},0.00000001,")
    reseal(bundle)
    assert "recomputed from facts" in failing(bundle)


def test_a_header_out_of_the_chain_is_caught(bundle: Path):
    path = bundle / "evidence" / "headers.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:100] + lines[101:]) + "\n")
    reseal(bundle)
    assert {"headers", "facts against chain"} <= failing(bundle)


def test_a_block_that_does_not_meet_its_target_is_caught(bundle: Path):
    path = bundle / "evidence" / "headers.csv"
    lines = path.read_text().splitlines()
    chain, height, _, mediantime, header = lines[-1].split(",")
    forged = bytearray.fromhex(header)
    forged[72:76] = bytes.fromhex("ffff001d")  # claims the work of the main network, which it has not
    block_hash = hashlib.sha256(hashlib.sha256(forged).digest()).digest()[::-1].hex()
    path.write_text("\n".join([*lines[:-1], f"{chain},{height},{block_hash},{mediantime},{forged.hex()}"]) + "\n")
    reseal(bundle)
    assert "headers" in failing(bundle)


def spoil_proof(bundle: Path, change: Callable[[dict[str, object]], None]) -> None:
    path = bundle / "evidence" / "proofs.jsonl"
    row = first_transfer(bundle)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    ties = pl.read_csv(bundle / "rows.csv", infer_schema=False)
    txid = ties.filter(pl.col("n") == row["n"])["txid"][0]
    change(next(line for line in lines if line["txid"] == txid))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    reseal(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof.update(branch=["00" * 32, *proof["branch"][1:]]),
        lambda proof: proof.update(position=proof["position"] ^ 1),
        lambda proof: proof.update(raw=proof["raw"][:-2] + "ff"),
        lambda proof: proof.update(height=proof["height"] + 1),
        lambda proof: proof.update(txid="00" * 32),
    ],
    ids=["branch", "position", "bytes", "height", "txid"],
)
def test_a_proof_that_does_not_prove_is_caught(bundle: Path, change: Callable[[dict[str, object]], None]):
    spoil_proof(bundle, change)
    assert "proofs" in failing(bundle)


def test_facts_of_another_chain_are_caught(bundle: Path):
    path = bundle / "evidence" / "facts" / "blocks.parquet"
    blocks = pl.read_parquet(path)
    blocks.with_columns(hash=pl.when(pl.col("height") == 4000).then(pl.lit("ab" * 32)).otherwise("hash")).write_parquet(path)
    reseal(bundle)
    assert "facts against chain" in failing(bundle)


def test_no_manifest_no_bundle(tmp_path: Path):
    with pytest.raises(VerifyError, match=r"manifest\.json"):
        verify_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(VerifyError, match="not a bundle"):
        verify_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text(f'{{"schema": {NEWEST_EDITION + 1}}}')
    with pytest.raises(VerifyError, match="newer"):
        verify_bundle(tmp_path)
