"""The recorded month filed by the commands: signed, handed to the sandbox or the outbox, corrected, told of."""

from __future__ import annotations

import json
import shutil
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from connectors.notify.smtp import Mail
from connectors.notify.webhook import Webhook
from connectors.standins.filing_service import SandboxServer
from pipeline.closing.notices import Notice
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.months import Month
from pipeline.settings import load_settings

from .example_month import LOOKED_AT, RECORDED, esep
from .test_signing import write_p12

pytestmark = pytest.mark.usefixtures("clock")


class Letters:
    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.refuses = False

    async def handle_DATA(self, server, session, envelope) -> str:
        if self.refuses:
            return "451 try later"
        self.received.append(envelope.content)
        return "250 taken"


@pytest.fixture
def post_office() -> Iterator[tuple[Letters, int]]:
    letters = Letters()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(letters, hostname="127.0.0.1", port=port)
    controller.start()
    yield letters, port
    controller.stop()


def configured(frozen: Path, tmp_path: Path, more: str) -> Path:
    """A copy of the frozen month with more settings; its settings file."""
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    config.write_text(
        config.read_text(encoding="utf-8") + '\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\n' + more, encoding="utf-8"
    )
    return config


def http(service: SandboxServer) -> str:
    return f'[filing]\nway = "http"\nurl = "{service.url}/submissions"\nstatus_url = "{service.url}/submissions/{{submission_id}}"\n'


def close(config: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    capsys.readouterr()
    assert esep("close", "--json", "--config", config) == 0
    return {row["month"]: row for row in json.loads(capsys.readouterr().out)}


def test_the_month_is_signed_filed_once_told_and_still_verifies(
    frozen: Path, tmp_path: Path, service: SandboxServer, post_office: tuple[Letters, int], capsys: pytest.CaptureFixture[str]
) -> None:
    letters, port = post_office
    notices = f'[notices]\nsmtp_host = "127.0.0.1"\nsmtp_port = {port}\nsmtp_security = "none"\nmail_from = "esep@example.kz"\nmail_to = ["a@example.kz"]\n'
    config = configured(
        frozen, tmp_path, http(service) + '[signing]\nway = "pkcs12"\npkcs12_file = "pool.p12"\npassword_file = "word"\n' + notices
    )
    var = config.parent
    write_p12(var / "pool.p12", begins=-3000, ends=36500, unit="BIN" + load_settings(config, {"ESEP_SIGNING_PASSWORD": "x"}).pool.bin)
    (var / "word").write_text("secret")
    letters.refuses = True
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    assert letters.received == [], "the mail server refused"
    letters.refuses = False
    assert close(config, capsys)["2026-10"]["due"] == "done"
    assert close(config, capsys)["2026-10"]["due"] == "done"
    filed = [letter for letter in letters.received if b"2026-10 v1 is filed" in letter]
    assert len(filed) == 1, "told once, and again until delivered"
    (entry,) = service.submissions.entries.values()
    assert (entry.month, entry.state, entry.times_sent) == ("2026-10", "accepted", 1)
    assert entry.receipt.encode() in filed[0]
    bundle = var / "months" / "2026-10" / "v1"
    assert esep("verify", bundle, "--test-network") == 0, "what joined the bundle after its freeze breaks nothing"
    ask = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "manifest.json.p7s",
        "-content",
        "manifest.json",
        "-noverify",
        "-out",
        tmp_path / "seen",
    ]
    if shutil.which("openssl"):
        assert subprocess.run(ask, cwd=bundle, capture_output=True).returncode == 0
    body = json.loads((bundle / "submissions" / entry.submission_id / "body").read_bytes())
    assert body["signature"] and body["submission_id"] == entry.submission_id
    answers = [path.name for path in (bundle / "submissions" / entry.submission_id).glob("*.txt")]
    assert answers == ["0001-send-accepted.txt"]
    # The bundle is lost: what was in it comes back from the log, and nothing is filed again.
    shutil.rmtree(bundle)
    assert close(config, capsys)["2026-10"]["due"] == "done"
    assert (bundle / "manifest.json.p7s").is_file() and (bundle / "submissions" / entry.submission_id / "body").is_file()
    capsys.readouterr()
    esep("verify", bundle, "--json", "--test-network")
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == [] and any(
        line.startswith("signatures: manifest.json: signed over these very bytes") for line in told["proved"]
    )
    assert entry.times_sent == 1


