"""Decisions forged: what can be computed is computed anew, what blocks is judged against waivers, documents are printed again (forgeries 1, 6, 7)."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from pipeline.chains.evidence import Evidence
from pipeline.enrich.frames import Facts
from pipeline.verify.shapes import REBUILT
from tests.integration.example_month import esep

from .forger import DATABASE, came_to, frame, manifest_of, resealed, rewritten, verdict_on, verified

pytestmark = pytest.mark.usefixtures("remembering")

Change = Callable[[dict[str, Any]], Any]


def setting(*path: str | int, to: Any) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        inner: Any = manifest
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to

    return change


CHANGES: list[tuple[Change, str]] = [
    (setting("due", to="2026-12-25"), "due comes out different"),
    (setting("rows", to=1), "rows comes out different"),
    (setting("rows_unsettled", to=0), "rows_unsettled comes out different"),
    (setting("issues", to={}), "issues comes out different"),
    (setting("form", to="ЦМПМ2"), "form comes out different"),
    (setting("totals", "distinct_transfers_count", to=3), "totals comes out different"),
    (setting("chains", "bitcoin", "tip_height", to=6000), "chains comes out different"),
    (setting("chains", "bitcoin", "last_block_confirmations", to=6000), "chains comes out different"),
    (setting("not_reproducible", to=["report.csv"]), "not_reproducible comes out different"),
    (setting("conditions", to=[]), "conditions come out different"),
    (setting("conditions", 0, "detail", to="long past"), "conditions come out different"),
    (setting("conditions", 2, "detail", to="never declared complete"), "ledger complete"),
    (setting("conditions", 2, "detail", to="declared complete through 2026-10-30"), "needed: 2026-10-31"),
    (setting("waivers", to=[]), "unknown-outflow (1)"),
    (setting("waivers", 0, "ref", to="ab" * 32 + ":0"), "unknown-outflow (1)"),
    (setting("waivers", 0, "facts", to=["1"]), "unknown-outflow (1)"),
    (setting("waivers", 0, "reason", to=" "), "no reason"),
    (setting("debts", "totals", "BTC", "closing", to="0.00000000"), "debts come out different"),
    (setting("debts", "closing_digest", to="ab" * 32), "debts come out different"),
    (setting("rules", "surprise", to=1), "rules comes out different"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_a_manifest_that_says_something_else_is_caught(bundle: Path, change: Change, named: str) -> None:
    failing, said, code = verdict_on(resealed(bundle, change), left_out=["documents"])
    assert failing & {"manifest", "debts"} and named in said and code == 8


def test_issues_emptied_are_caught(bundle: Path) -> None:
    (bundle / "issues.csv").write_text("code,severity,ref,detail\n")
    failing, said, _ = verdict_on(resealed(bundle, setting("issues", to={})), left_out=["documents"])
    assert "manifest" in failing and "issues.csv comes out different" in said


@pytest.mark.parametrize("name", ["outflows.csv", "transfers.csv", "balances.csv", "rows.csv", "debts.csv"])
def test_tables_emptied_are_caught(bundle: Path, name: str) -> None:
    (bundle / name).write_text((bundle / name).read_text().splitlines()[0] + "\n")
    assert verdict_on(resealed(bundle), left_out=["documents"])[0]


def test_rows_invented_in_report_and_totals_are_caught(bundle: Path) -> None:
    lines = (bundle / "report.csv").read_text().splitlines()
    (bundle / "report.csv").write_text("\n".join([*lines, re.sub("^[0-9]+", str(len(lines)), lines[-1])]) + "\n")
    assert "recomputed from facts" in verdict_on(resealed(bundle, setting("rows", to=len(lines))), left_out=["documents"])[0]


def test_a_chain_that_ends_before_the_month_does_is_caught(bundle: Path) -> None:
    """All of the facts end with the 20th, and so do the headers; the conditions are the forger's own words."""
    last = 4600

    def until(facts: Facts) -> Facts:
        kept = facts.blocks.filter(pl.col("height") <= last)
        facts = dataclasses.replace(facts, blocks=kept)
        hashes = kept.select(block_hash="hash")
        for name in ("transactions", "inputs", "outputs"):
            facts = frame(name, lambda f: f.join(hashes, on="block_hash", how="semi"))(facts)
        return facts

    def evidence(whole: Evidence) -> Evidence:
        return Evidence(whole.headers.filter(pl.col("height") <= last), [proof for proof in whole.proofs if proof.height <= last])

    conditions = manifest_of(bundle)["conditions"]
    failing, said, _ = verdict_on(
        rewritten(bundle, facts=until, evidence=evidence, manifest=setting("conditions", to=conditions)), left_out=["documents"]
    )
    assert "manifest" in failing and "the month could not close: bitcoin has passed the month" in said


