"""Documents that a month's decisions rest on: named by a person, in the manifest by their digests, and on the signer's word for verify."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pypdf import PdfReader

from .example_month import DIGEST, OUTFLOW, RECORDED, esep


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("documents") / "var"
    config = ("--config", var / "esep.toml")
    assert esep("demo", RECORDED, "--var", var) == 3
    person = ("--by", "A. Person", "--reason", "refund, letter of 2 November")
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, *person, *config) == 0
    letter = var / "letter.pdf"
    letter.write_bytes(b"a letter")
    for about in (
        ("--waiver", f"2026-10:unknown-outflow:{OUTFLOW}"),
        ("--waiver", f"2026-11:unknown-outflow:{OUTFLOW}"),
        ("--label", "bitcoin:nobody"),
    ):
        assert esep("document", letter, *about, *person, *config) == 0
    settings = var / "esep.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("[report]\n", "[report]\npdf_rows = 1_000\n"), encoding="utf-8")
    assert esep("freeze", "2026-10", *person, *config) == 0
    return var / "months" / "2026-10" / "v1"


def test_the_manifest_names_the_documents_of_its_own_month(bundle: Path) -> None:
    (named,) = json.loads((bundle / "manifest.json").read_text())["documents"]
    assert (named["about"], named["ref"], named["name"], named["size"]) == ("waiver", f"unknown-outflow:{OUTFLOW}", "letter.pdf", 8)
    assert named["digest"] == hashlib.sha256(b"a letter").hexdigest()


def test_a_form_beyond_the_limit_of_its_pdf_says_so_in_the_manifest(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["pdf_rows"], manifest["digest"]) == (1_000, DIGEST), "the rows themselves are all in report.csv"
    assert len(PdfReader(bundle / "report.pdf").pages) == 1


def test_verify_says_that_they_rest_on_the_pool_s_word_and_a_replay_names_them_too(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("--config", bundle.parents[2] / "esep.toml")
    capsys.readouterr()
    assert esep("verify", bundle, "--test-network") == 0
    assert "1 document(s), named by their digests" in " ".join(capsys.readouterr().out.split())
    assert esep("replay", "2026-10", *config) == 0


def test_what_it_is_about_must_be_said_once(bundle: Path) -> None:
    config = ("--config", bundle.parents[2] / "esep.toml")
    letter, person = bundle.parents[2] / "letter.pdf", ("--by", "A. Person", "--reason", "contract 17")
    assert esep("document", letter, *person, *config) == 2
    assert esep("document", letter, "--label", "bitcoin:x", "--transfer", "a:b:c", *person, *config) == 2
    assert esep("document", letter, "--transfer", "a:b", *person, *config) == 2
    assert esep("document", bundle / "nothing.pdf", "--label", "bitcoin:x", *person, *config) == 12
