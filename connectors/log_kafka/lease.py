"""Pools shared among processes with Kafka's group protocol: one process at a time writes each pool's store.

Enters: the pools that this process has settings for; every member of the group must have the same. Leaves: a lease for each pool
whose partition of the topic `ledger` the group assigned to this process (a pool is one partition of every topic, ADR 3), so pools
of one partition move together. The group `PREFIX.ingest` only assigns pools: positions are in the store, none in the cluster (law 4).

The fencing token is the member's id and generation. Before every commit the group's coordinator is asked whether it is still valid
(a heartbeat, answered from the coordinator's memory), so a process that was suspended or cut off for longer than the session is
refused when it comes back. When a pool moves away from a live holder, the holder first finishes its commit and closes the store;
only then does the rebalance go on (cooperative rebalancing: other pools are not disturbed). Left out: starting and stopping the
work (`pipeline/service/share.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer import HeartbeatRequest
from kafka.structs import MemberState

from pipeline.log.lease import PoolLease
from pipeline.model.errors import LogError
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .errors import translate_errors
from .log import partition_of
from .settings import KafkaSettings

SESSION_S = 10.0
"""Without a heartbeat for this long, a process's pools go to the others. Brokers accept no less than 6 s by default."""
HANDOVER_S = 20.0
"""How long a live holder may take to finish its commit and close the store before the rebalance goes on without it."""

_PAUSE_S = 0.05
_GONE = (kafka_errors.IllegalGenerationError, kafka_errors.UnknownMemberIdError, kafka_errors.FencedInstanceIdError)
_logger = Journal(__name__)


class KafkaLeases:
    """`pipeline.log.lease.Leases` on a cluster: this process's membership in the group. One thread calls `poll`."""

    def __init__(
        self,
        settings: KafkaSettings,
        pools: Iterable[str],
        *,
        session_s: float = SESSION_S,
        handover_s: float = HANDOVER_S,
        group: str | None = None,
    ) -> None:
        """`group`: instead of `PREFIX.ingest`. Join nothing yet: the first `poll` does. Raises LogError when no broker answers, or the topics are not there."""
        self._settings = settings
        self._session_s = session_s
        self._handover_s = handover_s
        self._lock = threading.Lock()
        self._leases: dict[str, PoolLease] = {}
        self._assigned: set[int] = set()
        self.group = group or f"{settings.prefix}.ingest"
        self._topic = settings.topic("ledger")
        with translate_errors(settings.place, f"join the group {self.group}"):
            self._consumer = KafkaConsumer(
                **settings.client(),
                metrics_enabled=False,
                group_id=self.group,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                allow_auto_create_topics=False,
                partition_assignment_strategy=(CooperativeStickyAssignor,),
                session_timeout_ms=int(session_s * 1000),
                heartbeat_interval_ms=int(session_s * 1000 / 4),
                max_poll_interval_ms=int((session_s + 2 * handover_s) * 1000),
            )
            count = len(self._consumer.partitions_for_topic(self._topic) or ())
        if count == 0:
            self._consumer.close(autocommit=False)
            raise LogError(
                message("{place}: there is no topic {topic}: make the topics with `esep topics`", place=settings.place, topic=self._topic)
            )
        self._partition = {pool: partition_of(pool, count) for pool in pools}
        self._consumer.subscribe([self._topic], listener=_Listener(self))

    def poll(self, timeout_s: float) -> Sequence[PoolLease]:
        """`Leases.poll`. It also takes part in rebalances: call it at least every few seconds."""
        with translate_errors(self._settings.place, f"stay in the group {self.group}"):
            self._consumer.poll(int(timeout_s * 1000))  # nothing is fetched: every partition is paused
        with self._lock:
            for pool, partition in self._partition.items():
                lease = self._leases.get(pool)
                if partition in self._assigned and (lease is None or lease.released.is_set()):
                    self._leases[pool] = PoolLease(pool, self._confirm)
            return [lease for lease in self._leases.values() if not lease.released.is_set()]

    def close(self) -> None:
        """`Leases.close`: the group gives the pools to the others at once."""
        self._revoke(self._partition.values())
        self._consumer.close(autocommit=False, timeout_ms=2000)

    # --- the fencing token

    def _confirm(self, lease: PoolLease) -> None:
        """Ask the coordinator whether this process is still a member of the generation in which it got the pool.

        During a rebalance it waits: a pool that is not moved stays valid. Raises LeaseLost when there is no answer for a whole session,
        because another process may have the pool by then.
        """
        deadline = time.monotonic() + self._session_s
        while not lease.lost.is_set():
            member = self._consumer.group_metadata()
            if member.state is MemberState.STABLE:
                try:
                    error = self._ask(member)
                except kafka_errors.KafkaError as failure:
                    error = type(failure)
                if error in (kafka_errors.NoError, kafka_errors.RebalanceInProgressError):
                    return
                if error in _GONE and self._consumer.group_metadata().generation_id == member.generation_id:
                    break
                if not issubclass(error, kafka_errors.RetriableError) and error not in _GONE:
                    raise LogError(
                        message(
                            "{place}: the group {group} did not confirm pool {pool}: {name}",
                            place=self._settings.place,
                            group=self.group,
                            pool=repr(lease.pool),
                            name=error.__name__,
                        )
                    )
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_S)
        lease.revoke()

    def _ask(self, member: Any) -> Any:
        """Send a heartbeat for the member; the error class of the coordinator's answer, without kafka-python reacting to it."""
        coordinator = self._consumer._coordinator
        node = coordinator.coordinator_id
        if node is None:
            return kafka_errors.CoordinatorNotAvailableError
        request = HeartbeatRequest(
            group_id=self.group, generation_id=member.generation_id, member_id=member.member_id, group_instance_id=None
        )

        async def ask() -> Any:
            return await coordinator._manager.send(request, node_id=node)

        return kafka_errors.for_code(coordinator._manager.run(ask).error_code)

    # --- rebalancing

    def _grant(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)  # any position, so that the client does not ask the cluster for one
        with self._lock:
            self._assigned |= {partition.partition for partition in partitions}
        _logger.info("partitions-gained", group=self.group, partitions=sorted(p.partition for p in partitions))

    def _revoke(self, partitions: Iterable[int]) -> list[PoolLease]:
        """Revoke the leases on these partitions; the leases that were held."""
        gone = set(partitions)
        with self._lock:
            self._assigned -= gone
            leases = [lease for pool, lease in self._leases.items() if self._partition[pool] in gone and not lease.released.is_set()]
        for lease in leases:
            lease.revoke()
        return leases


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Rebalance callbacks. They run on the client's event loop, which keeps sending heartbeats while they wait."""

    def __init__(self, leases: KafkaLeases) -> None:
        self._leases = leases

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._leases._grant(list(assigned))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._let_go(revoked)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        await self._let_go(lost)

    async def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        numbers = sorted(partition.partition for partition in partitions)
        leases = self._leases._revoke(numbers)
        deadline = time.monotonic() + self._leases._handover_s
        while not all(lease.released.is_set() for lease in leases) and (
            time.monotonic() < deadline
            # A commit under way gets twice the time: the next holder must not commit while it runs.
            or (any(lease.is_committing() for lease in leases) and time.monotonic() < deadline + self._leases._handover_s)
        ):
            await self._leases._consumer._net.sleep(_PAUSE_S)
        late = [lease.pool for lease in leases if not lease.released.is_set()]
        if numbers:
            _logger.info("partitions-given-back", group=self._leases.group, partitions=numbers, late=late)