def test_the_month_before_lies_beside_and_is_another(bundle: Path) -> None:
    before = bundle.parent.parent / "2026-09" / "v1"
    shutil.copytree(bundle, before)
    resealed(before, setting("month", to="2026-09"))
    failing, said, _ = verdict_on(bundle, left_out=["documents"])
    assert "manifest" in failing and "previous_digest is not the digest of 2026-09" in said
    resealed(bundle, setting("previous_digest", to="ab" * 32))
    assert "previous_digest is not the digest of 2026-09" in verdict_on(bundle, left_out=["documents"])[1]
    resealed(bundle, setting("previous_digest", to=manifest_of(before)["digest"]))
    assert "the debts name no month before" in verdict_on(bundle, left_out=["documents"])[1]


def test_parameters_below_their_floors_are_caught(bundle: Path) -> None:
    def forge(rules: Any) -> Any:
        return dataclasses.replace(
            rules, network={"bitcoin": "bitcoin"}, finality={"bitcoin": 1}, payout_unit=rules.payout_unit | {"BTC": 10**8}
        )

    said = verdict_on(rewritten(bundle, rules=forge), left_out=["documents"])[1]
    assert "bitcoin is final after 1 confirmations" in said and "payouts in BTC are rounded to 100000000" in said


def test_what_rests_on_the_signers_word_is_listed_and_the_database_is_not_trusted(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / DATABASE).unlink()
    (bundle / DATABASE).write_bytes(b"a view that reads the auditor's files")
    resealed(bundle)
    assert esep("verify", bundle) == 13, "a chain without work proves nothing, unless it is said to be a test network"
    capsys.readouterr()
    assert esep("verify", bundle, "--json", "--test-network") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["exit_code"], told["holds"], told["faults"]) == (0, True, [])
    assert any("month.duckdb" in line for line in told["not_checked"])
    assert any("no work: not checked" in line for line in told["not_checked"])
    assert not any(line.startswith(("headers", "proofs", "reported transfers", "facts against chain")) for line in told["proved"])
    assert any("finality of bitcoin 6, payout unit of BTC 10000" in line for line in told["on_signers_word"])
    assert any("1 waiver, by A. Person" in line for line in told["on_signers_word"])


def test_a_database_that_is_not_the_one_frozen_is_a_fault_but_where_the_bundle_was_rebuilt(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / DATABASE).unlink()
    (bundle / DATABASE).write_bytes(b"as the log gives it again")
    assert esep("verify", bundle, "--test-network") == 8
    assert "month.duckdb was changed" in capsys.readouterr().out
    digest = sha256(b"as the log gives it again").hexdigest()
    (bundle / REBUILT).write_text(json.dumps({DATABASE: digest, "report.csv": digest}))
    capsys.readouterr()
    assert esep("verify", bundle, "--json", "--test-network") == 0, "nobody signed it: whoever could change it could change the manifest"
    told = json.loads(capsys.readouterr().out)
    assert any("month.duckdb was rebuilt from the log" in line for line in told["not_checked"])
    (bundle / "report.csv").write_bytes((bundle / "report.csv").read_bytes() + b"x")
    assert esep("verify", bundle, "--test-network") == 8, "no other file may be another"
    (bundle / "report.csv").write_bytes((bundle / "report.csv").read_bytes()[:-1])
    for said in ("[]", "{", json.dumps({DATABASE: "0" * 64}), json.dumps({})):
        (bundle / REBUILT).write_text(said)
        assert esep("verify", bundle, "--test-network") == 8, said
    (bundle / DATABASE).unlink()
    assert esep("verify", bundle, "--test-network") == 8, "a file that the manifest names is missing"


def another_bin(bundle: Path) -> None:
    path = bundle / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace("201040000023", "201040000034", 1), encoding="utf-8")


