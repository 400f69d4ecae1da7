"""The commands on the recorded month: from `demo` to a frozen, verified, replayed form, and what they say on the way."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from connectors.standins.bitcoin_node import ReplayNode
from pipeline.cli.commands import build
from pipeline.cli.frame import CRASHED, EXIT_CODES, _crashed

from .example_month import DIGEST, OUTFLOW, RECORDED, ROOT, esep

COMMANDS = [
    "init",
    "demo",
    "console",
    "docs",
    "run",
    "watch",
    "capture",
    "ingest",
    "nodes",
    "import",
    "inbox",
    "sources",
    "wallets",
    "status",
    "issues",
    "explain",
    "label",
    "waive",
    "document",
    "query",
    "rule",
    "freeze",
    "verify",
    "replay",
    "render",
    "statement",
    "doctor",
    "backup",
    "restore",
    "topics",
    "log",
    "keys",
    "users",
    "network",
    "headers",
    "filters",
    "close",
    "schedule",
    "calendar",
    "approve",
    "receipt",
    "refile",
    "amend",
    "sandbox",
]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    capsys.readouterr()
    yield capsys


# --- the way through --------------------------------------------------------------------------------------------------


def test_the_blocked_month_lists_its_issue_and_what_to_do(blocked: Path, printed: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    assert esep("demo", RECORDED, "--var", var) == 3
    shown = printed.readouterr()
    assert OUTFLOW in shown.out and "0 new, 0 restated, 1702 known already" in shown.out
    assert "esep waive 2026-10 CODE REF" in shown.err and "Traceback" not in shown.err
    assert not (var / "months").exists()


def test_the_frozen_month_is_the_expected_one_byte_for_byte(frozen: Path) -> None:
    bundle = frozen / "months" / "2026-10" / "v1"
    for name in ("report.csv", "outflows.csv", "transfers.csv", "balances.csv"):
        assert (bundle / name).read_bytes() == (RECORDED / "expected" / name).read_bytes(), name

    def named(path: Path) -> list[list[str]]:
        return [line.split(",")[:3] for line in path.read_text(encoding="utf-8").splitlines()]

    assert named(bundle / "issues.csv") == named(RECORDED / "expected" / "issues.csv")
    for name in ("report.pdf", "report.xlsx", "report.json", "report.ru.pdf", "report.en.xlsx", "month.duckdb", "manifest.json"):
        assert (bundle / name).stat().st_size > 1000, name


def test_waive_all_waives_each_by_name_and_freezes(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    assert esep("demo", RECORDED, "--var", var, "--waive-all", "tried out", "--json") == 0
    shown = json.loads(printed.readouterr().out)
    assert shown["bundle"]["digest"] == DIGEST and shown["left_over"] == []
    assert [(row["ref"], row["waived_by"]) for row in shown["issues"] if row["severity"] == "blocking"] == [(OUTFLOW, "demo")]
    manifest = json.loads((var / "months" / "2026-10" / "v1" / "manifest.json").read_bytes())
    assert [(waiver["ref"], waiver["reason"]) for waiver in manifest["waivers"]] == [(OUTFLOW, "tried out")]


def test_again_after_the_freeze_it_verifies_and_freezes_nothing(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (frozen / "months").rglob("*")}
    assert esep("demo", RECORDED, "--var", frozen) == 0
    shown = printed.readouterr().out
    assert "frozen before, nothing changed" in shown and DIGEST in shown and "FAILS" not in shown
    assert {path: path.stat().st_mtime_ns for path in (frozen / "months").rglob("*")} == before


# --- each command -----------------------------------------------------------------------------------------------------


def test_verify_takes_a_folder_or_a_month_and_sees_a_changed_file(
    frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]
) -> None:
    assert esep("verify", "2026-10", "--json", "--config", frozen / "esep.toml", "--test-network") == 0
    assert json.loads(printed.readouterr().out)["holds"] is True
    copy = tmp_path / "v1"
    shutil.copytree(frozen / "months" / "2026-10" / "v1", copy)
    report = copy / "report.csv"
    report.chmod(0o600)
    content = report.read_bytes()
    report.write_bytes(content.replace(b"BTC,0.0", b"BTC,0.1", 1))
    assert report.read_bytes() != content
    assert esep("verify", copy) == 8
    shown = printed.readouterr()
    assert "report.csv was changed" in shown.out and "does not hold" in shown.err
    assert esep("verify", tmp_path / "nothing") == 2, "no bundle was looked at"


def test_replay_gives_the_same_bytes_and_puts_a_lost_bundle_back(frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    assert esep("replay", "2026-10", "--json", "--config", config) == 0
    shown = json.loads(printed.readouterr().out)
    assert shown["is_same"] and shown["digest"] == DIGEST and shown["compared"] > 20
    (var / "store.duckdb").unlink()  # derived: a replay needs the log and nothing else
    bundle = var / "months" / "2026-10" / "v1"
    first = {path.name: path.read_bytes() for path in bundle.glob("*.csv")}
    shutil.rmtree(bundle)
    assert esep("replay", "2026-10", "--config", config) == 0
    assert {path.name: path.read_bytes() for path in bundle.glob("*.csv")} == first
    assert not list(var.glob("scratch-*"))
    assert esep("replay", "2026-09", "--config", config) == 3


def test_freeze_of_a_frozen_month_asks_no_reason_and_changes_nothing_without_new_facts(
    frozen: Path, printed: pytest.CaptureFixture[str]
) -> None:
    config = frozen / "esep.toml"
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    assert "nothing in the report changed since version 1" in printed.readouterr().out
    assert esep("freeze", "2026-10", "--by", "A. Person", "--reason", "once more", "--json", "--config", config) == 0
    shown = json.loads(printed.readouterr().out)
    assert (shown["version"], shown["is_new"], shown["digest"]) == (1, False, DIGEST)


def test_a_restated_ledger_makes_the_next_version_and_leaves_the_first(
    frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]
) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    lines = (RECORDED / "allocations.csv").read_text(encoding="utf-8").splitlines()
    changed = next(line for line in lines if "2026-10-15" in line and ",BTC," in line)
    cells = changed.split(",")
    cells[4] = f"{float(cells[4]) + 0.00000001:.8f}"
    (tmp_path / "restated.csv").write_text("\n".join([lines[0], ",".join(cells)]) + "\n", encoding="utf-8")
    assert esep("import", "allocations", tmp_path / "restated.csv", "--config", config) == 0
    assert "0 new, 1 restated, 0 known already" in printed.readouterr().out
    first = (var / "months" / "2026-10" / "v1" / "manifest.json").read_bytes()
    assert esep("freeze", "2026-10", "--by", "A. Person", "--reason", "restated credit", "--json", "--config", config) == 0
    shown = json.loads(printed.readouterr().out)
    assert (shown["version"], shown["is_new"]) == (2, True) and shown["digest"] != DIGEST
    assert (var / "months" / "2026-10" / "v1" / "manifest.json").read_bytes() == first
    assert esep("verify", var / "months" / "2026-10" / "v2", "--test-network") == 0
    assert esep("replay", "2026-10", "--version", "1", "--config", config) == 0


def test_a_month_that_can_not_close_lists_every_condition(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("freeze", "2026-11", "--by", "A. Person", "--config", frozen / "esep.toml") == 3
    shown = printed.readouterr().err
    assert "bitcoin has passed the month" in shown and "bitcoin is final" in shown and "ledger complete" in shown
    assert "esep import complete 2026-11-30" in shown and "registry loaded" not in shown


def test_status(frozen: Path, blocked: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("status", "--json", "--config", frozen / "esep.toml") == 0
    shown = json.loads(printed.readouterr().out)
    assert shown["chains"][0]["height"] == 5113 and shown["ledger_complete_through"] == "2026-10-31"
    states = {month["month"]: month["state"] for month in shown["months"]}
    assert states == {"2026-09": "closable", "2026-10": "frozen", "2026-11": "open"}
    assert esep("status", "2026-10", "--config", blocked / "esep.toml") == 0
    shown_text = printed.readouterr().out
    assert "[ ] no blocking issue left: unknown-outflow (1)" in shown_text and "[x] registry loaded" in shown_text


def test_status_says_sums_papers_and_who_acts_next_with_which_command(
    frozen: Path, blocked: Path, printed: pytest.CaptureFixture[str]
) -> None:
    assert esep("status", "--json", "--config", frozen / "esep.toml") == 0
    shown = {month["month"]: month for month in json.loads(printed.readouterr().out)["months"]}["2026-10"]
    assert shown["rows"] == 1437 and shown["totals"]["allocated_in_month"] == {"BTC": "13.07542702"}
    assert shown["pdf"].endswith("months/2026-10/v1/report.pdf") and shown["outbox"] is None and not shown["is_filed"]
    assert [move["who"] for move in shown["next"]] == ["you"] and "first_month is not set" in shown["next"][0]["what"]
    assert esep("status", "--config", blocked / "esep.toml") == 0
    text = printed.readouterr().out
    assert "BTC: allocated 13.07542702, transferred 13.00670494, unsettled 0.08135976" in text
    assert f"esep issues 2026-10 --blocking --config {blocked / 'esep.toml'}" in text
    assert f"esep freeze 2026-09 --by NAME --config {blocked / 'esep.toml'}" in text


def test_issues(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("issues", "2026-10", "--json", "--config", frozen / "esep.toml") == 0
    rows = json.loads(printed.readouterr().out)
    assert rows[0] == {
        "code": "unknown-outflow", "severity": "blocking", "ref": OUTFLOW, "detail": rows[0]["detail"], "waived_by": "A. Person", "lapsed": None,
    }  # fmt: skip
    assert len(rows) == 32
    assert esep("issues", "2026-10", "--blocking", "--config", frozen / "esep.toml") == 0
    assert "1 issue(s), 0 of them blocking and open" in printed.readouterr().out


def test_issues_are_told_in_the_assets_decimals_with_day_miner_and_what_to_do(blocked: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("issues", "2026-10", "--config", blocked / "esep.toml") == 0
    shown = printed.readouterr().out
    assert "2026-10-21  0.07770000 BTC  to 2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr" in shown
    assert "esep waive 2026-10 6hko --by NAME --reason TEXT" in shown and "esep label ADDRESS vendor" in shown
    assert "2026-10-05 … 2026-10-11, 7 days  licence KZ17RAA64572392  180740679845" in shown
    assert "6 of them, 0.00180000 BTC" in shown
    assert "32 issue(s), 1 of them blocking and open" in shown
    assert esep("issues", "2026-10", "--code", "transfer-without-payment", "--json", "--config", blocked / "esep.toml") == 0
    assert len(json.loads(printed.readouterr().out)) == 6


def test_a_waiver_must_name_an_issue_that_is_there(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    by = ["--by", "A. Person", "--reason", "because", "--config", var / "esep.toml"]
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW[:-1] + "2", *by) == 3
    assert f"did you mean {OUTFLOW}?" in printed.readouterr().err
    assert esep("waive", "2026-10", "unknown-outflw", OUTFLOW, *by) == 2
    assert "did you mean unknown-outflow?" in printed.readouterr().err
    assert esep("waive", "2026-13", "unknown-outflow", OUTFLOW, *by) == 2
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, *by) == 0
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, *by) == 0
    assert "already waived by A. Person" in printed.readouterr().out


def test_a_label_resolves_the_unknown_outflow(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    said = ["--name", "Power company", "--by", "A. Person", "--reason", "contract 17", "--config", config]
    assert esep("label", "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcx", "vendor", *said) == 2
    assert "checksum" in printed.readouterr().err
    assert esep("label", "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr", "payout", *said) == 2
    printed.readouterr()
    assert esep("label", "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr", "Power company", *said) == 2
    shown = printed.readouterr().err
    assert "'Power company' is no class: write a word of a-z, 0-9 and -" in shown and "pattern" not in shown
    assert esep("label", "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr", "vendor", *said) == 0
    assert esep("label", "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr", "vendor", *said) == 0
    assert "already labelled" in printed.readouterr().out
    assert esep("issues", "2026-10", "--blocking", "--json", "--config", config) == 0
    assert json.loads(printed.readouterr().out) == []


def test_query_reads_the_published_copy_and_changes_nothing(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    config = ["--config", frozen / "esep.toml"]
    assert esep("query", "SELECT code, count(*) AS n FROM issues GROUP BY code ORDER BY code", "--json", *config) == 0
    assert {"code": "unknown-outflow", "n": 1} in json.loads(printed.readouterr().out)
    assert esep("query", "SELECT 170141183460469231731687303715884105727::HUGEINT AS big, 1.10::DECIMAL(9,2) AS d", "--json", *config) == 0
    assert printed.readouterr().out.strip() == '[{"big":170141183460469231731687303715884105727,"d":"1.10"}]'
    assert esep("query", "SELECT 1 AS a, 'x,y' AS b", "--csv", *config) == 0
    assert printed.readouterr().out == 'a,b\n1,"x,y"\n'
    for statement in ("DELETE FROM raw_block", "SELECT nothing", "SELECT * FROM read_csv('/etc/passwd')", "ATTACH '/etc/passwd' AS x"):
        assert esep("query", statement, *config) == 7
        assert "the query failed" in printed.readouterr().err


def test_query_prompt(frozen: Path, monkeypatch: pytest.MonkeyPatch, printed: pytest.CaptureFixture[str]) -> None:
    lines = iter(["SELECT 41 +", "1 AS answer;", "SELECT nope;", ".quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    assert esep("query", "--config", frozen / "esep.toml") == 0
    shown = printed.readouterr().out
    assert "42" in shown and "the query failed" in shown


def test_render_in_another_language(frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("render", "2026-10", "--out", tmp_path / "form", "-l", "ru", "-f", "pdf", "--config", frozen / "esep.toml") == 0
    assert [path.name for path in (tmp_path / "form").iterdir()] == ["report.ru.pdf"]
    assert esep("render", "2026-10", "--out", tmp_path, "-l", "de", "--config", frozen / "esep.toml") == 2


def test_imports_are_refused_whole_with_every_fault(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    config = ["--config", var / "esep.toml"]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("payment_id,account,asset,address,amount,txid,paid_at\nP1,a,BTC,x,1,ff,2026-10-01\nP2,a,NO,x,-1,ff,never\n")
    assert esep("import", "payments", wrong, *config) == 4
    shown = printed.readouterr().err
    assert "wrong.csv:2:" in shown and "wrong.csv:3:" in shown and "nothing was imported" in shown
    assert esep("import", "payments", tmp_path / "absent.csv", *config) in (2, 4, 5)
    assert esep("import", "registry", RECORDED, "--json", *config) == 0
    assert esep("import", "complete", "2026-10-31", *config) == 0
    assert esep("import", "complete", "tomorrow", *config) == 2
    assert "Traceback" not in printed.readouterr().err


def test_sources_alone_lists_them(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    for words in (("sources",), ("sources", "list")):
        assert esep(*words, "--config", frozen / "esep.toml") == 0
        assert "no source is configured" in printed.readouterr().out


def test_init_writes_once(tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("init", tmp_path / "pool") == 0
    written = (tmp_path / "pool" / "esep.toml").read_text(encoding="utf-8")
    assert written == (ROOT / "config" / "esep.toml").read_text(encoding="utf-8")
    assert esep("init", tmp_path / "pool") == 2
    assert "stays as it is" in printed.readouterr().err


def test_generated_documents_are_as_the_program_says(printed: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert esep("docs", "--check", "--out", ROOT / "docs") == 0, printed.readouterr().out
    assert esep("docs", "--out", tmp_path) == 0
    (tmp_path / "settings.md").write_text("old")
    assert esep("docs", "--check", "--out", tmp_path) == 8


# --- the frame --------------------------------------------------------------------------------------------------------


def test_every_command_has_help_that_stands_alone_and_stands_in_the_operations_page(printed: pytest.CaptureFixture[str]) -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert esep("--help") == 0
    top = printed.readouterr().out
    for code in EXIT_CODES:
        assert f"{code} " in top
    for command in COMMANDS:
        assert f" {command} " in top
        assert f"esep {command}" in operations, f"docs/operations.md says nothing of esep {command}"
        assert esep(command, "--help") == 0
        shown = printed.readouterr().out
        assert f"esep {command}" in shown and len(shown) > 300
    commands = build()
    assert sorted(commands.commands) == sorted(COMMANDS)  # type: ignore[attr-defined]


def test_errors_are_one_message(tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("status", "--config", tmp_path / "none.toml") == 2
    assert "esep init" in printed.readouterr().err
    assert esep("nonsense") == 2
    assert esep("freeze") == 2
    (tmp_path / "esep.toml").write_text("[pool]\nkey = 'p'\nbin = '1'\n")
    assert esep("status", "--config", tmp_path / "esep.toml") == 2
    shown = printed.readouterr().err
    assert "pool.bin: is not 12 digits" in shown and "chains: is missing" in shown and "Traceback" not in shown


def test_a_file_where_a_folder_should_be_is_told_and_no_defect(frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    config = ["--config", frozen / "esep.toml"]
    for command in (
        ["render", "2026-10", "--out", there, "--language", "en", "--format", "json", *config],
        ["statement", "2026-10", "--out", there, *config],
        ["docs", "--out", there],
        ["demo", RECORDED, "--var", there],
    ):
        assert esep(*command) == 12, command
        shown = printed.readouterr().err
        assert f"{there}: File exists" in shown and "check the path" in shown and "defect" not in shown
    assert esep("replay", "2026-10", "--keep", there, *config) == 2
    assert f"--keep: {there} is there already" in printed.readouterr().err
    assert esep("init", there, "--bin", "201040000013") == 2
    assert f"DIR: {there} is no folder" in printed.readouterr().err
    assert there.read_text() == "mine"


def test_a_place_where_nothing_can_be_made_is_told_and_no_defect(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    """`/proc` stands for a disk that is gone: nobody makes a folder in it, not even root."""
    config = ["--config", frozen / "esep.toml"]
    for command in (
        ["render", "2026-10", "--out", "/proc/none", "--language", "en", "--format", "json", *config],
        ["backup", "/proc/none", *config],
        ["init", "/proc/none", "--template"],
        ["sandbox", "--port", "0", "--keep", "/proc/none/filed.jsonl"],
    ):
        assert esep(*command) == 12, command
        shown = printed.readouterr().err
        assert "/proc/none" in shown and "check the path" in shown and "defect" not in shown


def test_a_log_that_is_not_there_is_not_copied_as_an_empty_one(frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    config = ["--config", frozen / "esep.toml"]
    assert esep("log", "copy", f"sqlite:{tmp_path}/lgo.sqlite", f"sqlite:{tmp_path}/copy.sqlite", *config) == 6
    assert f"there is no log {tmp_path}/lgo.sqlite" in printed.readouterr().err and list(tmp_path.iterdir()) == []
    assert esep("log", "check", "log.sqlite", *config) == 2
    assert "esep log check: log.sqlite: a log is sqlite:FILE" in printed.readouterr().err


def test_the_ledger_is_not_declared_complete_through_a_day_to_come(frozen: Path, printed: pytest.CaptureFixture[str]) -> None:
    before = (frozen / "log.sqlite").read_bytes()
    assert esep("import", "complete", "2126-10-31", "--config", frozen / "esep.toml") == 2
    assert "DAY: 2126-10-31 is still to come, today is 20" in printed.readouterr().err
    assert (frozen / "log.sqlite").read_bytes() == before


def test_a_registry_that_is_not_there_is_one_fault(frozen: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("import", "registry", tmp_path / "registri", "--config", frozen / "esep.toml") == 4
    shown = printed.readouterr().err
    assert "there is no such folder or workbook: check the path" in shown and "miners" not in shown


def test_a_defect_writes_a_crash_report_without_secrets(
    frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: pytest.CaptureFixture[str]
) -> None:
    var = tmp_path / "var"
    shutil.copytree(frozen, var)

    def broken(*_: object) -> None:
        raise RuntimeError("http://user:hush@127.0.0.1 said 201040334324")

    monkeypatch.setattr("pipeline.cli.status.overview", broken)
    assert esep("status", "--config", var / "esep.toml") == 70
    shown = printed.readouterr().err
    assert "a defect of the program (RuntimeError)" in shown and "Traceback" not in shown and "hush" not in shown
    (report,) = (var / "crashes").iterdir()
    text = report.read_text(encoding="utf-8")
    assert "RuntimeError" in text and "hush" not in text and "201040334324" not in text
    assert report.stat().st_mode & 0o777 == 0o600


# --- the service ------------------------------------------------------------------------------------------------------


def test_the_service_follows_publishes_lets_others_freeze_and_ends_on_sigterm(
    blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]
) -> None:
    """A process of its own holds the store; the other commands work beside it, through the log."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    for name in ("published.duckdb", "store.duckdb"):
        (var / name).unlink()
    config = var / "esep.toml"
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        text = config.read_text(encoding="utf-8").replace('"http://127.0.0.1:1"', f'"{node.rpc_url}"\ncookie_file = "{node.cookie_path}"')
        config.write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", "--config", str(config)]
        service = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 60
            while not (var / "published.duckdb").exists():
                assert service.poll() is None, service.stderr.read() if service.stderr else ""
                assert time.monotonic() < deadline, "nothing was published"
                time.sleep(0.1)
            with duckdb.connect(str(var / "published.duckdb"), read_only=True) as copy:
                assert copy.execute("SELECT count(*) FROM issues WHERE severity = 'blocking'").fetchone() == (1,)
            assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund", "--by", "A. Person", "--config", config) == 0
            assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
            assert service.poll() is None
        finally:
            service.send_signal(signal.SIGTERM)
            _, logged = service.communicate(timeout=60)
    assert service.returncode == 0, logged
    assert DIGEST in printed.readouterr().out
    lines = [json.loads(line) for line in logged.splitlines()]
    assert {"published", "stopping"} <= {line["event"] for line in lines}


def test_the_services_trouble_is_one_message_and_an_exit_code(blocked: Path, tmp_path: Path) -> None:
    """A node on another network can't be waited for."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        text = config.read_text(encoding="utf-8").replace('"http://127.0.0.1:1"', f'"{node.rpc_url}"\nuser = "nobody"')
        config.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", "from pipeline.cli import main; main()", "watch", "--once", "--config", str(config)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, env={"ESEP_CHAINS_BITCOIN_PASSWORD": "hush-hush", "PATH": "/usr/bin"},
        )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr and "hush-hush" not in done.stderr


def test_the_path_of_a_crash_report_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.cli.frame._crash_folder", [tmp_path])
    assert _crashed(RuntimeError("x")) == CRASHED
    (report,) = tmp_path.iterdir()
    assert report.name in "".join(capsys.readouterr().err.split()), "digits of the time are no person's number"
