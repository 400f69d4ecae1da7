"""The vectorised enrichment beside the slow oracle, on the recorded month and on hundreds of worlds full of traps."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from pipeline.enrich.month import enrich_month
from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from ..reference.capture import read_capture
from ..reference.compare import compare, differences
from ..reference.registry import Outcome
from ..reference.rules import apply_rules
from ..reference.shrink import describe, shrink
from ..reference.test_example import EXAMPLE
from ..reference.worlds import OF_ACCOUNT_CHAINS, World, frames_of, make_world

SEEDS = range(100)
ACCOUNT_SEEDS = range(OF_ACCOUNT_CHAINS, OF_ACCOUNT_CHAINS + 60)
"""Worlds with an account chain on which others than the pool pay, in the coin and in a token."""
CHUNK = 10
ACCOUNT_CHAIN_CODES = {"unknown-asset", "bad-address", "node-answer-changed", "traces-differ", "forged-transfers"}
"""Of facts that only account chains have, which these worlds are not about."""
OF_NODES = {"nodes-disagree", "one-node-only"}
"""What several nodes say (ADR 20) is in no world here: tests/integration/test_two_nodes.py."""
OF_SOURCES = {code.value for code in IssueCode if code.value.startswith("source-")} | {"registry-undated"}
"""Nor what waits at sources of the ledger and of the registry (ADR 22): tests/unit/capture, tests/unit/enrich/test_undated.py."""


@cache
def judged(seed: int) -> tuple[World, Outcome]:
    """The world, and what the oracle makes of it. Nobody changes them."""
    world = make_world(seed)
    return world, apply_rules(world.facts, world.month, world.rules)


@pytest.mark.parametrize("first", [*range(SEEDS.start, SEEDS.stop, CHUNK), *range(ACCOUNT_SEEDS.start, ACCOUNT_SEEDS.stop, CHUNK)])
def test_enrichment_equals_the_oracle(first: int) -> None:
    for seed in range(first, first + CHUNK):
        world, outcome = judged(seed)
        found = differences(world, outcome)
        if found:
            smallest = shrink(world, lambda smaller: bool(differences(smaller)))
            pytest.fail(f"seed {seed} differs:\n" + "\n".join(differences(smallest)) + "\n" + describe(smallest))


def test_enrichment_equals_the_oracle_on_the_recorded_month() -> None:
    capture = read_capture(EXAMPLE)
    for month in (Month(2026, 9), Month(2026, 10), Month(2026, 11)):
        outcome = apply_rules(capture.facts, month, capture.rules)
        assert compare(enrich_month(frames_of(capture.facts), month, capture.rules), outcome) == []


def test_worlds_reach_every_issue_class_and_explanation() -> None:
    """A trap that no seed springs proves nothing."""
    codes, classes, explanations = Counter[str](), Counter[str](), Counter[str]()
    for seed in SEEDS:
        _, outcome = judged(seed)
        codes.update({row["code"] for row in outcome.issues})
        classes.update(row["class"] for row in outcome.outflows)
        explanations.update(row["explanation"] for row in outcome.transfers)
    assert (
        set(codes)
        == {code.value for code in IssueCode} - {"unreadable-event", "event-not-authentic"} - ACCOUNT_CHAIN_CODES - OF_NODES - OF_SOURCES
    )
    assert set(classes) == {"data", "internal", "change", "payout", "vendor", "exchange", "unknown", "reward", "fee"}
    plain = {"exact", "subtracted-fee", "rounding"}
    assert set(explanations) >= plain | {"differs", "none", "attested"} | {f"replaced+{name}" for name in plain}
    assert min(codes.values()) >= 3


def test_payers_on_an_account_chain_pay_in_every_way() -> None:
    found: Counter[tuple[str, str, str]] = Counter()
    for seed in ACCOUNT_SEEDS:
        for row in judged(seed)[1].transfers:
            if row["payer"] is not None:
                found[row["payer"], row["asset"], row["explanation"]] += 1
    on_chain = {(payer, asset, how) for payer, asset, how in found if payer.startswith("evm")}
    assert on_chain == {(p, a, how) for p in ("evm-payer", "evm-twin") for a in ("ETH", "USDT") for how in ("exact", "rounding", "differs")}
