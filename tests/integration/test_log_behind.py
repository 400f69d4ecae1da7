"""A log that is older than the months' bundles, with no store left that would know: nothing is frozen, signed or sent again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.standins.filing_service import SandboxServer

from .example_month import OUTFLOW, esep
from .test_closing import close, configured, http

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def closable(blocked: Path, tmp_path: Path) -> Path:
    """The recorded month with its blocking issue waived, before any freeze."""
    var = tmp_path / "closable"
    shutil.copytree(blocked, var)
    waiver = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
    assert esep(*waiver, "--config", var / "esep.toml") == 0
    return var


def without_store(var: Path, log: Path) -> None:
    """The log of then, and nothing derived but the bundles."""
    for pattern in ("log.sqlite*", "store.duckdb*", "published.duckdb*", ".published*"):
        for path in var.glob(pattern):
            path.unlink()
    shutil.rmtree(var / "kept", ignore_errors=True)
    for path in log.glob("log.sqlite*"):
        shutil.copy(path, var / path.name)


def says(config: Path, capsys: pytest.CaptureFixture[str], *command: object) -> tuple[int, str]:
    capsys.readouterr()
    code = esep(*command, "--config", config)
    told = capsys.readouterr()
    return code, " ".join((told.out + told.err).split())


def test_a_month_that_was_filed_is_not_filed_again_from_a_log_that_has_it_frozen_alone(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    (entry,) = service.submissions.entries.values()
    newest = tmp_path / "newest"
    newest.mkdir()
    for path in config.parent.glob("log.sqlite*"):
        shutil.copy(path, newest)
    without_store(config.parent, frozen)
    found = close(config, capsys)["2026-10"]
    assert found["due"] == "person" and f"holds submission {entry.submission_id} of version 1, and the log does not" in found["why"]
    assert f"holds submission {entry.submission_id}" in says(config, capsys, "status", "2026-10")[1]
    assert entry.times_sent == 1 and len(service.submissions.entries) == 1
    without_store(config.parent, newest)
    assert close(config, capsys)["2026-10"]["due"] == "done", "the newest log is back"


def test_a_month_that_was_filed_is_not_frozen_again_from_a_log_that_lacks_its_freeze(
    frozen: Path, closable: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    manifest = (config.parent / "months" / "2026-10" / "v1" / "manifest.json").read_bytes()
    without_store(config.parent, closable)
    found = close(config, capsys)["2026-10"]
    assert (found["state"], found["due"]) == ("open", "facts") and "the month would be filed twice" in found["why"], (
        "nobody is told that it can close"
    )
    code, told = says(config, capsys, "freeze", "2026-10", "--by", "A. Person")
    assert code == 3 and "and the log does not: it is an older copy, or another log" in told
    (folder,) = (config.parent / "months" / "2026-10").iterdir()
    assert (folder / "manifest.json").read_bytes() == manifest, "what was filed stays where it is"
    assert len(service.submissions.entries) == 1


def test_a_bundle_that_was_neither_signed_nor_filed_is_set_aside_as_that_of_an_interrupted_freeze(
    frozen: Path, closable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, "")
    without_store(config.parent, closable)
    assert says(config, capsys, "freeze", "2026-10", "--by", "A. Person")[0] == 0
    names = sorted(path.name for path in (config.parent / "months" / "2026-10").iterdir())
    assert len(names) == 2 and names[0].startswith(".v1.abandoned-") and names[1] == "v1"


def test_an_answer_that_the_log_lacks_is_named(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    assert close(config, capsys)["2026-10"]["due"] == "done"
    (entry,) = service.submissions.entries.values()
    folder = config.parent / "months" / "2026-10" / "v1" / "submissions" / entry.submission_id
    (folder / "0002-person-accepted.txt").write_text("as it was noted")
    assert f"holds answer 2 to submission {entry.submission_id}, and the log does not" in close(config, capsys)["2026-10"]["why"]
    (folder / "0002-person-accepted.txt").rename(folder / "a note of ours.txt")
    assert close(config, capsys)["2026-10"]["due"] == "done"
