"""Sends a notice by webhook: POST of {notice, subject, text} as JSON; any 2xx is delivery, all else a SourceError."""

from __future__ import annotations

import json
from urllib.parse import quote

from connectors.transport.service import Limits, NoAnswer, NotConnected, ask
from pipeline.closing.notices import Notice
from pipeline.model.address import parse_address
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message


class Webhook:
    """`pipeline.closing.notices.Channel` by HTTP."""

    name = "webhook"

    def __init__(self, url: str, *, timeout_s: float = 20) -> None:
        """Raises SettingsError for what is no address, or one that would carry its secret in the clear."""
        try:
            self._address = parse_address(url, carries_secret=True)
        except ValueError as error:
            raise SettingsError([message("notices.webhook_url: {error}", error=error)], source="notices") from None
        self._timeout_s = timeout_s

    def send(self, notice: Notice) -> None:
        """Send one notice. The address is not shown in errors: it often holds a secret."""
        told = json.dumps({"notice": notice.name, "subject": notice.subject, "text": notice.text}).encode()
        # The name may hold an event's own id, and so any letters: in a header they are spelt out.
        headers = {"Content-Type": "application/json", "Idempotency-Key": quote(notice.name, safe=":/")}
        try:
            answer = ask(self._address, "POST", headers, told, Limits(self._timeout_s, 0), reads=False)
        except (NotConnected, NoAnswer) as error:
            raise SourceError(message("webhook: {name}", name=type(error.__cause__ or error).__name__), is_retryable=True) from None
        if not 200 <= answer.status < 300:
            raise SourceError(message("webhook: HTTP {status}", status=answer.status), is_retryable=True)
