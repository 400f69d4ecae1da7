"""The HTTP server that whatever the program serves of its own is served by: made known here, since only `app/` knows connectors."""

from __future__ import annotations

from connectors.transport.server import HttpServer, Request, Response

__all__ = ["HttpServer", "Request", "Response"]
