"""Checks the proof of work of a chain of headers: amount of work, main-network difficulty, retargeting rules. Pure.

Enters: headers in order, from an untrusted source. Leaves: faults, and the work in expected hashes. Each network's data (a checkpoint with its
chain's work, the retargeting rules) are in `networks.toml`. Left out: which of two chains has more work, which takes a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .merkle import target_of
from .networks import Network
from .wire import Header

DAY_S = 86_400
TIMES = 11
"""Headers whose times make a median time past."""


def finality_fault(network: Network, confirmations: int) -> str:
    """Why so many confirmations are too few for a month to close on (rule 8.1) on the network; "" where they are not."""
    if confirmations >= network.facts.least_finality:
        return ""
    return f"final after {confirmations} confirmations: the least for {network.name} is {network.facts.least_finality}"


def payout_unit_fault(network: Network, unit: int) -> str:
    """Why payouts in the network's coin can't be rounded to so many base units (rule 5.3); "" where they can."""
    greatest = network.facts.greatest_payout_unit
    if greatest is None or unit <= greatest:
        return ""
    return f"rounded to {unit} base units: the most for {network.name} is {greatest}"


def is_test_network(network: Network) -> bool:
    """Whether anybody can make the network's blocks, or its coins are worth nothing."""
    return network.chain != "main"


@lru_cache(maxsize=64)
def work_of(bits: int) -> int:
    """The hashes expected for a header of these compact `bits`; 0 for bits that stand for no target."""
    target = target_of(bits)
    return (1 << 256) // (target + 1) if target > 0 else 0


def bits_of(target: int) -> int:
    """The compact form of a target, as nodes write it."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


def retargeted(bits: int, elapsed_s: int, network: Network) -> int:
    """The bits of the next interval: the old target by how long the last one took, at most four times easier or harder.

    By `digishield`, as Dogecoin has it, an eighth of the difference counts, down to three quarters and up to one and a half of the time meant.
    """
    retarget = network.retarget
    assert retarget is not None, f"{network.name} has no rule of retargeting here"
    meant = retarget.interval * retarget.spacing_s
    if retarget.rule == "digishield":
        late_s = elapsed_s - meant
        damped_s = meant + (late_s // 8 if late_s >= 0 else -(-late_s // 8))  # as C++ divides: towards zero
        return bits_of(min(target_of(bits) * min(max(damped_s, meant - meant // 4), meant + meant // 2) // meant, network.pow_limit))
    return bits_of(min(target_of(bits) * min(max(elapsed_s, meant // 4), meant * 4) // meant, network.pow_limit))


def scheduled(height: int, parent_time: int, network: Network) -> int:
    """The bits of the block at `height` by an absolute schedule (`asert`, as Bitcoin Cash and eCash have it since November 2020).

    The anchor's target times 2^((seconds since the anchor's parent - meant) / half-life), the power approximated in integers as the specification has it.
    """
    assert network.retarget is not None and network.retarget.anchor is not None, f"{network.name} has no schedule of difficulty"
    anchor, spacing_s = network.retarget.anchor, network.retarget.spacing_s
    late_s = parent_time - anchor.parent_time - spacing_s * (height - anchor.height)
    scaled = late_s * 65_536
    exponent = scaled // anchor.half_life_s if scaled >= 0 else -(-scaled // anchor.half_life_s)  # as C++ divides: towards zero
    shifts, part = exponent >> 16, exponent & 0xFFFF
    factor = 65_536 + ((195_766_423_245_049 * part + 971_821_376 * part**2 + 5_127 * part**3 + (1 << 47)) >> 48)
    target = target_of(anchor.bits) * factor
    target = target << shifts - 16 if shifts > 16 else target >> 16 - shifts
    return bits_of(min(max(target, 1), network.pow_limit))


def median_times(times: Sequence[int], first_height: int) -> list[int | None]:
    """Each header's median time past, by the times of all; None for the first ones, whose earlier headers are not here."""
    import polars as pl  # here: commands that only look at months read networks, and load no polars

    # Of eleven whole numbers the median is one of them: that it is reckoned as a float changes nothing below 2^53.
    medians: list[int | None] = pl.Series(times, dtype=pl.Int64).rolling_median(TIMES).cast(pl.Int64).to_list()
    if first_height == 0:
        medians[: TIMES - 1] = [sorted(times[: place + 1])[(place + 1) // 2] for place in range(min(TIMES - 1, len(times)))]
    return medians


def work_faults(headers: Sequence[Header], first_height: int, network: Network) -> list[str]:
    """Reasons why the headers, each of which meets its own target, can't be the main network's; empty if there are none.

    Of blocks before the rule of retargeting began neither difficulty nor number is judged: other rules set them.
    """
    faults = []
    checkpoint, retarget = network.checkpoint, network.retarget
    assert checkpoint is not None and retarget is not None, f"{network.name} has no checkpoint, or no rule of retargeting"
    medians = median_times([header.time for header in headers], first_height)
    for place, header in enumerate(headers):
        height, where = first_height + place, f"block {first_height + place}"
        if height == checkpoint.height and header.hash.hex() != checkpoint.hash:
            faults.append(f"{where}: {network.name} has block {checkpoint.hash} there")
        if height > checkpoint.height and work_of(header.bits) < checkpoint.least_work:
            faults.append(
                f"{where}: claims the work of {work_of(header.bits):,} hashes; no block of {network.name} since {checkpoint.height} has so little"
            )
        if place == 0:
            continue
        before = headers[place - 1]
        if height < retarget.first_block:
            pass
        elif retarget.rule == "asert":
            faults += _schedule_fault(header, before, height, network)
        elif height % retarget.interval:
            if header.bits != before.bits:
                faults.append(f"{where}: its difficulty changes where {network.name} sets none anew")
        elif place > retarget.reaches_back:
            meant = retargeted(before.bits, before.time - headers[place - 1 - retarget.reaches_back].time, network)
            if header.bits != meant:
                faults.append(f"{where}: its difficulty is {header.bits:08x}, by the rules it is {meant:08x}")
        elif not work_of(before.bits) // 4 <= work_of(header.bits) <= work_of(before.bits) * 4 + 4:
            faults.append(f"{where}: its difficulty moved by more than four times")
        median = medians[place - 1]
        if median is not None and header.time <= median:
            faults.append(f"{where}: its time is not after the median time of the blocks before it")
    judged = headers[max(0, retarget.first_block - first_height) :]
    span_s = max((header.time for header in judged), default=0) - min((header.time for header in judged), default=0)
    if span_s > DAY_S and len(judged) * retarget.spacing_s * 2 < span_s:
        faults.append(f"{len(judged)} blocks in {span_s // DAY_S} days: {network.name} has about {span_s // retarget.spacing_s}")
    return faults


def _schedule_fault(header: Header, before: Header, height: int, network: Network) -> list[str]:
    meant = scheduled(height, before.time, network)
    return [f"block {height}: its difficulty is {header.bits:08x}, by the schedule it is {meant:08x}"] if header.bits != meant else []
