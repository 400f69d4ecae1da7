"""A log of before ADR 27: its bundles carry all allocations, come back with the digests of then, verify, and are followed by one that begins with its opening line."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
import polars as pl
import pytest

from pipeline.app.app import App
from pipeline.assess.manifest import NOT_REPRODUCIBLE
from pipeline.freeze.replay import Replay
from pipeline.log.events import decode, encode
from pipeline.log.events.ledger import Allocations
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import append_shared
from pipeline.model.months import Month
from pipeline.settings import load_settings
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.files import digest_of, read_facts

from ..other_zlib import another_zlib

KEPT = Path(__file__).parent / "all-allocations"
SEPTEMBER, OCTOBER = Month(2026, 9), Month(2026, 10)
LATER = 1_795_000_000


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool, both bundles brought back from its log. Nobody changes it: copy it."""
    folder = tmp_path_factory.mktemp("all-allocations")
    (folder / "log.sqlite").write_bytes(lzma.decompress((KEPT / "log.sqlite.xz").read_bytes()))
    shutil.copy(KEPT / "esep.toml", folder)
    with app_of(folder) as app:
        for month in (SEPTEMBER, OCTOBER):
            (event,) = app.months.frozen(month)
            assert (event.line_format, event.begins_from_line) == (1, False)
            app.months.restore(event)
    return folder


def app_of(folder: Path) -> App:
    return App(load_settings(folder / "esep.toml", {}), lambda: LATER)


def test_the_kept_log_replays_to_the_digests_of_its_manifest(kept: Path) -> None:
    was = json.loads((KEPT / "manifest.json").read_text())
    again = json.loads((kept / "months" / "2026-10" / "v1" / "manifest.json").read_text())
    files = {name: digest for name, digest in was["files"].items() if name not in NOT_REPRODUCIBLE}
    assert len(files) > 20 and {name: again["files"][name] for name in files} == files
    assert {name: again[name] for name in was if name not in ("files", "software")} == {
        name: was[name] for name in was if name not in ("files", "software")
    }


def test_the_kept_bundle_verifies(kept: Path) -> None:
    checks = {check.name: check for check in verify_bundle(kept / "months" / "2026-10" / "v1")}
    assert [(check.name, check.detail) for check in checks.values() if not check.holds] == []
    assert "the opening line is the closing line of 2026-09 v1, one by one, as its bundle beside this one says" in checks["debts"].detail
    assert "is what the facts leave open" in checks["debts"].detail, "all allocations are there"


def test_a_version_frozen_in_layout_3_replays_to_the_digests_of_its_manifest(kept: Path, tmp_path: Path) -> None:
    """Frozen after a restatement, by the program as it was before layout 4."""
    was, event = json.loads((KEPT / "layout-3.manifest.json").read_bytes()), decode((KEPT / "layout-3.frozen.json").read_bytes().strip())
    assert isinstance(event, Frozen) and event.layout == was["layout"] == 3
    shutil.copytree(kept, tmp_path / "var")
    with app_of(tmp_path / "var") as app:
        restate(app)
        append_shared(app.log, "months", app.settings.pool.key, [encode(event)])
        app.months.restore(event)
    again = json.loads((tmp_path / "var" / "months" / "2026-10" / "v2" / "manifest.json").read_text())
    files = {name: digest for name, digest in was["files"].items() if name not in NOT_REPRODUCIBLE}
    assert {"report.en.xlsx", "report.en.pdf"} < files.keys() and {name: again["files"][name] for name in files} == files
    checks = {check.name: check for check in verify_bundle(tmp_path / "var" / "months" / "2026-10" / "v2")}
    assert [(check.name, check.detail) for check in checks.values() if not check.holds] == []


def test_where_another_zlib_is_the_replayed_documents_are_the_same_in_other_bytes(kept: Path, tmp_path: Path) -> None:
    """What else differs is a difference there, too."""
    shutil.copytree(kept, tmp_path / "var")
    bundle, documents = tmp_path / "var" / "months" / "2026-10" / "v1", ["report.en.pdf", "report.en.xlsx"]
    with app_of(tmp_path / "var") as app, another_zlib():
        (event,) = app.months.frozen(OCTOBER)
        replay = app.months.replay(event)
        assert (replay.is_same, replay.differences, replay.in_other_bytes) == (True, [], documents)
        assert replay.other_versions == [f"zlib {software_of(bundle)['zlib']}"]
        for name in documents:
            shutil.copyfile(kept / "months" / "2026-09" / "v1" / name, bundle / name)
        replay = app.months.replay(event)
        assert (replay.is_same, replay.differences, replay.in_other_bytes, replay.other_versions) == (False, documents, [], [])


