"""The right to close one pool's months, held by one process at a time: membership in the consumer group `PREFIX.closing.POOL`.

Enters: the cluster and the pool. Leaves: a `KafkaCloser` while this process is the group's only member. Nothing is written to the log.
The first process gets the right; a later one is refused, after waiting long enough for the session of a dead member to expire.
A process that was suspended or cut off for longer than a session learns from the group's coordinator that it lost the right (`check`); whether another
process took it decides whether it may be started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from pipeline.log.lease import PoolLease
from pipeline.model.errors import FencedError, LeaseLost, LogError
from pipeline.model.journal import Journal
from pipeline.model.message import joined, message

from .client import open_client
from .errors import translate_errors
from .lease import SESSION_S, KafkaLeases
from .settings import KafkaSettings

_POLL_S = 0.5
_logger = Journal(__name__)


class KafkaCloser:
    """This process's right to close the pool's months. Use as a context manager."""

    def __init__(self, settings: KafkaSettings, pool: str, *, session_s: float = SESSION_S) -> None:
        """Waits up to two sessions for the right. Raises FencedError when another process has it, LogError when the brokers do not answer."""
        self._pool = pool
        self._session_s = session_s
        self._settings = settings
        self._group = f"{settings.prefix}.closing.{pool}"
        self._lease: PoolLease | None = None
        self._failure: LogError | None = None
        self._stop = threading.Event()
        self._refuse_beside_others()
        self._leases = KafkaLeases(settings, [pool], session_s=session_s, group=self._group)
        self._thread = threading.Thread(target=self._keep_membership, name=f"{pool} closer", daemon=True)
        self._thread.start()
        if not _wait_until(time.monotonic() + 2 * session_s, lambda: self._lease is not None or self._failure is not None):
            self.close()
            self._refuse_beside_others()
            raise LogError(
                message(
                    "{place}: the right to close the months of pool {pool} was not given within {seconds} s, and nobody has it: check that the brokers run and can be reached, then start again",
                    place=settings.place,
                    pool=repr(pool),
                    seconds=format(2 * session_s, "g"),
                )
            )
        self.check()

    def check(self) -> None:
        """Raises FencedError when another process got the right, LogError when the brokers can't be reached, or did not hear of this process for a session."""
        if self._failure is not None:
            raise self._failure
        try:
            if self._lease is not None:
                self._lease.check()
        except LeaseLost:
            self.close()
            self._refuse_beside_others()
            raise LogError(
                message(
                    "{place}: the right to close the months of pool {pool} was lost, since the brokers heard nothing of this process for {seconds} s; nobody else has it: start again",
                    place=self._settings.place,
                    pool=repr(self._pool),
                    seconds=format(self._session_s, "g"),
                )
            ) from None

    def close(self) -> None:
        """Give the right back."""
        self._stop.set()
        self._thread.join()
        if self._lease is not None:
            self._lease.release()
        self._leases.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _keep_membership(self) -> None:
        """Stay in the group until `close`. A lease that was lost is not taken again."""
        while not self._stop.is_set():
            try:
                held = self._leases.poll(_POLL_S)
            except LogError as error:
                self._failure = error
                return
            if self._lease is None and held:
                self._lease = held[0]
            elif self._lease is not None and self._lease.lost.is_set():
                self._lease.release()
                return

    def _refuse_beside_others(self) -> None:
        """Raises FencedError while another process has the right, LogError when the brokers do not answer."""
        if others := self._members_left(time.monotonic() + 2 * self._session_s):
            raise FencedError(
                message(
                    "the months of pool {pool} are closed by {others} already, and by one process at a time",
                    pool=repr(self._pool),
                    others=joined(message(" and "), others),
                )
            )

    def _members_left(self, deadline: float) -> list[str]:
        """The group's members at the deadline; returns at once when it has none. Raises LogError.

        A dead member stays listed for a session, and a new cluster needs some time to assign the group's coordinator.
        """
        while True:
            try:
                others = self._members()
            except LogError as error:
                if not isinstance(error.__cause__, kafka_errors.RetriableError) or time.monotonic() > deadline:
                    raise
            else:
                if not others or time.monotonic() > deadline:
                    return others
            time.sleep(_POLL_S)

    def _members(self) -> list[str]:
        """The group's members by client and host, as far as the broker tells."""
        with translate_errors(self._settings.place, message("ask for the group {group}", group=self._group)):
            admin: Any = open_client(KafkaAdminClient, **self._settings.client())

            async def ask() -> Any:
                # Not `describe_groups`: it also decodes the authorised operations, and fails on values it does not know.
                node = (await admin._find_coordinator_ids([self._group]))[self._group]
                return await admin._manager.send(admin._describe_groups_request([self._group]), node_id=node)

            try:
                (found,) = admin._manager.run(ask).groups
            finally:
                admin.close()
        return [
            message(
                "{client_id} at {lstrip}",
                client_id=member.client_id or message("a process"),
                lstrip=member.client_host.lstrip("/") or message("a host unknown"),
            )
            for member in found.members
        ]


def _wait_until(deadline: float, is_so: Callable[[], bool]) -> bool:
    """Poll until the condition holds; whether it did before the deadline (seconds of the monotonic clock)."""
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
