"""Whether an address's key signed a text, on any network (BIP 137, BIP 322, EIP-191)."""

from __future__ import annotations

from .bitcoin.messages import message_fault
from .evm.messages import account_message_fault
from .evm.networks import AccountNetwork
from .networks import AnyNetwork


def signature_fault(network: AnyNetwork, address: str, text: str, signature: str) -> str:
    """Why the signature does not show it, in words; "" where it does."""
    if isinstance(network, AccountNetwork):
        return account_message_fault(address, text, signature)
    return message_fault(network, address, text, signature)
