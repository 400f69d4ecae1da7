"""One process at a time freezes a month: another one is told, and destroys nothing of the first's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.app import App
from pipeline.errors import MonthError
from pipeline.model import Month
from pipeline.scratch import held_folder
from pipeline.settings import load_settings

MONTH = Month(2026, 10)


def test_a_month_that_another_process_freezes_is_left_alone(frozen: Path, tmp_path: Path) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with App(load_settings(tmp_path / "var" / "esep.toml", {}), lambda: 1_795_000_000) as app, app.current_store() as store:
        folder = app.settings.months_path / str(MONTH)
        building = folder / ".v1.building"
        building.mkdir()
        with held_folder(folder, "busy"), pytest.raises(MonthError, match="another process is freezing 2026-10"):
            app.freeze(store, MONTH, by="schedule", reason="due", is_first=True)
        assert building.is_dir(), "what the other one builds stands"
        outcome = app.freeze(store, MONTH, by="schedule", reason="due", is_first=True)
        assert (outcome.version, outcome.is_new) == (1, False)
