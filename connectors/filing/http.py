"""Files by HTTP, with every name of the filing service's interface in the settings (ADR 5).

Enters: a submission and its exact bytes, or a question for its status. Leaves: an `Answer`; never an exception for what the network or
the filing service does. Only without any connection is a transmission `unreachable`; anything cut off later is `unknown`.
Redirects are not followed: a submission goes where the settings say, or nowhere. Our secrets are hidden in everything that is kept, in any encoding the service may echo.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from connectors.transport.deadline import tls_context
from connectors.transport.service import Limits, NoAnswer, NotConnected, ask
from pipeline.closing.filing import Answer, AnswerMap, Body, BodyMap, Form, compose, format_answer, interpret
from pipeline.log.events.months import RejectedRow, Submitting
from pipeline.model.address import Address, parse_address
from pipeline.model.errors import FilingError, SettingsError
from pipeline.model.message import message
from pipeline.model.secret_mask import SecretMask

_LIMIT = 8 << 20
"""Bytes after which an answer is not read further."""
_SECRET_NAME = re.compile(r"(?i)authori[sz]ation|cookie|secret|token|passw|credential|api-?key")


@dataclass(frozen=True)
class HttpTarget:
    """Addresses, login and headers. `{submission_id}`, `{month}`, `{version}` in the addresses are filled in."""

    url: str
    method: str = "POST"
    status_url: str = ""
    """Empty: the status can't be asked."""
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
        """Raises SettingsError for an address that is none or would carry secrets in the clear, and for certificates that can't be loaded."""
        self._target = target
        self._body = body
        self._answers = answers
        self._url = _parsed("url", target.url)
        self._status_url = _parsed("status_url", target.status_url) if target.status_url else None
        self._hide = SecretMask(_secrets_of(target))
        # Without TLS there is nothing to trust, and loading the system's certificates takes a while.
        is_tls = self._url.is_tls or (self._status_url is not None and self._status_url.is_tls)
        self._trust = _trust(target) if is_tls else None

    @property
    def target(self) -> str:
        return self._target.url

    @property
    def can_ask(self) -> bool:
        return self._status_url is not None

    def compose(self, form: Form) -> Body:
        """The body's bytes. Raises FilingError."""
        return compose(form, self._body)

    def send(self, submission: Submitting, content: bytes) -> Answer:
        """Transmit the bytes as they are."""
        return self._call("send", self._target.method, self._url, submission, content)

    def ask(self, submission: Submitting) -> Answer:
        """Ask for the submission's status. Raises FilingError without a `status_url`."""
        if self._status_url is None:
            raise FilingError(message("filing.status_url is not set, so the status can't be asked: record the outcome with `esep receipt`"))
        return self._call("status", self._target.status_method, self._status_url, submission, None)

    def _call(self, asked: str, method: str, address: Address, submission: Submitting, content: bytes | None) -> Answer:
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
                f"{method} {url.name}{url.path}",
                *(f"{n}: {'***' if _SECRET_NAME.search(n) else v}" for n, v in headers.items()),
                *(f"{n}: ***" for n in secret),
            ]
        )
        if content is not None:
            request += f"\n\n[body: {len(content)} bytes, SHA-256 {submission.body_digest}]"
        hide = self._hide
        try:
            got = ask(url, method, {**headers, **secret}, content, Limits(target.timeout_s, _LIMIT), trust=self._trust)
        except NotConnected as error:
            return Answer("unreachable", hide(str(error)), request=hide(request))
        except NoAnswer as error:
            return Answer("unknown", hide(str(error)), request=hide(request))
        told = interpret(self._answers, asked=asked, status=got.status, content=b"" if got.fault else got.body)
        text = f"{told.message}; {got.fault}".removeprefix("; ") if got.fault else told.message
        return Answer(
            told.outcome,
            hide(text),
            None if told.receipt is None else hide(told.receipt),
            [RejectedRow(n=hide(row.n), message=hide(row.message)) for row in told.rows],
            told.http_status,
            hide(request),
            format_answer(got.status, got.reason, got.headers, got.body, hide),
        )


def _parsed(key: str, url: str) -> Address:
    try:
        return parse_address(url, carries_secret=True)
    except ValueError as error:
        raise SettingsError([message("filing.{key}: {error}", key=key, error=error)], source="filing") from None


def _filled(address: Address, submission: Submitting) -> Address:
    values = {"submission_id": submission.submission_id, "month": submission.month, "version": str(submission.version)}
    path = address.path
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return address._replace(path=path)


def _secrets_of(target: HttpTarget) -> list[str]:
    """What must not get into an event if the service echoes it: the login, and headers with a secret by their name."""
    named = [value for name, value in target.headers.items() if _SECRET_NAME.search(name)]
    if not target.secret:
        return named
    return [target.secret, base64.b64encode(f"{target.user}:{target.secret}".encode()).decode(), *named]


def _login(target: HttpTarget) -> dict[str, str]:
    if target.auth == "bearer":
        return {"Authorization": f"Bearer {target.secret}"}
    if target.auth == "basic":
        return {"Authorization": "Basic " + base64.b64encode(f"{target.user}:{target.secret}".encode()).decode()}
    return {target.api_key_header: target.secret} if target.auth == "api-key" else {}


def _trust(target: HttpTarget) -> ssl.SSLContext:
    try:
        context = tls_context(target.ca_file)
        if target.client_cert_file:
            context.load_cert_chain(target.client_cert_file, target.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            [message("filing: ca_file, client_cert_file or client_key_file can't be loaded: {error}", error=error)], source="filing"
        ) from error
    return context
