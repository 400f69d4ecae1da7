"""A backup holds what can't be rebuilt, shows damage, and its restore is proved by a replay. And what the doctor says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .example_month import DIGEST, esep


@pytest.fixture
def pool(frozen: Path, tmp_path: Path) -> Path:
    """The frozen example month in a folder of its own, with a secret and another file named by its settings."""
    var = tmp_path / "pool"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    (var / "smtp.password").write_text("s3cret\n")
    (var / "body.json.j2").write_text('{"month": {{ month|tojson }}}\n')
    text = '\n[notices]\nuser = "esep"\npassword_file = "smtp.password"\n[filing]\ntemplate_file = "body.json.j2"\n'
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    return config


def backed_up(config: Path, into: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert esep("backup", into, *options, "--json", "--config", config) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_backup_is_restored_elsewhere_and_proved_by_a_replay(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = backed_up(pool, tmp_path / "kept", capsys)
    folder = Path(made["folder"])
    assert made["months"] == [["2026-10", 1, DIGEST]] and not (folder / "store.duckdb").exists()
    assert not list(folder.rglob("smtp.password")) and "smtp.password" in made["left_out"][0]
    shutil.rmtree(pool.parent)
    assert esep("restore", folder, tmp_path / "again", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["replayed"] == [{"month": "2026-10", "version": 1, "digest": DIGEST}]
    assert told["not_restored"] == ["notices.password_file = smtp.password"]
    again = tmp_path / "again" / "esep.toml"
    (again.parent / "smtp.password").write_text("s3cret\n")
    assert esep("status", "2026-10", "--config", again) == 0
    assert DIGEST in capsys.readouterr().out
    assert esep("log", "check", "--json", "--config", again) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == made["log_digest"]
    assert esep("restore", folder, tmp_path / "again") == 2, "a folder that holds something stays as it is"


def test_secrets_go_along_on_request_only(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = backed_up(pool, tmp_path / "kept", capsys, "--with-secrets")
    assert made["has_secrets"] and made["left_out"] == []
    assert (Path(made["folder"]) / "settings" / "smtp.password").read_text() == "s3cret\n"


@pytest.mark.parametrize(("name", "says"), [("log.sqlite", "is not what was backed up"), ("months/2026-10/v1/report.csv", "is not what")])
def test_a_damaged_backup_is_refused_and_names_the_file(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    folder = Path(backed_up(pool, tmp_path / "kept", capsys)["folder"])
    damaged = folder / name
    damaged.chmod(0o600)
    raw = bytearray(damaged.read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged.write_bytes(raw)
    assert esep("restore", folder, tmp_path / "again") == 8
    shown = " ".join(capsys.readouterr().err.split())
    assert name in shown and says in shown
    damaged.unlink()
    assert esep("restore", folder, tmp_path / "again") == 8
    assert "is missing" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "again").exists()


def test_the_doctor_says_what_is_not_well_and_how_to_mend_it(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def findings() -> dict[str, tuple[str, str]]:
        capsys.readouterr()
        assert esep("doctor", "--json", "--config", pool) == 1, "the recorded node does not answer"
        return {found["name"]: (found["health"], found["mend"]) for found in json.loads(capsys.readouterr().out)}

    before = findings()
    assert before["node of bitcoin"] == ("ill", "start it, or correct [chains.bitcoin] rpc_url and its login")
    assert before["backup"] == ("look", "esep backup DIR, on another disk")
    assert before["disk"][0] in ("well", "look", "ill") and before["log"][0] == "well" and before["filing"][0] == "well"
    assert before["signing key"][0] == "look"
    backed_up(pool, tmp_path / "kept", capsys)
    assert findings()["backup"] == ("well", "")
