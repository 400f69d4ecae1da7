"""Apache Kafka itself, on loopback: a KRaft cluster of one or three brokers, each of which can be killed (-9) and brought back.

Enters: Java 17 or newer and Maven on PATH; the jars come from Maven Central once and stay in the user's cache. Leaves:
brokers that listen on free ports, with small heaps. Storage is formatted by Kafka's own tool. Where a program is not on
the machine, `why_not()` says which.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..ports import free_ports

POM = Path(__file__).with_name("kafka_pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esep-tests"
CLUSTER_ID = "ZXNlcC10ZXN0LWNsdXN0ZQ"
JAVA = ("java", "-Xmx384m", "-Xms96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=CONTROLLER://127.0.0.1:{controller},INTERNAL://127.0.0.1:{internal},CLIENT://127.0.0.1:{client}
advertised.listeners=INTERNAL://127.0.0.1:{reached_internal},CLIENT://127.0.0.1:{reached}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:{protocol}
log.dirs={folder}/data
auto.create.topics.enable=false
default.replication.factor={replicas}
offsets.topic.num.partitions=3
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={min_isr}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={min_isr}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=10000
log.cleaner.enable=true
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
"""

LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:esep.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{1} %m%n
"""


def why_not() -> str | None:
    """Why no cluster can be had on this machine; None when it can."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            return f"no {program} on PATH: Apache Kafka needs Java 17 or newer, its jars come by Maven"
    try:
        _jars()
    except subprocess.SubprocessError as error:
        return f"Maven could not bring Apache Kafka's jars: {getattr(error, 'stdout', '') or error}"
    return None


def _jars() -> Path:
    """The folder with the server's jars, brought from Maven Central when it is not there yet."""
    folder = CACHE / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one brings them, the others wait for it
        if not folder.is_dir():
            fresh = CACHE / f"{folder.name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
            subprocess.run(command, check=True, timeout=280, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            fresh.rename(folder)
    return folder


class KafkaCluster:
    """Brokers numbered from 1. `settings` are added to every broker's; `protocol` is the client listener's (PLAINTEXT, SSL, …).

    `through` gives, for a broker and one of its ports, the port at which clients and other brokers reach it: a relay's, say.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        *,
        protocol: str = "PLAINTEXT",
        settings: Mapping[str, str] | None = None,
        scram: tuple[str, ...] = (),
        through: Callable[[int, int], int] = lambda node, port: port,
    ) -> None:
        self.folder = folder
        self.nodes = range(1, brokers + 1)
        self._scram = scram
        ports = free_ports(3 * brokers)
        self._client = dict(zip(self.nodes, ports[:brokers], strict=True))
        self._reached = {node: through(node, port) for node, port in self._client.items()}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        controllers, internals = ports[brokers : 2 * brokers], ports[2 * brokers :]
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in zip(self.nodes, controllers, strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.properties").write_text(LOG4J)
        for node in self.nodes:
            home = self._home(node)
            home.mkdir()
            text = SETTINGS.format(
                node=node, voters=voters, controller=controllers[node - 1], internal=internals[node - 1], client=self._client[node],
                reached=self._reached[node], reached_internal=through(node, internals[node - 1]),
                protocol=protocol, folder=home, replicas=min(3, brokers), min_isr=min(2, brokers),
            )  # fmt: skip
            extra = "".join(f"{key}={value}\n" for key, value in (settings or {}).items())
            (home / "server.properties").write_text(text + extra)

    @property
    def servers(self) -> str:
        """`host:port` of every broker, with commas between."""
        return ",".join(f"127.0.0.1:{port}" for port in self._reached.values())

    def start(self) -> None:
        """Format the storage and start every broker; returns when all of them listen."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(self._format, self.nodes))
        for node in self.nodes:
            self._spawn(node)
        for node in self.nodes:
            self._await(node)

    def kill(self, node: int) -> None:
        """End a broker as a power cut would (SIGKILL)."""
        process = self._processes.pop(node)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def revive(self, node: int) -> None:
        """Start a killed broker again on its own data; returns when it listens."""
        self._spawn(node)
        self._await(node)

    def is_up(self, node: int) -> bool:
        return node in self._processes and self._processes[node].poll() is None

    def stop(self) -> None:
        for node in list(self._processes):
            self.kill(node)

    def tool(self, main: str, *arguments: str, timeout_s: float = 180) -> str:
        """Run one of Kafka's own programs by its class; what it printed."""
        command = [*JAVA, "-cp", f"{_jars()}/*", main, *arguments]
        return subprocess.run(command, check=True, timeout=timeout_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    def _home(self, node: int) -> Path:
        return self.folder / f"broker-{node}"

    def _java(self, node: int) -> list[str]:
        home = self._home(node)
        log = [f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}", f"-Desep.log={home / 'server.log'}"]
        return [*JAVA, *log, "-cp", f"{_jars()}/*"]

    def _format(self, node: int) -> None:
        settings = str(self._home(node) / "server.properties")
        users = [part for user in self._scram for part in ("--add-scram", user)]
        command = [*self._java(node), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", settings, *users]
        subprocess.run(command, check=True, timeout=180, stdout=subprocess.DEVNULL)

    def _spawn(self, node: int) -> None:
        home = self._home(node)
        with (home / "out.log").open("ab") as out:
            self._processes[node] = subprocess.Popen(
                [*self._java(node), "kafka.Kafka", str(home / "server.properties")], stdout=out, stderr=subprocess.STDOUT, cwd=home
            )

    def _await(self, node: int, timeout_s: float = 180) -> None:
        until = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._client[node]), 1):
                return
            if not self.is_up(node) or time.monotonic() > until:
                told = "".join((self._home(node) / name).read_text()[-2000:] for name in ("out.log", "server.log"))
                raise RuntimeError(f"broker {node} did not start: {told}")
            time.sleep(0.1)
