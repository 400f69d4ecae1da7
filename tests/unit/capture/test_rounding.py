"""Amounts rounded on the running sum: never above the exact sum, less than a unit below, and in the order in which they came."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.rounding import RunningSum


def test_a_third_each_adds_up() -> None:
    total = RunningSum()
    for key in "abc":
        total.set(key, Fraction(10, 3))
    assert total.changed() == {"a": 3, "b": 3, "c": 4}
    total.set("a", Fraction(0))
    assert total.changed() == {"a": 0, "c": 3}  # the zeroed one is 0 whatever the sum is
    assert [total.units(key) for key in "abc"] == [0, 3, 3]
    total.set("b", None)
    assert total.changed() == {}
    assert total.units("b") == 0


def test_whole_amounts_do_not_touch_each_other() -> None:
    total = RunningSum()
    total.set("a", Fraction(5))
    total.set("b", Fraction(7))
    assert total.changed() == {"a": 5, "b": 7}
    total.set("a", Fraction(6))
    assert total.changed() == {"a": 6}


@given(st.lists(st.fractions(min_value=0, max_value=10**6, max_denominator=10**6), max_size=30))
def test_the_rounded_sum_is_the_exact_sum_rounded_down(amounts: list[Fraction]) -> None:
    total = RunningSum()
    for number, amount in enumerate(amounts):
        total.set(str(number), amount)
        total.changed()
        assert sum(total.units(str(n)) for n in range(number + 1)) == sum(amounts[: number + 1], Fraction(0)).__floor__()
