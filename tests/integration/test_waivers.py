"""A waiver that stands in the settings is given once its issue stands, on what that rests on (rule 8.5)."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.app.app import App
from pipeline.assess.waivers import blocking_issues
from pipeline.model.months import Month
from pipeline.settings import load_settings

from .example_month import OUTFLOW

OCTOBER = Month(2026, 10)


def test_the_settings_waivers_are_given_when_their_issue_stands(blocked: Path, tmp_path: Path) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    path = tmp_path / "var" / "esep.toml"
    named = "".join(
        f'\n[[waivers]]\nmonth = "2026-10"\ncode = "unknown-outflow"\nref = "{ref}"\nreason = "refund pending"\n'
        for ref in (OUTFLOW, "gone:0")
    )
    path.write_text(path.read_text(encoding="utf-8") + named, encoding="utf-8")
    with App(load_settings(path, {}), lambda: 1_795_000_000) as app, app.stores.current() as store:
        assert app.decisions.record_settings_labels() == 0, "labels alone are given before anything is read"
        assert app.decisions.record_settings_waivers(app.months, store, OCTOBER) == 1, "no issue, no waiver"
        assert app.decisions.record_settings_waivers(app.months, store, OCTOBER) == 0, "given once"
        app.stores.fill(store)
        state, assessed = app.months.assess(store, OCTOBER)
    (waiver,) = state.waivers
    facts = {row["ref"]: row["facts"].split("\n") for row in assessed.enriched.issues.to_dicts()}
    assert (waiver.ref, waiver.facts) == (OUTFLOW, facts[OUTFLOW])
    assert blocking_issues(assessed.enriched.issues, state.waivers).is_empty() and not assessed.unmet
