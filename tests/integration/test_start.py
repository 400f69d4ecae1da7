"""What a command loads: a person waits for every import, so none is made where it does not work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pipeline.cli import main
try:
    main()
except SystemExit as ended:
    code = ended.code
print("loaded:", code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {
    "apscheduler", "babel", "bitcoinlib", "connectors", "cryptography", "duckdb", "eth_keys", "eth_utils", "fastapi", "holidays", "httpx", "jinja2", "kafka",
    "msgspec", "odf", "openpyxl", "polars", "prometheus_client", "psycopg", "pyarrow", "pymysql", "pypdf", "reportlab", "rfc3161_client",
    "structlog", "urllib3", "uvicorn", "web3", "xlsxwriter",
}  # fmt: skip
"""What takes its time to import. Typer itself checks arguments by pydantic."""


def loaded(*arguments: str) -> tuple[str, set[str]]:
    """Run a command in a process of its own: its exit code, and the heavy packages that it loaded."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    _, code, *names = ran.stdout.splitlines()[-1].split(" ")
    return code, HEAVY & set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("import", "--help"), ("rule", "5.3"), ("nonsense",)])
def test_what_reads_no_facts_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code, heavy = loaded(*arguments)
    assert code == ("2" if arguments == ("nonsense",) else "0")
    assert heavy == set()


@pytest.mark.parametrize("arguments", [("status",), ("issues", "2026-10")])
def test_the_modules_of_what_looks_at_months_load_duckdb_alone(arguments: tuple[str, ...]) -> None:
    """As far as the settings file, which is not there: the commands' own modules, with all that they name at their top."""
    code, heavy = loaded(*arguments, "--config", "no-such-folder/esep.toml")
    assert code == "2"
    assert heavy <= {"duckdb", "msgspec"}


@pytest.mark.parametrize("arguments", [("status",), ("status", "2026-10"), ("issues", "2026-10"), ("issues", "2026-10", "--json")])
def test_a_second_look_at_the_same_facts_computes_nothing(blocked: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Neither nodes nor documents are loaded at the first look, and no polars at the second; nor cryptography, where no key is in force."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    shutil.rmtree(var / "kept", ignore_errors=True)  # another test may have looked at the shared month
    for looks, computed in ((1, {"polars", "pyarrow"}), (2, set[str]())):
        code, heavy = loaded(*arguments, "--config", str(var / "esep.toml"))
        assert (looks, code) == (looks, "0")
        assert (looks, heavy) == (looks, {"connectors", "duckdb", "msgspec"} | computed)


def test_a_second_look_at_a_frozen_month_computes_nothing(frozen: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = ("--config", str(var / "esep.toml"))
    loaded("status", *config)
    assert loaded("status", *config) == ("0", {"connectors", "duckdb", "msgspec"})