def test_where_another_polars_is_the_replayed_facts_are_the_same_in_other_bytes(kept: Path, tmp_path: Path) -> None:
    """Parquet names the version of what wrote it. The same version writes the same bytes, and another one the same rows."""
    shutil.copytree(kept, tmp_path / "var")
    bundle = tmp_path / "var" / "months" / "2026-10" / "v1"
    manifest = json.loads((bundle / "manifest.json").read_text())
    names = ["evidence/facts/accounts.parquet", "evidence/facts/blocks.parquet", "evidence/facts/payments.parquet"]

    def written_otherwise(change: Callable[[pl.DataFrame], pl.DataFrame], polars: str) -> Replay:
        for name in names:
            change(pl.read_parquet(kept / "months" / "2026-10" / "v1" / name)).write_parquet(bundle / name, compression="lz4")
            manifest["files"][name] = digest_of(bundle / name)
        manifest["software"]["polars"] = polars
        (bundle / "manifest.json").chmod(0o600)
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        with app_of(tmp_path / "var") as app:
            return app.months.replay(app.months.frozen(OCTOBER)[0])

    replay = written_otherwise(lambda frame: frame, "1.44.2")
    assert (replay.is_same, replay.differences, replay.in_other_bytes, replay.other_versions) == (True, [], names, ["polars 1.44.2"])
    for change in (lambda frame: frame.reverse(), lambda frame: frame.with_columns(more=1), lambda frame: frame.drop(frame.columns[-1])):
        replay = written_otherwise(change, "1.44.2")
        assert (replay.is_same, replay.differences, replay.in_other_bytes) == (False, names, [])
    replay = written_otherwise(lambda frame: frame, version("polars"))
    assert (replay.is_same, replay.differences, replay.in_other_bytes) == (False, names, [])


def software_of(bundle: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((bundle / "manifest.json").read_text())["software"]
    return found


def test_a_version_frozen_now_begins_with_its_line_and_is_tied_to_the_month_before(kept: Path, tmp_path: Path) -> None:
    """September states its closing line in format 1: what its facts leave open is compared instead."""
    shutil.copytree(kept, tmp_path / "var")
    with app_of(tmp_path / "var") as app:
        restate(app)
        with app.stores.current() as store:
            outcome = app.months.freeze(store, OCTOBER, by="A. Person", reason="an allocation was booked twice")
        event = app.months.frozen(OCTOBER)[-1]
        assert (outcome.is_new, event.version, event.line_format, event.begins_from_line) == (True, 2, 2, True)
        replay = app.months.replay(event)
        assert replay.is_same and replay.differences == []
    facts = read_facts(outcome.folder / "evidence" / "facts")
    assert facts.allocations["allocated_at"].min() >= SEPTEMBER.end_at * 1_000_000  # type: ignore[operator]
    checks = {check.name: check for check in verify_bundle(outcome.folder)}
    assert [(check.name, check.detail) for check in checks.values() if not check.holds] == []
    assert "the allocations begin with the opening line" in checks["debts"].detail
    assert "the opening line is what the facts of 2026-09 v1 leave open, one by one" in checks["debts"].detail


def test_a_draft_names_its_causes_by_facts_that_the_bundle_does_not_carry(kept: Path, tmp_path: Path) -> None:
    """Of a version that begins with its line, a row of September restated since is found in the log as of its freeze."""
    shutil.copytree(kept, tmp_path / "var")
    with app_of(tmp_path / "var") as app:
        restate(app)
        with app.stores.current() as store:
            app.months.freeze(store, OCTOBER, by="A. Person", reason="an allocation was booked twice")
        restate(app, month=SEPTEMBER)
        with app.stores.current():  # the facts in force are in the store: what is told is how far the log of the freeze is read
            pass
        told: list[tuple[int, int]] = []
        draft = app.desk.drafts.draft(OCTOBER, by="schedule", reason="looked at", on_progress=lambda *how_far: told.append(how_far))
        assert told and told[-1][0] == told[-1][1] > 100
        assert draft is not None and draft.version == 3 and draft.causes == ["ledger"]
        assert app.desk.drafts.draft(OCTOBER, by="schedule", reason="looked at again") == draft, "what is logged is not computed again"


def restate(app: App, month: Month = OCTOBER) -> None:
    """The month's last allocation told again, one satoshi less."""
    events = [decode(record.value) for record in app.log.read({}, topics=["ledger"])]
    told = [event for event in events if isinstance(event, Allocations)]
    rows = pl.concat([pl.DataFrame(msgspec.to_builtins(event.rows), infer_schema_length=None) for event in told], how="diagonal_relaxed")
    first, last = month.previous.end_at * 1_000_000, month.end_at * 1_000_000
    row = rows.filter(pl.col("allocated_at").is_between(first, last, closed="left")).sort("allocated_at").row(-1, named=True)
    changed = row | {"version": row["version"] + 1, "amount": str(int(row["amount"]) - 1)}
    columns = msgspec.convert({name: [value] for name, value in changed.items()}, type(told[0].rows))
    append_shared(app.log, "ledger", app.settings.pool.key, [encode(Allocations(id=f"again:{month}", source="test", rows=columns))])
