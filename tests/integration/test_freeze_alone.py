"""One process at a time freezes a month: another one is told, and destroys nothing of the first's."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.app.app import App
from pipeline.model.errors import MonthError
from pipeline.model.folders import locked_folder
from pipeline.model.months import Month
from pipeline.settings import load_settings

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
