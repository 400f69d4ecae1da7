"""Every setting of the HTTP client, against the sandbox or a server that shows what reached it; and what each answer comes to."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from connectors.filing.http import HttpFiling, HttpTarget
from connectors.standins.filing_service import Faults, ReceivedSubmissions, SandboxServer
from pipeline.closing.filing import AnswerMap, BodyMap, Envelope, Form, compose, interpret, read_tree, submission_id_of
from pipeline.log.events.months import Submitting
from pipeline.model.errors import FilingError, SettingsError

from .serving import served

REPORT = json.dumps({"month": "2026-10", "digest": "ab" * 32, "header": {"name": "ЖШС «A & B»"}, "rows": [{"n": 1}]}).encode()
FORM = Form("pool", "2026-10", 1, "ab" * 32, REPORT, b"\x30\x00", submission_id_of("pool", "2026-10", 1, 1, "cd" * 32), None, 1_795_000_000)


def submitting(content: bytes, content_type: str = "application/json", submission_id: str = FORM.submission_id) -> Submitting:
    return Submitting(
        id="submitting:2026-10:1", month="2026-10", version=1, attempt=1, submission_id=submission_id, target="t", content_type=content_type,
        body_gzip=base64.b64encode(gzip.compress(content)).decode(), body_digest=hashlib.sha256(content).hexdigest(), by="a", reason="r", at=1,
    )  # fmt: skip


class Mirror(BaseHTTPRequestHandler):
    """Keeps what reached it; answers what the test put there."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012 - the test looks here
    answer: tuple[int, bytes, dict[str, str]] = (200, b'{"status": "accepted", "receipt": "R"}', {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body})
        status, content, headers = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_GET = do_POST

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def mirror() -> Iterator[str]:
    Mirror.seen, Mirror.answer = [], (200, b'{"status": "accepted", "receipt": "R"}', {})
    with served(Mirror) as url:
        yield url


@pytest.mark.parametrize(
    ("login", "header", "value"),
    [
        ({"auth": "bearer", "secret": "tok-1"}, "Authorization", "Bearer tok-1"),
        ({"auth": "basic", "user": "u", "secret": "tok-1"}, "Authorization", "Basic " + base64.b64encode(b"u:tok-1").decode()),
        ({"auth": "api-key", "secret": "tok-1", "api_key_header": "X-Key"}, "X-Key", "tok-1"),
    ],
)
def test_logins_reach_the_other_side_and_never_the_log(mirror: str, login: dict[str, str], header: str, value: str) -> None:
    Mirror.answer = (200, b'{"status": "accepted", "receipt": "R", "message": "hello tok-1"}', {"Set-Cookie": "session=tok-2"})
    told = HttpFiling(HttpTarget(f"{mirror}/x", **login), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}")
    assert Mirror.seen[0]["headers"][header] == value
    assert told.outcome == "accepted" and told.receipt == "R"
    for text in (told.request, told.response):
        assert "tok-1" not in text and "tok-2" not in text and value not in text


def test_method_addresses_headers_and_id(mirror: str) -> None:
    target = HttpTarget(
        f"{mirror}/in/{{month}}/{{version}}", method="PUT", status_url=f"{mirror}/ask?id={{submission_id}}", status_method="POST",
        id_header="X-Message-Id", headers={"Accept-Language": "kk"},
    )  # fmt: skip
    filing = HttpFiling(target, BodyMap(), AnswerMap())
    content = "есеп".encode()
    filing.send(submitting(content, "text/x"), content)
    filing.ask(submitting(content))
    sent, asked = Mirror.seen
    assert (sent["method"], sent["path"], sent["body"]) == ("PUT", "/in/2026-10/1", content)
    assert sent["headers"]["X-Message-Id"] == FORM.submission_id and sent["headers"]["Content-Type"] == "text/x"
    assert sent["headers"]["Accept-Language"] == "kk"
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", f"/ask?id={FORM.submission_id}", b"")
    Mirror.seen.clear()
    HttpFiling(HttpTarget(mirror, id_header=""), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}")
    assert FORM.submission_id not in str(Mirror.seen[0]["headers"])
    with pytest.raises(FilingError, match="status_url"):
        HttpFiling(HttpTarget(mirror), BodyMap(), AnswerMap()).ask(submitting(b"{}"))


