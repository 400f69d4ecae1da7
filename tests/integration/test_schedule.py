"""Wake-ups: at the start, at points, every so often; one look at a time; a failed look ends it."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.service.schedule import look_on_schedule


def test_it_looks_at_the_start_and_at_points_that_move() -> None:
    """No interval comes within the test: every look after the first is a point's."""
    stop = threading.Event()
    asked: list[int] = []
    looks: list[int] = []

    def points() -> list[int]:
        asked.append(int(time.time()) + 1)
        return [0, asked[-1]]

    def look() -> None:
        looks.append(int(time.time()))
        if len(looks) == 3:
            stop.set()

    look_on_schedule(look, stop, every_s=86_400, points=points, now=lambda: int(time.time()))
    assert len(looks) == 3
    assert all(at >= point for at, point in zip(looks[1:], asked, strict=False)), "no look before its point"


def test_a_point_that_comes_while_we_look_wakes_us_at_once() -> None:
    """The first look lasts past the only point, as a freeze may on a slow machine."""
    stop = threading.Event()
    clock = [100]
    looks: list[int] = []

    def look() -> None:
        looks.append(clock[0])
        clock[0] = 200
        if len(looks) == 2:
            stop.set()

    look_on_schedule(look, stop, every_s=86_400, points=lambda: [150], now=lambda: clock[0])
    assert looks == [100, 200]


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

    look_on_schedule(look, stop, every_s=1, points=lambda: [int(time.time()) + 1], now=lambda: int(time.time()))
    assert len(looks) >= 3


def test_a_look_that_fails_is_raised_here() -> None:
    def look() -> None:
        raise RuntimeError("the log is gone")

    with pytest.raises(RuntimeError, match="the log is gone"):
        look_on_schedule(look, threading.Event(), every_s=1, points=list, now=lambda: 0)
