"""A recorded node, served back over its real JSON-RPC and REST on the loopback (`ReplayNode`)."""

from .node import ReplayNode

__all__ = ["ReplayNode"]
