"""Settings of the Kafka log: brokers, topic names, authentication, timeouts.

Enters: a log's URL (`kafka://host:9092,host:9092/prefix`) and the `[kafka]` table of the settings. Leaves: `KafkaSettings`, or a
`SettingsError` with every fault; and the keyword arguments for kafka-python's clients. Passwords come from the caller, who reads
them from the environment or a file: they are never in the URL and never printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any

from pipeline.log.protocol import ALL_TOPICS, Topic
from pipeline.model.address import is_this_machine, parse_server
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
COMPRESSIONS = {"none": None, "gzip": "zlib", "lz4": "lz4", "zstd": "zstandard"}
"""The compressions of a batch, and the Python module that each needs (None: no extra one)."""

_URL = re.compile(r"kafka://(?P<servers>[^/?#@]+)(?:/(?P<prefix>[A-Za-z0-9._-]*))?")


@dataclass(frozen=True)
class KafkaSettings:
    """A cluster used as the event log."""

    servers: tuple[str, ...]
    """`host:port` of some brokers; the client discovers the others."""
    prefix: str = "esep"
    """Topics are `PREFIX.chain`, `PREFIX.ledger`, …; transactional ids begin with `PREFIX.`."""
    partitions: int = 12
    replication_factor: int = 3
    min_insync_replicas: int = 2
    max_event_bytes: int = 32 << 20
    """The largest event, uncompressed; the topics' `max.message.bytes`."""
    compression: str = "gzip"
    timeout_s: float = 60.0
    """How long an append, or the wait for an answer, may take while brokers fail and come back."""
    transaction_timeout_s: float = 60.0
    """After this long the cluster aborts a dead writer's transaction, so that readers can go on."""
    security_protocol: str = "PLAINTEXT"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl_mechanism: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def topic(self, topic: Topic) -> str:
        """The cluster's name of a topic: `esep.chain`."""
        return f"{self.prefix}.{topic}"

    @property
    def topic_names(self) -> dict[str, Topic]:
        """The log's topics by the cluster's names for them."""
        return {self.topic(topic): topic for topic in ALL_TOPICS}

    def transactional_id(self, topic: Topic, key: str) -> str:
        """One per (topic, key): the cluster lets only the newest producer with it write."""
        return f"{self.prefix}.{topic}/{key}"

    @property
    def place(self) -> str:
        """The log's name in a message."""
        return f"kafka://{','.join(self.servers)}/{self.prefix}"

    def client(self) -> dict[str, Any]:
        """Keyword arguments for every kafka-python client."""
        given: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.security_protocol,
            "request_timeout_ms": 15_000,
            "retry_backoff_ms": 20,
            "reconnect_backoff_max_ms": 1_000,
            "bootstrap_timeout_ms": int(self.timeout_s * 1000),
            # Refreshed often: otherwise moved partition leaders are noticed only by errors.
            "metadata_max_age_ms": 30_000,
        }
        if "SSL" in self.security_protocol:
            given |= {"ssl_cafile": self.ca_file, "ssl_certfile": self.certificate_file, "ssl_keyfile": self.key_file}
            given |= {"ssl_password": self.key_password, "ssl_check_hostname": True}
        if "SASL" in self.security_protocol:
            given |= {"sasl_mechanism": self.sasl_mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return given


def kafka_settings(url: str, table: Mapping[str, Any] | None = None, *, password: str | None = None) -> KafkaSettings:
    """The settings of the log at `url`, with what the `[kafka]` table says beside it. Raises SettingsError with every fault."""
    faults: list[str] = []
    given = dict(table or {})
    match = _URL.fullmatch(url)
    if match is None:
        secret = message(" (a user and a password stand in [kafka], never in the URL)") if "@" in url else ""
        shown = re.sub(r"//[^/]*@", "//…@", url)
        faults.append(message("log: {shown} must be kafka://host:port,host:port/prefix{secret}", shown=repr(shown), secret=secret))
    servers, wrong = _servers(match["servers"]) if match else ((), [])
    faults += wrong
    known = {f.name: f.type for f in fields(KafkaSettings)}
    for key in sorted(set(given) - set(known) | set(given) & {"servers", "prefix"}):
        faults.append(
            f"kafka.{key}: "
            + (
                message("is set by the log's URL")
                if key in ("servers", "prefix")
                else message("no such key: the keys are {keys}", keys=_keys())
            )
        )
        given.pop(key)
    if given.pop("password", None) is not None or given.pop("key_password", None) is not None:
        faults.append(message("kafka.password: is not kept in the settings: use the environment or a file"))
    settings = KafkaSettings(servers, (match and match["prefix"]) or "esep", **given, password=password)
    faults += _faults(settings)
    if faults:
        raise SettingsError(faults)
    return settings


def _keys() -> str:
    return ", ".join(f.name for f in fields(KafkaSettings) if f.name not in ("servers", "prefix", "password", "key_password"))


def _servers(text: str) -> tuple[tuple[str, ...], list[str]]:
    """The brokers as clients are given them, and what is wrong with others."""
    servers, faults = [], []
    for server in text.split(","):
        try:
            host, port = parse_server(server)
        except ValueError as error:
            faults.append(message("log: {server} {error}", server=repr(server), error=error))
            continue
        servers.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return tuple(servers), faults


def _faults(s: KafkaSettings) -> list[str]:
    """What is wrong with values, alone and together."""
    faults = []
    for name, least in (("partitions", 1), ("replication_factor", 1), ("min_insync_replicas", 1), ("max_event_bytes", 1 << 20)):
        value = getattr(s, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            faults.append(
                message("kafka.{name}: must be a whole number of at least {least}, not {value}", name=name, least=least, value=repr(value))
            )
    for name in ("timeout_s", "transaction_timeout_s"):
        value = getattr(s, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 900:
            faults.append(message("kafka.{name}: must be seconds from 1 to 900, not {value}", name=name, value=repr(value)))
    if not faults and s.min_insync_replicas > s.replication_factor:
        faults.append(
            message(
                "kafka.min_insync_replicas: {min_insync_replicas} can't be in step of {replication_factor} replicas: lower it",
                min_insync_replicas=s.min_insync_replicas,
                replication_factor=s.replication_factor,
            )
        )
    module = COMPRESSIONS.get(s.compression, "?")
    if module == "?":
        faults.append(
            message(
                "kafka.compression: must be one of {compressions}, not {compression}",
                compressions=", ".join(COMPRESSIONS),
                compression=repr(s.compression),
            )
        )
    elif module and find_spec(module) is None:
        faults.append(
            message(
                "kafka.compression: {compression} needs the Python package {module}: install it, or say gzip",
                compression=s.compression,
                module=module,
            )
        )
    if s.security_protocol not in PROTOCOLS:
        faults.append(
            message(
                "kafka.security_protocol: must be one of {protocols}, not {security_protocol}",
                protocols=", ".join(PROTOCOLS),
                security_protocol=repr(s.security_protocol),
            )
        )
    if (s.certificate_file is None) != (s.key_file is None):
        faults.append(message("kafka.certificate_file and kafka.key_file: give both or neither"))
    return faults + _login_faults(s)


def _login_faults(s: KafkaSettings) -> list[str]:
    """What is wrong with how to log in."""
    faults = []
    if "SASL" in s.security_protocol:
        if s.sasl_mechanism not in MECHANISMS:
            faults.append(
                message(
                    "kafka.sasl_mechanism: must be one of {mechanisms}, not {sasl_mechanism}",
                    mechanisms=", ".join(MECHANISMS),
                    sasl_mechanism=repr(s.sasl_mechanism),
                )
            )
        if (
            s.security_protocol == "SASL_PLAINTEXT"
            and s.sasl_mechanism == "PLAIN"
            and not all(is_this_machine(parse_server(server)[0]) for server in s.servers)
        ):
            faults.append(
                message(
                    "kafka.security_protocol: SASL_PLAINTEXT with PLAIN sends the password in the clear: say SASL_SSL, or a SCRAM mechanism"
                )
            )
        if not s.user or not s.password:
            faults.append(
                message(
                    "kafka.user: {security_protocol} needs a user, and a password from the environment or a file",
                    security_protocol=s.security_protocol,
                )
            )
    elif s.user or s.sasl_mechanism:
        faults.append(
            message(
                "kafka.user: {security_protocol} knows no user: say security_protocol = 'SASL_SSL'", security_protocol=s.security_protocol
            )
        )
    return faults