def test_a_redirect_is_not_followed(mirror: str) -> None:
    Mirror.answer = (307, b"", {"Location": f"{mirror}/elsewhere"})
    assert HttpFiling(HttpTarget(mirror), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome == "unknown"
    assert len(Mirror.seen) == 1


def test_only_a_connection_that_never_was_is_unreachable(tmp_path: Path) -> None:
    def send(url: str) -> str:
        return HttpFiling(HttpTarget(url, timeout_s=0.3), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome

    assert send("http://127.0.0.1:1/x") == "unreachable"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert send(f"http://127.0.0.1:{silent.getsockname()[1]}/x") == "unknown"
    for fault in ("timeout", "cut", "error-after", "garbage", "down"):
        with SandboxServer(ReceivedSubmissions(), Faults(at=lambda _, fault=fault: fault), lambda: 1, hang_s=0.5) as server:
            assert send(f"{server.url}/submissions") in ("unknown", "refused")


def test_mutual_tls_and_the_other_sides_authority(tmp_path: Path) -> None:
    Mirror.answer = (200, b'{"status": "accepted", "receipt": "R"}', {})
    ours, theirs = write_pair(tmp_path, "ours"), write_pair(tmp_path, "theirs")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*theirs)
    context.load_verify_locations(ours[0])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"
        trusting = HttpTarget(url, auth="mtls", client_cert_file=ours[0], client_key_file=ours[1], ca_file=theirs[0], timeout_s=5)
        assert HttpFiling(trusting, BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome == "accepted"
        assert HttpFiling(HttpTarget(url, timeout_s=5), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome == "unreachable"
        nameless = HttpTarget(url, ca_file=theirs[0], timeout_s=5)
        assert HttpFiling(nameless, BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}").outcome in ("unknown", "unreachable")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(SettingsError, match="can't be loaded"):
        HttpFiling(HttpTarget("https://x", ca_file=tmp_path / "none.pem"), BodyMap(), AnswerMap())


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
        .not_valid_before(begins).not_valid_after(begins + timedelta(days=9)).add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False).sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )  # fmt: skip
    return paths


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_by_mapping_by_template_and_whole() -> None:
    fields = {"doc.period": "month", "doc.kind": "=ЦМПМ1", "doc.name": "report.header.name", "sign": "signature", "doc.rows": "report.rows"}
    told = json.loads(compose(FORM, BodyMap(fields)).content)
    assert told == {"doc": {"period": "2026-10", "kind": "ЦМПМ1", "name": "ЖШС «A & B»", "rows": [{"n": 1}]}, "sign": "MAA="}
    xml = BodyMap(template="<r name='{{ report.header.name }}'>{{ month }}</r>", content_type="application/xml")
    assert compose(FORM, xml).content.decode() == "<r name='ЖШС «A &amp; B»'>2026-10</r>"
    whole = json.loads(compose(FORM, BodyMap()).content)
    assert base64.b64decode(whole["report_base64"]) == REPORT and "report" not in whole
    assert compose(FORM, BodyMap()) == compose(FORM, BodyMap()), "the same form has the same bytes"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (BodyMap({"a": "no.such"}), "no 'no.such'"),
        (BodyMap(template="{{ nothing }}"), "'nothing' is undefined"),
        (BodyMap(template="\n{% if %}"), "line 2"),
        (BodyMap(template="{{ ''.__class__.__mro__ }}"), "unsafe"),
    ],
)
def test_a_body_that_can_not_be_made_is_named(how: BodyMap, said: str) -> None:
    with pytest.raises(FilingError, match=said):
        compose(FORM, how)


