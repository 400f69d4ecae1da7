"""A change of the registry on a day that nobody knows blocks the month where something of the days in doubt depends on it, and no other (ADR 22)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from pipeline.model.months import Month

from .small_world import World, a_pool, issues_of

ACCOUNT, WALLET = "undated:accounts:2026-10-10:2026-10-12:a@1.2", "undated:wallets:2026-10-10:2026-10-12:addr-a,addr-n@7.2"


def doubtful(item: str) -> World:
    world = a_pool()
    world.add("source_items", source="people", item=item, code="registry-undated", date=date(2026, 10, 10), detail="changed")
    return world


def allocated(account: str, when: str) -> Callable[[World], object]:
    return lambda world: world.allocate("X", account, when, 5)


def sent(address: str, when: str) -> Callable[[World], object]:
    return lambda world: world.block(when).transaction("t", [(address, 5)])


def paid(account: str, address: str, when: str) -> Callable[[World], object]:
    return lambda world: world.pay("P", account, address, 5, "t", when)


@pytest.mark.parametrize(
    ("item", "use", "is_blocking"),
    [
        (ACCOUNT, lambda world: None, False),
        (ACCOUNT, allocated("a", "10-10 00:00"), True),
        (ACCOUNT, allocated("a", "10-11 23:59"), True),
        (ACCOUNT, allocated("a", "10-12 00:00"), False),  # seen changed that day: it counts from then on, certainly
        (ACCOUNT, allocated("a", "10-09 23:59"), False),
        (ACCOUNT, allocated("b", "10-11 00:00"), False),
        (ACCOUNT, paid("a", "elsewhere", "10-11 00:00"), True),
        (WALLET, lambda world: None, False),
        (WALLET, sent("addr-n", "10-11 10:00"), True),
        (WALLET, sent("addr-b", "10-11 10:00"), False),
        (WALLET, paid("b", "addr-a", "10-11 10:00"), True),
        (WALLET, allocated("a", "10-11 10:00"), True),  # whose wallet is printed where it is not paid yet
        (WALLET, allocated("b", "10-11 10:00"), False),
        ("undated:something else", lambda world: None, True),  # what can't be read is told
    ],
)
def test_it_blocks_where_it_is_used(item: str, use: Callable[[World], object], is_blocking: bool) -> None:
    world = doubtful(item)
    use(world)
    assert issues_of(world.enrich(), "registry-undated") == ([f"people:{item}"] if is_blocking else [])


def test_days_in_doubt_of_two_months_block_those_in_which_they_are_used() -> None:
    item = "undated:accounts:2026-10-30:2026-11-03:a@1.2"
    world = doubtful(item)
    world.allocate("X", "a", "11-02 10:00", 5)
    assert not issues_of(world.enrich(), "registry-undated")
    assert issues_of(world.enrich(Month(2026, 11)), "registry-undated") == [f"people:{item}"]
