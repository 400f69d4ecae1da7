"""A pool's key names it in the log and in the store: under another key nothing of theirs is read as its own, frozen or filed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from connectors.log_sqlite.one_pool import require_pool
from pipeline.app.app import App
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError, StoreError
from pipeline.settings import load_settings

from .example_month import esep

NOW = 1_795_000_000


def renamed(var: Path, key: str) -> Path:
    """The settings with another key of the pool, on the same log and store."""
    text = (var / "esep.toml").read_text(encoding="utf-8")
    other = var / "other.toml"
    other.write_text(text.replace('key = "demo"', f'key = "{key}"'), encoding="utf-8")
    assert f'key = "{key}"' in other.read_text(encoding="utf-8")
    return other


@pytest.mark.parametrize(
    "command",
    [
        ("status",), ("close", "--dry-run"), ("close",), ("issues", "2026-10"), ("freeze", "2026-10", "--by", "A. Person"),
        ("import", "complete", "2026-11-01"), ("calendar",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_renamed_pool_does_not_freeze_or_file_what_is_filed(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ESEP_LANG", "en")
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    before = hashlib.sha256((var / "log.sqlite").read_bytes()).hexdigest()
    for key in ("demo2", "dem"):
        assert esep(*command, "--config", renamed(var, key)) == 6
        told = capsys.readouterr().err
        assert f"log.sqlite is the log of pool 'demo', and the settings have pool.key = '{key}'" in told
        assert "Set pool.key back, or give pool" in told
    assert hashlib.sha256((var / "log.sqlite").read_bytes()).hexdigest() == before
    assert esep("status", "--config", var / "esep.toml") == 0


def test_every_topic_of_a_log_is_looked_at(tmp_path: Path) -> None:
    for number, topic in enumerate(("chain", "ledger", "registry", "months")):
        with SqliteLog(tmp_path / f"{number}.sqlite") as log:
            with log.writer("months", "a-pool") as writer:
                writer.append([NewEvent("waived:1", b"{}", None)])
            log.writer(topic, "other").close()  # opened, and nothing was written
            require_pool(log, "a-pool")
            with log.writer(topic, "other/bitcoin" if topic == "chain" else "other") as writer:
                writer.append([NewEvent("one", b"{}", None)])
            with pytest.raises(LogError, match=r"is the log of pool 'other', and the settings have pool\.key = 'a-pool'"):
                require_pool(log, "a-pool")
            require_pool(log, "a-pool", is_signed=True)  # there it counts for nothing, and is told as not authentic
            with pytest.raises(LogError, match=r"is the log of pool 'a-pool', and the settings have pool\.key = 'third'"):
                require_pool(log, "third", is_signed=True)


def test_a_store_of_another_pool_is_not_filled_further(frozen: Path, tmp_path: Path) -> None:
    """On a cluster the log of another key is empty: the store is what would be taken for it."""
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    settings = load_settings(renamed(var, "demo2"), {})
    with SqliteLog(var / "log.sqlite") as log:
        app = App(settings, lambda: NOW, log=log)
        told = r"store\.duckdb was filled for pool 'demo', and the settings have pool\.key = 'demo2'"
        with pytest.raises(StoreError, match=told), app.stores.current():
            pass
