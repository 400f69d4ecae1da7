"""What the log says of two nodes: what is not read yet, what one node alone told, what two tell differently (ADR 20)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.assess.conditions import closing_conditions
from pipeline.enrich.witnesses import month_witnesses, nodes_behind

from .small_world import OCTOBER, RULES, World, at, issues_of

TWO = replace(RULES, finality={"bitcoin": 2}, witnesses={"bitcoin": 2})


def a_month() -> World:
    """Blocks 1 to 7, of which 3 to 6 are October's."""
    world = World()
    for n, when in enumerate(
        ("09-29 10:00", "09-30 10:00", "10-02 10:00", "10-10 10:00", "10-20 10:00", "10-31 10:00", "11-02 10:00"), start=1
    ):
        world.add("blocks", chain="bitcoin", hash=f"b{n}", height=n, time=at(when), mediantime=at(when))
    return world


def witness(world: World, seq: int, first: int, last: int, n_nodes: int, reason: str = "") -> None:
    world.add("witnesses", chain="bitcoin", seq=seq, height=first, last=last, n_nodes=n_nodes, nodes="n", reason=reason)


def condition(world: World) -> tuple[bool, str]:
    found = closing_conditions(world.facts(), world.enrich(rules=TWO).issues, [], OCTOBER, TWO, complete_through=None, has_registry=True)
    (of_nodes,) = [each for each in found if each.kind == "nodes-agree"]
    return of_nodes.is_met, of_nodes.detail


def test_blocks_of_the_month_that_no_second_node_was_asked_about_keep_it_open() -> None:
    world = a_month()
    witness(world, 9, 1, 4, 2)
    assert condition(world) == (False, "blocks 5 to 6 were not read from a second node yet (esep nodes)")
    witness(world, 10, 5, 6, 2)
    assert condition(world)[0] and issues_of(world.enrich(rules=TWO), "one-node-only") == []
    assert month_witnesses(world.facts(), OCTOBER, RULES) == {}, "chains that need one node have no such condition"


def test_one_node_is_an_issue_until_the_second_one_told_the_same() -> None:
    world = a_month()
    witness(world, 9, 1, 3, 2)
    witness(world, 10, 4, 6, 1, "gone")
    enriched = world.enrich(rules=TWO)
    assert issues_of(enriched, "one-node-only") == ["bitcoin"]
    assert enriched.issues["detail"].to_list() == ["blocks 4 to 6 were read from one node only: gone"]
    assert enriched.issues["facts"].to_list() == ["bitcoin\n4-6"]
    assert condition(world)[0]
    witness(world, 11, 4, 6, 2)
    assert issues_of(world.enrich(rules=TWO), "one-node-only") == []


@pytest.mark.parametrize(("first", "last", "n_nodes", "seq", "is_over"), [
    (1, 6, 2, 21, True), (5, 5, 2, 21, True), (6, 6, 2, 21, False), (1, 6, 1, 21, False), (1, 6, 2, 19, False),
])  # fmt: skip
def test_a_disagreement_is_over_when_two_nodes_told_the_block_later(first: int, last: int, n_nodes: int, seq: int, is_over: bool) -> None:
    world = a_month()
    world.add(
        "disagreements",
        chain="bitcoin",
        seq=20,
        height=5,
        hash="b5",
        time=at("10-20 10:00"),
        nodes=["http://a", "http://b"],
        answers=["[]", "[1]"],
    )
    world.add("disagreements", chain="bitcoin", seq=5, height=2, hash="b2", time=at("09-30 10:00"), nodes=["x", "y"], answers=["[]", "[1]"])
    assert issues_of(world.enrich(rules=RULES), "nodes-disagree") == ["bitcoin:5"]
    (detail,) = world.enrich(rules=RULES).issues["detail"]
    assert detail == "block 5: http://a says []; http://b says [1]"
    witness(world, seq, first, last, n_nodes)
    assert issues_of(world.enrich(rules=RULES), "nodes-disagree") == ([] if is_over else ["bitcoin:5"])


def test_how_many_nodes_stand_behind_a_transaction() -> None:
    world = a_month()
    for txid, block in (("t3", "b3"), ("t4", "b4"), ("t6", "b6")):
        world.add(
            "transactions",
            chain="bitcoin",
            block_hash=block,
            txid=txid,
            position=0,
            is_coinbase=False,
            other_inputs=0,
            other_inputs_value=0,
            fee=0,
            fee_asset="BTC",
        )
    witness(world, 9, 1, 4, 1)
    witness(world, 10, 4, 4, 2)
    facts = world.facts()
    behind = nodes_behind(facts, facts.transactions.select("chain", "txid"))
    assert behind.rows() == [("bitcoin", "t3", 1), ("bitcoin", "t4", 2), ("bitcoin", "t6", 0)]