def another_cell(bundle: Path) -> None:
    path = bundle / "report.ru.xlsx"
    with zipfile.ZipFile(path) as archive:
        parts = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in parts.items():
            archive.writestr(info, re.sub(rb">0\.0(\d+)<", rb">9.0\1<", content, count=1) if "sheet" in info.filename else content)


def another_pdf(bundle: Path) -> None:
    shutil.copyfile(bundle / "report.en.pdf", bundle / "report.pdf")


def one_language_less(bundle: Path) -> None:
    (bundle / "report.ru.pdf").unlink()


DOCUMENTS: list[tuple[Callable[[Path], None], str]] = [
    (another_bin, "report.json"),
    (another_cell, "report.ru.xlsx"),
    (another_pdf, "report.pdf"),
    (one_language_less, "report.ru.pdf is missing"),
]


@pytest.mark.parametrize(("forge", "named"), DOCUMENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_documents_that_say_something_else_are_caught(bundle: Path, forge: Callable[[Path], None], named: str) -> None:
    forge(bundle)
    failing, said, code = verdict_on(resealed(bundle))
    assert failing == {"documents"} and named in said and code == 8


def test_documents_of_other_writers_are_compared_by_what_they_say(bundle: Path) -> None:
    """A version of the writers that is not here: other bytes are no fault, other words are."""
    older = setting("software", "xlsxwriter", to="0.1")
    path = bundle / "report.xlsx"
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert verdict_on(resealed(bundle, older)) == (set(), "", 0)
    white = parts["xl/theme/theme1.xml"].replace(b'lastClr="000000"', b'lastClr="FFFFFF"', 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"xl/theme/theme1.xml": white}).items():
            archive.writestr(name, content)
    assert came_to(resealed(bundle, older), "documents") == (set(), "", 13), "white on white, by the colours of the theme"
    another_cell(bundle)
    assert "report.ru.xlsx says something else" in verdict_on(resealed(bundle, older))[1]


def test_a_pdf_of_another_writer_is_compared_by_what_it_draws(bundle: Path) -> None:
    """Packed otherwise it is the same; with the same text drawn otherwise it is undecided; with other text, or more than text and lines, it is a fault."""
    older = setting("software", "reportlab", to="0.1")
    path = bundle / "report.pdf"
    honest = path.read_bytes()
    repacked(path, lambda writer: None)
    assert path.read_bytes() != honest
    assert came_to(resealed(bundle, older), "documents") == (set(), "", 0)
    path.write_bytes(honest)
    repacked(path, lambda writer: drawn_over(writer, b"1 1 1 rg 0 0 900 300 re f"))
    assert came_to(resealed(bundle, older), "documents")[::2] == (set(), 13), "white over the rows"
    path.write_bytes(honest)
    repacked(path, lambda writer: writer.root_object.update({NameObject("/OpenAction"): DictionaryObject()}))
    failing, said, code = came_to(resealed(bundle, older), "documents")
    assert (failing, code) == ({"documents"}, 8) and "report.pdf says something else" in said


def repacked(path: Path, change: Callable[[PdfWriter], object]) -> None:
    writer = PdfWriter(clone_from=path)
    change(writer)
    writer.write(path)


def drawn_over(writer: PdfWriter, more: bytes) -> None:
    page = writer.pages[0]
    stream = DecodedStreamObject()
    stream.set_data(page.get_contents().get_data() + b"\n" + more)  # type: ignore[union-attr]
    page[NameObject("/Contents")] = stream


def test_an_unsigned_bundle_does_not_pass_where_signatures_are_asked_for(bundle: Path, root_pem: Path) -> None:
    assert esep("verify", bundle, "--test-network", "--trust", root_pem) == 8
    (check,) = [check for check in verified(bundle, left_out=["documents"]) if check.name == "signatures"]
    assert check.holds and check.not_checked == "not signed"


def test_a_bundle_in_another_month_s_place_is_named(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    (var / "months" / "2026-10").rename(var / "months" / "2026-11")
    assert esep("verify", "2026-11", "--test-network", "--config", var / "esep.toml") == 8
    assert "the bundle in this place is of 2026-10 v1" in capsys.readouterr().err
    shutil.copytree(var / "months" / "2026-11" / "v1", var / "months" / "2026-10" / "v2")
    assert esep("verify", "2026-10", "--test-network", "--config", var / "esep.toml") == 8
    assert "put the right one back, or replay 2026-10" in capsys.readouterr().err
