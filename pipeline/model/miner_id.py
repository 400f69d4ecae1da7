"""IIN and BIN, the numbers of persons and organisations: the control digit (rule 4.5)."""

from __future__ import annotations

from .message import message

_FIRST = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
_SECOND = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)


def control_digit(eleven: str) -> int | None:
    """The control digit of a number's first eleven digits; None where no such number exists (rule 4.5)."""
    digits = [int(digit) for digit in eleven]
    for weights in (_FIRST, _SECOND):
        remainder = sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 11
        if remainder < 10:
            return remainder
    return None


def miner_id_fault(miner_id: str) -> str | None:
    """What is wrong with an IIN/BIN, None if nothing. Birth dates and organisation types are not checked (rule 4.5)."""
    if not (len(miner_id) == 12 and miner_id.isascii() and miner_id.isdigit()):
        return message("is not 12 digits")
    if control_digit(miner_id[:11]) != int(miner_id[11]):
        return message("has a wrong control digit")
    return None
