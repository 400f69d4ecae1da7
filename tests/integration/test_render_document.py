"""A bundle's document: loaded whole, or refused with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.errors import VerifyError
from pipeline.render import Document
from tests.reports import report_csv

from ..unit.render.documents import FROZEN_AT, example


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = example()
    (tmp_path / "report.csv").write_bytes(report_csv(made.rows))
    manifest = {
        "month": str(made.month), "version": 1, "digest": made.digest, "header": made.header, "totals": made.totals, "frozen_at": FROZEN_AT,
        "positions": {"chain/0": 1},
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return tmp_path


def test_a_bundle_loads_as_it_was(bundle: Path) -> None:
    loaded, made = Document.load(bundle), example()
    assert loaded.rows.slice(0).equals(made.rows)
    assert (loaded.month, loaded.version, loaded.digest, loaded.header, loaded.totals, loaded.frozen_at) == (
        made.month, 1, made.digest, made.header, made.totals, FROZEN_AT,
    )  # fmt: skip


def test_one_changed_byte_is_refused(bundle: Path) -> None:
    path = bundle / "report.csv"
    path.write_bytes(path.read_bytes().replace(b"0.00237505", b"0.00237506"))
    with pytest.raises(VerifyError, match="changed after the freeze"):
        Document.load(bundle)


@pytest.mark.parametrize("name", ["report.csv", "manifest.json"])
def test_an_absent_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(VerifyError, match=name):
        Document.load(bundle)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.pop("digest"),
        lambda m: m.update(month="2026-13"),
        lambda m: m.update(frozen_at="yesterday"),
        lambda m: m["header"].update(fax="1"),
    ],
)
def test_a_spoilt_manifest_is_refused(bundle: Path, spoil: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    spoil(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(VerifyError, match="restore the bundle"):
        Document.load(bundle)


def test_a_manifest_that_is_no_json_is_refused(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(b"{")
    with pytest.raises(VerifyError, match=r"manifest\.json"):
        Document.load(bundle)
