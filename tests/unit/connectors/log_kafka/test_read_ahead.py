"""A batch that is read ahead is given to who asks for just that, once; errors are left to who asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.log_kafka.read_ahead import ReadAhead
from pipeline.log.protocol import Record
from pipeline.model.errors import LogError

BATCH = [Record("ledger", 0, 7, "pool", "e7", b"{}")]


@pytest.fixture
def ahead() -> Iterator[ReadAhead[int]]:
    def read(request: int) -> list[Record]:
        if request < 0:
            raise LogError("the brokers are away")
        return BATCH if request else []

    made = ReadAhead(read)
    yield made
    made.close()


def test_what_was_read_ahead_is_given_once(ahead: ReadAhead[int]) -> None:
    assert ahead.take(1) == [], "nothing was read ahead"
    ahead.begin(1)
    assert ahead.take(1) == BATCH
    assert ahead.take(1) == []


def test_another_request_gets_nothing_of_it(ahead: ReadAhead[int]) -> None:
    ahead.begin(1)
    assert ahead.take(2) == []
    assert ahead.take(1) == [], "it was let go"


def test_one_batch_at_a_time(ahead: ReadAhead[int]) -> None:
    ahead.begin(1)
    ahead.begin(2)
    assert ahead.take(1) == BATCH and ahead.take(2) == []


def test_an_error_is_left_to_who_asks(ahead: ReadAhead[int]) -> None:
    ahead.begin(-1)
    assert ahead.take(-1) == []
