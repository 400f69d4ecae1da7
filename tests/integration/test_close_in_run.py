"""`esep run` closes months where `[closing] in_run` is true, from the store that it fills; one process closes a pool's months."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.app.app import App
from pipeline.app.closer import closer_file, sole_closer
from pipeline.closing.steps import Act
from pipeline.log.events import decode
from pipeline.log.events.months import Frozen
from pipeline.model.errors import FencedError
from pipeline.model.months import Month
from pipeline.settings import Settings, load_settings
from pipeline.store import Store

from .example_month import DIGEST, OUTFLOW, ROOT, esep

OCTOBER = Month(2026, 10)
NOW = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
"""Past the pool's day of filing, whenever the test runs."""
RUN = f"import pipeline.cli.services as services; services.now = lambda: {NOW}; from pipeline.cli import main; main()"
PATIENCE_S = 120


@pytest.fixture
def settings(blocked: Path, tmp_path: Path) -> Settings:
    """The recorded month, ready to be frozen."""
    shutil.copytree(blocked, tmp_path / "var")
    config = tmp_path / "var" / "esep.toml"
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
    text = config.read_text(encoding="utf-8")
    config.write_text(text + '\n[closing]\nhold_hours = 0\nin_run = true\nfirst_month = "2026-10"\n', encoding="utf-8")
    return load_settings(config, {})


def test_the_run_freezes_and_files_a_month_and_a_second_closer_is_refused(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings.var / "esep.toml"
    errors = (settings.var / "run.err").open("w+")
    command = [sys.executable, "-c", RUN, "run", "--config", str(config)]
    with errors, subprocess.Popen(command, cwd=ROOT, stderr=errors, text=True) as running:
        try:
            began = time.monotonic()
            while not list((settings.var / "outbox").glob("2026-10-v1-*/body.json")):
                errors.seek(0)
                assert running.poll() is None and time.monotonic() - began < PATIENCE_S, errors.read()
                time.sleep(0.2)
            capsys.readouterr()
            for command in ("close", "schedule", "run"):
                assert esep(command, "--config", config) == FencedError.exit_code
                said = capsys.readouterr().err
                assert f"closed by process {running.pid} already" in said.replace("\n", " ")
            assert not list(settings.var.glob("scratch-*")), "the live store was read, no other was filled"
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=PATIENCE_S) == 0
    with App(settings, lambda: NOW) as app:
        (frozen,) = app.months.frozen(OCTOBER)
        assert (frozen.digest, frozen.by) == (DIGEST, "schedule")
        with Store.open(settings.store.path) as store:
            assert store.positions().keys() == app.log.end().keys()
    assert esep("close", "--config", config) == 0, "the run has ended: another process may close"


def test_a_closer_that_was_killed_leaves_the_right_to_the_next(settings: Settings) -> None:
    source = (
        "import sys, time; from pathlib import Path; from pipeline.app.closer import sole_closer; from pipeline.settings import load_settings\n"
        "with sole_closer(load_settings(Path(sys.argv[1]), {})):\n    print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", source, str(settings.var / "esep.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with pytest.raises(FencedError, match=f"closed by process {first.pid} already"), sole_closer(settings):
            pass
        first.kill()
    with sole_closer(settings):
        assert closer_file(settings).stat().st_mode & 0o777 == 0o600


def test_a_look_uses_the_store_that_the_service_holds_and_waits_for_its_turn(settings: Settings) -> None:
    seen: list[int] = []
    order: list[str] = []
    with App(settings, lambda: NOW) as app:

        def look() -> None:
            with app.stores.current() as store:
                order.append(f"look {store is held} {store.positions() == app.log.end()}")

        with app.stores.hold_live(lambda step, _end: seen.append(step.events)) as held:
            with held.lock:
                thread = threading.Thread(target=look)
                thread.start()
                app.imports.declare_complete(Month(2026, 11).last)
                order.append("service done")
            thread.join(PATIENCE_S)
        assert order == ["service done", "look True True"]
        assert sum(seen) >= 1, "what the look filled is told to the service's metrics"
        with app.stores.current() as store:
            assert store is not held and store.path == held.path, "the service has ended: the look opens the live store itself"


def test_the_frozen_event_of_the_run_is_one(settings: Settings) -> None:
    """A look after the freeze, by a closer of its own, takes the same month for frozen."""
    with App(settings, lambda: NOW) as app:
        for _ in range(2):
            app.desk.look()
        records = app.log.read({}, topics=["months"])
        assert [event.version for record in records if isinstance(event := decode(record.value), Frozen)] == [1]


def test_a_month_waits_for_a_wallet_that_the_chain_was_not_searched_for_yet(settings: Settings) -> None:
    """Closed before, it would lack what the wallet paid; frozen before, it is not filed without a person."""
    ((chain, ours),) = settings.chains.items()
    first, *others = ours.wallets
    added = first.model_copy(update={"addresses": (*first.addresses, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")})
    more = settings.model_copy(update={"chains": {chain: ours.model_copy(update={"wallets": (added, *others)})}})
    said = f"{chain} was not searched yet for 1 address(es) or descriptor(s) of wallet {first.name}, which the settings name"
    with App(more, lambda: NOW) as app:
        status = next(one for one in app.desk.look() if one.month == OCTOBER)
        assert len(status.unmet) == 1 and said in status.unmet[0]
        assert not app.months.frozen(OCTOBER)
    with App(settings, lambda: NOW) as app, app.stores.current() as store:
        app.months.freeze(store, OCTOBER, by="schedule", reason="")
    with App(more, lambda: NOW) as app:
        status = next(one for one in app.desk.look() if one.month == OCTOBER)
        assert said in status.step.why and status.step.act is Act.PERSON
        assert not list(settings.var.glob("outbox/*"))
    with App(settings, lambda: NOW) as app:
        app.desk.look()
        assert list(settings.var.glob("outbox/2026-10-v1-*"))
