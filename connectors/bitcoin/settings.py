"""Settings of a Bitcoin-like chain, validated with all faults at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.networks import network as network_of
from pipeline.follow.connector import FollowedChain
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .strategies import NAMES


@dataclass(frozen=True, kw_only=True)
class BitcoinChain(FollowedChain):
    """A Bitcoin-like chain, and how its node is queried."""

    cookie_path: str | Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    rest: Literal["auto", "on", "off"] = "auto"
    strategy: str = "auto"
    gap: int | None = None
    """Unused indexes kept ahead in a ranged descriptor; None: a fifth of its range."""
    first_used_height: int | None = None
    """The operator's statement that no wallet was paid below this height: spends can then be found from the log even if reading starts above 1."""

    known: Network | None = None
    """The network's facts; None for those that come with the program under the name `network`."""
    merged_mining_proofs: bool = False
    """Keep merged mining's proof with each header, on a network that has any."""

    def checked(self) -> Network:
        """The network's rules. Raises SettingsError with every fault."""
        faults = []
        if self.strategy not in ("auto", *NAMES):
            faults.append(
                message("strategy {strategy} is not known: use auto, {names}", strategy=repr(self.strategy), names=", ".join(NAMES))
            )
        if self.rest not in ("auto", "on", "off"):
            faults.append(message("rest {rest} is not known: use auto, on or off", rest=repr(self.rest)))
        if self.start_height < 0:
            faults.append(message("start_height {start_height} is negative", start_height=self.start_height))
        if faults:
            raise SettingsError(faults, source=message("chain {chain}", chain=self.chain))
        if self.known is not None:
            return self.known
        try:
            return network_of(self.network)
        except ValueError as error:
            raise SettingsError([str(error)], source=message("chain {chain}", chain=self.chain)) from error
