"""Appends one allocation to Esep's log on Kafka, as a pool's own software may: the published event (docs/events.schema.json), and nothing of Esep.

    python kafka_producer.py 127.0.0.1:9092 esep my-pool

Arguments: the cluster, the log's prefix, the pool's key. An event is a record of the topic PREFIX.ledger: its key is the pool's, its header `id` names it, its value is JSON. An id must
never stand for two contents; a changed row comes under a new id with the next `version`. Amounts are whole base units as text, instants microseconds since the Unix epoch, UTC.
Not for a log with keys (`[keys] root`): there every append is signed, and the push API is the way in.
"""

from __future__ import annotations

import json
import sys

from kafka import KafkaProducer


def allocation(allocation_id: str, account: str, satoshi: int, at_us: int, version: int = 1) -> tuple[str, bytes]:
    """The event of one allocation: its id, and its bytes."""
    event = {
        "type": "allocations",
        "id": f"own-software:{allocation_id}:{version}",
        "schema": 1,
        "source": "own-software",
        "rows": {
            "allocation_id": [allocation_id],
            "version": [version],
            "account": [account],
            "asset": ["BTC"],
            "allocated_at": [at_us],
            "amount": [str(satoshi)],
            "commission_asset": [None],
            "commission_amount": [None],
            "commission_currency": [None],
            "commission_currency_amount": [None],
        },
    }
    return str(event["id"]), json.dumps(event).encode()


def main(servers: str, prefix: str, pool: str) -> None:
    """Append one event, durable on every replica when this returns."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    event_id, value = allocation("A-1", "acct-1", 1_234_560, 1_791_194_400_000_000)
    producer.send(f"{prefix}.ledger", key=pool.encode(), value=value, headers=[("id", event_id.encode())]).get(30)
    producer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
