"""What is searched for in blocks, and how calls inside transactions are seen. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.chains.rewards import RewardFacts

from .node import Traces
from .watch import WatchList


@dataclass(frozen=True)
class Watching:
    """What is searched for, and how."""

    watch_list: WatchList
    asset: str
    tokens: Mapping[str, str]
    """Known tokens by contract, EIP-55."""
    traces: Traces | None
    """How calls inside transactions are traced; None when they are not."""
    is_untraced_accepted: bool
    """Whether the operator accepts that calls are not traced."""
    block_reward: RewardFacts | None
    other_traces: Traces | None = None
    """Another way in which the node shows them, to compare with."""
    wrapped: frozenset[str] = frozenset()
    """Those of the tokens' contracts whose `Deposit` and `Withdrawal` are a mint and a burn (`wrapped.py`)."""

    @property
    def known(self) -> frozenset[str]:
        return frozenset(self.tokens.values()) | {self.asset}

    def ways(self) -> list[Watching]:
        """This, and the same by the node's other way of tracing where there is one; none where calls are not traced."""
        if self.traces is None:
            return []
        if self.other_traces is None:
            return [self]
        return [self, replace(self, traces=self.other_traces, other_traces=self.traces)]
