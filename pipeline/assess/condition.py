"""One condition for closing a month, as `conditions` judges it and as it is shown (rule 8.1). Pure, and without polars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ConditionKind = Literal[
    "chain-passed", "chain-final", "nodes-agree", "payers-seen", "ledger-complete", "registry-loaded", "issues-resolved"
]


@dataclass(frozen=True)
class Condition:
    """One thing that must hold before the month closes."""

    name: str
    is_met: bool
    detail: str
    kind: ConditionKind
    """What it is about, whatever the chain: not part of a bundle."""

    def for_manifest(self) -> dict[str, object]:
        """The condition as a bundle's manifest has it."""
        return {"name": str(self.name), "is_met": self.is_met, "detail": str(self.detail)}
