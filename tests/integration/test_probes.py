"""`/metrics`, `/healthz`, `/readyz` of a real server, and of `esep ingest --follow` while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from connectors.log_sqlite.log import SqliteLog
from pipeline.model.errors import SettingsError, StoreError
from pipeline.service.health import Health, Limits
from pipeline.service.metrics import Metrics
from pipeline.service.probes import serve_probes

from ..ports import free_port
from .example_month import ROOT, esep
from .pools import SmallPool, small_pool


def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), Health(time.monotonic, Limits()), version="1.2.3")


def ask(address: str, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, kind of content, body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", method=method), timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_what_is_served() -> None:
    told = metrics()
    with serve_probes("127.0.0.1:0", told) as address:
        status, kind, body = ask(address, "/metrics")
        assert status == 200 and kind.startswith("text/plain; version=")
        assert "esep_build_info" in {family.name for family in text_string_to_metric_families(body)}
        assert ask(address, "/healthz")[::2] == ask(address, "/readyz")[::2] == (200, "ok\n")
        told.ingest_failed("p", StoreError("the disk is full"))
        assert ask(address, "/readyz")[::2] == (503, "p store: the disk is full\n")
        assert ask(address, "/healthz")[0] == 200, "trouble that is tried again is no reason to be killed"
        assert ask(address, "/metrics", "HEAD")[::2] == (200, "")
        assert ask(address, "/")[0] == 404 and ask(address, "/metrics", "POST")[0] == 405
    with pytest.raises(OSError, match="refused"):
        ask(address, "/healthz")


def test_nothing_is_served_unless_asked_for() -> None:
    with serve_probes("", metrics()) as address:
        assert address == ""


@pytest.mark.parametrize("listen", ["9464", "here", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"metrics\.listen"), serve_probes(listen, metrics()):
        pass


def test_an_address_in_use_is_refused_in_words() -> None:
    with (
        serve_probes("127.0.0.1:0", metrics()) as address,
        pytest.raises(SettingsError, match="choose a free port"),
        serve_probes(address, metrics()),
    ):
        pass


def test_ingest_tells_while_it_follows(tmp_path: Path) -> None:
    pool = small_pool(tmp_path, "alpha", seed=3)
    config = pool.write_settings(tmp_path / "pools")
    (tmp_path / "pools" / "var-alpha").mkdir()
    with SqliteLog(tmp_path / "pools" / "var-alpha" / "log.sqlite") as log:
        pool.append_to(log)
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest", "--follow", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"ESEP_LISTEN": address}, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        body = ""
        while "esep_month_state" not in body or 'state="closable"} 1.0' not in body:
            assert process.poll() is None and time.monotonic() < until, body
            time.sleep(0.2)
            try:
                body = ask(address, "/metrics")[2]
            except OSError:
                continue
        assert ask(address, "/readyz")[::2] == (200, "ok\n")
        lags = [line for line in body.splitlines() if line.startswith("esep_log_lag_events{")]
        assert len(lags) == 4 and all(line.endswith(" 0.0") for line in lags)
        assert 'esep_store_chain_height{chain="bitcoin",pool="alpha"}' in body
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "201040000013" not in body and "acct0" not in body, "metrics name nobody"


def test_status_shows_how_far_the_copy_is_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = small_pool(tmp_path, "alpha", seed=3)
    config = pool.write_settings(tmp_path / "pools")
    (tmp_path / "pools" / "var-alpha").mkdir()
    with SqliteLog(tmp_path / "pools" / "var-alpha" / "log.sqlite") as log:
        pool.append_to(log, 0, 2)
        assert esep("status", "--config", config) == 0
        assert "none for analysts was published yet" in capsys.readouterr().out
        assert esep("ingest", "--config", config) == 0
        assert esep("status", "--config", config) == 0
        assert "up to the log's end" in capsys.readouterr().out
        pool.append_to(log, 1, 2)
    second = {topic: len(events) - len(events) // 2 for (topic, _), events in pool.events.items()}
    assert esep("status", "--config", config) == 0
    said = f"{sum(second.values())} event(s) behind the log"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('key = "beta"', 'key = "alpha"'), "pool.key: 'alpha' is another file's too"),
        (("var-beta", "var-alpha"), "is the store of pool 'alpha' too"),
        (('log = "sqlite:log', 'log = "sqlite:../var-alpha/log'), "log: is the log of pool 'alpha' too"),
        (("[pool]", '[metrics]\nlisten = "127.0.0.1:1"\n[pool]'), "metrics.listen: differs from that of pool 'alpha'"),
    ],
)
def test_pools_that_would_disturb_each_other_are_refused(
    tmp_path: Path, change: tuple[str, str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pools"
    SmallPool("alpha", {}, "").write_settings(folder)
    path = SmallPool("beta", {}, "").write_settings(folder)
    path.write_text(path.read_text().replace(*change))
    assert esep("ingest", "--follow", "--config", folder) == 2
    assert fault in capsys.readouterr().err


def test_sharing_needs_kafka_and_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = SmallPool("alpha", {}, "").write_settings(tmp_path / "pools")
    assert esep("ingest", "--share", "--config", config) == 2
    assert "the log is not on Kafka" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert esep("ingest", "--follow", "--config", tmp_path / "empty") == 2
    assert "has no settings file" in capsys.readouterr().err
