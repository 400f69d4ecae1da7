"""After the live tests: each part, whether it ran, and if not why. The last line stays pytest's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

PARTS = {
    "test_bitcoin_core.py": "Bitcoin Core",
    "test_replay_against_bitcoind.py": "the replay node beside Bitcoin Core",
    "test_litecoin.py": "Litecoin Core",
    "test_kafka_contract.py": "Kafka: the log's contract",
    "test_kafka_log.py": "Kafka: brokers that fail",
    "test_kafka_month.py": "Kafka: a month",
    "test_kafka_security.py": "Kafka: security",
    "test_kafka_scale.py": "Kafka: pools shared out",
}


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
