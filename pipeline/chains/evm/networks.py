"""Account chains: what is known of each besides its chain id (EIP-155).

Enters: a table of `networks.toml` named `evm:CHAIN_ID`. Leaves: an `AccountNetwork`. A chain id without a table is an account chain of which no more is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.chains.facts import Facts, ForkFacts, hash_fault, typed
from pipeline.chains.rewards import RewardFacts, reward_faults

_NAME = re.compile(r"evm:([1-9][0-9]{0,18})")


class AccountFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table of an account chain."""

    family: Literal["evm"] = "evm"
    title: str = ""
    coin: str | None = None
    """The coin's name on the form; None where no coin's name belongs to this chain."""
    test_of: str | None = None
    decimals: int = 18
    supply: int | None = None
    genesis: str | None = None
    rpc_port: int | None = None
    finality: int | None = None
    reward: RewardFacts | None = None
    forks: tuple[ForkFacts, ...] = ()


@dataclass(frozen=True)
class AccountNetwork:
    """An EVM chain, by its chain id; what else is known of it does not tell two apart."""

    chain_id: int
    facts: AccountFacts = field(default=AccountFacts(), compare=False)

    @property
    def name(self) -> str:
        """As the settings write it."""
        return f"evm:{self.chain_id}"

    @property
    def coin(self) -> str | None:
        """The coin's name, where one belongs to this chain."""
        return self.facts.coin

    @property
    def marks(self) -> tuple[ForkFacts, ...]:
        """What tells the chain from others: its first block, as far as it is known, and blocks after forks, by height."""
        genesis = (ForkFacts(height=0, hash=self.facts.genesis),) if self.facts.genesis is not None else ()
        return (*genesis, *sorted(self.facts.forks, key=lambda fork: fork.height))

    @property
    def decimals(self) -> int:
        """Between the coin and its base unit."""
        return self.facts.decimals


def chain_id_of(name: str) -> int | None:
    """The chain id in an account chain's name; None for another name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def account_network(name: str, table: Mapping[str, Any], place: str) -> tuple[AccountNetwork | None, list[str]]:
    """The chain of that table, or every fault in it, each beginning with `place`."""
    facts, faults = typed(AccountFacts, table, place)
    chain_id = chain_id_of(name)
    if chain_id is None:
        faults.append(f'{place}: an EVM chain\'s table is named by its chain id, such as ["evm:1"]')
    if facts is not None:
        faults += hash_fault(facts.genesis, f"{place}.genesis")
        faults += reward_faults(facts.reward, f"{place}.reward") if facts.reward is not None else []
        for number, fork in enumerate(facts.forks, 1):
            for text in (fork.hash, *fork.others):
                faults += hash_fault(text, f"{place}.forks[{number}]")
    if facts is None or chain_id is None or faults:
        return None, faults
    return AccountNetwork(chain_id, facts), []
