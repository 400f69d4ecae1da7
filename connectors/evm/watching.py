"""What is searched for in blocks, and how calls inside transactions are seen. Data only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pipeline.chains.rewards import RewardFacts

from .features import Traces
from .node import ReadBlock
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
    sought: Collection[str] = field(default=frozenset(), compare=False)
    """Ids of transactions that are told whole, whoever they touch: payments of on-chain payers name them (rule 10.2). They grow while blocks are read."""

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


def sought_in(block: ReadBlock, watching: Watching) -> frozenset[str]:
    """Those of the ids looked for that are of the block."""
    if not watching.sought:
        return frozenset()
    ids = [block.header.hash, *(transaction.hash[2:].lower() for transaction in block.light.transactions)]
    return frozenset(txid for txid in ids if txid in watching.sought)
