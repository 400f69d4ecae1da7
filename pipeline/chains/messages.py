"""Whether an address's key signed a text, on any network (BIP 137, BIP 322, EIP-191)."""

from __future__ import annotations

from .bitcoin.messages import message_fault
from .evm.messages import account_message_fault
from .networks import AccountNetwork, network_of


def signature_fault(network_name: str, address: str, text: str, signature: str) -> str:
    """Why the signature does not show it, in words; "" where it does."""
    network = network_of(network_name)
    if isinstance(network, AccountNetwork):
        return account_message_fault(address, text, signature)
    return message_fault(network, address, text, signature)