def test_a_soap_envelope_is_taken_and_answered_by_the_sandbox(tmp_path: Path) -> None:
    body = BodyMap(envelope=Envelope("ESEP<1>", "pool"))
    made = compose(FORM, body)
    told = read_tree(made.content)["Envelope"]["Body"]["SendMessage"]["request"]
    assert told["requestInfo"]["messageId"] == FORM.submission_id and told["requestInfo"]["serviceId"] == "ESEP<1>"
    assert json.loads(told["requestData"]["data"])["month"] == "2026-10"
    data = "Envelope.Body.SendMessageResponse.response.responseData.data"
    answers = AnswerMap(state=f"{data}.status", receipt=f"{data}.receipt", message=f"{data}.message", rows=f"{data}.rows")
    kept = tmp_path / "desk.jsonl"
    with SandboxServer(ReceivedSubmissions(kept), Faults(), lambda: 1) as server:
        filing = HttpFiling(HttpTarget(f"{server.url}/submissions", id_header=""), body, answers)
        first = filing.send(submitting(made.content, made.content_type), made.content)
        assert first.outcome == "accepted" and first.receipt
        assert filing.send(submitting(made.content, made.content_type), made.content).outcome == "duplicate"
    assert ReceivedSubmissions(kept).entries[FORM.submission_id].times_sent == 2
    with SandboxServer(ReceivedSubmissions(), Faults(at=lambda _: "rejected-rows"), lambda: 1) as server:
        told = HttpFiling(HttpTarget(f"{server.url}/submissions", id_header=""), body, answers).send(
            submitting(made.content, made.content_type), made.content
        )
        assert told.outcome == "rejected" and told.rows[0].n == "1"


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "content", "outcome"),
    [
        ("send", 201, b'{"status": "Accepted", "receipt": "R"}', "accepted"),
        ("send", 200, b'{"status": "accepted"}', "received"),
        ("send", 200, b'{"status": "accepted", "receipt": ""}', "received"),
        ("send", 202, b'{"status": "received"}', "received"),
        ("send", 200, b'{"status": "accepted", "receipt": "R", "rows": [{"n": 3, "message": "no"}]}', "rejected"),
        ("send", 422, b'{"status": "rejected"}', "rejected"),
        ("send", 500, b'{"status": "rejected"}', "unknown"),
        ("send", 409, b"", "duplicate"),
        ("send", 200, b'{"status": "duplicate"}', "duplicate"),
        ("send", 404, b"", "refused"),
        ("status", 404, b"", "unknown"),
        ("status", 404, b"<html><title>404 Not Found</title><center>nginx</center></html>", "unknown"),
        ("status", 404, b'{"error": "not found"}', "unknown"),
        ("status", 404, b'{"status": "not-found"}', "missing"),
        ("status", 503, b'{"status": "not-found"}', "unknown"),
        ("status", 302, b'{"status": "not-found"}', "unknown"),
        ("status", 200, b"", "unknown"),
        ("status", 204, b"", "unknown"),
        ("status", 401, b"", "unknown"),
        ("status", 200, b'{"status": "not-found"}', "missing"),
        ("send", 200, b'{"status": "not-found"}', "unknown"),
        ("send", 401, b"", "refused"),
        ("send", 429, b"", "unknown"),
        ("send", 200, b"<html>it works", "unknown"),
        ("send", 200, b"", "unknown"),
        ("send", 200, b'{"status": ["accepted"]}', "unknown"),
        ("send", 200, b"<a><status>accepted</status></a>", "unknown"),
    ],
)
def test_what_an_answer_comes_to(asked: str, status: int, content: bytes, outcome: str) -> None:
    how = AnswerMap(missing=("not-found",), missing_statuses=(404,))
    assert interpret(how, asked=asked, status=status, content=content).outcome == outcome


def test_every_name_of_an_answer_is_a_setting() -> None:
    how = AnswerMap(
        state="result.0.code", receipt="result.0.reg", message="result.0.text", rows="result.0.bad", row_number="row", row_message="why",
        accepted=("ok",), received=("wait",), rejected=("bad",), duplicate=("again",), missing=("none",), duplicate_statuses=(208,),
        missing_statuses=(204,), has_receipts=False,
    )  # fmt: skip

    def told(code: str, asked: str = "send", status: int = 200, **more: object) -> Any:
        return interpret(how, asked=asked, status=status, content=json.dumps({"result": [{"code": code, **more}]}).encode())

    assert told("OK").outcome == "accepted" and told("ok", reg=77).receipt == "77"
    assert told("wait").outcome == "received" and told("again").outcome == "duplicate"
    assert told("none", asked="status").outcome == "missing" and told("x", asked="status", status=204).outcome == "unknown"
    assert told("x", status=208).outcome == "duplicate"
    bad = told("bad", text="see rows", bad=[{"row": 4, "why": "licence"}])
    assert (bad.outcome, bad.message, bad.rows[0].n, bad.rows[0].message) == ("rejected", "see rows", "4", "licence")


@given(st.sampled_from(["send", "status"]), st.integers(100, 599), st.binary(max_size=200))
def test_any_answer_is_one_of_the_known_ones_and_no_noise_is_an_acceptance(asked: str, status: int, content: bytes) -> None:
    assert interpret(AnswerMap(), asked=asked, status=status, content=content).outcome not in (
        "accepted",
        "received",
        "rejected",
        "missing",
    )


def test_entities_of_xml_are_never_read() -> None:
    assert read_tree(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>') is None


def test_the_sandbox_shows_what_it_received_and_describes_itself() -> None:
    with SandboxServer(ReceivedSubmissions(), Faults(), lambda: 1, token="t") as server:
        made = compose(FORM, BodyMap())
        target = HttpTarget(f"{server.url}/submissions", auth="bearer", secret="t")
        assert HttpFiling(target, BodyMap(), AnswerMap()).send(submitting(made.content), made.content).outcome == "accepted"
        assert (
            HttpFiling(HttpTarget(f"{server.url}/submissions"), BodyMap(), AnswerMap()).send(submitting(made.content), made.content).outcome
            == "refused"
        )
        page = urlopen(server.url + "/").read().decode()
        assert FORM.submission_id in page and "2026-10" in page
        described = json.loads(urlopen(server.url + "/openapi.json").read())
        assert set(described["paths"]) == {"/submissions", "/submissions/{submission_id}"}
        assert described["components"]["schemas"]["Submission"]["properties"].keys() == json.loads(made.content).keys() - {"pool", "at"}
