"""What the connector's settings must be, all faults at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.chains.evm.address import has_wrong_checksum, is_account_address, to_checksum
from pipeline.model.errors import SettingsError

INTERNAL_CALLS = ("auto", "trace_block", "debug_trace", "ignore")
BLOCK_REWARDS = ("none", "ecip1017")


def checked(  # noqa: PLR0913 - one parameter for each setting that is checked
    chain: str,
    asset: str,
    network: str,
    tokens: Mapping[str, str],
    start_height: int,
    finality: int,
    internal_calls: str,
    block_reward: str,
    blocks_a_step: int | None,
) -> tuple[int, dict[str, str]]:
    """The chain's number, and the tokens by contract in EIP-55. Raises SettingsError."""
    faults = []
    named = re.fullmatch(r"evm:([1-9][0-9]*)", network)
    if named is None:
        faults.append(f"network {network!r} is no account chain's: write it as evm:1, with the chain's number")
    if start_height < 1:
        faults.append(f"start_height {start_height} is below 1: the first block has nothing before it to compare with")
    if finality < 1:
        faults.append(f"finality {finality} is below 1")
    if internal_calls not in INTERNAL_CALLS:
        faults.append(f"internal_calls {internal_calls!r} is not known: use {', '.join(INTERNAL_CALLS)}")
    if block_reward not in BLOCK_REWARDS:
        faults.append(f"block_reward {block_reward!r} is not known: use {', '.join(BLOCK_REWARDS)}")
    if blocks_a_step is not None and blocks_a_step < 1:
        faults.append(f"blocks_a_step {blocks_a_step} is below 1")
    known: dict[str, str] = {}
    for contract, name in tokens.items():
        if not is_account_address(contract):
            faults.append(f"token {name!r}: {contract!r} is not a contract's address: 0x and 40 hexadecimal digits")
        elif has_wrong_checksum(contract):
            faults.append(f"token {name!r}: the letters' case of {contract} is not its checksum (EIP-55): compare it with its source")
        elif known.setdefault(to_checksum(contract), name) != name:
            faults.append(f"contract {contract} is both {known[to_checksum(contract)]!r} and {name!r}")
        if name == asset:
            faults.append(f"token {contract} has the name of the chain's own asset {asset!r}")
    if len(set(known.values())) != len(known):
        faults.append("two token contracts have one name: each asset has one contract on a chain")
    if faults or named is None:
        raise SettingsError(faults, source=f"chain {chain}")
    return int(named[1]), known
