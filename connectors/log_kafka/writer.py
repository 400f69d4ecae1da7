"""`KafkaWriter`: the one writer of a (topic, key).

Enters: new events. Leaves: one transaction per append, acknowledged by every in-sync replica and visible to readers when `append`
returns. Opening a writer raises the transactional id's epoch, so the cluster fences the older writer. The ids that the key already
holds are read back from its partition once, before the first append (ADR 3).
A writer whose append ended with an unknown outcome accepts no more: the next writer finds out what was committed.
A writer whose transactional id expired at the cluster while it was idle renews it, if nobody else wrote the key meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors

from pipeline.log.keys import LogKeys
from pipeline.log.protocol import AUDIT, NewEvent, Record, Topic
from pipeline.model.errors import FencedError, LogError
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .client import open_client
from .errors import as_log_error, has_expired, is_fencing
from .settings import COMPRESSIONS, KafkaSettings
from .unpack import ID, PROBE, SIGNATURE

_OVERHEAD_BYTES = 512
_logger = Journal(__name__)


class WritableLog(Protocol):
    """The part of `log.KafkaLog` that a writer uses."""

    settings: KafkaSettings
    place: str
    keys: LogKeys | None
    """By which appends are signed; None where they are not."""

    def partition(self, topic: Topic, key: str) -> TopicPartition:
        """The partition of a key."""
        ...

    def settled_end(self, partition: TopicPartition) -> int:
        """The end of a partition, once every transaction before it is committed or aborted."""
        ...

    def await_visible(self, partition: TopicPartition, offset: int, timeout_s: float) -> None:
        """Wait until readers see what is at `offset`. Raises LogError when the time is out."""
        ...

    def scan(self, partition: TopicPartition, start: int, stop: int) -> Iterable[Record]:
        """Every committed record of a partition from `start` up to before `stop`."""
        ...


class KafkaWriter:
    """`pipeline.log.protocol.Writer` on a cluster. Threads may share it."""

    def __init__(self, log: WritableLog, topic: Topic, key: str) -> None:
        """Take over the (topic, key). Raises kafka-python's errors; `KafkaLog.writer` translates them."""
        self._log = log
        self._settings = log.settings
        self._topic: Topic = topic
        self._key = key
        self._lock = threading.Lock()
        self._partition = log.partition(topic, key)
        self._known: dict[str, bytes] | None = None
        """Digest of every event of this key that counts, by id; None before they are read back."""
        self._stream = None if log.keys is None or topic == AUDIT else log.keys.begin(topic, key)
        """The state of this key's signed appends."""
        self._broken: str | None = None
        self._read_to = 0
        """Every record of this key before this offset was read, or appended by this writer."""
        self._producer: Any = self._open_producer()

    def append(self, events: Sequence[NewEvent]) -> int:
        """Append all or nothing, on every in-sync replica on return; the number that were new. Errors as in `pipeline.log.protocol.Writer`."""
        action = f"append to {self._topic} {self._key!r}"
        with self._lock:
            if self._broken is not None:
                raise LogError(message("{place}: can't {action}: {broken}", place=self._log.place, action=action, broken=self._broken))
            try:
                fresh = self._signed(self._new_events(events))
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
            if self._stream is not None:
                for event in fresh:
                    self._stream.judge(Record(self._topic, self._partition.partition, 0, self._key, *event))
            return len(fresh)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._broken != _CLOSED:
                self._broken = _CLOSED
                self._producer.close(timeout=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def assume_read_to(self, end: int) -> None:
        """Treat the records before `end` as known: only one at or after it would be another writer's."""
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
            # A batch that is not acknowledged in this time fails before the cluster aborts the transaction.
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
        """Register the transactional id again after it expired at the cluster (no append for `transactional.id.expiration.ms`).

        Only if no other producer holds the id and the key has no record unknown here; raises ProducerFencedError otherwise. Raises
        LogError or another KafkaError when that can't be determined; the writer then accepts no more.
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
        _logger.info("producer-renewed", topic=self._partition.topic, key=self._key, reason="transactional id expired")

    def _require_unchanged(self) -> None:
        """Raise ProducerFencedError when the key has a record unknown to this writer: another writer appended it."""
        end = self._log.settled_end(self._partition)
        if any(self._counts(record) for record in self._log.scan(self._partition, self._read_to, end)):
            raise kafka_errors.ProducerFencedError()
        self._read_to = max(self._read_to, end)

    def _holder_id(self) -> int | None:
        """The producer id that holds the transactional id now; None when the cluster does not know the id."""
        name = self._settings.transactional_id(self._topic, self._key)
        admin: Any = open_client(KafkaAdminClient, **self._settings.client())
        try:
            return int(admin.describe_transactions([name])[name].producer_id)
        except kafka_errors.TransactionalIdNotFoundError:
            return None
        finally:
            admin.close()

    def _new_events(self, events: Sequence[NewEvent]) -> list[NewEvent]:
        """The events that the key does not hold yet. Raises LogError for a known id with other content, and for an event that is too large."""
        known = self._known = self._read_back() if self._known is None else self._known
        fresh: dict[str, NewEvent] = {}
        for event in events:
            held = known.get(event.id) or (digest(fresh[event.id].value) if event.id in fresh else None)
            if held is None:
                self._check_size(event)
                fresh[event.id] = event
            elif held != digest(event.value):
                raise LogError(
                    message(
                        "{place}: {topic} of {key} already holds event {id} with other content; nothing was appended; an event in the log never changes: find out why the source produced this id again",
                        place=self._log.place,
                        topic=self._topic,
                        key=repr(self._key),
                        id=repr(event.id),
                    )
                )
        return list(fresh.values())

    def _read_back(self) -> dict[str, bytes]:
        """The digest of every event of the key, by id. The older writer has no open transaction: opening this writer ended it."""
        end = self._log.settled_end(self._partition)
        known = {r.id: digest(r.value) for r in self._log.scan(self._partition, 0, end) if self._counts(r)}
        self._read_to = max(self._read_to, end)
        return known

    def _counts(self, record: Record) -> bool:
        """Whether the next record is an event of this key, and authentic where keys are in force: others neither take an id nor fence anybody."""
        return record.key == self._key and not record.fault and (self._stream is None or self._stream.judge(record).counts)

    def _signed(self, fresh: list[NewEvent]) -> list[NewEvent]:
        """The events as they are appended next. Raises LogError when no key at hand may."""
        if self._log.keys is None or self._stream is None or not fresh:
            return fresh
        return self._log.keys.signed(self._stream, fresh)

    def _check_size(self, event: NewEvent) -> None:
        size, most = len(event.value) + len(event.id.encode()) + len(self._key.encode()), self._settings.max_event_bytes
        if size > most:
            raise LogError(
                message(
                    "{place}: event {id} of {topic} {key} has {size} bytes and [kafka] max_event_bytes is {most}: nothing was appended; raise that setting, then the topics' limit with `esep topics --alter`, or send the rows in smaller batches",
                    place=self._log.place,
                    id=repr(event.id),
                    topic=self._topic,
                    key=repr(self._key),
                    size=format(size, ","),
                    most=format(most, ","),
                )
            )

    def _commit(self, fresh: Sequence[NewEvent]) -> None:
        """Append in one transaction. With nothing new, an aborted transaction still checks that this writer is not fenced."""
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
            sent = [producer.send(name, value=e.value, key=key, headers=headers_of(e), partition=number) for e in fresh]
            # Every batch must be acknowledged before the commit: otherwise a commit could leave out a lost batch.
            last = max(s.get(timeout=max(0.1, deadline - time.monotonic())).offset for s in sent)
        except kafka_errors.KafkaError as error:
            raise self._abort(error) from error
        try:
            self._end(commit=True, deadline=deadline)
        except kafka_errors.KafkaError as error:
            # After that time the cluster also fences a writer because its transaction timed out, without another writer.
            if time.monotonic() - begun < self._settings.transaction_timeout_s and (is_fencing(error) or self._has_successor()):
                raise kafka_errors.ProducerFencedError() from error
            self._break("the cluster did not say whether the last append was committed; open the log again: what is there is recognised")
            raise
        self._read_to = max(self._read_to, last + 1)
        try:
            self._log.await_visible(self._partition, last, self._settings.timeout_s)
        except (LogError, kafka_errors.KafkaError) as error:
            # It is committed and durable; only its visibility waits for another writer's open transaction.
            _logger.warning("appended, but readers don't see it yet", topic=name, partition=number, offset=last, error=str(error))

    def _break(self, why: str) -> None:
        """Accept no more appends. The producer is closed too: it would try to register again, and could fence its successor."""
        self._broken = why
        self._producer.close(timeout=1)

    def _has_successor(self) -> bool:
        """Whether another producer holds the transactional id now; asked after a commit with an unknown outcome.

        While a coordinator is fencing a producer, it may answer its commit with "unknown server error" and raise the epoch only a
        moment later: so it is asked several times.
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
            pass  # the outcome stays unknown, and the caller says so
        return False

    def _begin(self) -> None:
        try:
            self._producer.begin_transaction()
        except kafka_errors.KafkaError as error:
            raise self._cause(error) from error

    def _abort(self, error: kafka_errors.KafkaError) -> kafka_errors.KafkaError:
        """Abort the transaction after a failed send; the failure's first cause."""
        cause = self._cause(error)
        if not is_fencing(cause) and not has_expired(cause):  # an id that is not known has no transaction to give up
            try:
                self._end(commit=False, deadline=time.monotonic() + 10)
            except kafka_errors.KafkaError:
                self._break("its last append failed and could not be given up; open the log again: the cluster will give it up")
        return cause

    def _cause(self, error: kafka_errors.KafkaError) -> kafka_errors.KafkaError:
        """The cluster's original error: after a fatal one kafka-python raises a general error instead."""
        first = self._producer._transaction_manager.last_error
        return first if isinstance(first, kafka_errors.KafkaError) else error

    def _end(self, *, commit: bool, deadline: float) -> None:
        """Commit or abort within `deadline`; kafka-python's own methods wait for ever while the cluster is unreachable.

        Raises the cluster's error, KafkaTimeoutError when there was no answer.
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
    """A 16-byte BLAKE2b digest of an event's content, kept in memory."""
    return hashlib.blake2b(value, digest_size=16).digest()


def headers_of(event: NewEvent) -> list[tuple[str, bytes]]:
    """An event's id, and the signature that it carries. The id alone is what readers are fastest at."""
    headers = [(ID, event.id.encode())]
    return headers if event.signature is None else [*headers, (SIGNATURE, event.signature)]


def digests_by_id(events: Sequence[NewEvent]) -> dict[str, bytes]:
    return {event.id: digest(event.value) for event in events}
