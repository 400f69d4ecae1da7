"""The HTTP server for other rooms: exported here, because only `app/` may import connectors."""

from __future__ import annotations

from connectors.transport.server import HttpServer, Request, Response

__all__ = ["HttpServer", "Request", "Response"]
