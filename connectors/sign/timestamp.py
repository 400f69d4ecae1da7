"""Time stamps from an authority by HTTP (RFC 3161): a third party's statement of when a signature existed.

Enters: the bytes to stamp (a signature). Leaves: the token, checked at once: of these bytes, of this very question (nonce), signed by a certificate for
time stamps in its time. Only a digest travels, so plain http is allowed. Left out: whether the authority is to be trusted (`esep verify --trust`).
"""

from __future__ import annotations

from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from connectors.transport.service import Limits, NoAnswer, NotConnected, ask
from pipeline.model.address import parse_address
from pipeline.model.errors import SettingsError, SigningError
from pipeline.model.message import message
from pipeline.signing.signature import check_timestamp, timestamp_info

GRANTED = (0, 1)
"""granted, grantedWithMods (RFC 3161, section 2.4.2)."""
_MOST_BYTES = 1 << 20


class TimestampAuthority:
    """An authority at an address. `stamp` raises SigningError; signing is tried again at the next look."""

    def __init__(self, url: str, *, timeout_s: float = 30) -> None:
        """Raises SettingsError for what is no address."""
        try:
            self._address = parse_address(url, carries_secret=False)
        except ValueError as error:
            raise SettingsError([message("signing.tsa_url: {error} (only a digest travels)", error=error)], source="signing") from None
        self._name, self._timeout_s = self._address.name, timeout_s

    def stamp(self, content: bytes) -> bytes:
        """The token (DER) of a time stamp over these bytes, SHA-256."""
        request = (
            TimestampRequestBuilder()
            .data(content)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        answer = self._ask(request.as_bytes())
        try:
            response = decode_timestamp_response(answer)
            status, said = response.status, "; ".join(response.status_string)
            token = response.time_stamp_token() if status in GRANTED else b""
        except ValueError as error:
            raise SigningError(message("{name}: no answer of a time stamp authority: {error}", name=self._name, error=error)) from error
        if not token:
            raise SigningError(
                message(
                    "{name}: the time stamp was refused (status {status}): {said}",
                    name=self._name,
                    status=status,
                    said=said or message("no reason given"),
                )
            )
        if timestamp_info(token).nonce != request.nonce:
            raise SigningError(message("{name}: the time stamp answers another question (nonce)", name=self._name))
        try:
            check_timestamp(token, content)
        except SigningError as error:
            raise SigningError(message("{name}: {error}", name=self._name, error=error)) from error
        return token

    def _ask(self, request: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        try:
            got = ask(self._address, "POST", headers, request, Limits(self._timeout_s, _MOST_BYTES))
        except (NotConnected, NoAnswer) as error:
            raise SigningError(
                message("{name}: {error}: the time stamp authority does not answer; signing is tried again", name=self._name, error=error)
            ) from None
        if got.status != 200:
            raise SigningError(message("{name}: HTTP {status} instead of a time stamp", name=self._name, status=got.status))
        if got.fault:
            raise SigningError(message("{name}: no time stamp: {fault}", name=self._name, fault=got.fault))
        return got.body
