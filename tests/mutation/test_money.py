"""Amounts and numbers of persons at their edges (rules 2.1, 2.2, 4.5)."""

from __future__ import annotations

import pytest

from pipeline.model.amounts import from_units, to_units
from pipeline.model.miner_id import miner_id_fault


@pytest.mark.parametrize(("text", "decimals", "units"), [("0.29", 8, 29_000_000), ("1.13", 8, 113_000_000), ("12345678901234567890.00000001", 8, 1234567890123456789000000001), ("0.00000001", 8, 1)])  # fmt: skip
def test_amounts_are_exact_both_ways(text: str, decimals: int, units: int) -> None:
    assert to_units(text, decimals) == units
    whole, _, fraction = text.partition(".")
    assert from_units(units, decimals) == f"{whole}.{fraction.ljust(decimals, '0')}"


def test_a_number_whose_first_remainder_is_ten_has_the_second_one_s_digit() -> None:
    """Numbers whose first remainder is 10 take the digit that the second row of weights gives."""
    for tail in range(10**5):
        eleven = f"8501014{tail:04}"[:11]
        digits = [int(digit) for digit in eleven]
        if sum(weight * digit for weight, digit in zip(range(1, 12), digits, strict=True)) % 11 == 10:
            control = sum(w * d for w, d in zip((3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2), digits, strict=True)) % 11
            if control < 10:
                assert miner_id_fault(f"{eleven}{control}") is None
                assert miner_id_fault(f"{eleven}{(control + 1) % 10}") is not None
                return
    raise AssertionError("no number needs the second weights")
