"""Brokers of Apache Kafka for the tests here. And after the tests: each part, whether it ran, and if not why; the last line stays pytest's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..integration.example_month import OUTFLOW, RECORDED
from ..integration.example_month import esep as here
from .kafka_cluster import KafkaCluster, why_not

PARTS = {
    "test_bitcoin_core.py": "Bitcoin Core",
    "test_console_browser.py": "The console in Chromium",
    "test_coins.py": "a bundle's coins against Bitcoin Core and Litecoin Core",
    "test_replay_against_bitcoind.py": "the replay node beside Bitcoin Core",
    "test_litecoin.py": "Litecoin Core",
    "test_first_hour.py": "The first hour: Litecoin Core and LibreOffice",
    "test_evm_chain.py": "EVM: the connector on anvil and geth",
    "test_evm_month.py": "EVM: a month on anvil and geth",
    "test_two_evm_nodes.py": "EVM: two geth nodes, killed in turn",
    "test_faults_disk.py": "Faults of disks",
    "test_faults_process.py": "Faults of processes and clocks",
    "test_kafka_contract.py": "Kafka: the log's contract",
    "test_kafka_log.py": "Kafka: brokers that fail",
    "test_kafka_month.py": "Kafka: a month",
    "test_kafka_security.py": "Kafka: security",
    "test_kafka_scale.py": "Kafka: pools shared out",
    "test_sources.py": "Sources on PostgreSQL and MariaDB",
    "test_upstream_kills.py": "Upstream pools that misbehave",
    "test_registry_source.py": "The registry from PostgreSQL and MariaDB",
    "test_schedule.py": "Closing by the clock",
}


@pytest.fixture(scope="session")
def closable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month, ready to freeze. Nobody changes it: copy it."""
    var = tmp_path_factory.mktemp("closable") / "var"
    assert here("demo", RECORDED, "--var", var) == 3
    waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
    assert here(*waive, "--config", var / "esep.toml") == 0
    return var


@contextmanager
def running(folder: Path, brokers: int) -> Iterator[KafkaCluster]:
    """A cluster that runs; skips, with the reason, where none can be had."""
    if reason := why_not():
        pytest.skip(reason)
    cluster = KafkaCluster(folder, brokers)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of one broker, for what is shared with `tests/contract`."""
    with running(Path(tmp_path_factory.mktemp("kafka")), 1) as cluster:
        yield cluster.servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Three brokers, to be killed."""
    with running(tmp_path / "kafka", 3) as cluster:
        yield cluster


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "no reason given"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seen: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            file = Path(report.nodeid.split("::")[0])
            if file.parent.name != "live":
                continue
            what = f"not run: {_reason(report)}" if outcome == "skipped" else outcome
            seen.setdefault(PARTS.get(file.name, file.name), Counter())[what] += 1
    if seen:
        terminalreporter.section("live parts")
    for part, counts in sorted(seen.items()):
        terminalreporter.write_line(f"{part}: " + "; ".join(f"{count} {what}" for what, count in sorted(counts.items())))
