"""Tells a notice by webhook: POST of {notice, subject, text} as JSON; any 2xx is delivery, all else a SourceError."""

from __future__ import annotations

import httpx

from pipeline.closing.notices import Notice
from pipeline.model.errors import SourceError


class Webhook:
    """`pipeline.closing.notices.Channel` by HTTP."""

    name = "webhook"

    def __init__(self, url: str, *, timeout_s: float = 20) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def tell(self, notice: Notice) -> None:
        """Send one notice. The address is not shown in errors: it often holds a secret."""
        try:
            told = {"notice": notice.name, "subject": notice.subject, "text": notice.text}
            with (
                httpx.Client(timeout=self._timeout_s, trust_env=False, follow_redirects=False) as client,
                client.stream("POST", self._url, json=told, headers={"Idempotency-Key": notice.name}) as response,
            ):
                status = response.status_code  # what else it says is not read, however much that is
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(f"webhook: {type(error).__name__}", is_retryable=True) from None
        if not 200 <= status < 300:
            raise SourceError(f"webhook: HTTP {status}", is_retryable=True)
