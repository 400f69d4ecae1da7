"""Settings of an account chain, validated with all faults at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.chains.evm.address import has_wrong_checksum, is_account_address, to_checksum
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.rewards import RewardFacts
from pipeline.follow.connector import FollowedChain
from pipeline.model.errors import SettingsError

from .call_tracing import InternalCalls

INTERNAL_CALLS = ("auto", "trace_block", "debug_trace", "ignore")


@dataclass(frozen=True, kw_only=True)
class EvmChain(FollowedChain):
    """An account chain, and how its node is queried. `network` is `evm:CHAIN_ID`."""

    tokens: Mapping[str, str] = field(default_factory=dict)
    """Names of known contracts, by address."""
    wrapped: frozenset[str] = frozenset()
    """Those of the contracts whose coins are the chain's own, wrapped (WETH9)."""
    internal_calls: InternalCalls = "auto"
    block_reward: RewardFacts | None = None
    """What its blocks create; None where that is not counted."""
    calls_a_request: int = 100
    """The most calls in one request; fewer where the node takes fewer."""
    known: AccountNetwork | None = None
    """What is known of the network; None: what Esep's own `networks.toml` says."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    def checked(self) -> tuple[int, dict[str, str]]:
        """The chain's number, and the tokens by contract in EIP-55. Raises SettingsError with every fault."""
        faults = []
        named = re.fullmatch(r"evm:([1-9][0-9]*)", self.network)
        if named is None:
            faults.append(f"network {self.network!r} is no account chain's: write it as evm:1, with the chain's number")
        if self.start_height < 1:
            faults.append(f"start_height {self.start_height} is below 1: the first block has nothing before it to compare with")
        if self.finality < 1:
            faults.append(f"finality {self.finality} is below 1")
        if self.internal_calls not in INTERNAL_CALLS:
            faults.append(f"internal_calls {self.internal_calls!r} is not known: use {', '.join(INTERNAL_CALLS)}")
        if self.calls_a_request < 1:
            faults.append(f"calls_a_request {self.calls_a_request} is below 1")
        if self.blocks_a_step is not None and self.blocks_a_step < 1:
            faults.append(f"blocks_a_step {self.blocks_a_step} is below 1")
        known: dict[str, str] = {}
        for contract, name in self.tokens.items():
            if not is_account_address(contract):
                faults.append(f"token {name!r}: {contract!r} is not a contract's address: 0x and 40 hexadecimal digits")
            elif has_wrong_checksum(contract):
                faults.append(f"token {name!r}: the letters' case of {contract} is not its checksum (EIP-55): compare it with its source")
            elif known.setdefault(to_checksum(contract), name) != name:
                faults.append(f"contract {contract} is both {known[to_checksum(contract)]!r} and {name!r}")
            if name == self.asset:
                faults.append(f"token {contract} has the name of the chain's own asset {self.asset!r}")
        if len(set(known.values())) != len(known):
            faults.append("two token contracts have one name: each asset has one contract on a chain")
        if faults or named is None:
            raise SettingsError(faults, source=f"chain {self.chain}")
        return int(named[1]), known
