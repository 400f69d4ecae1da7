"""Bundles of odd shapes: each is refused in one sentence, and nothing of them is followed, opened or unpacked (forgery 9)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.model.errors import VerifyError
from pipeline.render import NEWEST_LAYOUT
from tests.integration.example_month import esep

from .forger import manifest_of, resealed, verdict_on, verified

pytestmark = pytest.mark.usefixtures("remembering")


def refused(bundle: Path) -> str:
    """What verify says, with exit code 8 and no crash: a refusal whole, or the faults."""
    assert esep("verify", bundle, "--test-network") == 8
    try:
        return verdict_on(bundle, left_out=["documents"])[1]
    except VerifyError as error:
        return str(error)


def link(bundle: Path) -> None:
    outside = bundle.parent / "outside.csv"
    (bundle / "issues.csv").rename(outside)
    (bundle / "issues.csv").symlink_to(outside)


def linked_folder(bundle: Path) -> None:
    (bundle / "evidence").rename(bundle.parent / "elsewhere")
    (bundle / "evidence").symlink_to(bundle.parent / "elsewhere")


def pipe(bundle: Path) -> None:
    (bundle / "report.json").unlink()
    os.mkfifo(bundle / "report.json")


def pipe_for_a_signature(bundle: Path) -> None:
    os.mkfifo(bundle / "manifest.json.p7s")


def a_socket(bundle: Path) -> None:
    (bundle / "debts.csv").unlink()
    here = Path.cwd()
    os.chdir(bundle)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("debts.csv")
    finally:
        os.chdir(here)


def pipe_for_the_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    os.mkfifo(bundle / "manifest.json")


def beside_the_signature(bundle: Path) -> None:
    (bundle / "manifest.json.p7s.exe").write_bytes(b"MZ")


def folder_beside(bundle: Path) -> None:
    (bundle / "attachments").mkdir()


def beside_the_submissions(bundle: Path) -> None:
    (bundle / "submissions" / "2026-10-v1-1").mkdir(parents=True)
    (bundle / "submissions" / "2026-10-v1-1" / "run.exe").write_bytes(b"MZ")


def unknown_name(bundle: Path) -> None:
    (bundle / "readme.html").write_text("<script>")
    resealed(bundle)


SHAPES: list[tuple[Callable[[Path], None], str]] = [
    (link, "is a link"),
    (linked_folder, "is a link"),
    (pipe, "is a pipe"),
    (pipe_for_a_signature, "is a pipe"),
    (a_socket, "is a socket"),
    (pipe_for_the_manifest, "not a plain file"),
    (beside_the_signature, "'manifest.json.p7s.exe' is not in the manifest"),
    (folder_beside, "a folder that no bundle has"),
    (beside_the_submissions, "run.exe' is not in the manifest"),
    (unknown_name, "'readme.html', which is no file of a bundle"),
]


@pytest.mark.parametrize(("forge", "named"), SHAPES, ids=lambda value: getattr(value, "__name__", ""))
def test_only_plain_files_of_known_names_are_a_bundle(bundle: Path, forge: Callable[[Path], None], named: str) -> None:
    forge(bundle)
    assert named in refused(bundle)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../../other", "evidence/../report.csv", "a\0b", "x" * 5000])
def test_names_that_lead_elsewhere_are_refused(bundle: Path, name: str) -> None:
    resealed(bundle, lambda manifest: manifest["files"].update({name: "ab" * 32}))
    said = refused(bundle)
    assert "outside the bundle" in said or "no file's name" in said


@pytest.mark.parametrize("name", ["manifest.json", "report.json", "evidence/proofs.jsonl"])
def test_a_key_that_stands_twice_is_refused(bundle: Path, name: str) -> None:
    text = (bundle / name).read_text(encoding="utf-8")
    first = '"version": ' if name == "report.json" else '"chain":' if name.endswith("jsonl") else '"form"'
    value = "9, " if name == "report.json" else '"x", ' if name.endswith("jsonl") else ': "x", '
    (bundle / name).write_text(text.replace(first, first + value + first, 1), encoding="utf-8")
    if name != "manifest.json":
        resealed(bundle)
    failing_or_said = refused(bundle) if name != "report.json" else verdict_on(bundle)[1]
    assert "stands in it twice" in failing_or_said or "report.json says something else" in failing_or_said


ODD: list[tuple[str, Any]] = [
    ("files", []), ("files", {"report.csv": 7}), ("rules", None), ("rules", {"assets": []}), ("month", 202610), ("month", "2026-13"), ("version", "1"),
    ("version", 0), ("header", []), ("header", {"bin": 201040000023}), ("totals", []), ("debts", None), ("debts", {"totals": {}}), ("positions", {"chain/0": -1}),
    ("languages", "kk"), ("chains", []), ("conditions", {}), ("issues", []), ("waivers", [{}]), ("waivers", None), ("digest", "x"), ("frozen_at", "now"),
    ("frozen_at", 10**18), ("previous_digest", 5), ("schema", 1.5), ("schema", "2"), ("software", []), ("layout", 0), ("layout", "2"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), ODD, ids=lambda value: str(value)[:30])
def test_a_manifest_of_odd_types_is_refused_in_a_sentence(bundle: Path, key: str, value: Any) -> None:
    manifest = manifest_of(bundle)
    manifest[key] = value
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VerifyError, match=r"manifest\.json"):
        verified(bundle)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema": NaN}', "[" * 100_000, '"\ud800"', "7"])
def test_what_is_no_manifest_is_refused_in_a_sentence(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(VerifyError, match=r"manifest\.json"):
        verified(bundle)


@pytest.mark.parametrize("language", [["kk", "kk"], [], ["xx"], ["../kk"]])
def test_languages_that_no_form_has_are_a_fault(bundle: Path, language: list[str]) -> None:
    resealed(bundle, lambda manifest: manifest.update(languages=language))
    assert "documents" in verdict_on(bundle)[0]


def test_a_layout_of_a_later_program_is_refused_and_a_former_one_is_another_document(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest.update(layout=NEWEST_LAYOUT + 1))
    assert "is not one that this program knows" in verdict_on(bundle)[1]
    resealed(bundle, lambda manifest: manifest.update(layout=1))
    assert "report.xlsx says something else than report.csv" in verdict_on(bundle)[1]


def test_a_pdf_leaves_rows_out_only_where_the_manifest_says_so_and_the_form_is_long(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest.update(pdf_rows=1_000))
    assert "report.pdf says something else than report.csv" in verdict_on(bundle)[1]
    for limit in (999, 1_437):
        resealed(bundle, lambda manifest, limit=limit: manifest.update(pdf_rows=limit))
        assert "a PDF leaves rows out only beyond a limit" in verdict_on(bundle)[1]


def many_rows(path: Path) -> None:
    """Little on disk, much when it is unpacked."""
    pq.write_table(pa.table({"chain": pa.repeat("bitcoin", 30_000_000), "wallet": pa.repeat("pool", 30_000_000)}), path, compression="zstd")


def long_texts(path: Path) -> None:
    """A dictionary's one text stands in every row."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array(["b" * 1_000_000]))
    pq.write_table(pa.table({"chain": text, "wallet": pa.array(["pool"] * 5_000)}), path, compression="zstd")


@pytest.mark.parametrize("make", [many_rows, long_texts])
def test_a_frame_that_unpacks_beyond_its_limits_is_not_unpacked(bundle: Path, make: Callable[[Path], None]) -> None:
    path = bundle / "evidence" / "facts" / "pool_wallets.parquet"
    make(path)
    assert path.stat().st_size < 2 << 20
    resealed(bundle)
    assert "may hold" in refused(bundle)


def test_a_frame_of_other_types_is_a_fault(bundle: Path) -> None:
    pl.DataFrame({"chain": [1.5], "wallet": [[1]]}).write_parquet(bundle / "evidence" / "facts" / "pool_wallets.parquet")
    resealed(bundle)
    assert "types that no frame has" in refused(bundle)


def test_a_proof_of_odd_types_is_a_fault(bundle: Path) -> None:
    (bundle / "evidence" / "proofs.jsonl").write_text('{"chain": 7}\n')
    resealed(bundle)
    assert "proofs.jsonl:1" in refused(bundle)
