"""Months frozen before editions had names verify, replay to the same bytes, and are no news to a pool that upgrades (rule 8.4)."""

from __future__ import annotations

import json
import lzma
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pipeline.app.app import App
from pipeline.assess.manifest import NOT_REPRODUCIBLE
from pipeline.assess.statement import statements_of
from pipeline.assess.waivers import with_waivers
from pipeline.log.events import decode
from pipeline.log.events.months import Drafted
from pipeline.model.months import Month
from pipeline.model.rules import NEWEST_EDITION
from pipeline.settings import load_settings
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import judge
from pipeline.verify.telling import summary

KEPT = Path(__file__).parent / "edition-1"
OCTOBER = Month(2026, 10)
LATER = 1_795_000_000
DIGEST = "f5fed8388edefd70b4f7980884899e2be207ce1997a58c9f53e1d441ec3d84b7"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month's pool: log and bundle. Nobody changes it: copy it."""
    folder = unpacked(tmp_path_factory.mktemp("example"), "example")
    with tarfile.open(KEPT / "example.months.tar.xz") as kept:
        kept.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other pool, its bundle brought back from its log alone. Nobody changes it: copy it."""
    folder = unpacked(tmp_path_factory.mktemp("changes"), "changes")
    with app_of(folder) as app:
        (event,) = app.months.frozen(OCTOBER)
        app.months.restore(event)
    return folder


def unpacked(folder: Path, name: str) -> Path:
    (folder / "log.sqlite").write_bytes(lzma.decompress((KEPT / f"{name}.log.sqlite.xz").read_bytes()))
    shutil.copy(KEPT / "esep.toml", folder)
    return folder


def app_of(folder: Path) -> App:
    return App(load_settings(folder / "esep.toml", {}), lambda: LATER)


@pytest.fixture
def amended(changes: Path, tmp_path: Path) -> Iterator[App]:
    """A copy of the other pool that may be changed."""
    shutil.copytree(changes, tmp_path / "var")
    with app_of(tmp_path / "var") as app:
        yield app


def drafts(app: App) -> list[Drafted]:
    records = app.log.read({}, topics=["months"])
    return [event for event in (decode(record.value) for record in records) if isinstance(event, Drafted)]


def test_the_kept_bundle_verifies(example: Path) -> None:
    checks = verify_bundle(example / "months" / "2026-10" / "v1")
    assert [(check.name, check.detail) for check in checks if not check.holds] == []
    assert {"recomputed from facts", "debts"} <= {check.name for check in checks}
    verdict = judge(checks, is_test_network=True)
    assert verdict.exit_code == 13 and any("a payout that was left out would not show" in line for line in verdict.not_checked)
    assert "nothing false was found, but not all of it can be proved here" in summary(checks, verdict, example)


def test_the_kept_log_replays_to_the_kept_bytes(example: Path) -> None:
    with app_of(example) as app:
        (event,) = app.months.frozen(OCTOBER)
        assert (event.edition, event.digest) == (1, DIGEST)
        replay = app.months.replay(event)
    assert replay.is_same and replay.differences == [] and replay.compared > 20


def test_a_log_with_what_the_new_rules_are_about_replays_to_the_digests_of_its_manifest(changes: Path) -> None:
    kept = json.loads((KEPT / "changes.manifest.json").read_text())
    again = json.loads((changes / "months" / "2026-10" / "v1" / "manifest.json").read_text())
    assert again["digest"] == kept["digest"] and again["rules"] == kept["rules"] and again["schema"] == kept["schema"] == 1
    files = {name: digest for name, digest in kept["files"].items() if name not in NOT_REPRODUCIBLE}
    assert {name: again["files"][name] for name in files} == files
    assert {waiver["ref"] for waiver in kept["waivers"]} >= {"acct003", "acct005"}


@pytest.mark.parametrize("pool", ["example", "changes"])
def test_a_pool_that_upgrades_sees_no_facts_changed(pool: str, request: pytest.FixtureRequest) -> None:
    with app_of(request.getfixturevalue(pool)) as app:
        assert app.desk.drafts.draft(OCTOBER, by="schedule", reason="looked at") is None
        with app.stores.current() as store:
            outcome = app.months.freeze(store, OCTOBER, by="A. Person", reason="again")
            _, assessed = app.months.assess(store, OCTOBER)
        assert (outcome.version, outcome.is_new) == (1, False)
        assert [condition.name for condition in assessed.unmet] == [], "what was waived then is waived"
        assert drafts(app) == []


def test_a_look_at_what_the_newest_rules_would_change_leaves_no_draft(changes: Path) -> None:
    with app_of(changes) as app:
        draft = app.desk.drafts.draft(OCTOBER, by="esep amend", reason="looked at", is_amendment=True, is_named=False)
        assert draft is not None and draft.causes == ["rules"]
        assert {row.cause for row in draft.rows} == {"rules"}
        assert drafts(app) == []


def test_early_waivers_count_for_what_they_meant_then_and_the_new_rule_blocks(changes: Path) -> None:
    with app_of(changes) as app, app.stores.current() as store:
        state, assessed = app.months.assess(store, OCTOBER, edition=NEWEST_EDITION)
    judged = with_waivers(assessed.enriched.issues, state.waivers).filter(pl.col("severity") == "blocking")
    passings = judged.filter(pl.col("code") == "account-changed-hands").select("ref", "waived_by").rows()
    assert passings == [("acct003:2026-10-12", "demo"), ("acct003:2026-10-22", "demo"), ("acct005:2026-10-10", "demo")]
    assert judged.filter(pl.col("code") == "registry-overlap").select("ref", "waived_by").rows() == [("acct005:2026-10-10", "demo")]
    twice = judged.filter(pl.col("code") == "allocation-twice")
    assert twice.height == 4 and twice["waived_by"].null_count() == 4


def test_the_further_version_takes_the_newest_edition(amended: App) -> None:
    with amended.stores.current() as store:
        state, assessed = amended.months.assess(store, OCTOBER, edition=NEWEST_EDITION)
        for issue in with_waivers(assessed.enriched.issues, state.waivers).to_dicts():
            if issue["severity"] == "blocking" and not issue["waived_by"]:
                amended.decisions.waive(month=OCTOBER, issue=issue, by="A. Person", reason="looked into")
    draft = amended.desk.drafts.draft(OCTOBER, by="A. Person", reason="the new rules", is_amendment=True)
    assert draft is not None and draft.causes == ["rules"] and drafts(amended) == [draft]
    with amended.stores.current() as store:
        outcome = amended.months.freeze(store, OCTOBER, by="A. Person", reason="the new rules", is_amendment=True)
    assert (outcome.version, outcome.is_new) == (2, True)
    first, second = amended.months.frozen(OCTOBER)
    assert (first.edition, second.edition) == (1, NEWEST_EDITION) and second.digest == draft.digest
    manifest = json.loads((outcome.folder / "manifest.json").read_text())
    assert manifest["schema"] == manifest["rules"]["edition"] == NEWEST_EDITION
    assert first.closing_line_digest is None and second.closing_line_digest == manifest["debts"]["closing_line_digest"]
    assert manifest["files"]["evidence/opening_line.csv"] == manifest["debts"]["opening_line_digest"]
    assert [check.name for check in verify_bundle(outcome.folder) if not check.holds] == []
    openings = pl.read_csv(outcome.folder / "rows.csv", infer_schema=False).filter(pl.col("allocation_id").str.starts_with("opening:"))
    assert openings["is_carried"].unique().to_list() == ["true"], "no opening of midnight is an allocation of October"


@pytest.mark.parametrize("pool", ["example", "changes"])
def test_statements_are_made_from_the_kept_bundle(pool: str, request: pytest.FixtureRequest) -> None:
    with app_of(request.getfixturevalue(pool)) as app:
        tables = app.statements.tables(OCTOBER)
    made = list(statements_of(tables))
    report = pl.read_csv(request.getfixturevalue(pool) / "months" / "2026-10" / "v1" / "report.csv", infer_schema=False)
    assert tables.version == 1 and sum(one.rows.height for one in made) == report.height > 0
    assert sum(one.debts.height for one in made) == tables.debts.height > 0
