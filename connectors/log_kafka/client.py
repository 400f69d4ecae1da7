"""Opens kafka-python clients without leaking resources on failure.

kafka-python connects in a client's constructor; when no broker answers it raises, but leaves its thread running. `open_client` then
stops the thread and closes its connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient

Client = TypeVar("Client")


def open_client(kind: Callable[..., Client], **config: Any) -> Client:
    """`kind(**config)`: a `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`. Raises kafka-python's errors."""
    networks: list[Any] = []

    def network(**given: Any) -> Any:
        networks.append(KafkaNetClient(**given))
        return networks[-1]

    try:
        return kind(kafka_client=network, **config)
    except BaseException:
        for made in networks:
            made.close()
        raise
