"""Ports of loopback for the servers of tests that have to be told theirs, and that are killed and started again on it.

Leaves: ports that nobody listens on, below those that Linux gives to outgoing connections and to whoever binds to port 0: so none is lost to a
connection between being chosen and being listened on, or while its server is away. A lock on a file keeps them from other test processes until this
one ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

LOWEST, HIGHEST = 12_000, 32_000
_held: list[int] = []
"""The open locks: they last as long as the process."""


def free_ports(count: int) -> list[int]:
    """So many ports, each different, for this process alone."""
    found: list[int] = []
    chance = random.SystemRandom()
    while len(found) < count:
        port = chance.randrange(LOWEST, HIGHEST)
        if _take(port):
            found.append(port)
    return found


def free_port() -> int:
    """A port for this process alone."""
    return free_ports(1)[0]


def _take(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"esep-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError), socket.socket() as tried:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.bind(("127.0.0.1", port))
        _held.append(lock)
        return True
    os.close(lock)
    return False
