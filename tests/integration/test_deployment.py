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
from typer.testing import CliRunner

from pipeline.cli import build
from pipeline.errors import SettingsError

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
def test_a_units_command_is_one_that_esep_has(unit: Path):
    (line,) = re.findall(r"^ExecStart=\S+/esep (.+)$", unit.read_text(), re.MULTILINE)
    words = line.replace("%i", "bitcoin").split()
    told = CliRunner().invoke(build(), [words[0], "--help"])
    assert told.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in told.output


def test_wrong_settings_are_not_restarted():
    assert UNITS
    assert all(f"RestartPreventExitStatus={SettingsError.exit_code}\n" in unit.read_text() for unit in UNITS)


# --- Prometheus


def test_prometheus_accepts_the_rules():
    assert "SUCCESS" in _tool("promtool", "check", "rules", str(CONFIG / "prometheus/esep-alerts.yaml"))


def test_alerts_speak_of_metrics_that_there_are_and_say_what_to_do():
    assert METRICS
    for rule in _rules():
        assert _metrics_in(rule["expr"]) <= METRICS, rule["alert"]
        assert _metrics_in(rule["expr"]) or "up{" in rule["expr"]
        assert rule["annotations"]["summary"] and rule["annotations"]["action"]


def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path):
    """Prometheus' own test of rules, on invented series."""
    shutil.copy(CONFIG / "prometheus/esep-alerts.yaml", tmp_path)
    series = [
        {"series": 'esep_chain_lag_blocks{pool="a", chain="bitcoin"}', "values": "9x60"},
        {"series": 'esep_chain_lag_blocks{pool="b", chain="bitcoin"}', "values": "0x60"},
        {"series": 'esep_lease_held{pool="a", instance="x"}', "values": "0x60"},
        {"series": 'esep_lease_held{pool="b", instance="x"}', "values": "0x60"},
        {"series": 'esep_lease_held{pool="b", instance="y"}', "values": "1x60"},
    ]
    behind = {
        "exp_labels": {"severity": "warning", "pool": "a", "chain": "bitcoin"},
        "exp_annotations": {
            "summary": "a: bitcoin is 9 blocks behind its node",
            "action": "look at the journal of esep-watch@bitcoin: it names what it waits for",
        },
    }
    alone = {
        "exp_labels": {"severity": "critical", "pool": "a"},
        "exp_annotations": {
            "summary": "No process fills the store of a",
            "action": "start an esep ingest --share that is given this pool",
        },
    }
    expected = [
        {"eval_time": "20m", "alertname": "EsepChainBehind", "exp_alerts": []},
        {"eval_time": "40m", "alertname": "EsepChainBehind", "exp_alerts": [behind]},
        {"eval_time": "20m", "alertname": "EsepPoolWithoutOwner", "exp_alerts": [alone]},
    ]
    plan = {"rule_files": ["esep-alerts.yaml"], "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": expected}]}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert "SUCCESS" in _tool("promtool", "test", "rules", str(tmp_path / "plan.yaml"))


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
    for panel in _dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


# --- Kafka


def test_docker_accepts_the_compose_file():
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("no docker compose on this machine")
    _tool("docker", "compose", "-f", str(CONFIG / "kafka/compose.yaml"), "config", "-q")


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
