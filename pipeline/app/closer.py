"""Who may close a pool's months: one process at a time; a second one is refused.

Enters: the settings. Leaves: the right, held until the block ends or the process does. The writer's fence of topic `months` can't say
this: people append to that topic, too, and each of them would fence the closer (ADR 8). Left out: that no step is taken twice, whoever
closes: that is the log's to see to (ADR 5).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.model.errors import FencedError
from pipeline.settings import Settings

from .open_log import is_on_kafka, kafka_settings_of

Check = Callable[[], None]
"""Asked before each look: raises FencedError when the right went to another process meanwhile."""


@contextlib.contextmanager
def sole_closer(settings: Settings) -> Iterator[Check]:
    """Hold the right to close the pool's months. Raises FencedError when another process has it, and says which as far as known.

    An embedded log is one machine's, so the system's lock on a file beside it decides at once. On a cluster, membership in a group of the
    pool's own does: a holder that died is waited for.
    """
    with contextlib.ExitStack() as held:
        if is_on_kafka(settings):
            from connectors.log_kafka.closer import KafkaCloser

            yield held.enter_context(KafkaCloser(kafka_settings_of(settings), settings.pool.key)).check
        else:
            held.enter_context(_locked(closer_file(settings), settings.pool.key))
            yield _always


def closer_file(settings: Settings) -> Path:
    """The file whose lock the closer of an embedded log holds."""
    return settings.log_path.with_name(f"{settings.log_path.name}.closer-{settings.pool.key}")


@contextlib.contextmanager
def _locked(path: Path, pool: str) -> Iterator[None]:
    """Hold the lock on the file, made when it is not there; the process's number stands in it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 100).decode(errors="replace").strip() or "another process"
            raise FencedError(
                f"the months of pool {pool!r} are closed by {holder} already, and by one process at a time: end that one, or leave it to it "
                "(`esep run` closes months where [closing] in_run is true, `esep schedule` does elsewhere)"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _always() -> None:
    """A lock of the system's is not taken away."""
