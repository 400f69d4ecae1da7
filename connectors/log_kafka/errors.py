"""kafka-python's errors as `LogError`s that say what happened, to which thing, and what to do.

A fenced producer becomes `FencedError`. Programming errors (`TypeError`, a failed assertion) pass through.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kafka import errors as kafka_errors

from pipeline.model.errors import FencedError, LogError
from pipeline.model.message import message
from pipeline.model.system_words import system_words

ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (kafka_errors.TopicAuthorizationFailedError, message("the user may not use the topic: give it the rights listed in docs/kafka.md")),
    (kafka_errors.TransactionalIdAuthorizationFailedError, message("the user may not write under this id: give it the rights listed in docs/kafka.md")),
    (kafka_errors.AuthorizationError, message("the user lacks a right: give it those listed in docs/kafka.md")),
    (kafka_errors.SaslAuthenticationFailedError, message("the cluster refused the user or the password: check [kafka] user and its password")),
    (kafka_errors.UnsupportedSaslMechanismError, message("the cluster has no such mechanism: check [kafka] sasl_mechanism")),
    (kafka_errors.InvalidProducerIdMappingError, message("the cluster forgot this writer (transactional.id.expiration.ms): start again")),
    (kafka_errors.OffsetOutOfRangeError, message("events that were not read yet are gone: the topic deletes events, or was created again; restore a copy with `esep log copy`")),
    (kafka_errors.LogTruncationError, message("the cluster lost events that were read already (an unclean election): bring them back with `esep log copy`")),
    (kafka_errors.MessageSizeTooLargeError, message("an event is larger than the topic takes: raise its max.message.bytes, see `esep topics`")),
    (kafka_errors.RecordListTooLargeError, message("the events are larger than the topic takes: raise its max.message.bytes, see `esep topics`")),
    (kafka_errors.UnknownTopicOrPartitionError, message("a topic is not there: make the topics with `esep topics`")),
    (kafka_errors.NotEnoughReplicasError, message("fewer replicas are in step than min.insync.replicas: bring the brokers back, then start again")),
    (kafka_errors.CorruptRecordError, message("a record's check sum is wrong: the disk or the network damages data; check the broker")),
    (kafka_errors.UnsupportedCompressionTypeError, message("the cluster takes no such compression: set [kafka] compression = 'gzip'")),
    (kafka_errors.UnsupportedCodecError, message("a batch is compressed by what this machine can't read: install the package lz4 or zstandard")),
    (kafka_errors.IncompatibleBrokerVersion, message("the brokers are too old: Apache Kafka 2.5 or newer is needed")),
    (kafka_errors.KafkaTimeoutError, message("no answer in time: check that the brokers run and can be reached, then start again")),
    (kafka_errors.RetriableError, message("the cluster could not serve it for long: check the brokers, then start again")),
)  # fmt: skip


def is_fencing(error: BaseException | None) -> bool:
    """Whether the cluster says that another writer holds the transactional id."""
    return isinstance(error, kafka_errors.ProducerFencedError | kafka_errors.InvalidProducerEpochError)


def has_expired(error: BaseException | None) -> bool:
    """Whether the cluster says that it no longer knows the transactional id: nothing was appended for `transactional.id.expiration.ms`."""
    # kafka-python wraps the cluster's answer in a general error.
    return any(isinstance(found, kafka_errors.InvalidProducerIdMappingError) for found in (error, *getattr(error, "args", ())))


@contextlib.contextmanager
def translate_errors(place: str, action: str) -> Iterator[None]:
    """Turn the cluster's errors into `LogError`s: `translate_errors("kafka://…", "read chain")`."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise as_log_error(place, action, error) from error
    except OSError as error:
        raise LogError(
            message(
                "{place}: can't {action}: {strerror}; check the network and the files that [kafka] names",
                place=place,
                action=action,
                strerror=system_words(error) or error,
            )
        ) from error


def as_log_error(place: str, action: str, error: kafka_errors.KafkaError) -> LogError:
    """The error as a `LogError` (or `FencedError`) with advice."""
    if is_fencing(error):
        return FencedError(
            message(
                "{place}: can't {action}: another writer has taken it over; stop this one, only one may run", place=place, action=action
            )
        )
    advice = next((words for kind, words in ADVICE if isinstance(error, kind)), message("see the brokers' own log"))
    if isinstance(error, kafka_errors.KafkaTimeoutError) and "bootstrap" in str(error):
        # kafka-python does not tell the cause: a refused user looks like an unreachable broker.
        advice = message(
            "no broker took the connection: check that they run and can be reached, and [kafka] security_protocol, user and password"
        )
    return LogError(message("{place}: can't {action}: {words}; {advice}", place=place, action=action, words=_words(error), advice=advice))


def _words(error: kafka_errors.KafkaError) -> str:
    text = str(error).strip()
    name = type(error).__name__
    return text if name in text else f"{name} {text}".strip()
