"""Long work of one process, one at a time, with its progress: what a page starts and follows, and a request never waits for.

Enters: what to do, as a function of a `Told`. Leaves: `Task`s by id: waiting, running, done with a result, or failed with the program's own words. Nothing is kept after the process ends: what a task
did stands in the log. Left out: pages (`web`).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.model.errors import EsepError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.model.system_words import trouble_text

KEPT = 100
"""Tasks that are remembered; the oldest finished ones are forgotten."""

TaskState = Literal["waiting", "running", "done", "failed"]
_journal = Journal("esep")


@dataclass
class Task:
    """One piece of work. Its fields grow while it runs."""

    id: str
    title: str
    by: str
    then: str
    """The page that shows its result."""
    begun_at: int
    state: TaskState = "waiting"
    step: str = ""
    """What is done now, in words."""
    done: int = 0
    total: int = 0
    """Progress of the step; 0: not known."""
    result: Any = field(default=None, repr=False)
    trouble: str = ""
    ended_at: int | None = None

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed")


class Told:
    """How work tells how far it is."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def step(self, words: str) -> None:
        """What is done next."""
        self._task.step, self._task.done, self._task.total = words, 0, 0

    def progress(self, done: int, total: int) -> None:
        """How far the step is."""
        self._task.done, self._task.total = done, max(done, total)


class Tasks:
    """The tasks of one process: one runs at a time, since they use the pool's stores. Thread-safe."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="task")

    def start(self, title: str, work: Callable[[Told], Any], *, by: str, then: str) -> Task:
        """Begin work as soon as the work before it is done. `then`: the page that shows its result, with `{id}` for the task's id."""
        name = secrets.token_urlsafe(12)
        task = Task(name, title, by, then.replace("{id}", name), self._now())
        with self._lock:
            over = [one for one in self._tasks.values() if one.is_over]
            for old in over[: max(len(self._tasks) - KEPT + 1, 0)]:
                del self._tasks[old.id]
            self._tasks[name] = task
        self._worker.submit(self._run, task, work)
        return task

    def find(self, name: str) -> Task | None:
        """A task by its id; None for one that was forgotten."""
        with self._lock:
            return self._tasks.get(name)

    def result(self, name: str | None, kind: type[Any]) -> Any:
        """The result of a finished task, where it is of this kind; else None."""
        task = self.find(name) if name else None
        return task.result if task is not None and task.state == "done" and isinstance(task.result, kind) else None

    def listed(self) -> list[Task]:
        """Those remembered, the newest first."""
        with self._lock:
            return list(reversed(self._tasks.values()))

    def close(self) -> None:
        """Let the task that runs end, and begin no other."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: Task, work: Callable[[Told], Any]) -> None:
        task.state = "running"
        try:
            task.result = work(Told(task))
            task.state = "done"
        except (EsepError, OSError) as error:
            task.trouble, task.state = trouble_text(error), "failed"
        except Exception as error:  # noqa: BLE001 - the outermost frame of the worker's thread: a defect must not stop the tasks after it
            _journal.exception("task-failed", task=task.title, error=type(error).__name__)
            task.trouble, task.state = (
                message("a defect of the program ({error}): it stands in the log of the process", error=type(error).__name__),
                "failed",
            )
        finally:
            task.ended_at = self._now()
