"""Brokers of Apache Kafka and the recorded month for the tests here. And after the tests: each part, whether it ran, and if not why; the last line stays pytest's own."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..integration.example_month import OUTFLOW, RECORDED, esep
from ..integration.once import made_once
from .chromium import browser, chromium
from .kafka_cluster import KafkaCluster, why_not

__all__ = ["browser", "chromium"]
PARTS = {
    "test_console_closing.py": "The console in Chromium: closing a month",
    "test_kafka_month.py": "Kafka: a month",
    "test_upstream_kills.py": "Upstream pools that misbehave",
    "test_partitions.py": "Partitions of the network",
    "test_kafka_scale.py": "Kafka: pools shared out",
    "test_sources.py": "Sources on PostgreSQL and MariaDB",
    "test_faults_process.py": "Faults of processes and clocks",
    "test_evm_month.py": "EVM: a month on anvil and geth",
    "test_faults_disk.py": "Faults of disks",
    "test_console_axe.py": "The console in Chromium: accessibility",
    "test_console_pictures.py": "The console in Chromium: pictures",
    "test_replay_against_bitcoind.py": "the replay node beside Bitcoin Core",
    "test_kafka_log.py": "Kafka: brokers that fail",
    "test_core_geth.py": "EVM: core-geth by Ethereum Classic's rules",
    "test_registry_source.py": "The registry from PostgreSQL and MariaDB",
    "test_coins.py": "a bundle's coins against Bitcoin Core and Litecoin Core",
    "test_first_hour.py": "The first hour: Litecoin Core and LibreOffice",
    "test_bitcoin_core.py": "Bitcoin Core",
    "test_two_evm_nodes.py": "EVM: two geth nodes, killed in turn",
    "test_schedule.py": "Closing by the clock",
    "test_kafka_security.py": "Kafka: security",
    "test_kafka_idle.py": "Kafka: writers that were idle",
    "test_source_refusals.py": "Sources on PostgreSQL and MariaDB: what is refused",
    "test_source_texts.py": "Sources on PostgreSQL and MariaDB: texts that are not UTF-8, and formats of their own",
    "test_source_tls.py": "Sources on MariaDB: TLS",
    "test_source_pieces.py": "Sources on PostgreSQL and MariaDB: read in several looks",
    "test_console_browser.py": "The console in Chromium",
    "test_kafka_contract.py": "Kafka: the log's contract",
    "test_kafka_closer.py": "Kafka: the right to close",
    "test_litecoin.py": "Litecoin Core",
    "test_evm_payers.py": "EVM: payers",
    "test_evm_wrapped.py": "EVM: wrapped coins",
    "test_copies_shared.py": "The published copy on Btrfs and XFS",
}
"""What each file's tests are of, the longest first: so they are begun (`pytest_collection_modifyitems`), and no long one is left for the end of two workers."""


HANGS_AFTER_S = 1200
"""Of a test that says nothing else: programs may be installed in it, and a machine under load is no failure."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files in the order of `PARTS`; tests of other folders come before, in the order in which they were found."""
    here, places = Path(__file__).parent, {name: place for place, name in enumerate(PARTS, start=1)}
    ours = [item for item in items if item.path.parent == here]
    for item in ours:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANGS_AFTER_S))
    items[:] = [item for item in items if item.path.parent != here]
    items += sorted(ours, key=lambda item: places.get(item.path.name, len(places) + 1))


@pytest.fixture(scope="session")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month before its one blocking issue is waived. Nobody changes it: copy it."""

    def make(var: Path) -> None:
        assert esep("demo", RECORDED, "--var", var) == 3

    return made_once(tmp_path_factory, "blocked", make)


@pytest.fixture(scope="session")
def closable(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month, ready to freeze. Nobody changes it: copy it."""

    def make(var: Path) -> None:
        shutil.copytree(blocked, var)
        waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
        assert esep(*waive, "--config", var / "esep.toml") == 0

    return made_once(tmp_path_factory, "closable", make)


@pytest.fixture(scope="session")
def frozen(closable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month frozen by a second run of the demo. Nobody changes it: copy it."""

    def make(var: Path) -> None:
        shutil.copytree(closable, var)
        assert esep("demo", RECORDED, "--var", var) == 0

    return made_once(tmp_path_factory, "frozen", make)


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
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, (tuple, list)) else "no reason given"


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
