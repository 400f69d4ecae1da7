"""The Kafka log's settings: every fault at once, secrets that never print, and what kafka-python is told."""

from __future__ import annotations

import pytest
from kafka import errors as kafka_errors

from connectors.log_kafka import KafkaSettings, kafka_settings, partition_of, pool_of
from connectors.log_kafka.errors import as_log_error, translate_errors
from pipeline.model.errors import FencedError, LogError, SettingsError


def test_a_url_names_brokers_and_prefix():
    settings = kafka_settings("kafka://b1:9092,b2:9093/pools")
    assert settings.servers == ("b1:9092", "b2:9093")
    assert settings.topic("chain") == "pools.chain"
    assert settings.topic_names == {
        "pools.chain": "chain",
        "pools.ledger": "ledger",
        "pools.registry": "registry",
        "pools.months": "months",
        "pools.audit": "audit",
    }
    assert settings.transactional_id("chain", "qaz/bitcoin") == "pools.chain/qaz/bitcoin"
    assert settings.place == "kafka://b1:9092,b2:9093/pools"


@pytest.mark.parametrize("url", ["kafka://b1:9092", "kafka://b1:9092/"])
def test_the_prefix_is_esep_unless_said(url: str):
    assert kafka_settings(url).prefix == "esep"


@pytest.mark.parametrize(
    ("url", "table", "password", "words"),
    [
        ("kafka://", {}, None, "must be kafka://host:port"),
        ("kafka://b1", {}, None, "'b1' must be host:port"),
        ("kafka://b1:x/e", {}, None, "'b1:x' must be host:port"),
        ("kafka://b1:9092/a/b", {}, None, "must be kafka://host:port"),
        ("kafka://b1:9092/a b", {}, None, "must be kafka://host:port"),
        ("kafka://b1:9092", {"replicas": 3}, None, "kafka.replicas: no such key"),
        ("kafka://b1:9092", {"prefix": "x"}, None, "kafka.prefix: is set by the log's URL"),
        ("kafka://b1:9092", {"partitions": 0}, None, "kafka.partitions: must be a whole number of at least 1, not 0"),
        ("kafka://b1:9092", {"partitions": True}, None, "kafka.partitions: must be a whole number"),
        ("kafka://b1:9092", {"max_event_bytes": 1000}, None, "kafka.max_event_bytes: must be a whole number of at least 1048576"),
        ("kafka://b1:9092", {"timeout_s": 0}, None, "kafka.timeout_s: must be seconds from 1 to 900"),
        ("kafka://b1:9092", {"replication_factor": 1}, None, "2 can't be in step of 1 replicas"),
        ("kafka://b1:9092", {"compression": "brotli"}, None, "kafka.compression: must be one of none, gzip, lz4, zstd"),
        ("kafka://b1:9092", {"security_protocol": "TLS"}, None, "kafka.security_protocol: must be one of PLAINTEXT, SSL"),
        ("kafka://b1:9092", {"security_protocol": "SSL", "certificate_file": "c.pem"}, None, "give both or neither"),
        ("kafka://b1:9092", {"security_protocol": "SASL_SSL", "user": "u"}, "p", "kafka.sasl_mechanism: must be one of PLAIN"),
        ("kafka://b1:9092", {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "user": "u"}, None, "needs a user, and a password"),
        ("kafka://b1:9092", {"user": "u"}, None, "PLAINTEXT knows no user"),
        ("kafka://b1:9092", {"password": "hunter2"}, None, "kafka.password: is not kept in the settings"),
    ],
)  # fmt: skip
def test_every_fault_is_said(url: str, table: dict[str, object], password: str | None, words: str):
    with pytest.raises(SettingsError) as refused:
        kafka_settings(url, table, password=password)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_faults_are_told_together():
    with pytest.raises(SettingsError) as refused:
        kafka_settings("kafka://b1", {"partitions": 0, "security_protocol": "TLS", "colour": 1})
    assert len(refused.value.faults) == 4


def test_a_secret_in_the_url_is_refused_and_not_shown():
    with pytest.raises(SettingsError) as refused:
        kafka_settings("kafka://user:hunter2@b1:9092/esep")
    assert "hunter2" not in str(refused.value)
    assert "never in the URL" in str(refused.value)


def test_secrets_do_not_print():
    table = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "user": "esep", "ca_file": "ca.pem"}
    settings = kafka_settings("kafka://b1:9092", table, password="hunter2")
    assert "hunter2" not in repr(settings)
    told = settings.client()
    assert (told["security_protocol"], told["sasl_mechanism"], told["sasl_plain_username"]) == ("SASL_SSL", "SCRAM-SHA-512", "esep")
    assert told["sasl_plain_password"] == "hunter2"
    assert (told["ssl_cafile"], told["ssl_check_hostname"]) == ("ca.pem", True)


def test_a_plain_connection_is_told_no_secrets():
    assert not {"sasl_mechanism", "ssl_cafile"} & set(KafkaSettings(("b1:9092",)).client())


def test_all_keys_of_a_pool_share_a_partition():
    assert pool_of("qaz/bitcoin") == pool_of("qaz") == "qaz"
    assert {partition_of(key, 12) for key in ("qaz", "qaz/bitcoin", "qaz/litecoin")} == {partition_of("qaz", 12)}
    assert len({partition_of(f"pool-{n}", 12) for n in range(60)}) == 12


def test_a_keys_partition_is_the_one_of_kafkas_own_hash():
    # Kept for ever: a key that moved would have its events in two partitions, out of order.
    assert [partition_of(key, 12) for key in ("qazpool", "a", "қазақ")] == [10, 4, 1]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (kafka_errors.ProducerFencedError(), FencedError, "another writer has taken it over"),
        (kafka_errors.KafkaTimeoutError("slow"), LogError, "check that the brokers run"),
        (kafka_errors.TopicAuthorizationFailedError({"esep.chain"}), LogError, "docs/kafka.md"),
        (kafka_errors.OffsetOutOfRangeError(), LogError, "the topic deletes events"),
        (kafka_errors.NotEnoughReplicasError(), LogError, "min.insync.replicas"),
        (kafka_errors.RecordListTooLargeError(), LogError, "max.message.bytes"),
        (kafka_errors.UnknownError("odd"), LogError, "see the brokers' own log"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(error: kafka_errors.KafkaError, kind: type[LogError], words: str):
    told = as_log_error("kafka://b1:9092/esep", "read chain", error)
    assert type(told) is kind
    assert str(told).startswith("kafka://b1:9092/esep: can't read chain: ")
    assert words in str(told)


def test_a_broken_assumption_is_not_dressed_up():
    with pytest.raises(TypeError), translate_errors("kafka://b1:9092/esep", "read"):
        raise TypeError("a defect of ours")