def test_a_restated_ledger_is_drafted_amended_and_filed_as_a_submission_that_names_the_first(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    assert esep("amend", "2026-10", "--config", config) == 0
    assert "nothing to amend" in capsys.readouterr().out
    rows = (RECORDED / "allocations.csv").read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    cells = next(row for row in rows if ",2026-10-2" in row).split(",")
    at = names.index("amount")
    cells[at] = cells[at][:-1] + str((int(cells[at][-1]) + 1) % 10)
    (tmp_path / "restated.csv").write_text("\n".join([rows[0], ",".join(cells)]) + "\n", encoding="utf-8")
    assert esep("import", "allocations", tmp_path / "restated.csv", "--config", config) == 0
    capsys.readouterr()
    assert esep("status", "--json", "--config", config) == 0
    (told,) = [view for view in json.loads(capsys.readouterr().out)["months"] if view["month"] == "2026-10"]
    assert told["changed"].startswith("the month differs from v1, which was filed. See what differs: esep amend 2026-10"), "before any look"
    assert [move["command"] for move in told["next"]] == ["esep amend 2026-10"] and told["is_filed"]
    assert esep("close", "--dry-run", "--config", config) == 0
    assert "the month differs from v1, which was filed" in " ".join(capsys.readouterr().out.split())
    looked = close(config, capsys)["2026-10"]
    assert looked["due"] == "person" and "the month differs from v1, which was filed: " in looked["why"]
    assert len(service.submissions.entries) == 1, "a draft files nothing by itself"
    assert esep("calendar", "--config", config) == 0
    assert "facts changed: the month differs from v1" in " ".join(capsys.readouterr().out.split())
    assert esep("approve", "2026-10", "--by", "B", "--reason", "of no weight", "--as-frozen", "--config", config) == 0
    assert "stays as it was filed: 2026-10 v1, although" in " ".join(capsys.readouterr().out.split())
    assert close(config, capsys)["2026-10"]["due"] == "done"
    assert esep("amend", "2026-10", "--json", "--config", config) == 0
    drafted = json.loads(capsys.readouterr().out)
    assert drafted and {row["cause"] for row in drafted} <= {"ledger", "follows"}
    assert any(row["cause"] == "ledger" and row["allocation_id"] == cells[names.index("allocation_id")] for row in drafted)
    assert esep("amend", "2026-10", "--config", config) == 0
    told = capsys.readouterr().out
    was = next(row for row in rows if row.startswith(f"{cells[0]},")).split(",")[at]
    assert f"Amount: {was} → {cells[at]}" in " ".join(told.split()), "in coins, as the form has it"
    assert esep("amend", "2026-10", "--by", "A. Person", "--config", config) == 2
    assert esep("amend", "2026-10", "--by", "A. Person", "--reason", "restated", "--config", config) == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    first, second = service.submissions.entries.values()
    assert (second.version, second.amends, second.state) == ("2", first.submission_id, "accepted")
    assert esep("refile", "2026-10", "--by", "A", "--reason", "again", "--config", config) == 10


def test_the_outbox_waits_for_a_person_and_takes_the_receipt_once(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(frozen, tmp_path, "")
    assert esep("receipt", "2026-10", "accepted", "--by", "A", "--reason", "early", "--config", config) == 10
    assert close(config, capsys)["2026-10"] | {"why": ""} == {
        "month": "2026-10",
        "state": "submitting",
        "due": "person",
        "why": "",
        "from": "",
    }
    (placed,) = (config.parent / "outbox").glob("2026-10-v1-*/body.json")
    assert json.loads(placed.read_bytes())["month"] == "2026-10"
    bundle = config.parent / "months" / "2026-10" / "v1"
    for paper in ("report.pdf", "report.xlsx", "report.json", "manifest.json"):
        assert (placed.parent / paper).read_bytes() == (bundle / paper).read_bytes(), paper
    for name in ("report.json.p7s", "manifest.json.p7s"):
        signed = bundle / name
        assert (placed.parent / name).exists() == signed.exists(), "the signed body, where a key is set"
        assert not signed.exists() or (placed.parent / name).read_bytes() == signed.read_bytes()
    assert esep("close", "--config", config) == 0
    shown = capsys.readouterr().out
    assert f"outbox         {placed.parent}" in shown and "esep receipt 2026-10 accepted --receipt NUMBER" in shown
    again = ("receipt", "2026-10", "accepted", "--receipt", "N-7", "--by", "A. Person", "--reason", "handed in", "--config", config)
    assert esep(*again) == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    assert esep(*again) == 10, "what is settled stays"


def test_a_paper_that_is_not_as_frozen_is_not_placed(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(frozen, tmp_path, "")
    pdf = config.parent / "months" / "2026-10" / "v1" / "report.pdf"
    right = pdf.read_bytes()
    pdf.chmod(0o600)
    pdf.write_bytes(right + b"\n")
    told = close(config, capsys)["2026-10"]
    assert "report.pdf" in told["why"] and not list((config.parent / "outbox").glob("*/body.json"))
    pdf.write_bytes(right)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    before = log_digest(config, capsys)
    assert esep("close", "--dry-run", "--config", config) == 0
    shown = capsys.readouterr().out
    assert "Nothing was done" in shown and ("would     sign: frozen and not signed" in shown or "would     submit: approved" in shown)
    assert not service.submissions.entries and log_digest(config, capsys) == before
    assert close(config, capsys)["2026-10"]["state"] == "accepted"


def log_digest(config: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert esep("log", "check", "--json", "--config", config) == 0
    return str(json.loads(capsys.readouterr().out)["digest"])


def test_approvals_are_waited_for_and_counted_by_name(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, 'approvals = 2\napprovers = ["A. One", "B. Two"]\n' + http(service))
    assert close(config, capsys)["2026-10"]["due"] == "person"
    approve = ("approve", "2026-10", "--reason", "compared", "--config", config, "--by")
    assert esep(*approve, "C. Three") == 2
    assert esep(*approve, "A. One") == 0 and esep(*approve, "A. One") == 0
    assert close(config, capsys)["2026-10"]["due"] == "person" and not service.submissions.entries
    assert esep(*approve, "B. Two") == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"


def test_a_key_of_another_organisation_stops_the_month_and_says_so(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service) + '[signing]\nway = "pkcs12"\npkcs12_file = "pool.p12"\npassword_file = "word"\n')
    write_p12(config.parent / "pool.p12", unit="BIN060140000011")
    (config.parent / "word").write_text("secret")
    told = close(config, capsys)["2026-10"]
    assert told["state"] == "frozen" and "does not name the pool's BIN" in told["why"]
    assert not service.submissions.entries


def test_the_calendar_says_what_when_and_why(frozen: Path, tmp_path: Path, clock: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    clock[0] = LOOKED_AT
    config = configured(frozen, tmp_path, "")
    capsys.readouterr()
    assert esep("calendar", "--json", "--config", config) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["month"] for row in rows} == {"2026-10", "2026-11", "2026-12", "2027-01"}
    assert {"at": "2026-12-15 10:00", "month": "2026-11", "what": "filed", "past": ""}.items() <= next(
        row for row in rows if row["month"] == "2026-11" and row["what"] == "filed"
    ).items()
    assert next(row for row in rows if row["month"] == "2026-10" and row["what"] == "late from here on")["at"] == "2026-11-26 00:00"


def test_the_calendar_never_shows_a_past_day_as_done_that_was_not(
    frozen: Path, tmp_path: Path, clock: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    clock[0] = Month(2026, 10).end_at + 40 * 86_400
    config = configured(frozen, tmp_path, "")
    capsys.readouterr()
    assert esep("calendar", "--json", "--config", config) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["month"] == "2026-10"]
    assert {row["what"]: row["past"] for row in rows} == {
        "month ends": "past; frozen as v1",
        "filed": "past; NOT DONE, it is frozen",
        "people are called": "past; nobody was called",
        "late from here on": "LATE: not filed, it is frozen",
    }
    assert esep("calendar", "--config", config) == 0
    assert "[past; NOT DONE, it is frozen]" in capsys.readouterr().out


def test_a_webhook_is_told_and_its_failure_shows_no_address(service: SandboxServer) -> None:
    notice = Notice("n", "s", "t")
    with pytest.raises(SourceError, match="webhook: HTTP 404") as caught:
        Webhook(f"{service.url}/hook?key=secret").send(notice)
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="ConnectionRefusedError"):
        Webhook("http://127.0.0.1:1/secret").send(notice)


def test_mail_goes_in_the_clear_to_this_machine_alone(post_office: tuple[Letters, int]) -> None:
    with pytest.raises(SettingsError, match="on this machine"):
        Mail("mail.example.kz", 25, security="none", sender="a@b", receivers=["c@d"])
    letters, port = post_office
    Mail("127.0.0.1", port, security="none", sender="a@b.kz", receivers=["c@d.kz"]).send(Notice("n", "Есеп\nBcc: x@y", "мәтін"))
    assert b"\nBcc:" not in letters.received[0]
    with pytest.raises(SourceError):
        Mail("127.0.0.1", port, security="starttls", sender="a@b.kz", receivers=["c@d.kz"]).send(Notice("n", "s", "t"))
    assert issubclass(smtplib.SMTPException, OSError)
