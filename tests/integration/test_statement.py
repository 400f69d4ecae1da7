"""`esep statement` on the recorded month: what was filed, shared out among the miners, and nobody sees another's."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from pypdf import PdfReader

from pipeline.render.statement import ROWS
from tests.forgery.forger import resealed

from .example_month import DIGEST, esep


@pytest.fixture(scope="module")
def made(frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every miner's statement in CSV."""
    out = tmp_path_factory.mktemp("statements")
    assert esep("statement", "2026-10", "--out", out, "--format", "csv", "--config", frozen / "esep.toml") == 0
    return out


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def bundle(frozen: Path) -> Path:
    return frozen / "months" / "2026-10" / "v1"


def test_the_sums_of_all_statements_are_the_report_s(made: Path, frozen: Path) -> None:
    lines = pl.concat([read(path) for path in made.iterdir()])
    manifest = json.loads((bundle(frozen) / "manifest.json").read_text())

    def total(record: str, where: pl.Expr = pl.lit(True), amount: str = "amount") -> dict[str, Decimal]:  # noqa: B008 - a constant
        sums: dict[str, Decimal] = {}
        for asset, value in lines.filter((pl.col("record") == record) & where).select("asset", amount).iter_rows():
            sums[asset] = sums.get(asset, Decimal()) + Decimal(value)
        return sums

    for record in ("opening", "allocated", "settled", "closing", "advance"):
        assert total(record) == {asset: Decimal(amounts[record]) for asset, amounts in manifest["debts"]["totals"].items()}
    is_carried, is_unsettled = pl.col("is_carried") == "true", pl.col("txid").is_null()
    said = {
        name: {asset: Decimal(amount) for asset, amount in manifest["totals"][name].items()}
        for name in ("allocated_in_month", "carried_into_month", "left_unsettled")
    }
    assert total("row", ~is_carried) == said["allocated_in_month"]
    assert total("row", is_carried) == said["carried_into_month"]
    assert total("row", is_unsettled & ~is_carried) == said["left_unsettled"]
    commission = total("row", pl.col("commission_asset").is_not_null(), "commission_asset_amount")
    assert commission == {asset: Decimal(amount) for asset, amount in manifest["totals"]["commission_by_asset"].items()}
    assert lines.filter(pl.col("record") == "row").height == manifest["rows"]


def test_a_statement_holds_exactly_its_miner_s_rows(made: Path, frozen: Path) -> None:
    folder = bundle(frozen)
    report = pl.concat([read(folder / "report.csv").drop("n"), read(folder / "rows.csv").drop("n")], how="horizontal")
    names = [column.name for column in ROWS if column.name != "n"]
    miners = report["miner_id"].unique().to_list()
    assert sorted(path.name for path in made.iterdir()) == sorted(
        f"{miner}-v1.csv" for miner in {*miners, *read(folder / "debts.csv")["miner_id"]}
    )
    for miner in miners:
        lines = read(made / f"{miner}-v1.csv")
        assert lines["miner_id"].unique().to_list() == [miner]
        rows = lines.filter(pl.col("record") == "row")
        assert rows.select(names).equals(report.filter(pl.col("miner_id") == miner).select(names))
        assert rows["n"].to_list() == [str(number) for number in range(1, rows.height + 1)]


