"""The story of one row of the form, as values: steps with their facts, rules and settings; and how a step's day, instant and link are written.

Pure. Left out: what a row's steps are (`explain`), printing and pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pipeline.model.message import Instant, message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.texts import N_

Kind = Literal["text", "amount", "day", "instant", "count", "miner", "txid", "address", "block", "id", "explanation"]
StepName = Literal["allocation", "holder", "licence", "settlement", "payment", "transfer", "transaction", "block", "proof"]


@dataclass(frozen=True)
class Fact:
    """One thing that is known: its name in words, its value as printed."""

    name: str
    value: str
    kind: Kind = "text"
    asset: str = ""
    """Of an amount."""


@dataclass(frozen=True)
class Part:
    """Facts that belong together, such as one version of a ledger row."""

    title: str
    facts: list[Fact]


@dataclass(frozen=True)
class InForce:
    """A setting that was in force, by its name in `esep.toml`."""

    key: str
    value: str


@dataclass(frozen=True)
class Step:
    """One step of the story."""

    name: StepName
    title: str
    rules: tuple[str, ...]
    says: str
    """The step in a sentence."""
    parts: list[Part] = field(default_factory=list)
    settings: list[InForce] = field(default_factory=list)
    link: str = ""
    """The operator's block explorer; empty where none is set."""
    is_proved: bool | None = None
    """Of the proof: whether it holds; None where there is none."""


@dataclass(frozen=True)
class Story:
    """A row of the form and how it came about."""

    month: Month
    version: int | None
    """None: a draft."""
    digest: str
    n: int
    row: dict[str, Any]
    """As `out_report`: amounts in whole base units."""
    printed: dict[str, str]
    """The row's amounts with the asset's decimals."""
    steps: list[Step]


@dataclass(frozen=True)
class BookFacts:
    """What a story is read from. `explorers`: by chain, `https://…/tx/{txid}`."""

    month: Month
    version: int | None
    digest: str
    rules: Rules
    explorers: dict[str, str]


CLASSES: Final = {
    "payout": N_("payout (to miners)"), "change": N_("change (back to the pool)"), "internal": N_("internal (within the pool)"), "data": N_("data (no money)"),
    "reward": N_("reward (mined)"), "fee": N_("fee (to the network)"), "unknown": N_("unknown (nobody knows whose)"),
}  # fmt: skip
"""The classes of rule 3; a label's own class has the name that a person gave it."""
EXPLANATIONS: Final = {
    "exact": N_("exact: the sums are equal"), "subtracted-fee": N_("subtracted-fee: the network's fee was taken off"),
    "rounding": N_("rounding: less than a payout unit"), "differs": N_("differs: no rule explains it"), "attested": N_("attested: by the ledger alone"),
}  # fmt: skip


def class_words(name: str) -> str:
    """What outputs of a class are."""
    return message(CLASSES[name]) if name in CLASSES else name


def explanation_words(name: str) -> str:
    """How a transfer's amount and its payments' agree (rules 5.2, 5.3, 10.5)."""
    reason = name.removeprefix("replaced+")
    words = message(EXPLANATIONS[reason]) if reason in EXPLANATIONS else reason
    return message("{words}; under another transaction than the ledger names", words=words) if reason != name else words


def link_to(explorers: dict[str, str], chain: str, txid: str) -> str:
    """The transaction's page at the operator's block explorer; empty where the settings name none."""
    return explorers.get(chain, "").replace("{txid}", txid)


def instant_of_micros(micros: int) -> str:
    """An instant as data, UTC, with what there is of fractions of a second; people read it by Almaty's clocks."""
    text = datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f".{micros % 1_000_000:06}".rstrip("0") if micros % 1_000_000 else ""
    return Instant(f"{text}{fraction} UTC")
