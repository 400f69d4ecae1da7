"""`KafkaWriter`: the one writer of a (topic, key).

Enters: new events. Leaves: one transaction for each append, acknowledged by every replica in step and visible to readers
when `append` returns. Opening a writer raises the transactional id's epoch: the cluster itself refuses the older writer from
then on. Ids that the key holds already are known from reading its partition back once, before the first append (ADR 3).
A writer whose append failed in a way that leaves the outcome open takes no more: what is there is recognised by the next one.
A writer that was idle for so long that the cluster forgot its transactional id begins anew by itself, when nobody else wrote meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors

from pipeline.log.protocol import NewEvent, Record, Topic
from pipeline.model.errors import FencedError, LogError

from .client import open_client
from .errors import as_log_error, has_expired, is_fencing
from .settings import COMPRESSIONS, KafkaSettings
from .unpack import ID, PROBE

_OVERHEAD_BYTES = 512
_logger = structlog.get_logger(__name__)


class WritableLog(Protocol):
    """What a writer asks of the log that it writes to: `log.KafkaLog`."""

    settings: KafkaSettings
    place: str

    def partition(self, topic: Topic, key: str) -> TopicPartition:
        """Where a key lies."""
        ...

    def settled_end(self, partition: TopicPartition) -> int:
        """The end of everything in a partition, once all of it is committed or given up."""
        ...

    def await_visible(self, partition: TopicPartition, offset: int, timeout_s: float) -> None:
        """Wait until readers see what is at `offset`. Raises LogError when the time is out."""
        ...

    def scan(self, partition: TopicPartition, start: int, stop: int) -> Iterable[Record]:
        """Every committed record of a partition from `start` up to before `stop`."""
        ...


class KafkaWriter:
    """`pipeline.log.protocol.Writer` on a cluster; threads may share it."""

    def __init__(self, log: WritableLog, topic: Topic, key: str) -> None:
        """Take the (topic, key) over. Raises kafka-python's errors: `KafkaLog.writer` explains them."""
        self._log = log
        self._settings = log.settings
        self._topic: Topic = topic
        self._key = key
        self._lock = threading.Lock()
        self._partition = log.partition(topic, key)
        self._known: dict[str, bytes] | None = None
        """Digest of every event of this key, by id; None until they were read back."""
        self._broken: str | None = None
        self._read_to = 0
        """Every record of this key before this offset was read, or appended by us."""
        self._producer: Any = self._open_producer()

    def append(self, events: Sequence[NewEvent]) -> int:
        """Append all or nothing, on every replica in step on return; how many were new. Errors as in `pipeline.log.protocol.Writer`."""
        action = f"append to {self._topic} {self._key!r}"
        with self._lock:
            if self._broken is not None:
                raise LogError(f"{self._log.place}: can't {action}: {self._broken}")
            try:
                fresh = self._new_events(events)
                try:
                    self._commit(fresh)
                except kafka_errors.KafkaError as error:
                    if self._broken is not None or not has_expired(error):
                        raise
                    self._renew_producer()
                    self._commit(fresh)
            except kafka_errors.KafkaError as error:
                explained = as_log_error(self._log.place, action, error)
                if isinstance(explained, FencedError):
                    self._break("another writer has taken it over; stop this one, only one may run")
                raise explained from error
            assert self._known is not None
            self._known |= digests_by_id(fresh)
            return len(fresh)

    def close(self) -> None:
        """Give the connection back; the (topic, key) stays ours until another writer is opened."""
        with self._lock:
            if self._broken != _CLOSED:
                self._broken = _CLOSED
                self._producer.close(timeout=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def assume_read_to(self, end: int) -> None:
        """What lies before `end` is known to whoever asked for this writer: only records after it would be another writer's."""
        self._read_to = end

    # --- inside

    def _open_producer(self) -> Any:
        """A producer that holds the transactional id. Raises kafka-python's errors."""
        timeout_ms = int(self._settings.timeout_s * 1000)
        producer: Any = open_client(
            KafkaProducer,
            **self._settings.client(),
            metrics_enabled=False,
            transactional_id=self._settings.transactional_id(self._topic, self._key),
            transaction_timeout_ms=int(self._settings.transaction_timeout_s * 1000),
            acks="all",
            # A batch that is not taken in this time is given up before the cluster gives up the transaction.
            delivery_timeout_ms=max(16_000, int(min(self._settings.timeout_s, self._settings.transaction_timeout_s) * 800)),
            max_block_ms=timeout_ms,
            batch_size=256 << 10,
            linger_ms=5,
            max_request_size=self._settings.max_event_bytes + _OVERHEAD_BYTES,
            compression_type=None if COMPRESSIONS[self._settings.compression] is None else self._settings.compression,
            allow_auto_create_topics=False,
        )
        try:
            producer.init_transactions()
        except BaseException:
            producer.close(timeout=1)
            raise
        return producer

    def _renew_producer(self) -> None:
        """Take the transactional id again after the cluster forgot it: nobody appended for `transactional.id.expiration.ms`.

        Only when the place is still ours: nobody else holds the id, and the key has no record that is not known here. Raises
        ProducerFencedError otherwise; LogError or another KafkaError when that can't be found out, and then takes no more.
        """
        ours = self._producer._transaction_manager.producer_id_and_epoch
        self._producer.close(timeout=1)
        try:
            self._require_unchanged()
            if self._holder_id() not in (None, ours.producer_id):
                raise kafka_errors.ProducerFencedError()
            self._producer = self._open_producer()
            self._require_unchanged()
        except (LogError, kafka_errors.KafkaError):
            self._break("its right to write expired at the cluster and could not be renewed; open the log again")
            raise
        _logger.info("began-anew", topic=self._partition.topic, key=self._key, reason="transactional id expired")

    def _require_unchanged(self) -> None:
        """Raise ProducerFencedError when the key has a record that this writer does not know: another one wrote it."""
        end = self._log.settled_end(self._partition)
        if any(record.key == self._key for record in self._log.scan(self._partition, self._read_to, end)):
            raise kafka_errors.ProducerFencedError()
        self._read_to = max(self._read_to, end)

    def _holder_id(self) -> int | None:
        """The producer id that holds the transactional id now; None when the cluster knows of none."""
        name = self._settings.transactional_id(self._topic, self._key)
        admin: Any = open_client(KafkaAdminClient, **self._settings.client())
        try:
            return int(admin.describe_transactions([name])[name].producer_id)
        except kafka_errors.TransactionalIdNotFoundError:
            return None
        finally:
            admin.close()

    def _new_events(self, events: Sequence[NewEvent]) -> list[NewEvent]:
        """The events that the key does not hold yet. Raises LogError for a known id with other content, and for one too large."""
        known = self._known = self._read_back() if self._known is None else self._known
        fresh: dict[str, NewEvent] = {}
        for event in events:
            held = known.get(event.id) or (digest(fresh[event.id].value) if event.id in fresh else None)
            if held is None:
                self._check_size(event)
                fresh[event.id] = event
            elif held != digest(event.value):
                raise LogError(
                    f"{self._log.place}: {self._topic} of {self._key!r} already holds event {event.id!r} with other content; "
                    "nothing was appended; the source must not change what it has said"
                )
        return list(fresh.values())

    def _read_back(self) -> dict[str, bytes]:
        """Every id of the key. The older writer's last append is decided: opening this one ended it."""
        end = self._log.settled_end(self._partition)
        known = {r.id: digest(r.value) for r in self._log.scan(self._partition, 0, end) if r.key == self._key}
        self._read_to = max(self._read_to, end)
        return known

    def _check_size(self, event: NewEvent) -> None:
        size, most = len(event.value) + len(event.id.encode()) + len(self._key.encode()), self._settings.max_event_bytes
        if size > most:
            raise LogError(
                f"{self._log.place}: event {event.id!r} of {self._topic} {self._key!r} has {size:,} bytes and [kafka] max_event_bytes is {most:,}: "
                "nothing was appended; raise that setting, then the topics' limit with `esep topics --alter`, or send the rows in smaller batches"
            )

    def _commit(self, fresh: Sequence[NewEvent]) -> None:
        """One transaction. With nothing new it is a probe, given up again: the cluster says whether we may still write."""
        begun = time.monotonic()
        deadline = begun + self._settings.timeout_s
        producer, name, number = self._producer, self._partition.topic, self._partition.partition
        self._begin()
        try:
            if not fresh:
                producer.send(name, value=b"", headers=[(PROBE, b"")], partition=number).get(timeout=self._settings.timeout_s)
                self._end(commit=False, deadline=deadline)
                return
            key = self._key.encode()
            sent = [producer.send(name, value=e.value, key=key, headers=[(ID, e.id.encode())], partition=number) for e in fresh]
            # Every batch is acknowledged before the commit is asked for: a lost one must not be committed around.
            last = max(s.get(timeout=max(0.1, deadline - time.monotonic())).offset for s in sent)
        except kafka_errors.KafkaError as error:
            raise self._abort(error) from error
        try:
            self._end(commit=True, deadline=deadline)
        except kafka_errors.KafkaError as error:
            # After that time the cluster fences a writer for its slowness, with no other one in sight.
            if time.monotonic() - begun < self._settings.transaction_timeout_s and (is_fencing(error) or self._has_successor()):
                raise kafka_errors.ProducerFencedError() from error
            self._break("the cluster did not say whether the last append was committed; open the log again: what is there is recognised")
            raise
        self._read_to = max(self._read_to, last + 1)
        try:
            self._log.await_visible(self._partition, last, self._settings.timeout_s)
        except (LogError, kafka_errors.KafkaError) as error:
            # It is committed and durable; only its being seen waits, for somebody else's open append.
            _logger.warning("appended, but readers don't see it yet", topic=name, partition=number, offset=last, error=str(error))

    def _break(self, why: str) -> None:
        """Take no more. The producer goes too: by itself it would try to get its right back, perhaps from its successor."""
        self._broken = why
        self._producer.close(timeout=1)

    def _has_successor(self) -> bool:
        """Ask who holds the transactional id, after a commit with an open outcome.

        A coordinator that is just fencing us answers a commit with "unknown server error" instead of "fenced", and counts
        the new epoch a moment later: so it is asked more than once.
        """
        ours = self._producer._transaction_manager.producer_id_and_epoch
        name = self._settings.transactional_id(self._topic, self._key)
        try:
            admin: Any = open_client(KafkaAdminClient, **self._settings.client())
            try:
                for pause_s in (0.0, 0.1, 0.3, 0.6, 1.0):
                    time.sleep(pause_s)
                    now = admin.describe_transactions([name])[name]
                    if (now.producer_id, now.producer_epoch) != (ours.producer_id, ours.epoch):
                        return True
            finally:
                admin.close()
        except kafka_errors.KafkaError:
            pass  # the outcome stays open, which is what the caller then says
        return False

    def _begin(self) -> None:
        try:
            self._producer.begin_transaction()
        except kafka_errors.KafkaError as error:
            raise self._cause(error) from error

    def _abort(self, error: kafka_errors.KafkaError) -> kafka_errors.KafkaError:
        """Abort after a failed send; the failure's first cause. Nothing of the append stays."""
        cause = self._cause(error)
        if not is_fencing(cause) and not has_expired(cause):  # an id that is not known has no transaction to give up
            try:
                self._end(commit=False, deadline=time.monotonic() + 10)
            except kafka_errors.KafkaError:
                self._break("its last append failed and could not be given up; open the log again: the cluster will give it up")
        return cause

    def _cause(self, error: kafka_errors.KafkaError) -> kafka_errors.KafkaError:
        """What the cluster said first: kafka-python wraps it in a general error after a fatal one."""
        first = self._producer._transaction_manager.last_error
        return first if isinstance(first, kafka_errors.KafkaError) else error

    def _end(self, *, commit: bool, deadline: float) -> None:
        """Commit or abort, but not for ever: `commit_transaction` itself would wait as long as the cluster is away.

        It does what that method does, with a time. Raises what the cluster said, KafkaTimeoutError when it said nothing.
        """
        state = self._producer._transaction_manager
        try:
            result = state.begin_commit() if commit else state.begin_abort()
            self._producer._sender.wakeup()
            if not result.wait(timeout_ms=max(100.0, (deadline - time.monotonic()) * 1000)):
                raise kafka_errors.KafkaTimeoutError(f"no answer for {self._settings.timeout_s:g} s")
        except kafka_errors.KafkaError as error:
            raise self._cause(error) from error


_CLOSED = "this writer was closed: open another one"


def digest(value: bytes) -> bytes:
    """16 bytes that stand for an event's content in memory."""
    return hashlib.blake2b(value, digest_size=16).digest()


def digests_by_id(events: Sequence[NewEvent]) -> dict[str, bytes]:
    return {event.id: digest(event.value) for event in events}
