"""Signed messages of accounts (EIP-191, version 0x45, as wallets' `personal_sign` makes them): whether an account's key signed a text.

Enters: an address, a text, a signature in hex. Leaves: why it does not hold, or nothing. Left out: contracts, which sign by code (EIP-1271): only a node can ask them.
"""

from __future__ import annotations

from .address import to_checksum
from .coding import keccak256

SIGNATURE_SIZE = 65


def account_message_fault(address: str, text: str, signature: str) -> str:
    """Why the signature does not show that the account's key signed the text; "" where it does."""
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError:
        return "it is not in hex"
    if len(raw) != SIGNATURE_SIZE or raw[64] not in (0, 1, 27, 28):
        return f"it has {len(raw)} bytes, or another last byte than such a signature has"
    content = text.encode()
    digest = keccak256(b"\x19Ethereum Signed Message:\n" + str(len(content)).encode() + content)
    try:
        made = Signature(vrs=(raw[64] % 27, int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")))
        signer = made.recover_public_key_from_msg_hash(digest).to_checksum_address()
    except (BadSignature, ValidationError) as error:
        return f"it can't be read: {error}"
    return "" if signer == to_checksum(address) else "another key signed, or another text"
