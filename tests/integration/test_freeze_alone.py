"""One process at a time freezes a month: another one is told, and destroys nothing of the first's."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from pipeline.app.app import App
from pipeline.closing.frozen_files import read_frozen
from pipeline.freeze.freeze import restore_manifest
from pipeline.model.errors import MonthError, SigningError, VerifyError
from pipeline.model.folders import locked_folder
from pipeline.model.months import Month
from pipeline.model.packed import pack
from pipeline.settings import load_settings
from pipeline.signing.signer import SIGNED_FILES

MONTH = Month(2026, 10)


def test_a_month_that_another_process_freezes_is_left_alone(frozen: Path, tmp_path: Path) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app, app.stores.current() as store:
        folder = app.settings.months_path / str(MONTH)
        building = folder / ".v1.building"
        building.mkdir()
        with locked_folder(folder, "busy"), pytest.raises(MonthError, match="another process is freezing 2026-10"):
            app.months.freeze(store, MONTH, by="schedule", reason="due", is_first=True)
        assert building.is_dir(), "what the other one builds stands"
        outcome = app.months.freeze(store, MONTH, by="schedule", reason="due", is_first=True)
        assert (outcome.version, outcome.is_new) == (1, False)


def ended_after_its_event(frozen: Path, copy: Path) -> tuple[Path, bytes]:
    """A pool whose process died between the event and the renaming: where the bundle is built, and its manifest."""
    shutil.copytree(frozen, copy)
    final = load_settings(copy / "esep.toml", {}).months_path / str(MONTH) / "v1"
    built = final.rename(final.with_name(".v1.building"))
    return built, (built / "manifest.json").read_bytes()


def test_a_freeze_that_ended_right_after_its_event_is_finished_with_the_very_bundle_it_names(frozen: Path, tmp_path: Path) -> None:
    built, manifest = ended_after_its_event(frozen, tmp_path / "var")
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app:
        (event,) = app.months.frozen(MONTH)
        folder = app.months.restore(event)
        assert (folder / "manifest.json").read_bytes() == manifest, "the manifest that the event names, and no other, is signed"
        assert sha256(manifest).hexdigest() == event.manifest_digest
        assert not built.exists()
        assert app.months.restore(event) == folder


def test_a_freeze_in_the_process_that_comes_next_finishes_it_too(frozen: Path, tmp_path: Path) -> None:
    _, manifest = ended_after_its_event(frozen, tmp_path / "var")
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app, app.stores.current() as store:
        outcome = app.months.freeze(store, MONTH, by="operator", reason="again")
    assert (outcome.version, outcome.is_new) == (1, False)
    assert (outcome.folder / "manifest.json").read_bytes() == manifest


def test_what_was_built_and_damaged_since_is_rebuilt_from_the_log(frozen: Path, tmp_path: Path) -> None:
    built, _ = ended_after_its_event(frozen, tmp_path / "var")
    report = built / "report.csv"
    report.chmod(0o600)
    report.write_bytes(report.read_bytes()[:-1])
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app:
        (event,) = app.months.frozen(MONTH)
        folder = app.months.restore(event)
        assert sha256((folder / "report.csv").read_bytes()).hexdigest() == event.digest


def test_a_bundle_that_is_lost_comes_back_with_the_very_manifest_that_was_frozen_and_can_be_signed(frozen: Path, tmp_path: Path) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app:
        (event,) = app.months.frozen(MONTH)
        bundle = app.months.folder_of(MONTH, 1)
        manifest = (bundle / "manifest.json").read_bytes()
        shutil.rmtree(bundle.parent)
        folder = app.months.restore(event)
        assert (folder / "manifest.json").read_bytes() == manifest, "month.duckdb, which it names, is written otherwise each time"
        assert sha256(manifest).hexdigest() == event.manifest_digest
        assert list(read_frozen(app.desk.months, event, SIGNED_FILES, failure=SigningError, whole=True)) == list(SIGNED_FILES)
        manifest_at = folder / "manifest.json"
        manifest_at.rename(tmp_path / "moved")
        with pytest.raises(SigningError, match=r"2026-10 v1: .*manifest\.json is missing.*`esep replay 2026-10` rebuilds it"):
            read_frozen(app.desk.months, event, SIGNED_FILES, failure=SigningError, whole=True)
        (tmp_path / "moved").rename(manifest_at)
        (folder / "rows.csv").rename(tmp_path / "moved")
        with pytest.raises(SigningError, match=r"rows\.csv is missing"):
            read_frozen(app.desk.months, event, SIGNED_FILES, failure=SigningError, whole=True)
        (tmp_path / "moved").rename(folder / "rows.csv")
        changed = folder / "report.pdf"
        changed.chmod(0o600)
        changed.write_bytes(b"another")
        with pytest.raises(SigningError, match=r"report\.pdf on the disk is not the one that was frozen"):
            read_frozen(app.desk.months, event, SIGNED_FILES, failure=SigningError, whole=True)


def test_a_rebuilt_file_of_other_bytes_gets_no_manifest_that_does_not_name_it(frozen: Path, tmp_path: Path) -> None:
    built = tmp_path / "built"
    shutil.copytree(frozen / "months" / str(MONTH) / "v1", built)
    with App(load_settings(frozen / "esep.toml", {}), lambda: 1_795_000_000) as app:
        (event,) = app.months.frozen(MONTH)
    (built / "manifest.json").chmod(0o600)
    (built / "manifest.json").write_bytes(b"{}")
    paper = built / "report.pdf"
    paper.chmod(0o600)
    whole = paper.read_bytes()
    paper.write_bytes(b"as another version of the writer draws it")
    assert not restore_manifest(built, event) and (built / "manifest.json").read_bytes() == b"{}"
    paper.write_bytes(whole)
    assert not restore_manifest(built, msgspec.structs.replace(event, manifest_gzip=None)), "frozen before events had it"
    for packed in ("AAAA", pack(b"{}")):
        with pytest.raises(VerifyError, match=r"2026-10 v1: the manifest in event 'frozen:2026-10:1' is not the one of its digest"):
            restore_manifest(built, msgspec.structs.replace(event, manifest_gzip=packed))
    assert restore_manifest(built, event)
    assert sha256((built / "manifest.json").read_bytes()).hexdigest() == event.manifest_digest
