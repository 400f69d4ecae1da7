"""A month is sent once however often it is looked at, nothing is filed that the settings do not name, and an outdated version waits for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from connectors.standins.filing_service import Faults, ReceivedSubmissions, SandboxServer

from .example_month import RECORDED, closing_at, esep
from .serving import served
from .test_closing import close, configured, http

PAGE = (
    b"<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr><center>nginx</center></body></html>"
)


class Ingress(BaseHTTPRequestHandler):
    """Takes submissions, and answers every question with an ingress's page: HTTP 404 in HTML."""

    posts: ClassVar[list[str]] = []
    questions: ClassVar[list[str]] = []
    loses_first_answer = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append(self.headers["Idempotency-Key"])
        if self.loses_first_answer and len(self.posts) == 1:
            self.close_connection = True
            return
        told = {"status": "accepted", "receipt": f"R-{len(self.posts)}"} if self.loses_first_answer else {"status": "received"}
        self._answer(200, json.dumps(told).encode(), "application/json")

    def do_GET(self) -> None:
        self.questions.append(self.path)
        self._answer(404, PAGE, "text/html")

    def _answer(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(params=[True, False], ids=["the answer is lost", "received, and the status address is wrong"])
def ingress(request: pytest.FixtureRequest) -> Iterator[tuple[type[Ingress], str]]:
    class Handler(Ingress):
        posts: ClassVar[list[str]] = []
        questions: ClassVar[list[str]] = []
        loses_first_answer = request.param

    with served(Handler) as url:
        yield Handler, url


def test_an_ingress_that_knows_nothing_is_sent_one_post_however_often_it_is_looked(
    frozen: Path, tmp_path: Path, ingress: tuple[type[Ingress], str], clock: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    handler, url = ingress
    config = configured(
        frozen, tmp_path, f'[filing]\nway = "http"\nurl = "{url}/submissions"\nstatus_url = "{url}/status/{{submission_id}}"\n'
    )
    for _ in range(20):
        told = close(config, capsys)["2026-10"]
        clock[0] += 2 * 3600
    assert len(handler.posts) == 1, handler.posts
    assert len(handler.questions) > 10, "it goes on asking"
    assert told["state"] in ("unknown", "received") and "404 Not Found" in told["why"]
    assert esep("receipt", "2026-10", "accepted", "--receipt", "R-1", "--by", "A", "--reason", "telephoned", "--config", config) == 0
    assert close(config, capsys)["2026-10"]["due"] == "done" and len(handler.posts) == 1


def test_a_mistyped_year_closes_nothing(
    frozen: Path, tmp_path: Path, service: SandboxServer, clock: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    named = config.read_text(encoding="utf-8")
    (tmp_path / "typo.csv").write_text(
        "allocation_id,account,asset,allocated_at,amount\nTYPO1,acct000,BTC,2025-10-05T00:30:00+05:00,0.00000001\n", encoding="utf-8"
    )
    imported = esep("import", "allocations", tmp_path / "typo.csv", "--config", config)
    if imported != 0:  # an import may ask first: it is told to take it all the same
        assert esep("import", "allocations", tmp_path / "typo.csv", "--yes", "--config", config) == 0
    config.write_text(named.replace('first_month = "2026-10"\n', ""), encoding="utf-8")
    told = close(config, capsys)
    assert all(row["due"] in ("person", "wait") for row in told.values()), told
    assert "closing.first_month is not set" in told["2026-10"]["why"]
    assert (
        not service.submissions.entries
        and not list((config.parent / "months").glob("2025-*"))
        and not list((config.parent / "months").glob("2026-09"))
    )
    config.write_text(named, encoding="utf-8")
    assert min(close(config, capsys)) == "2026-10", "nothing before the first month, ever"
    assert not list((config.parent / "months").glob("2025-*"))
    assert {entry.month for entry in service.submissions.entries.values()} <= {"2026-10"}


def restate(config: Path, folder: Path) -> None:
    """One amount of October's ledger is another one."""
    rows = (RECORDED / "allocations.csv").read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    cells = next(row for row in rows if ",2026-10-2" in row).split(",")
    at = names.index("amount")
    cells[at] = cells[at][:-1] + str((int(cells[at][-1]) + 1) % 10)
    (folder / "restated.csv").write_text("\n".join([rows[0], ",".join(cells)]) + "\n", encoding="utf-8")
    assert esep("import", "allocations", folder / "restated.csv", "--config", config) == 0


def test_a_version_known_to_be_outdated_is_neither_approved_nor_sent(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    restate(config, tmp_path)
    told = close(config, capsys)["2026-10"]
    assert told["due"] == "person" and "facts changed after v1 was frozen" in told["why"] and "esep amend 2026-10" in told["why"]
    assert not service.submissions.entries
    approve = ("approve", "2026-10", "--by", "A. Person", "--reason", "compared", "--config", config)
    assert esep(*approve) == 3
    assert "facts changed" in capsys.readouterr().err
    assert esep("status", "2026-10", "--config", config) == 0
    assert "facts changed after v1" in capsys.readouterr().out
    assert esep(*approve, "--as-frozen") == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    (entry,) = service.submissions.entries.values()
    assert entry.version == "1"


def test_an_outdated_version_is_amended_and_only_the_new_one_is_sent(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, http(service))
    restate(config, tmp_path)
    assert close(config, capsys)["2026-10"]["due"] == "person"
    assert esep("amend", "2026-10", "--by", "A. Person", "--reason", "restated", "--config", config) == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    assert [entry.version for entry in service.submissions.entries.values()] == ["2"]


def test_what_was_handed_in_by_a_person_is_amended_over_http(
    frozen: Path, tmp_path: Path, service: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(frozen, tmp_path, "")
    close(config, capsys)
    receipt = ("receipt", "2026-10", "accepted", "--receipt", "N-7", "--by", "A. Person", "--reason", "handed in", "--config", config)
    assert esep(*receipt) == 0
    restate(config, tmp_path)
    config.write_text(config.read_text(encoding="utf-8") + http(service), encoding="utf-8")
    assert esep("amend", "2026-10", "--by", "A. Person", "--reason", "restated", "--config", config) == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"
    (entry,) = service.submissions.entries.values()
    body = json.loads(next((config.parent / "months" / "2026-10" / "v2").glob("submissions/*/body")).read_bytes())
    assert entry.version == "2" and body["amends_receipt"] == "N-7" and body["amends"] == entry.amends


def test_the_words_of_a_rejection_reach_people(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxServer(ReceivedSubmissions(), Faults(at=lambda _: "rejected-rows"), closing_at) as service:
        config = configured(frozen, tmp_path, http(service))
        told = close(config, capsys)["2026-10"]
    assert told["due"] == "person" and "row 1: the licence is not known to us" in told["why"]
    assert esep("status", "2026-10", "--config", config) == 0
    assert "row 1: the licence is not known to us" in capsys.readouterr().out
