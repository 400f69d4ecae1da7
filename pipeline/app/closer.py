"""Who may close a pool's months: one process at a time; a second one is refused.

Enters: the settings. Leaves: a lock, held until the `with` block or the process ends. The writer fence of topic `months` can't serve as this
lock: commands of people append to that topic, too, and each would fence the closer (ADR 8). Left out: that no step is taken twice, which the
log ensures (ADR 5).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.model.errors import FencedError
from pipeline.model.message import message
from pipeline.settings import Settings

from .open_log import is_on_kafka, kafka_settings_of

Check = Callable[[], None]
"""Called before each look: raises FencedError if another process holds the lock now."""


@contextlib.contextmanager
def sole_closer(settings: Settings) -> Iterator[Check]:
    """Hold the lock for closing the pool's months. Raises FencedError, naming the holder if known, when another process has it.

    An embedded log is used on one machine, so the lock is a file lock beside it. On a cluster it is membership in a consumer group of the
    pool: a holder that died is waited for until its session times out.
    """
    with contextlib.ExitStack() as held:
        if is_on_kafka(settings):
            from connectors.log_kafka.closer import KafkaCloser

            yield held.enter_context(KafkaCloser(kafka_settings_of(settings), settings.pool.key)).check
        else:
            held.enter_context(_locked(closer_file(settings), settings.pool.key))
            yield _always


def closer_file(settings: Settings) -> Path:
    """The lock file of an embedded log's closer."""
    return settings.log_path.with_name(f"{settings.log_path.name}.closer-{settings.pool.key}")


@contextlib.contextmanager
def _locked(path: Path, pool: str) -> Iterator[None]:
    """Hold the lock on the file, created if missing; it contains the holder's process id."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 100).decode(errors="replace").strip() or message("another process")
            raise FencedError(
                message(
                    "the months of pool {pool} are closed by {holder} already, and only one process may: stop that one, or leave closing to it (`esep run` closes months where [closing] in_run is true, `esep schedule` does elsewhere)",
                    pool=repr(pool),
                    holder=holder,
                )
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _always() -> None:
    """A file lock can't be lost, so there is nothing to check."""
