"""Lightning invoices (BOLT 11): the payment hash, by which a payment is named.

Enters: an invoice's text. Leaves: its payment hash. An invoice has several hundred characters and differs with its description; the hash is what both nodes keep. The signature is
not checked: whoever signed is no fact of the ledger.
"""

from __future__ import annotations

import re

from pipeline.model.message import message

from .script import BECH32, bech32_values, checksum_state

_INVOICE = re.compile(r"(?:lightning:)?(ln(?:bcrt|bc|tbs|tb|sb)[0-9]*[munp]?)1([qpzry9x8gf2tvdw0s3jn54khce6mua7l]+)")
_TIMESTAMP, _SIGNATURE, _CHECKSUM = 7, 104, 6
"""Lengths in groups of five bits."""
_PAYMENT_HASH = 1
"""The type of the tagged field `p`."""
_HASH_GROUPS = 52


def looks_like_invoice(text: str) -> bool:
    """Whether a text is written like an invoice, in capitals too (as in QR codes), whether or not it is right."""
    return len(text) > 90 and re.match(r"(lightning:)?ln(bc|tb|sb)", text.strip().lower()) is not None


def payment_hash(invoice: str) -> str:
    """The payment hash, 64 hexadecimal digits. Raises ValueError, in words, for what is no invoice, or was mistyped."""
    text = invoice.strip()
    found = _INVOICE.fullmatch(text.lower())
    if found is None or text not in (text.lower(), text.upper()):
        raise ValueError(message("is written like a Lightning invoice (BOLT 11), but is none: copy it whole"))
    hrp, data = found[1], bech32_values(found[2])
    if checksum_state(hrp, data) != BECH32 or len(data) < _TIMESTAMP + _SIGNATURE + _CHECKSUM:
        raise ValueError(message("is a Lightning invoice with a wrong checksum: a character is mistyped, missing or swapped"))
    fields = data[_TIMESTAMP : -_SIGNATURE - _CHECKSUM]
    at = 0
    while at + 3 <= len(fields):
        kind, length = fields[at], fields[at + 1] * 32 + fields[at + 2]
        content = fields[at + 3 : at + 3 + length]
        if kind == _PAYMENT_HASH and length == _HASH_GROUPS and len(content) == length:
            number = 0
            for value in content:
                number = number << 5 | value
            return (number >> 4).to_bytes(32, "big").hex()
        at += 3 + length
    raise ValueError(message("is a Lightning invoice without a payment hash"))
