"""TLS, mutual TLS, SCRAM, and the least rights of `docs/kafka.md`, on Apache Kafka itself: each process can do its own work and no more."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from connectors.log_kafka import KafkaLog, KafkaSettings, alter_topics, make_topics, open_kafka_log, require_topics
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError

from .kafka_cluster import KafkaCluster, why_not

pytestmark = pytest.mark.live

USERS = ("admin", "maker", "watch", "import", "decide", "console", "ingest", "stranger")
ONE = {"partitions": 2, "replication_factor": 1, "min_insync_replicas": 1, "timeout_s": 15}


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificates(folder: Path) -> None:
    """An authority `ca.pem`; and for `broker` and `client` a key, a certificate, and both in one file as brokers read them."""
    _openssl(
        folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA"
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", "client"):
        _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
        (folder / f"{name}.both").write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.pem").read_text())


def _cluster(folder: Path, protocol: str, settings: dict[str, str], scram: tuple[str, ...] = ()) -> KafkaCluster:
    certificates(folder)
    listener = "listener.name.client."
    given = {
        f"{listener}ssl.keystore.type": "PEM",
        f"{listener}ssl.keystore.location": str(folder / "broker.both"),
        f"{listener}ssl.truststore.type": "PEM",
        f"{listener}ssl.truststore.location": str(folder / "ca.pem"),
        **{f"{listener}{key}": value for key, value in settings.items() if not key.startswith("!")},
        **{key[1:]: value for key, value in settings.items() if key.startswith("!")},
    }
    return KafkaCluster(folder / "kafka", protocol=protocol, settings=given, scram=scram)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A broker that knows its users by SCRAM over TLS and lets nobody do what it was not given; its address, the folder of certificates."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tmp_path_factory.mktemp("secured"))
    settings = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "!authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "!super.users": "User:admin;User:ANONYMOUS",
    }
    scram = tuple(f"SCRAM-SHA-512=[name={user},password={user}-secret]" for user in USERS)
    cluster = _cluster(folder, "SASL_SSL", settings, scram)
    try:
        cluster.start()
        grant(as_user((cluster.servers, folder), "admin"))
        yield cluster.servers, folder
    finally:
        cluster.stop()


def as_user(secured: tuple[str, Path], user: str, *, password: str | None = None) -> KafkaLog:
    servers, folder = secured
    table = ONE | {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "user": user, "ca_file": str(folder / "ca.pem")}
    return open_kafka_log(f"kafka://{servers}/esep", table, password=password or f"{user}-secret")


def grant(log: KafkaLog) -> None:
    """The rights that `docs/kafka.md` lists, and no other."""
    op, prefixed, literal = ACLOperation, ACLResourcePatternType.PREFIXED, ACLResourcePatternType.LITERAL

    def allow(user: str, kind: ResourceType, name: str, pattern: ACLResourcePatternType, *operations: ACLOperation) -> list[ACL]:
        resource = ResourcePattern(kind, name, pattern)
        return [ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, resource) for operation in operations]

    acls = allow("maker", ResourceType.TOPIC, "esep.", prefixed, op.CREATE, op.DESCRIBE, op.DESCRIBE_CONFIGS, op.ALTER_CONFIGS)
    for user in ("watch", "import", "decide", "console", "ingest"):
        acls += allow(user, ResourceType.TOPIC, "esep.", prefixed, op.READ, op.DESCRIBE, op.DESCRIBE_CONFIGS)
    writes = {"watch": ["chain"], "import": ["ledger", "registry"], "decide": ["months"], "console": ["audit"]}
    for user, topics in writes.items():
        for topic in topics:
            acls += allow(user, ResourceType.TOPIC, f"esep.{topic}", literal, op.WRITE)
            name, pattern = (f"esep.{topic}/pool/", prefixed) if topic == "chain" else (f"esep.{topic}/pool", literal)
            acls += allow(user, ResourceType.TRANSACTIONAL_ID, name, pattern, op.WRITE, op.DESCRIBE)
    admin = KafkaAdminClient(**log.settings.client())
    try:
        admin.create_acls(acls)
    finally:
        admin.close()


def test_each_process_does_its_work_with_the_least_rights_and_no_more(secured: tuple[str, Path]):
    with as_user(secured, "maker") as maker:
        assert len(make_topics(maker.settings)) == 5
        assert alter_topics(maker.settings) == []
    work = {"watch": ("chain", "pool/bitcoin"), "import": ("ledger", "pool"), "decide": ("months", "pool"), "console": ("audit", "pool")}
    for user, (topic, key) in work.items():
        with as_user(secured, user) as log:
            require_topics(log.settings)
            with log.writer(topic, key) as writer:
                assert writer.append([NewEvent("e1", b"{}")]) == 1
                assert writer.append([NewEvent("e1", b"{}")]) == 0
            other_topic, other_key = work["import" if user == "watch" else "watch"]
            with pytest.raises(LogError, match=r"docs/kafka\.md"), log.writer(other_topic, other_key) as writer:
                writer.append([NewEvent("e1", b"{}")])
    with as_user(secured, "import") as log, log.writer("registry", "pool") as writer:
        assert writer.append([NewEvent("e1", b"{}")]) == 1
    with as_user(secured, "watch") as log, pytest.raises(LogError, match=r"docs/kafka\.md"):
        log.writer("chain", "another/bitcoin")
    with as_user(secured, "ingest") as log:
        require_topics(log.settings)
        assert [r.topic for r in log.read({})] == ["chain", "ledger", "registry", "months"]
        with pytest.raises(LogError, match=r"docs/kafka\.md"):
            log.writer("months", "pool")
        with pytest.raises(LogError, match=r"docs/kafka\.md"):
            make_topics(KafkaSettings(**{**vars(log.settings), "prefix": "esep.other"}))


def test_a_stranger_reads_nothing(secured: tuple[str, Path]):
    with as_user(secured, "stranger") as log, pytest.raises(LogError, match=r"docs/kafka\.md|there is no topic"):
        log.read({})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wrong_password_is_said(secured: tuple[str, Path]):
    with (
        as_user(secured, "ingest", password="not-it") as log,
        pytest.raises(LogError, match=r"check that they run .* user and password") as refused,
    ):
        log.read({})
    assert "not-it" not in str(refused.value)
    gc.collect()  # kafka-python leaves refused sockets to the garbage collector, which warns of them here


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mutual_tls(tmp_path: Path):
    if reason := why_not():
        pytest.skip(reason)
    cluster = _cluster(tmp_path, "SSL", {"ssl.client.auth": "required"})
    try:
        cluster.start()
        table = ONE | {"security_protocol": "SSL", "ca_file": str(tmp_path / "ca.pem")}
        own = {"certificate_file": str(tmp_path / "client.pem"), "key_file": str(tmp_path / "client.key")}
        with open_kafka_log(f"kafka://{cluster.servers}/esep", table | own) as log:
            make_topics(log.settings)
            with log.writer("chain", "pool/bitcoin") as writer:
                writer.append([NewEvent("e1", b"{}")])
            assert [r.id for r in log.read({})] == ["e1"]
        with open_kafka_log(f"kafka://{cluster.servers}/esep", table | {"timeout_s": 2}) as nobody, pytest.raises(LogError):
            nobody.read({})
        gc.collect()  # kafka-python leaves refused sockets to the garbage collector, which warns of them here
    finally:
        cluster.stop()
