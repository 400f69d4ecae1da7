"""A month frozen before bundles had the opening line verifies, and replays to its bytes, without it; what is frozen after it says what it can't compare."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import msgspec
import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.app.months import month_state
from pipeline.assess.debts import describe_debts, previous_debts
from pipeline.assess.month import assess_month
from pipeline.assess.opening_line import OPENING_LINE_CSV, LineDigests
from pipeline.enrich.enriched import Enriched
from pipeline.freeze.bundle import Content, Version
from pipeline.freeze.freeze import transactions_to_prove
from pipeline.freeze.replay import Replay, replay_month
from pipeline.log.events import decode, encode
from pipeline.log.events.months import Frozen
from pipeline.model.months import Month
from pipeline.store import Store
from pipeline.store.evidence import read_evidence
from pipeline.store.ingest import Ingest
from pipeline.verify.bundle import verify_bundle

KEPT = Path(__file__).parent / "edition-3"
OCTOBER = Month(2026, 10)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Log, event and bundle. Nobody changes them."""
    folder = tmp_path_factory.mktemp("edition-3")
    with tarfile.open(KEPT / "account-month.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def event(kept: Path) -> Frozen:
    found = decode((kept / "frozen.json").read_bytes().strip())
    assert isinstance(found, Frozen) and found.edition == 3 and found.closing_line_digest is None
    return found


def log_of(kept: Path) -> MemoryLog:
    log = MemoryLog()
    for line in (kept / "log.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        with log.writer(told["topic"], told["key"]) as writer:
            writer.append([encode(decode(told["value"].encode()))])
    return log


def replayed(kept: Path, event: Frozen, folder: Path, first: Path | None) -> tuple[Replay, Enriched]:
    with Store.memory() as store:
        Ingest(log_of(kept), store).catch_up()
        version = Version.of(event)
        state = month_state(store, OCTOBER)
        assessed = assess_month(state, OCTOBER, version.rules)
        evidence = read_evidence(store.connection, transactions_to_prove(assessed.enriched, version.rules, state.facts))
        content = Content(version, state, assessed, evidence)
        replay = replay_month(event, content, folder, first=first, export=lambda path: path.write_bytes(b""))
    return replay, assessed.enriched


def test_the_kept_bundle_verifies_and_says_what_it_lacks(kept: Path) -> None:
    checks = {check.name: check for check in verify_bundle(kept / "months" / "2026-10" / "v1")}
    assert [(check.name, check.detail) for check in checks.values() if not check.holds] == []
    assert any(f"the bundle has no {OPENING_LINE_CSV}" in word for word in checks["debts"].on_word)


def test_the_kept_log_replays_to_the_kept_bytes(kept: Path, event: Frozen, tmp_path: Path) -> None:
    replay, _ = replayed(kept, event, tmp_path / "again", kept / "months" / "2026-10" / "v1")
    assert replay.is_same and replay.differences == [] and replay.compared > 20
    assert OPENING_LINE_CSV not in replay.bundle.files


def test_what_is_frozen_now_has_the_line_and_replays_with_it(kept: Path, event: Frozen, tmp_path: Path) -> None:
    """The event of a version that states a closing line: its bundle has the file, whatever else is the same."""
    now = msgspec.structs.replace(event, closing_line_digest="ab" * 32)
    replay, _ = replayed(kept, now, tmp_path / "now", None)
    again, _ = replayed(kept, now, tmp_path / "again", tmp_path / "now")
    assert OPENING_LINE_CSV in replay.bundle.files and again.is_same and again.differences == []


def test_a_month_after_it_names_no_closing_line_of_it(kept: Path, event: Frozen, tmp_path: Path) -> None:
    _, enriched = replayed(kept, event, tmp_path / "again", None)
    section = describe_debts(enriched.debts, previous_debts(event), Version.of(event).rules, LineDigests("ab" * 32, "cd" * 32))
    assert "closing_line_digest" not in section["previous"] and section["opening_line_digest"] == "ab" * 32
