"""The ranges that nodes told alike, within one batch of events."""

from pipeline.log.events.chain import Witnessed
from pipeline.store.witnessed import WitnessedRanges


def witnessed(seq: int, first: int, last: int) -> Witnessed:
    return Witnessed(id=f"eth:{seq}", seq=seq, chain="eth", height=first, last=last, hash=f"{last:064x}", nodes=["a", "b"])


def spans(ranges: WitnessedRanges) -> list[tuple[int, int]]:
    return [(event.height, event.last) for event in ranges.ranges]


def test_what_leaves_later_takes_back_no_range_below_it() -> None:
    ranges = WitnessedRanges()
    ranges.leave("eth", 48)
    ranges.leave("eth", 41)
    ranges.add(witnessed(1, 42, 67))
    ranges.add(witnessed(2, 68, 83))
    ranges.leave("eth", 90)
    assert spans(ranges) == [(42, 67), (68, 83)]
    ranges.leave("eth", 80)
    assert spans(ranges) == [(42, 67)]
    ranges.split("eth", 50, "f" * 64)
    assert spans(ranges) == [(42, 49), (51, 67)]
