"""Assets and the parameters of the rules in force (rules 2.1, 5.3, 8.1), with their edition (rule 8.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.model.errors import VerifyError

from .message import message

NEWEST_EDITION = 3
"""The edition of the rules, and of the bundle's format, that new versions are frozen under (rule 8.4; ADR 12 lists what each edition has)."""


@dataclass(frozen=True)
class Asset:
    """An asset that is allocated and paid: its name on the form, its chain, how many decimals its base unit has."""

    name: str
    chain: str
    decimals: int
    contract: str | None = None
    """The token's contract on an account chain, EIP-55; None for the chain's own asset."""


@dataclass(frozen=True)
class Payer:
    """Somebody other than the pool who pays its miners (rule 10.1)."""

    way: Literal["on-chain", "off-chain"]
    """`on-chain`: transactions of its own carry the payouts; `off-chain`: the ledger's word alone says that it paid."""
    chain: str | None = None
    """Of an on-chain payer: the chain that its transactions are on."""


@dataclass(frozen=True)
class Rules:
    """The parameters of the rules in force. A month's report depends on them and on the log's positions, and on nothing else."""

    assets: dict[str, Asset]
    finality: dict[str, int]
    """Confirmations that a chain's block needs before a month closes on it (rule 8.1), by chain."""
    payout_unit: dict[str, int]
    """Payouts may be rounded to whole multiples of this many base units (rule 5.3), by asset; 1 for none."""
    has_payments_ledger: bool = True
    """Whether a ledger of payments is configured (rule 5.4)."""
    network: dict[str, str] = field(default_factory=dict)
    """The chain's network, by chain: bitcoin, regtest, …"""
    network_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was known of each network named in `network`, by its name, as `networks.toml` writes it (ADR 21); nothing in months frozen before that."""
    edition: int = NEWEST_EDITION
    """Which edition of the rules: 1 is the first one, 2 has rules 4.6, 8.5, 9.8 and the last sentence of 6.4, 3 has rule 10 and the pool's coins in the
    bundle (ADR 15)."""
    payers: dict[str, Payer] = field(default_factory=dict)
    """Those whom a payment may name (rule 10.1), by name; nobody else."""
    witnesses: dict[str, int] = field(default_factory=dict)
    """How many nodes have to say the same of a block before a month closes on it (ADR 20), by chain; chains that need one only are absent."""

    def on_chain_payers(self, chain: str | None = None) -> list[str]:
        """The names of the on-chain payers, of one chain or of all."""
        return sorted(name for name, payer in self.payers.items() if payer.way == "on-chain" and chain in (None, payer.chain))

    def paying_chains(self) -> set[str]:
        """The chains that on-chain payers pay on."""
        return {payer.chain for payer in self.payers.values() if payer.chain}

    def off_chain_payers(self) -> list[str]:
        """The names of the payers whose transfers rest on the ledger's word alone (rule 10.5)."""
        return sorted(name for name, payer in self.payers.items() if payer.way == "off-chain")

    def to_json(self) -> dict[str, Any]:
        """As JSON; edition 1 is left out, so that months frozen before editions existed keep their bytes."""
        return (
            ({"edition": self.edition} if self.edition > 1 else {})
            | {
                "assets": {
                    name: {"chain": a.chain, "decimals": a.decimals} | ({"contract": a.contract} if a.contract else {})
                    for name, a in sorted(self.assets.items())
                },
                "finality": dict(sorted(self.finality.items())),
                "payout_unit": dict(sorted(self.payout_unit.items())),
                "has_payments_ledger": self.has_payments_ledger,
                "network": dict(sorted(self.network.items())),
            }
            | ({"network_facts": dict(sorted(self.network_facts.items()))} if self.network_facts else {})
            | self._payers_to_json()
            | ({"witnesses": dict(sorted(self.witnesses.items()))} if self.witnesses else {})
        )

    def _payers_to_json(self) -> dict[str, Any]:
        """Left out where there are none, as in editions 1 and 2."""
        payers = {name: {"way": p.way} | ({"chain": p.chain} if p.chain else {}) for name, p in sorted(self.payers.items())}
        return {"payers": payers} if payers else {}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Rules:
        """The parameters that a `frozen` event or a manifest names. Raises VerifyError for an edition that this program does not know."""
        edition = content.get("edition", 1)
        if not 1 <= edition <= NEWEST_EDITION:
            raise VerifyError(
                message(
                    "edition {edition} of the rules is newer than this program knows ({newest_edition}): upgrade it",
                    edition=edition,
                    newest_edition=NEWEST_EDITION,
                )
            )
        return cls(
            assets={name: Asset(name, a["chain"], a["decimals"], a.get("contract")) for name, a in content["assets"].items()},
            finality=dict(content["finality"]),
            payout_unit=dict(content["payout_unit"]),
            has_payments_ledger=content["has_payments_ledger"],
            network=dict(content["network"]),
            network_facts=dict(content.get("network_facts", {})),
            edition=edition,
            payers={name: Payer(p["way"], p.get("chain")) for name, p in content.get("payers", {}).items()},
            witnesses=dict(content.get("witnesses", {})),
        )
