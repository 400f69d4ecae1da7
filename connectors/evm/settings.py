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
from pipeline.model.message import message

from .call_tracing import InternalCalls

UNCOUNTED = frozenset((10, 130, 137, 480, 1135, 7777777, 8453, 34443, 80002, 81457, 84532, 11155420))
"""Chains of the OP stack (a fee for the layer below, deposits of the system) and of Polygon (transactions of its bridge), whose balances would not close."""
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
        faults: list[str] = []
        named = re.fullmatch(r"evm:([1-9][0-9]*)", self.network)
        faults += _network_faults(self.network, named)
        if self.start_height < 1:
            faults.append(
                message(
                    "start_height {start_height} is below 1: the first block has nothing before it to compare with",
                    start_height=self.start_height,
                )
            )
        if self.finality < 1:
            faults.append(message("finality {finality} is below 1", finality=self.finality))
        if self.internal_calls not in INTERNAL_CALLS:
            faults.append(
                message(
                    "internal_calls {internal_calls} is not known: use {internal_calls_2}",
                    internal_calls=repr(self.internal_calls),
                    internal_calls_2=", ".join(INTERNAL_CALLS),
                )
            )
        if self.calls_a_request < 1:
            faults.append(message("calls_a_request {calls_a_request} is below 1", calls_a_request=self.calls_a_request))
        if self.blocks_a_step is not None and self.blocks_a_step < 1:
            faults.append(message("blocks_a_step {blocks_a_step} is below 1", blocks_a_step=self.blocks_a_step))
        known: dict[str, str] = {}
        for contract, name in self.tokens.items():
            if not is_account_address(contract):
                faults.append(
                    message(
                        "token {name}: {contract} is not a contract's address: 0x and 40 hexadecimal digits",
                        name=repr(name),
                        contract=repr(contract),
                    )
                )
            elif has_wrong_checksum(contract):
                faults.append(
                    message(
                        "token {name}: the letters' case of {contract} is not its checksum (EIP-55): compare it with its source",
                        name=repr(name),
                        contract=contract,
                    )
                )
            elif known.setdefault(to_checksum(contract), name) != name:
                faults.append(
                    message(
                        "contract {contract} is both {known} and {name}",
                        contract=contract,
                        known=repr(known[to_checksum(contract)]),
                        name=repr(name),
                    )
                )
            if name == self.asset:
                faults.append(
                    message("token {contract} has the name of the chain's own asset {asset}", contract=contract, asset=repr(self.asset))
                )
        if len(set(known.values())) != len(known):
            faults.append(message("two token contracts have one name: each asset has one contract on a chain"))
        if faults or named is None:
            raise SettingsError(faults, source=message("chain {chain}", chain=self.chain))
        return int(named[1]), known


def _network_faults(network: str, named: re.Match[str] | None) -> list[str]:
    """`named`: the network's number in it; None where it is no account chain's."""
    faults: list[str] = []
    if named is None:
        faults.append(message("network {network} is no account chain's: write it as evm:1, with the chain's number", network=repr(network)))
    if named is not None and int(named[1]) in UNCOUNTED:
        faults.append(
            message(
                "network {network} has fees and system transactions that are not counted yet: it can't be followed",
                network=network,
            )
        )
    return faults