def test_documents_say_the_same_and_name_nobody_else(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle(frozen)
    report = pl.concat([read(folder / "report.csv").drop("n"), read(folder / "rows.csv").drop("n")], how="horizontal")
    carried = report.filter(pl.col("is_carried") == "true")
    miner = str(carried["miner_id"][0])
    capsys.readouterr()
    config = frozen / "esep.toml"
    asked = ["--miner", miner, "-l", "kk", "-l", "ru", "--out", tmp_path / "out", "--json", "--config", config]
    assert esep("statement", "2026-10", *asked) == 0
    told = json.loads(capsys.readouterr().out)
    names = [
        f"{miner}-v1.csv",
        f"{miner}-v1.xlsx",
        f"{miner}-v1.ru.xlsx",
        f"{miner}-v1.pdf",
        f"{miner}-v1.ru.pdf",
        f"{miner}-v1.receipt.json",
    ]
    assert [Path(path).name for path in told["files"]] == names and (told["miners"], told["version"]) == (1, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)

    own, others = report.filter(pl.col("miner_id") == miner), report.filter(pl.col("miner_id") != miner)
    foreign = {*others["miner_id"], *others["miner_name"], *others["allocation_id"], *others["wallet"]} - {None} - {*own["wallet"]}
    for language, mark in (("", "иә"), (".ru", "да")):
        pages = PdfReader(tmp_path / "out" / f"{miner}-v1{language}.pdf").pages
        text = "".join("".join(page.extract_text() for page in pages).split())
        sheet = openpyxl.load_workbook(tmp_path / "out" / f"{miner}-v1{language}.xlsx").worksheets[0]
        cells = {str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None}
        for row in own.iter_rows(named=True):
            assert row["allocation_id"] in cells and row["allocation_id"] in text
            assert row["amount"].replace(".", ",") in text
            assert row["txid"] is None or (row["txid"] in cells and row["txid"] in text)
        assert mark in cells and mark in text
        for one in foreign:
            assert one not in cells and "".join(one.split()) not in text


def test_a_month_that_is_not_frozen_gives_a_draft_of_the_same_figures(
    blocked: Path, frozen: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    assert esep("statement", "2026-10", "--format", "csv", "--config", var / "esep.toml") == 0
    drafts = sorted((var / "statements" / "2026-10").iterdir())
    assert [path.name for path in drafts] == [path.name.replace("-v1", "-draft") for path in sorted(made.iterdir())]
    for path in drafts:
        lines = read(path)
        assert lines["version"].unique().to_list() == ["draft"]
        assert lines.drop("version").equals(read(made / path.name.replace("-draft", "-v1")).drop("version"))
    capsys.readouterr()
    assert esep("statement", "2026-10", "--version", 1, "--config", var / "esep.toml") == 3
    assert "it is not frozen" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["rows.csv", "debts.csv", "report.csv"])
def test_a_bundle_that_was_changed_gives_no_statement(frozen: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    path = bundle(var) / name
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    assert esep("statement", "2026-10", "--format", "csv", "--out", tmp_path / "out", "--config", var / "esep.toml") == 8
    assert name in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_agrees_with_itself_and_not_with_the_log_gives_none(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    report, manifest = bundle(var) / "report.csv", bundle(var) / "manifest.json"
    forged = report.read_bytes().replace(b"0.00237505", b"9.00237505")
    for path, content in (
        (report, forged),
        (manifest, manifest.read_bytes().replace(DIGEST.encode(), sha256(forged).hexdigest().encode())),
    ):
        path.chmod(0o600)
        path.write_bytes(content)
    assert esep("statement", "2026-10", "--format", "csv", "--out", tmp_path / "out", "--config", var / "esep.toml") == 8
    assert f"the log says {DIGEST}" in capsys.readouterr().err


def test_a_bundle_that_is_gone_is_brought_back_first(frozen: Path, made: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    shutil.rmtree(var / "months")
    assert esep("statement", "2026-10", "--format", "csv", "--out", tmp_path / "out", "--config", var / "esep.toml") == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in made.iterdir()
    }


def test_what_is_not_there_is_told(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = frozen / "esep.toml"
    for arguments, code, words in (
        (["2026-10", "--version", 7], 3, "no frozen version 7; there is v1"),
        (["2026-10", "--miner", "999999999999"], 3, "has no row and no debt"),
        (["2026-10", "--format", "csv,doc"], 2, "'doc' is none of csv, xlsx, pdf, receipt"),
        (["2026-10", "--language", "de"], 2, ""),
        (["2020-01"], 3, "no miner has a row or a debt"),
    ):
        capsys.readouterr()
        assert esep("statement", *arguments, "--out", tmp_path / "out", "--config", config) == code
        assert words in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


@pytest.fixture(scope="module")
def receipts(frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every miner's receipt."""
    out = tmp_path_factory.mktemp("receipts")
    assert esep("statement", "2026-10", "--out", out, "--format", "receipt", "--config", frozen / "esep.toml") == 0
    return out


def test_each_row_of_the_report_is_in_one_receipt_and_in_nobody_else_s(receipts: Path, frozen: Path) -> None:
    report = read(bundle(frozen) / "report.csv")
    found: list[str] = []
    for path in receipts.iterdir():
        told = json.loads(path.read_text())
        rows = [dict(zip(told["columns"], row["values"], strict=True)) for row in told["rows"]]
        assert path.name == f"{told['miner_id']}-v1.receipt.json"
        own = report.filter(pl.col("miner_id") == told["miner_id"])
        assert [{name: row[name] for name in own.columns} for row in rows] == own.to_dicts()
        others = report.filter(pl.col("miner_id") != told["miner_id"])
        for foreign in {*others["miner_id"], *others["miner_name"]} - {None, *own["miner_name"]}:
            assert foreign not in path.read_text()
        found += [row["n"] for row in rows]
    assert sorted(found, key=int) == report["n"].to_list()


def test_a_miner_checks_a_receipt_against_what_was_filed(
    receipts: Path, frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted(receipts.iterdir())[0]
    filed = tmp_path / "as-filed.json"
    shutil.copyfile(bundle(frozen) / "manifest.json", filed)
    root = json.loads(filed.read_text())["receipts"]["root"]
    for published in ([bundle(frozen)], [filed], ["--root", root], ["--root", root.upper()], [bundle(frozen), "--root", root]):
        assert esep("verify", "--receipt", path, *published) == 0
    capsys.readouterr()
    assert esep("verify", "--receipt", path) == 13, "a receipt alone proves nothing"
    assert "no root was given" in capsys.readouterr().out
    assert esep("verify", "--receipt", path, "--root", "ab" * 32) == 8
    assert "these rows do not stand in that report" in capsys.readouterr().out
    for wrong, code in (
        (["--receipt", tmp_path / "no.json"], 2),
        (["--receipt", filed], 8),
        (["--receipt", path, "--root", "x"], 2),
        (["--receipt", path, tmp_path], 8),
    ):
        assert esep("verify", *wrong) == code
    assert esep("verify") == 2 and esep("verify", bundle(frozen), "--root", root) == 2


def test_an_omission_is_found_by_the_miner_who_loses_by_it(receipts: Path, frozen: Path, tmp_path: Path) -> None:
    """The pool files a report without one miner's rows, all of it consistent: that miner's receipt, and every other of the honest report, contradict it."""
    path = max(receipts.iterdir(), key=lambda one: one.stat().st_size)
    miner = json.loads(path.read_text())["miner_id"]
    forged = tmp_path / "v1"
    shutil.copytree(bundle(frozen), forged)
    for one in forged.rglob("*"):
        one.chmod(0o700 if one.is_dir() else 0o600)
    report = read(forged / "report.csv")
    keep = report.select(keep=pl.col("miner_id") != miner)["keep"]
    for name in ("report.csv", "rows.csv"):
        table = read(forged / name).filter(keep)
        table.with_columns(n=pl.int_range(1, table.height + 1).cast(pl.String)).write_csv(forged / name, line_terminator="\n")
    resealed(forged, lambda manifest: manifest.update(rows=keep.sum()))
    assert esep("verify", "--receipt", path, bundle(frozen)) == 0
    assert esep("verify", "--receipt", path, forged) == 8


def test_a_manifest_that_states_another_root_makes_no_receipt_and_does_not_hold(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    manifest = bundle(var) / "manifest.json"
    manifest.chmod(0o600)
    told = json.loads(manifest.read_text())
    told["receipts"]["root"] = "ab" * 32
    manifest.write_text(json.dumps(told))
    assert esep("statement", "2026-10", "--format", "receipt", "--out", tmp_path / "out", "--config", var / "esep.toml") == 8
    assert "have another root than its manifest states" in capsys.readouterr().err


def test_a_draft_has_no_receipt(blocked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = blocked / "esep.toml"
    assert esep("statement", "2026-10", "--format", "receipt", "--out", tmp_path / "out", "--config", config) == 3
    assert "receipts of frozen months only" in capsys.readouterr().err
    assert esep("statement", "2026-10", "--format", "csv,receipt", "--out", tmp_path / "out", "--config", config) == 0
    assert not list((tmp_path / "out").glob("*receipt*"))
