"""The deployment files in `config/`: each judged by its own tool where that is on the machine, and by what they must agree on with Esep."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.commands import build
from pipeline.cli.frame import run
from pipeline.model.errors import FencedError, SettingsError

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
UNITS = sorted((CONFIG / "systemd").glob("*.service"))
METRICS = set(re.findall(r"^\| `(esep_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


def _tool(name: str, *arguments: str) -> str:
    """What the tool prints; skips with the reason where it is not on the machine, fails with its words where it refuses."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} on PATH")
    ran = subprocess.run([name, *arguments], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def _metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\besep_\w+", expression))


def _dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CONFIG / "grafana/esep.json").read_text())
    return content


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((CONFIG / "prometheus/esep-alerts.yaml").read_text())["groups"]
    return list(group["rules"])


def _brokers() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((CONFIG / "kafka/compose.yaml").read_text())["services"])


# --- systemd


def test_systemd_accepts_the_units(tmp_path: Path):
    # The tool wants the program to exist: here another one stands for it.
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/esep/.venv/bin/esep", "/bin/true"))
    assert _tool("systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_may_do_little(unit: Path, tmp_path: Path):
    """systemd's own mark for what a service could do: 0 nothing, 10 everything; its default unit has 9.6."""
    name = unit.name.replace("@", "@pool")
    (tmp_path / name).write_text(unit.read_text())
    _tool("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(tmp_path / name))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_units_command_is_one_that_esep_has(unit: Path, capsys: pytest.CaptureFixture[str]):
    (line,) = re.findall(r"^ExecStart=\S+/esep (.+)$", unit.read_text(), re.MULTILINE)
    words = line.replace("%i", "my-pool").split()
    assert run(build(), [words[0], "--help"]) == 0
    told = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert option in told


def test_wrong_settings_are_not_restarted():
    assert UNITS
    assert all(f"RestartPreventExitStatus={SettingsError.exit_code} {FencedError.exit_code}\n" in unit.read_text() for unit in UNITS)


# --- Prometheus


def test_prometheus_accepts_the_rules():
    assert "SUCCESS" in _tool("promtool", "check", "rules", str(CONFIG / "prometheus/esep-alerts.yaml"))


def test_alerts_speak_of_metrics_that_there_are_and_say_what_to_do():
    assert METRICS
    for rule in _rules():
        assert _metrics_in(rule["expr"]) <= METRICS, rule["alert"]
        assert _metrics_in(rule["expr"]) or "up{" in rule["expr"]
        assert rule["annotations"]["summary"] and rule["annotations"]["action"]


def test_alerts_fire_when_they_should_and_not_before():
    """Prometheus' own test of rules, on invented series."""
    assert "SUCCESS" in _tool("promtool", "test", "rules", str(CONFIG / "prometheus/esep-alerts.test.yaml"))


def test_every_alert_is_tried_both_ways():
    well, ill = yaml.safe_load((CONFIG / "prometheus/esep-alerts.test.yaml").read_text())["tests"]
    alerts = {rule["alert"] for rule in _rules()}
    assert {case["alertname"] for case in well["alert_rule_test"]} == alerts
    assert not any(case.get("exp_alerts") for case in well["alert_rule_test"])
    assert {case["alertname"] for case in ill["alert_rule_test"] if case["exp_alerts"]} == alerts
    for test in (well, ill):
        for given in test["input_series"]:
            assert _metrics_in(given["series"]) <= METRICS and (_metrics_in(given["series"]) or given["series"].startswith("up{"))


def test_labels_that_alerts_and_panels_use_are_labels_of_the_metrics():
    """A misspelt label selects nothing, and an alert on it would be silent for ever."""
    page = (ROOT / "docs/metrics.md").read_text()
    labels = {name: set(words.split(", ")) for name, words in re.findall(r"^\| `(esep_\w+)` \| \w+ \| ([^|]+) \|", page, re.MULTILINE)}
    expressions = [rule["expr"] for rule in _rules()] + [target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"]]
    seen = 0
    for expression in expressions:
        for name, inside in re.findall(r"\b(esep_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", inside))
            assert used <= labels[name], expression
            seen += len(used)
    assert seen


def test_prometheus_accepts_the_example_of_its_own_settings():
    assert "SUCCESS" in _tool("promtool", "check", "config", str(CONFIG / "prometheus/prometheus.yaml"))


# --- Grafana


def test_the_dashboard_shows_metrics_that_there_are(tmp_path: Path):
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            assert _metrics_in(target["expr"]) and _metrics_in(target["expr"]) <= METRICS, panel["title"]
    (variable,) = (v for v in _dashboard()["templating"]["list"] if v["type"] == "query")
    assert _metrics_in(variable["query"]["query"]) <= METRICS


def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path):
    queries = [target["expr"].replace("$pool", ".+") for panel in _dashboard()["panels"] for target in panel["targets"]]
    rules = [{"record": f"shown:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(queries)} rules found" in _tool("promtool", "check", "rules", str(tmp_path / "queries.yaml"))


def test_the_dashboards_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    assert len(_dashboard()["panels"]) > 1
    for panel in _dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


# --- Kafka


def test_docker_accepts_the_compose_file(tmp_path: Path):
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        _tool("docker", "compose", "-f", str(CONFIG / "kafka/compose.yaml"), "config", "-q")
        return
    # The older tool has the same schema, but for the project's name.
    content = yaml.safe_load((CONFIG / "kafka/compose.yaml").read_text())
    assert content.pop("name")
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(content))
    _tool("docker-compose", "-f", str(tmp_path / "compose.yaml"), "config", "-q")


def test_the_brokers_of_the_compose_file_agree_with_each_other():
    brokers = _brokers()
    settings = {name: broker["environment"] for name, broker in brokers.items()}
    voters = {f"{own['KAFKA_NODE_ID']}@{name}:9093" for name, own in settings.items()}
    assert len(brokers) == 3
    for name, broker in brokers.items():
        own = settings[name]
        assert set(own["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")) == voters
        (port,) = broker["ports"]
        host, outside, inside = port.split(":")
        assert f"EXTERNAL://{host}:{outside}" in own["KAFKA_ADVERTISED_LISTENERS"]
        assert f"EXTERNAL://:{inside}" in own["KAFKA_LISTENERS"]
        assert broker["volumes"] == [f"{name}:{own['KAFKA_LOG_DIRS']}"]
    assert len({broker["ports"][0] for broker in brokers.values()}) == 3


def test_the_compose_files_cluster_keeps_what_the_log_needs():
    for broker in _brokers().values():
        own = broker["environment"]
        assert own["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == own["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert own["KAFKA_DEFAULT_REPLICATION_FACTOR"] == own["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == 3
        assert own["KAFKA_MIN_INSYNC_REPLICAS"] == own["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == 2
