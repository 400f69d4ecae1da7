"""Wake-ups: at the start, at points, every so often; one look at a time; a failed look ends it."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.schedule import keep_looking


def test_it_looks_at_the_start_and_at_points_that_move() -> None:
    stop = threading.Event()
    looks: list[float] = []
    begun = time.time()

    def look() -> None:
        looks.append(time.time() - begun)
        if len(looks) == 3:
            stop.set()

    keep_looking(look, stop, every_s=3600, points=lambda: [0, int(time.time()) + 1], now=lambda: int(time.time()))
    assert len(looks) == 3 and looks[0] < 0.9 and looks[-1] > 1


def test_it_looks_every_so_often_and_never_twice_at_once() -> None:
    stop = threading.Event()
    inside = threading.Lock()
    looks: list[int] = []

    def look() -> None:
        assert inside.acquire(blocking=False), "two looks at once"
        time.sleep(0.3)
        looks.append(1)
        inside.release()
        if len(looks) == 3:
            stop.set()

    keep_looking(look, stop, every_s=1, points=lambda: [int(time.time()) + 1], now=lambda: int(time.time()))
    assert len(looks) == 3


def test_a_look_that_fails_is_raised_here() -> None:
    def look() -> None:
        raise RuntimeError("the log is gone")

    with pytest.raises(RuntimeError, match="the log is gone"):
        keep_looking(look, threading.Event(), every_s=1, points=list, now=lambda: 0)
