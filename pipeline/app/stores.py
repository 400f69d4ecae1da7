"""Opens the stores that a month can be read from: the pool's live store, a private one, one as it was at a freeze.

Enters: the settings and the log. Leaves: open `Store`s, each filled as far as its docstring says. Left out: what is read from them (`months`).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.log.events.months import Frozen
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import EventLog, Positions
from pipeline.model.errors import LogError, StoreError, StoreLocked
from pipeline.model.folders import scratch_folder
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.store import Store
from pipeline.store.authenticity import bring_under_keys
from pipeline.store.of_log import is_of_log
from pipeline.store.queries import key_of_another_pool, newest_events
from pipeline.store.step import IngestStep

if TYPE_CHECKING:
    from pipeline.settings import Settings

OnBatch = Callable[[IngestStep, Positions], None]
"""Called with each committed batch, and the log's end when filling began."""
Progress = Callable[[int, int], None]
"""Called with the progress: how many are done, of how many."""


def no_progress(_done: int, _total: int) -> None:
    """Ignores the progress."""


_journal = Journal("esep")


class Stores:
    """One pool's stores. `close` deletes the private one."""

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self._settings = settings
        self._log = log
        self._until_close = contextlib.ExitStack()
        self._private: Path | None = None
        """The private store's file; None until `current` needs one."""
        self._compared: object | None = None
        """`Store.compared_with` of the private store, which is opened anew for each look."""
        self._held: tuple[Store, OnBatch] | None = None
        self.is_holding_live = threading.Event()
        """Set while this process holds the live store for its service."""

    def close(self) -> None:
        """Delete the private store, if there is one."""
        self._until_close.close()
        self._private = None

    @contextlib.contextmanager
    def live(self) -> Iterator[Store]:
        """The live store, as far as it was filled. Raises StoreLocked when another process has it, StoreError otherwise."""
        self._settings.store.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Store.open(self._settings.store.path) as store:
            yield store

    @contextlib.contextmanager
    def hold_live(self, on_batch: OnBatch) -> Iterator[Store]:
        """The live store, held while a service runs. `current` then gives it to other threads of this process, one at a time.

        `on_batch` is called for what `current` fills. The caller must hold the store's `lock` while it uses the connection. Errors as `live`.
        """
        with self.live() as store:
            self._held = (store, on_batch)
            self.is_holding_live.set()
            try:
                yield store
            finally:
                with store.lock:
                    self._held = None
                    self.is_holding_live.clear()

    @contextlib.contextmanager
    def private(
        self,
        until: Positions | None = None,
        on_progress: Progress = no_progress,
        *,
        keys: LogKeys | Literal["as the log"] | None = "as the log",
    ) -> Iterator[Store]:
        """An empty store filled from the log (up to `until`) and deleted afterwards (law 2). `keys` as in `Ingest`."""
        with scratch_folder(self._settings.var) as folder, Store.open(folder / "store.duckdb", is_scratch=True) as store:
            self.fill(store, until=until, on_progress=on_progress, keys=keys)
            yield store

    @contextlib.contextmanager
    def for_readers(self, on_progress: Progress = no_progress) -> Iterator[Store]:
        """A store for this block alone, begun as a copy of the published one and filled to the log's end; deleted afterwards (ADR 24)."""
        with scratch_folder(self._settings.var) as folder:
            path = folder / "store.duckdb"
            compared = self._copy_published(path)
            with Store.open(path, is_scratch=True) as store:
                store.compared_with = compared
                self.fill(store, on_progress=on_progress)
                yield store

    @contextlib.contextmanager
    def as_frozen(self, event: Frozen, on_progress: Progress = no_progress) -> Iterator[Store]:
        """A private store as of the version's freeze, also if the log was copied since (ADR 3), under the root key of then (ADR 14). Raises VerifyError."""
        keys = None if event.root is None else LogKeys(event.root, self._settings.pool.key)
        with contextlib.ExitStack() as stack:
            try:
                store = stack.enter_context(self.private(event.positions, on_progress=on_progress, keys=keys))
                is_there = not event.newest or newest_events(store.connection) == event.newest
            except LogError:
                if not event.newest:
                    raise
                is_there = False
            if not is_there:
                from pipeline.freeze.replay import positions_in_log

                stack.close()
                store = stack.enter_context(self.private(positions_in_log(event, self._log), on_progress=on_progress, keys=keys))
            yield store

    @contextlib.contextmanager
    def current(self, on_progress: Progress = no_progress) -> Iterator[Store]:
        """A store filled to the log's end: the live one, or a private one if another process has the live one open.

        A live store held by this process's service is locked meanwhile. The private store starts as a copy of the published one, is kept
        until `close`, and each call fills it further: only new events are read.
        """
        if (held := self._held) is not None:
            with held[0].lock:
                if self._held is held:
                    self.fill(held[0], on_progress=on_progress, on_batch=held[1])
                    yield held[0]
                    return
        with contextlib.ExitStack() as stack:
            if self._private is None:
                try:
                    store = stack.enter_context(self.live())
                except StoreLocked:
                    self._private = self._begin_private()
            if self._private is not None:
                store = stack.enter_context(Store.open(self._private))
                store.compared_with = self._compared
                stack.callback(self._remember_compared, store)
            self.fill(store, on_progress=on_progress)
            yield store

    def _begin_private(self) -> Path:
        path = self._until_close.enter_context(scratch_folder(self._settings.var)) / "store.duckdb"
        self._compared = self._copy_published(path)
        return path

    def _remember_compared(self, store: Store) -> None:
        self._compared = store.compared_with

    def _copy_published(self, path: Path) -> object | None:
        """Make a private store's file: a copy of the published store if that was filled from this log, else no file yet. `Store.compared_with` of the copy."""
        published = self._settings.store.published
        if not published.is_file():
            return None
        try:
            shutil.copyfile(published, path)
            path.chmod(0o600)
            with Store.open(path) as store:
                fits = is_of_log(store, self._log)
        except (OSError, StoreError) as error:
            _journal.warning("published-copy-not-used", path=str(published), reason=str(error))
            fits = False
        if not fits:
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".wal").unlink(missing_ok=True)
        return self._log if fits else None

    def fill(
        self,
        store: Store,
        *,
        until: Positions | None = None,
        on_progress: Progress = no_progress,
        on_batch: OnBatch = lambda _step, _end: None,
        keys: LogKeys | Literal["as the log"] | None = "as the log",
    ) -> int:
        """Fill the store to the log's end (or `until`); the number of records read. Raises LogError if the log ends before `until`.

        `on_batch` is called for every batch, and last for one that found nothing more to read. `keys` as in `Ingest`.
        """
        end = self._log.end()
        self._require_pool(store)
        if until is None and (nothing := self._lacks_nothing(store, end, keys)) is not None:
            on_batch(nothing, end)
            return 0
        from pipeline.store.ingest import Ingest

        ingest = Ingest(self._log, store, until=until, keys=keys)
        total = sum((until if until is not None else end).values())
        events = 0
        while not (step := ingest.step()).at_end:
            events += step.events
            on_progress(sum(step.positions.values()), total)
            on_batch(step, end)
        on_progress(sum(step.positions.values()), total)
        on_batch(step, end)
        last = ingest.catch_up()
        on_batch(last, end)
        return events + step.events + last.events

    def _require_pool(self, store: Store) -> None:
        """Raises StoreError when the store was filled for another pool: of a cluster's log this pool's part alone is read."""
        pool = self._settings.pool.key
        other = key_of_another_pool(store.connection, pool)
        if other is not None:
            raise StoreError(
                message(
                    "the store {path} was filled for pool {other}, and the settings have pool.key = {pool}: set pool.key back, or give pool {pool} a var of its own",
                    path=self._settings.store.path, other=repr(other), pool=repr(pool),
                )
            )  # fmt: skip

    def _lacks_nothing(self, store: Store, end: Positions, keys: LogKeys | Literal["as the log"] | None) -> IngestStep | None:
        """What a step of ingest finds when the store is filled to the log's end: nothing. None when there may be something to read."""
        positions = store.positions()
        if not positions or positions != {place: offset for place, offset in end.items() if offset}:
            return None
        bring_under_keys(store, self._log, self._log.keys if keys == "as the log" else keys)
        return IngestStep(0, 0, 0, positions, at_end=True)

    def publish(self, store: Store) -> Path:
        """Publish the analysts' read-only copy; its path."""
        from pipeline.store.publish import publish_copy

        return publish_copy(store, self._settings.store.published, mode=int(self._settings.store.published_mode, 8))
