"""How many nodes said the same of a month's blocks, and where two of them did not (ADR 20).

Enters: facts, the month, the rules in force. Leaves: issues; what is not yet read from a second node; and how many nodes stand behind each
transaction. A disagreement is over when a later range that two nodes told covers its block. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.model.spans import Span, gaps

from .frames import Facts
from .identify import day_of_seconds
from .issue_rows import NO_ISSUES, is_in_month, make_issues

SHOWN_CHARACTERS = 400
BEFORE_CHARACTERS = 120
"""Of an answer shown before the first difference."""
SHOWN_SPANS = 5
ENOUGH = 2
"""Nodes that settle a disagreement."""


@dataclass(frozen=True)
class MonthWitnesses:
    """What nodes said of one chain's blocks of a month."""

    needed: int
    first: int
    last: int
    """The month's blocks, those that are not final left out."""
    unread: list[Span]
    """Blocks for which the log names no node yet."""
    by_fewer: list[Span]
    """Blocks for which it names fewer nodes than are needed."""
    reasons: list[str]
    """Why."""


def month_witnesses(facts: Facts, month: Month, rules: Rules) -> dict[str, MonthWitnesses]:
    """By chain of `rules.witnesses` with final blocks in the month."""
    found = {}
    for chain, needed in sorted(rules.witnesses.items()):
        blocks = facts.blocks.filter(pl.col("chain") == chain)
        final_to = (_whole(blocks["height"].max()) or 0) - rules.finality[chain] + 1
        dated = blocks.with_columns(date=day_of_seconds("time")).filter(is_in_month(month) & (pl.col("height") <= final_to))["height"]
        first, last = _whole(dated.min()), _whole(dated.max())
        if first is None or last is None:
            continue
        rows = facts.witnesses.filter(pl.col("chain") == chain)
        both = [(height, height) for height in facts.disagreements.filter(pl.col("chain") == chain)["height"]]  # `nodes-disagree` says so
        unread = list(gaps([*_spans(rows), *both], first, last))
        short = list(gaps([*_spans(rows.filter(pl.col("n_nodes") >= needed)), *both, *unread], first, last))
        few = rows.filter(pl.col("n_nodes") < needed)
        reasons = [
            reason
            for begin, end, reason in few.select("height", "last", "reason").iter_rows()
            if any(begin <= b and a <= end for a, b in short)
        ]
        found[chain] = MonthWitnesses(needed, first, last, unread, short, list(dict.fromkeys(reasons)))
    return found


def one_node_only(facts: Facts, month: Month, rules: Rules) -> pl.DataFrame:
    """Issue `one-node-only` for each chain of which some of the month's blocks were told by fewer nodes than are needed."""
    rows = [
        {
            "chain": chain,
            "detail": f"blocks {span_words(found.by_fewer)} were read from one node only: {'; '.join(found.reasons)[:SHOWN_CHARACTERS]}",
            "spans": [f"{first}-{last}" for first, last in found.by_fewer],
        }
        for chain, found in month_witnesses(facts, month, rules).items()
        if found.by_fewer
    ]
    frame = pl.DataFrame(rows, schema={"chain": pl.String, "detail": pl.String, "spans": pl.List(pl.String)})
    return make_issues(
        IssueCode.ONE_NODE_ONLY,
        frame,
        ref=pl.col("chain"),
        detail=pl.col("detail"),
        facts=[pl.col("chain"), pl.col("spans").list.join("\n")],
    )


def nodes_disagree(facts: Facts, month: Month) -> pl.DataFrame:
    """Issue `nodes-disagree` for each block of the month that two nodes tell differently still."""
    if facts.disagreements.is_empty():
        return NO_ISSUES
    told = facts.disagreements.with_columns(date=day_of_seconds("time")).filter(is_in_month(month)).sort("chain", "seq")
    enough = facts.witnesses.filter(pl.col("n_nodes") >= ENOUGH).select("chain", "seq", "height", "last").rows()
    rows = []
    for row in told.unique(["chain", "height"], keep="last", maintain_order=True).iter_rows(named=True):
        chain, seq, height = row["chain"], row["seq"], row["height"]
        if any(known == chain and at > seq and first <= height <= last for known, at, first, last in enough):
            continue
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*row["answers"], strict=False)))
        begin = alike - BEFORE_CHARACTERS
        said = [f"{node} says {_shown(answer, begin)}" for node, answer in zip(row["nodes"], row["answers"], strict=True)]
        digests = [hashlib.sha256(answer.encode()).hexdigest() for answer in row["answers"]]
        rows.append(
            {"ref": f"{chain}:{height}", "detail": f"block {height}: {'; '.join(said)}", "facts": "\n".join([row["hash"], *digests])}
        )
    frame = pl.DataFrame(rows, schema={"ref": pl.String, "detail": pl.String, "facts": pl.String})
    return make_issues(IssueCode.NODES_DISAGREE, frame, ref=pl.col("ref"), detail=pl.col("detail"), facts=[pl.col("facts")])


def nodes_behind(facts: Facts, transactions: pl.DataFrame) -> pl.DataFrame:
    """How many nodes said the same of each transaction's block: chain, txid, n_nodes (0: none was named). `transactions`: chain, txid."""
    placed = (
        transactions.unique()
        .join(facts.transactions.select("chain", "txid", "block_hash"), on=["chain", "txid"])
        .join(facts.blocks.select("chain", "height", block_hash="hash"), on=["chain", "block_hash"])
        .select("chain", "txid", "height")
    )
    told = facts.witnesses.select("chain", "n_nodes", first="height", last="last")
    counted = placed.join_where(
        told.rename({"chain": "of_chain"}), pl.col("chain") == pl.col("of_chain"), pl.col("first") <= pl.col("height"), pl.col("last") >= pl.col("height")
    ).group_by("chain", "txid").agg(pl.col("n_nodes").max())  # fmt: skip
    return (
        placed.join(counted, on=["chain", "txid"], how="left").select("chain", "txid", pl.col("n_nodes").fill_null(0)).sort("chain", "txid")
    )


def span_words(spans: Iterable[Span]) -> str:
    """`12 to 40, 57`."""
    words = [f"{first} to {last}" if last > first else str(first) for first, last in spans]
    return ", ".join(words[:SHOWN_SPANS]) + (f" and {len(words) - SHOWN_SPANS} more runs" if len(words) > SHOWN_SPANS else "")


def _spans(rows: pl.DataFrame) -> list[Span]:
    return [(first, last) for first, last in rows.select("height", "last").iter_rows()]


def _shown(answer: str, begin: int) -> str:
    """The answer, of a long one the part from `begin` on: a little before the first difference."""
    if len(answer) <= SHOWN_CHARACTERS:
        return answer
    part = answer[max(0, begin) :]
    return "…" * (begin > 0) + (part if len(part) <= SHOWN_CHARACTERS else part[:SHOWN_CHARACTERS] + "…")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
