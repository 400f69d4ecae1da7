"""What the opening line in a bundle says of each allocation and credit, and that one month's closing line is the next one's opening line."""

from __future__ import annotations

import hashlib

from pipeline.assess.opening_line import LINE, digest_of_line, printed_line
from pipeline.model.months import Month
from pipeline.render.canonical import table_csv

from ..enrich.small_world import ANNA, BORAT, OCTOBER, World, at

NOVEMBER = Month(2026, 11)
A = "a" * 64


def a_year() -> World:
    """Anna is owed what one opening and two allocations are, in part; Borat was paid ahead by two payments."""
    world = World().miner(ANNA, "a", "addr-a").miner(BORAT, "b", "addr-b").block("09-01 00:00").block("10-20 12:00")
    world.opening("a", 10_000, "09-30 00:10")
    world.allocate("A2", "a", "10-05 00:30", 70_000)
    world.allocate("A1", "a", "10-01 00:30", 50_000)
    world.allocate("B1", "b", "10-01 00:30", 20_000)
    world.transaction(A, [("addr-a", 30_000), ("addr-b", 50_000)])
    world.pay("PA", "a", "addr-a", 30_000, A, "10-20 11:00")
    world.pay("PB1", "b", "addr-b", 30_000, A, "10-20 11:00")
    world.pay("PB2", "b", "addr-b", 20_000, A, "10-20 11:00")
    world.block("10-31 23:50").block("11-20 12:00")
    return world


def test_each_line_has_its_place_and_what_is_left() -> None:
    printed = printed_line(a_year().enrich(NOVEMBER).opening_line)
    assert printed.columns == list(LINE) and dict(printed.schema) == LINE
    instant = at("10-20 12:00") * 1_000_000
    assert printed_line(a_year().enrich(NOVEMBER).opening_line, 1).rows() == [
        (ANNA, "BTC", 1, "allocation", "A1", None, None, None, at("10-01 00:30") * 1_000_000, "50000", "30000"),
        (ANNA, "BTC", 2, "allocation", "A2", None, None, None, at("10-05 00:30") * 1_000_000, "70000", "70000"),
        (BORAT, "BTC", 1, "credit", "PB1", A, "addr-b", None, instant, "30000", "10000"),
        (BORAT, "BTC", 2, "credit", "PB2", A, "addr-b", None, instant, "20000", "20000"),
    ]
    begins = printed_line(a_year().enrich(OCTOBER).opening_line)
    assert begins.select("kind", "id", "left_units").rows() == [("opening", "opening:a:BTC", "10000")]


def test_a_month_closes_with_what_the_next_opens_with() -> None:
    october, november = (a_year().enrich(month) for month in (OCTOBER, NOVEMBER))
    file = table_csv(printed_line(november.opening_line))
    assert (
        digest_of_line(printed_line(october.closing_line))
        == digest_of_line(printed_line(november.opening_line))
        == hashlib.sha256(file).hexdigest()
    )
    assert digest_of_line(printed_line(october.opening_line)) != digest_of_line(printed_line(october.closing_line))


def test_credits_before_the_first_allocation_of_all_are_in_no_line() -> None:
    """They settle nothing (rule 6.4): a month without an allocation yet closes with what the first month of allocations opens with."""
    world = World().miner(BORAT, "b", "addr-b").block("09-01 00:00").block("09-20 12:00")
    world.transaction(A, [("addr-b", 50_000)])
    world.pay("PB", "b", "addr-b", 50_000, A, "09-20 11:00")
    world.block("09-30 23:50").block("10-20 12:00")
    world.allocate("B1", "b", "10-01 00:30", 20_000)
    september, october = (world.enrich(month) for month in (Month(2026, 9), OCTOBER))
    assert september.starts_at == 0 < october.starts_at
    assert (
        digest_of_line(printed_line(september.closing_line))
        == digest_of_line(printed_line(october.opening_line))
        == digest_of_line(printed_line(october.opening_line))
    )


def test_a_month_with_nothing_open_has_a_line_of_its_head_alone() -> None:
    printed = printed_line(World().miner(ANNA, "a", "addr-a").block("09-01 00:00").enrich(OCTOBER).opening_line)
    assert table_csv(printed) == ",".join(LINE).encode() + b"\n"
    assert digest_of_line(printed) == hashlib.sha256(table_csv(printed)).hexdigest()
