"""Files by HTTP, with every name of the other side's interface in the settings (ADR 5).

Enters: a submission and its exact bytes, or a question for its status. Leaves: an `Answer`; never an exception for what the network or
the other side does. Only where no connection came about at all is a transmission `unreachable`; anything cut off later is `unknown`.
Redirects are not followed: a submission goes where the settings say, or nowhere. Secrets never reach an answer's texts.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import httpx

from pipeline.closing.filing import Answer, AnswerMap, Body, BodyMap, Form, compose, interpret, shown
from pipeline.log.events.months import Submitting
from pipeline.model.errors import FilingError, SettingsError

_LIMIT = 8 << 20
"""An answer longer than this is not read further."""
_SECRET = ("authorization", "cookie", "proxy-authorization")


@dataclass(frozen=True)
class HttpTarget:
    """Where and how. `{submission_id}`, `{month}`, `{version}` in the addresses are filled in."""

    url: str
    method: str = "POST"
    status_url: str = ""
    """Empty: nobody can be asked."""
    status_method: str = "GET"
    auth: Literal["none", "bearer", "basic", "api-key", "mtls"] = "none"
    user: str = ""
    secret: str = field(default="", repr=False)
    api_key_header: str = "X-API-Key"
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    ca_file: Path | None = None
    id_header: str = "Idempotency-Key"
    """Header that carries the submission's id; empty for none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60


class HttpFiling:
    """`pipeline.closing.advance.Filing` by HTTP."""

    def __init__(self, target: HttpTarget, body: BodyMap, answers: AnswerMap) -> None:
        """Raises SettingsError for certificates that can't be loaded."""
        self._target = target
        self._body = body
        self._answers = answers
        # Without TLS there is nothing to trust, and loading the system's certificates takes a while.
        self._trust: ssl.SSLContext | bool = _trust(target) if "https:" in (target.url + target.status_url) else False

    @property
    def target(self) -> str:
        return self._target.url

    @property
    def can_ask(self) -> bool:
        return bool(self._target.status_url)

    def compose(self, form: Form) -> Body:
        """The body's bytes. Raises FilingError."""
        return compose(form, self._body)

    def send(self, submission: Submitting, content: bytes) -> Answer:
        """Transmit the bytes as they are."""
        return self._call("send", self._target.method, self._target.url, submission, content)

    def ask(self, submission: Submitting) -> Answer:
        """Ask what became of it. Raises FilingError when there is nowhere to ask."""
        if not self.can_ask:
            raise FilingError("filing.status_url is not set: nobody can be asked; say what became of it with `esep receipt`")
        return self._call("status", self._target.status_method, self._target.status_url, submission, None)

    def _call(self, asked: str, method: str, address: str, submission: Submitting, content: bytes | None) -> Answer:
        target = self._target
        url = _filled(address, submission)
        headers = {"Accept": "application/json, text/xml", **target.headers}
        if content is not None:
            headers["Content-Type"] = submission.content_type
        if target.id_header:
            headers[target.id_header] = submission.submission_id
        secret = _login(target)
        request = "\n".join(
            [
                f"{method} {url}",
                *(f"{n}: {'***' if n.lower() in _SECRET else v}" for n, v in headers.items()),
                *(f"{n}: ***" for n in secret),
            ]
        )
        if content is not None:
            request += f"\n\n[body: {len(content)} bytes, SHA-256 {submission.body_digest}]"
        try:
            with (
                httpx.Client(verify=self._trust, timeout=target.timeout_s, trust_env=False, follow_redirects=False) as client,
                client.stream(method, url, headers={**headers, **secret}, content=content) as response,
            ):
                read, cut, begun = bytearray(), False, time.monotonic()
                for part in response.iter_bytes():
                    read += part
                    if time.monotonic() - begun > target.timeout_s:
                        raise httpx.ReadTimeout(f"the answer was not whole within {target.timeout_s:g} s")
                    if len(read) > _LIMIT:
                        read, cut = read[:_LIMIT], True
                        break
                answer = shown(response.status_code, response.reason_phrase, list(response.headers.multi_items()), bytes(read))
                told = interpret(self._answers, asked=asked, status=response.status_code, content=b"" if cut else bytes(read))
        except httpx.InvalidURL as error:
            return Answer("unreachable", _without(f"InvalidURL: {error}", target), request=request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            return Answer("unreachable", _said(error, target), request=request)
        except httpx.HTTPError as error:
            return Answer("unknown", _said(error, target), request=request)
        return Answer(told.outcome, told.message, told.receipt, told.rows, told.http_status, request, _without(answer, target))


def _filled(address: str, submission: Submitting) -> str:
    values = {"submission_id": submission.submission_id, "month": submission.month, "version": str(submission.version)}
    for name, value in values.items():
        address = address.replace("{" + name + "}", quote(value, safe=""))
    return address


def _login(target: HttpTarget) -> dict[str, str]:
    if target.auth == "bearer":
        return {"Authorization": f"Bearer {target.secret}"}
    if target.auth == "basic":
        return {"Authorization": "Basic " + base64.b64encode(f"{target.user}:{target.secret}".encode()).decode()}
    return {target.api_key_header: target.secret} if target.auth == "api-key" else {}


def _trust(target: HttpTarget) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
        if target.client_cert_file:
            context.load_cert_chain(target.client_cert_file, target.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError([f"filing: ca_file, client_cert_file or client_key_file can't be loaded: {error}"], source="filing") from error
    return context


def _said(error: httpx.HTTPError, target: HttpTarget) -> str:
    return _without(f"{type(error).__name__}: {error}", target)


def _without(text: str, target: HttpTarget) -> str:
    """The text without our secret, should the other side echo it."""
    if not target.secret:
        return text
    pair = base64.b64encode(f"{target.user}:{target.secret}".encode()).decode()
    return text.replace(target.secret, "***").replace(pair, "***")
