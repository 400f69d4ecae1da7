"""What a block creates, by a schedule that is data: fixed, halving, by height, by eras; with shares to uncles. Pure.

Enters: a network's table `reward` (`networks.toml`), heights. Leaves: whole base units. Fees are not counted here. Schedules divide as nodes do: a halving shifts
right; an era's reward is the first one times a fraction's power, rounded down once; a share of a reward is rounded down.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .facts import Facts

Units = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,38}$")]
"""Base units, as text: amounts of 18 decimals do not fit a number of TOML."""
Share = tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=1)]]
"""A fraction: numerator and denominator."""
LAST_HALVING = 64


class StepFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """From a height on, another reward."""

    begins: int
    reward: Units


class UncleFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What stale blocks bring that a later block includes."""

    including: Share
    """Of the block's reward, to the block that includes one, for each."""
    distance: int = 8
    """An uncle's miner gets (distance - blocks between)/distance of the block's reward …"""
    flat: Share | None = None
    """… and this share of it from the height `flat_begins` on."""
    flat_begins: int | None = None


class RewardFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schedule of block rewards."""

    schedule: Literal["fixed", "halving", "heights", "eras"]
    reward: Units | None = None
    """The first reward; of `heights` each step has its own."""
    every: int | None = None
    """Blocks from one change to the next, of `halving` and `eras`."""
    keep: Share | None = None
    """Of `eras`: what an era keeps of the reward before it."""
    first_block: int = 0
    """The first era's, or halving's, first block."""
    steps: tuple[StepFacts, ...] = ()
    """Of `heights`."""
    ends: int | None = None
    """The height from which on a block creates nothing."""
    uncles: UncleFacts | None = None
    source: str = ""


def reward_faults(facts: RewardFacts, place: str) -> list[str]:
    """What the schedule lacks, or has too much."""
    needs = {"fixed": ("reward",), "halving": ("reward", "every"), "eras": ("reward", "every", "keep"), "heights": ("steps",)}[
        facts.schedule
    ]
    faults = [f"{place}.{key}: is missing: schedule {facts.schedule} needs it" for key in needs if not getattr(facts, key)]
    others = {"reward", "every", "keep", "steps"} - set(needs)
    faults += [f"{place}.{key}: schedule {facts.schedule} has none" for key in sorted(others) if getattr(facts, key)]
    if facts.every is not None and facts.every < 1:
        faults.append(f"{place}.every: {facts.every} is below 1")
    heights = [step.begins for step in facts.steps]
    if heights != sorted(set(heights)):
        faults.append(f"{place}.steps: their heights are to rise")
    uncles = facts.uncles
    if uncles is not None and (uncles.flat is None) != (uncles.flat_begins is None):
        faults.append(f"{place}.uncles: flat and flat_begins go together")
    if uncles is not None and uncles.distance < 1:
        faults.append(f"{place}.uncles.distance: {uncles.distance} is below 1")
    return faults


def block_reward(facts: RewardFacts, height: int) -> int | None:
    """What the block there creates, base units, without fees and without what uncles bring. None below the schedule's first block, where it is not known."""
    if facts.ends is not None and height >= facts.ends:
        return 0
    if facts.schedule == "heights":
        return next((int(step.reward) for step in reversed(facts.steps) if height >= step.begins), None)
    if height < facts.first_block:
        return None
    first = int(facts.reward or 0)
    past = (height - facts.first_block) // facts.every if facts.every else 0
    if facts.schedule == "halving":
        return first >> past if past < LAST_HALVING else 0
    if facts.schedule == "eras" and facts.keep is not None:
        kept, whole = facts.keep
        return int(first * kept**past) // int(whole**past)
    return first


def including_reward(facts: RewardFacts, height: int, uncles: int) -> int:
    """What a block's miner gets for the uncles that the block includes, base units."""
    if facts.uncles is None:
        return 0
    part, whole = facts.uncles.including
    return uncles * ((block_reward(facts, height) or 0) * part // whole)


def uncle_reward(facts: RewardFacts, height: int, uncle_height: int) -> int:
    """What an uncle's miner gets from the block that includes it, base units."""
    rules, reward = facts.uncles, block_reward(facts, height) or 0
    if rules is None:
        return 0
    if rules.flat is not None and rules.flat_begins is not None and height >= rules.flat_begins:
        return reward * rules.flat[0] // rules.flat[1]
    return max(0, reward * (uncle_height + rules.distance - height)) // rules.distance
