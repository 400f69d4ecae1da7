"""Time stamps from an authority by HTTP (RFC 3161): a third party's word when a signature was there.

Enters: the bytes to stamp (a signature). Leaves: the token, checked at once: of these bytes, of this very question (nonce), signed by a certificate for
time stamps in its time. Only a digest travels, so plain http is allowed. Left out: whether the authority is to be trusted (`esep verify --trust`).
"""

from __future__ import annotations

import httpx
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from pipeline.model.errors import SigningError
from pipeline.signing.signature import check_timestamp, timestamp_info

GRANTED = (0, 1)
"""granted, grantedWithMods (RFC 3161, section 2.4.2)."""
_MOST_BYTES = 1 << 20


class TimestampAuthority:
    """An authority at an address. `stamp` raises SigningError; signing is tried again at the next look."""

    def __init__(self, url: str, *, timeout_s: float = 30) -> None:
        self._url, self._timeout_s = url, timeout_s

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
            raise SigningError(f"{self._url}: no answer of a time stamp authority: {error}") from error
        if not token:
            raise SigningError(f"{self._url}: the time stamp was refused (status {status}): {said or 'no reason given'}")
        if timestamp_info(token).nonce != request.nonce:
            raise SigningError(f"{self._url}: the time stamp answers another question (nonce)")
        try:
            check_timestamp(token, content)
        except SigningError as error:
            raise SigningError(f"{self._url}: {error}") from error
        return token

    def _ask(self, request: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        try:
            with (
                httpx.Client(timeout=self._timeout_s, trust_env=False) as client,
                client.stream("POST", self._url, content=request, headers=headers) as response,
            ):
                if response.status_code != 200:
                    raise SigningError(f"{self._url}: HTTP {response.status_code} instead of a time stamp")
                answer = b""
                for part in response.iter_bytes():
                    answer += part
                    if len(answer) > _MOST_BYTES:
                        raise SigningError(f"{self._url}: an answer of more than 1 MiB is no time stamp")
                return answer
        except httpx.HTTPError as error:
            raise SigningError(
                f"{self._url}: {type(error).__name__}: the time stamp authority does not answer; signing is tried again"
            ) from None
