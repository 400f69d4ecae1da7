"""The `[kafka]` table: how a log on Apache Kafka is reached and kept. What it means is `connectors/log_kafka`'s business."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from .parts import FilePath, Section


class KafkaLogSettings(Section):
    """A log on Apache Kafka (`log = "kafka://…"`): its topics, timeouts and login. Topics are checked at every start."""

    partitions: int = Field(default=12, ge=1, le=10_000, description="partitions of each topic; a pool lies in one. Never change it later")
    replication_factor: int = Field(default=3, ge=1, le=32, description="copies of each partition on different brokers")
    min_insync_replicas: int = Field(default=2, ge=1, le=32, description="copies that must hold an event before it counts as written")
    max_event_bytes: int = Field(default=32 << 20, ge=1 << 20, le=1 << 30, description="the largest event, uncompressed, in bytes")
    compression: Literal["none", "gzip", "lz4", "zstd"] = Field(default="gzip", description="how batches travel: none, gzip, lz4, zstd")
    timeout_s: int = Field(
        default=60, ge=1, le=3600, description="how long an append or an answer may take while brokers fail and come back"
    )
    transaction_timeout_s: int = Field(
        default=60, ge=1, le=900, description="after so long the cluster gives up a dead writer's append, and readers go on past it"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    ca_file: FilePath | None = Field(default=None, description="certificates of who signed the brokers'")
    certificate_file: FilePath | None = Field(default=None, description="our certificate, for mutual TLS")
    key_file: FilePath | None = Field(default=None, description="our certificate's key, for mutual TLS")
    sasl_mechanism: str | None = Field(
        default=None, pattern=r"^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    user: str | None = Field(default=None, description="whom we log in as")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but the password; or ESEP_KAFKA_PASSWORD")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_KAFKA_PASSWORD or password_file")

    def table(self) -> dict[str, Any]:
        """What the connector is given: the keys that say something, without the password."""
        said = self.model_dump(exclude={"password", "password_file"}, exclude_none=True)
        return {key: str(value) if key.endswith("_file") else value for key, value in said.items()}
