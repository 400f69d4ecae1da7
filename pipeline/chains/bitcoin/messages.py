"""Signed messages: whether whoever holds an address's key signed a text.

Enters: an address, a text, a signature in base64. Leaves: why it does not hold, or nothing. Legacy signatures (BIP 137, as `signmessage` makes them) for
keys whose hash is in the address; BIP 322 "simple" for P2WPKH and for P2TR by its key. Curves are embit's and eth_keys', the hashes to sign are embit's.
Left out: BIP 322 for scripts (multisig, script paths of taproot), and its "full" form.
"""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import Any

from embit import ec
from embit import script as embit_script
from embit.base import EmbitError
from embit.hashes import hash160, tagged_hash
from embit.transaction import SIGHASH, Transaction, TransactionInput, TransactionOutput

from .networks import Network
from .script import script_of, script_type
from .wire import double_sha256

LEGACY_SIZE = 65
MAX_SIGNATURE = 2048
"""Characters of base64."""


def message_fault(network: Network, address: str, text: str, signature: str) -> str:
    """Why the signature does not show that the address's key signed the text; "" where it does."""
    try:
        if len(signature) > MAX_SIGNATURE:
            return "it is longer than such a signature is"
        raw = base64.b64decode(signature.removeprefix("smp"), validate=True)
        script = script_of(address, network)
    except (binascii.Error, ValueError) as error:
        return f"it can't be read: {error}"
    kind = script_type(script)
    try:
        if len(raw) == LEGACY_SIZE:
            return _legacy_fault(network, script, kind, text, raw)
        if kind == "witness_v0_keyhash":
            return _segwit_fault(script, text, raw)
        if kind == "witness_v1_taproot":
            return _taproot_fault(script, text, raw)
    except (EmbitError, ValueError, RuntimeError, AssertionError, IndexError, OverflowError, MemoryError) as error:
        return f"it can't be read: {error}"
    return f"a signature for an output of type {kind} can't be checked here"


def legacy_hash(network: Network, text: str) -> bytes:
    """What a legacy signature is over: the network's magic words and the text, each with its length, hashed twice."""
    magic, content = network.facts.message_magic.encode(), text.encode()
    return double_sha256(_counted(magic) + _counted(content))


def _counted(data: bytes) -> bytes:
    size = len(data)
    return (bytes([size]) if size < 0xFD else b"\xfd" + size.to_bytes(2, "little")) + data


def _legacy_fault(network: Network, script: bytes, kind: str, text: str, raw: bytes) -> str:
    """BIP 137: the key is recovered from the signature, and its hash compared with the script's."""
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    header = raw[0] - 27
    if not 0 <= header < 16:
        return f"its first byte is {raw[0]}, which no such signature has"
    try:
        made = Signature(vrs=(header & 3, int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")))
        key = made.recover_public_key_from_msg_hash(legacy_hash(network, text))
    except (BadSignature, ValidationError) as error:
        return f"it can't be read: {error}"
    sec = key.to_compressed_bytes() if header >= 4 else b"\x04" + key.to_bytes()
    keyhash = hash160(sec)
    redeem = b"\x00\x14" + keyhash
    shown = {
        "pubkeyhash": b"\x76\xa9\x14" + keyhash + b"\x88\xac",
        "witness_v0_keyhash": redeem,
        "scripthash": b"\xa9\x14" + hash160(redeem) + b"\x87",
    }.get(kind)
    if shown is None or (kind != "pubkeyhash" and header < 4):
        return f"a signature of this kind can't be for an output of type {kind}"
    return "" if shown == script else "another key signed, or another text"


def _to_sign(script: bytes, text: str) -> Transaction:
    """BIP 322: the transaction that spends the message."""
    digest = tagged_hash("BIP0322-signed-message", text.encode())
    challenge = TransactionInput(b"\0" * 32, 0xFFFFFFFF, script_sig=embit_script.Script(b"\x00\x20" + digest), sequence=0)
    to_spend = Transaction(version=0, vin=[challenge], vout=[TransactionOutput(0, embit_script.Script(script))])
    spending = TransactionInput(to_spend.txid(), 0, sequence=0)
    return Transaction(version=0, vin=[spending], vout=[TransactionOutput(0, embit_script.Script(b"\x6a"))])


def _witness(raw: bytes) -> list[bytes]:
    stream = BytesIO(raw)
    items = list(embit_script.Witness.read_from(stream).items)
    if stream.read(1):
        raise ValueError("bytes are left over after the witness")
    return items


def _segwit_fault(script: bytes, text: str, raw: bytes) -> str:
    items = _witness(raw)
    if len(items) != 2 or len(items[1]) != 33 or not items[0] or items[0][-1] != SIGHASH.ALL:
        return "it is no signature by one key over all of the transaction"
    if hash160(items[1]) != script[2:]:
        return "another key signed"
    key = ec.PublicKey.parse(items[1])
    digest = _to_sign(script, text).sighash_segwit(0, embit_script.p2pkh(key), 0)
    return "" if key.verify(ec.Signature.parse(items[0][:-1]), digest) else "another text was signed"


def _taproot_fault(script: bytes, text: str, raw: bytes) -> str:
    items = _witness(raw)
    if len(items) != 1 or len(items[0]) not in (64, 65) or (len(items[0]) == 65 and items[0][64] != SIGHASH.ALL):
        return "it is no signature by the output's key over all of the transaction"
    kind: Any = SIGHASH.DEFAULT if len(items[0]) == 64 else SIGHASH.ALL
    digest = _to_sign(script, text).sighash_taproot(0, [embit_script.Script(script)], [0], sighash=kind)
    key = ec.PublicKey.from_xonly(script[2:])
    return "" if key.schnorr_verify(ec.SchnorrSig(items[0][:64]), digest) else "another key signed, or another text"
