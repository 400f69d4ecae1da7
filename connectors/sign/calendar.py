"""A calendar of OpenTimestamps by HTTP: takes a digest, promises to have it stamped, and later gives the way to the Bitcoin block that has it.

Enters: a SHA-256. Leaves: its proof, first with the calendar's promise, then with the block. Only a digest travels, so plain http is allowed. What a calendar answers is computed here before
it is kept: it must begin at our digest and end in what it says. Left out: whether the block's header is the chain's (`esep verify`).
"""

from __future__ import annotations

from connectors.transport.service import Limits, NoAnswer, NotConnected, ServiceAnswer, ask
from pipeline.model.address import parse_address
from pipeline.model.errors import SettingsError, SigningError
from pipeline.model.message import message
from pipeline.signing.public_time import MOST_PROOF_BYTES, InBlock, Promise, ProofUnreadable, Timestamp, read_timestamp

_ACCEPT = {"Accept": "application/vnd.opentimestamps.v1"}


class Calendar:
    """One calendar. Raises SigningError for what it or the network does: the next look asks again."""

    def __init__(self, url: str, *, timeout_s: float = 30) -> None:
        """Raises SettingsError for what is no address."""
        try:
            self._address = parse_address(url, carries_secret=False)
        except ValueError as error:
            raise SettingsError([message("public_time.calendars: {error}", error=error)], source="public_time") from None
        self.name = f"{self._address.name}{self._address.path}".rstrip("/")
        self._timeout_s = timeout_s

    def stamp(self, digest: bytes) -> Timestamp:
        """The digest's timestamp, as a rule with the calendar's promise."""
        got = self._ask("POST", "/digest", digest)
        if got.status != 200:
            raise SigningError(message("{name}: HTTP {status} instead of a promise to stamp", name=self.name, status=got.status))
        stamp = self._read(got, digest)
        if others := sorted({end.url for _, end in stamp.ends() if isinstance(end, Promise) and not self._is_own(end.url)}):
            # It would never be asked there: an address that a service names is not followed.
            raise SigningError(
                message(
                    "{name}: the promise is by {others}: name that one in public_time.calendars, if you trust it with digests",
                    name=self.name,
                    others=others[0],
                )
            )
        return stamp

    def upgrade(self, stamp: Timestamp) -> bool:
        """Put the ways to blocks that the calendar has meanwhile in place of its promises; whether there was one."""
        replies = {}
        for stamped, attestation in list(stamp.ends()):
            if not isinstance(attestation, Promise) or not self._is_own(attestation.url):
                continue
            got = self._ask("GET", f"/timestamp/{stamped.hex()}", None)
            if got.status == 404:
                continue
            if got.status != 200:
                raise SigningError(message("{name}: HTTP {status} instead of a time stamp", name=self.name, status=got.status))
            reply = self._read(got, stamped)
            if any(isinstance(found, InBlock) for _, found in reply.ends()):
                replies[stamped] = reply
        stamp.upgraded(replies)
        return bool(replies)

    def _is_own(self, url: str) -> bool:
        """Whether a promise names this calendar: by its address, however it is written."""
        try:
            address = parse_address(url, carries_secret=False)
        except ValueError:
            return False
        return address._replace(path=address.path.rstrip("/")) == self._address._replace(path=self._address.path.rstrip("/"))

    def _read(self, got: ServiceAnswer, stamped: bytes) -> Timestamp:
        try:
            return read_timestamp(got.body, stamped)
        except ProofUnreadable as error:
            raise SigningError(message("{name}: no answer of a calendar: {error}", name=self.name, error=error)) from error

    def _ask(self, verb: str, path: str, body: bytes | None) -> ServiceAnswer:
        address = self._address._replace(path=self._address.path.rstrip("/") + path)
        headers = _ACCEPT | ({"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {})
        try:
            got = ask(address, verb, headers, body, Limits(self._timeout_s, MOST_PROOF_BYTES))
        except (NotConnected, NoAnswer) as error:
            raise SigningError(
                message("{name}: {error}: the calendar does not answer; it is asked again", name=self.name, error=error)
            ) from None
        if got.fault:
            raise SigningError(message("{name}: {fault}", name=self.name, fault=got.fault))
        return got
