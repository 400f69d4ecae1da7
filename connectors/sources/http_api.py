"""Requests to an upstream pool's API (ADR 22): paced, with numbers as their own text, and every trouble as an error of the source.

Enters: the API's address, headers with its secrets, requests. Leaves: JSON in which every number is the text that was sent: money never passes through a float. Nothing is tried
again here; `SourceBusy` says when the service wants to be asked again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from connectors.transport.service import Limits, NoAnswer, NotConnected, ask
from pipeline.model.address import Address
from pipeline.model.errors import SourceError
from pipeline.model.message import message

MOST_BYTES = 32 << 20
"""Of one answer."""
CLOCK_S = 300
"""How far the service's clock may be from ours: its days decide the month."""


class SourceBusy(SourceError):
    """The service asks to be left alone for a while."""

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text, is_retryable=True)
        self.retry_after_s = retry_after_s


class HttpApi:
    """One service. Not safe for several threads."""

    def __init__(
        self,
        name: str,
        address: Address,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        pace_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`headers`: with the secrets that log in. `pace_s`: least seconds between two requests."""
        self.name = name
        self._address, self._headers, self._limits = address, dict(headers), Limits(timeout_s, MOST_BYTES)
        self._pace_s, self._sleep, self._asked_at = pace_s, sleep, 0.0

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """The JSON of a GET. Raises SourceError, which is retryable: what is wrong may be mended there."""
        return self._json("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """The JSON of a POST with a JSON body."""
        return self._json("POST", path, json.dumps(content).encode())

    def _json(self, verb: str, path: str, body: bytes | None) -> Any:
        wait = self._asked_at + self._pace_s - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        shown = f"{self._address.name}{path.partition('?')[0]}"
        headers = {**self._headers, "Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            answer = ask(self._address._replace(path=self._address.path.rstrip("/") + path), verb, headers, body, self._limits)
        except (NotConnected, NoAnswer) as error:
            raise self._trouble(message("{shown} gave no answer: {error}", shown=shown, error=error)) from error
        finally:
            self._asked_at = time.monotonic()
        told = {name.lower(): value for name, value in answer.headers}
        if answer.status == 429 or (answer.status == 503 and "retry-after" in told):
            after = _seconds(told.get("retry-after", ""))
            raise SourceBusy(
                message(
                    "source {name}: {shown} asks to be left alone for {after} s ({status})",
                    name=self.name,
                    shown=shown,
                    after=format(after, "g"),
                    status=answer.status,
                ),
                after,
            )
        if answer.status in (401, 403):
            raise self._trouble(
                message(
                    "{shown} refuses the login ({status}): is the token right, still valid, and allowed to read earnings?",
                    shown=shown,
                    status=answer.status,
                )
            )
        if answer.status != 200:
            raise self._trouble(
                message(
                    "{shown} answered {status} {reason}: {body}",
                    shown=shown,
                    status=answer.status,
                    reason=answer.reason,
                    body=repr(answer.body[:200].decode(errors="replace")),
                )
            )
        if answer.fault:
            raise self._trouble(message("{shown}: {fault}", shown=shown, fault=answer.fault))
        self._check_clock(told.get("date", ""))
        try:
            return json.loads(answer.body, parse_float=str, parse_int=str, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise self._trouble(message("{shown} sent no JSON: {error}", shown=shown, error=error)) from error

    def _check_clock(self, date: str) -> None:
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return  # no date, nothing to compare
        apart = abs(time.time() - theirs)
        if apart > CLOCK_S:
            raise self._trouble(
                message(
                    "{name}: its clock and ours are {apart} s apart: set this machine's clock",
                    name=self._address.name,
                    apart=format(apart, ".0f"),
                )
            )

    def shape(self, found: Any, kind: type, where: str) -> Any:
        """`found`, which must be of this type. Raises SourceError naming the place in the answer."""
        if not isinstance(found, kind):
            raise self._trouble(
                message(
                    "{name}: {where} is {name_2} in its answer, not {name_3}: its API may have changed",
                    name=self._address.name,
                    where=where,
                    name_2=type(found).__name__,
                    name_3=kind.__name__,
                )
            )
        return found

    def flat(self, row: Any, where: str, **inner: str) -> dict[str, str | None]:
        """A row of texts: its plain values, and those of inner objects under `PREFIX_NAME` as `inner` names them by key."""
        found: dict[str, str | None] = {}
        for key, value in self.shape(row, dict, where).items():
            if key in inner and isinstance(value, dict):
                found |= {f"{inner[key]}{name}": _text(one) for name, one in value.items() if not isinstance(one, dict | list)}
            elif not isinstance(value, dict | list):
                found[key] = _text(value)
        return found

    def _trouble(self, words: str) -> SourceError:
        for secret in self._headers.values():
            words = words.replace(secret, "***") if len(secret) > 3 else words
        return SourceError(message("source {name}: {words}", name=self.name, words=words), is_retryable=True)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 1.0), 3600.0)
    except ValueError:
        return 60.0


def _refuse(text: str) -> Any:
    raise ValueError(message("{text} is no number of JSON", text=text))
