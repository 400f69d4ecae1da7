"""Stand-ins for upstream pools' APIs, built from their documents and clients (docs/sources.md): logins, pages, limits, states. Unproved against the real services.

Each serves what `Service` holds; a test changes it while it is read, and has the service misbehave.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Service:
    """What an upstream holds, and how it behaves."""

    def __init__(self) -> None:
        self.transactions: list[dict[str, Any]] = []
        self.earnings: list[dict[str, Any]] = []
        self.payouts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.troubles: list[tuple[int, dict[str, str], bytes]] = []
        """Answers given instead of the next ones: status, headers, body."""
        self.between_pages: list[Any] = []
        """Called after a page was made up, one after each."""
        self.url = ""


def luxor(service: Service, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """Luxor v2: the key begins with api-; sub-accounts or a site, and dates, are needed; pages from 1."""
    if not headers.get("authorization", "").startswith("api-"):
        return 401, {"statusCode": 401, "error": "Unauthorized", "message": "Invalid or missing API key"}
    if path != "/v2/pool/transactions/BTC" or not query.get("subaccount_names") or not (query.get("start_date") and query.get("end_date")):
        return 400, {"statusCode": 400, "error": "Bad Request"}
    rows = [row for row in service.transactions if row["subaccount_name"] in query["subaccount_names"].split(",")]
    page, size = int(query.get("page_number", 1)), int(query.get("page_size", 10))
    begin = (page - 1) * size
    more = begin + size < len(rows)
    pagination = {
        "page_number": page,
        "page_size": size,
        "item_count": len(rows),
        "previous_page_url": None,
        "next_page_url": "next" if more else None,
    }
    return 200, {"transactions": rows[begin : begin + size], "pagination": pagination}


def f2pool(service: Service, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """F2Pool v2: POST alone, errors as code and msg."""
    if headers.get("f2p-api-secret") != "token":
        return 200, {"code": 5010, "msg": "permission denied"}
    asked = json.loads(body)
    if path != "/v2/assets/transactions/list" or not asked.get("mining_user_name"):
        return 200, {"code": 5001, "msg": "invalid params"}
    rows = [
        row
        for row in service.transactions
        if row.get("_user") in (None, asked["mining_user_name"])
        and row["type"].startswith(asked["type"])
        and asked["start_time"] <= row["created_at"] <= asked["end_time"]
    ]
    return 200, {"transactions": rows}


def sbi(service: Service, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """SBI Crypto: two headers; pages from 0, and one past the end is empty."""
    if (headers.get("x-api-key"), headers.get("x-api-secret")) != ("token", "secret"):
        return 403, {"message": "Forbidden"}
    rows = {"/api/external/v2/earnings": service.earnings, "/api/external/v1/payouts": service.payouts}[path]
    page, size = int(query["page"]), int(query.get("size", 20))
    return 200, {"content": rows[page * size : (page + 1) * size]}


def braiins(service: Service, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """Braiins: rewards by day, payouts by way."""
    if headers.get("pool-auth-token") != "token":
        return 401, {}
    if path == "/accounts/rewards/json/btc":
        return 200, {"btc": {"daily_rewards": service.earnings}}
    return 200, {"btc": {"onchain": service.payouts, "lightning": []}}


def ocean(service: Service, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    """OCEAN: no login; a user's earnings and payouts."""
    user = path.split("/")[3]
    return 200, {
        "result": {
            "earnings": [r for r in service.earnings if r["_user"] == user],
            "payouts": [r for r in service.payouts if r["_user"] == user],
        }
    }


ANSWERS = {"luxor": luxor, "f2pool": f2pool, "sbi": sbi, "braiins": braiins, "ocean": ocean}


@contextmanager
def serving(kind: str) -> Iterator[Service]:
    """The service on a loopback port."""
    service, answer = Service(), ANSWERS[kind]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            place = urlsplit(self.path)
            service.asked.append(self.path)
            if service.troubles:
                status, extra, sent = service.troubles.pop(0)
            else:
                query = {name: values[0] for name, values in parse_qs(place.query).items()}
                status, found = answer(service, place.path, query, {name.lower(): value for name, value in self.headers.items()}, body)
                extra, sent = {"Content-Type": "application/json"}, json.dumps(found).encode()
            if service.between_pages:  # before the answer goes out: the next request comes after it
                service.between_pages.pop(0)()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(sent)), "Connection": "close", **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
