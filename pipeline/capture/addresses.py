"""How the address of a payment is spelt: as its network writes it, as files' and the registry's are, so that it is linked to what the chain holds (rule 5.2).

Enters: a payment of a source, whose database keeps what a miner typed: `BC1Q…`, `0xabc…` in small letters. Leaves: its address. What is no address of
the network stays as it is written, and is `payment-not-on-chain`; so does an off-chain payer's, which may be any text (rule 10.5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipeline.chains.networks import AnyNetwork
from pipeline.validate.cells import address_fault

from .outputs import Paid


@dataclass(frozen=True)
class AddressSpelling:
    """The network of each asset, and the payers whose payments name an address of it."""

    networks: Mapping[str, AnyNetwork | str] = field(default_factory=dict)
    """By asset."""
    on_chain_payers: Collection[str] = ()

    def of(self, paid: Paid) -> str:
        """The payment's address."""
        network = self.networks.get(paid.asset)
        if network is None or (paid.payer is not None and paid.payer not in self.on_chain_payers):
            return paid.address
        return address_fault(paid.address, network)[0] or paid.address


AS_WRITTEN = AddressSpelling()
