"""A passkey's assertion, checked with nothing but its public key (WebAuthn level 3, section 7.2). Pure.

Enters: the public key that was registered, the host's name, the challenge that had to be answered, the assertion. Leaves: why it does not hold, or "". Used where an approval is
taken, where it is counted, and by whoever verifies a bundle offline: one check for all. Left out: who holds the key, and whether it was revoked (`closing.users`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final

import msgspec

from pipeline.log.events.months import Approved
from pipeline.log.events.users import Assertion
from pipeline.model.message import as_plain, message

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
_APPROVED: Final = ("id", "schema", "month", "version", "digest", "by", "reason", "at")
"""What an approval says: named one by one, so that a field that joins the event later changes no challenge of before."""
_LEAST_RSA_BITS: Final = 2048
_HEAD_BYTES: Final = 37
"""Of authenticator data: the digest of the host's name, the flags, the counter."""


def approval_challenge(event: Approved) -> bytes:
    """What a passkey answers to approve: SHA-256 of the event as canonical JSON, without the assertion itself."""
    content = {name: getattr(event, name) for name in _APPROVED}
    return hashlib.sha256(msgspec.json.encode({"type": "approved", **content}, enc_hook=as_plain, order="deterministic")).digest()


def assertion_fault(public_key: str, rp_id: str, challenge: bytes, assertion: Assertion) -> str:
    """Why the assertion does not hold; "" when it does. `public_key`: as in `PasskeyAdded`.

    It holds when the passkey signed this challenge, for this host, by a person who was present and whom the authenticator verified (PIN, finger or face).
    """
    try:
        data, client = from_base64(assertion.authenticator_data), from_base64(assertion.client_data)
        signature = from_base64(assertion.signature)
        told = json.loads(client)
    except (ValueError, RecursionError):
        return message("the assertion can't be read")
    if not isinstance(told, dict) or told.get("type") != "webauthn.get":
        return message("the assertion is none of a sign-in or approval")
    if not isinstance(told.get("challenge"), str) or not hmac.compare_digest(told["challenge"].encode(), to_base64(challenge).encode()):
        return message("the passkey answered another question: the approval was changed, or is not the one that the person saw")
    if told.get("crossOrigin") not in (None, False) or not _is_origin_of(told.get("origin"), rp_id):
        return message("the passkey was asked by another site")
    if len(data) < _HEAD_BYTES or not hmac.compare_digest(data[:32], hashlib.sha256(rp_id.encode()).digest()):
        return message("the assertion is for another host than the passkey")
    if not data[32] & USER_PRESENT or not data[32] & USER_VERIFIED:
        return message("the passkey did not verify its holder")
    if not _is_signed(public_key, signature, data + hashlib.sha256(client).digest()):
        return message("the passkey's signature does not hold")
    return ""


def _is_origin_of(origin: object, rp_id: str) -> bool:
    """Whether pages of the origin may use passkeys of the host: over TLS, or on this machine itself."""
    if not isinstance(origin, str):
        return False
    scheme, _, rest = origin.partition("://")
    host = rest.partition(":")[0]
    is_within = host == rp_id or host.endswith(f".{rp_id}")
    return is_within and (scheme == "https" or (scheme == "http" and host == "localhost"))


def _is_signed(public_key: str, signature: bytes, content: bytes) -> bool:
    """By ES256, EdDSA or RS256, as the key is; no other kind counts."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(from_base64(public_key))
        match key:
            case EllipticCurvePublicKey() if key.curve.name == "secp256r1":
                key.verify(signature, content, ECDSA(SHA256()))
            case Ed25519PublicKey():
                key.verify(signature, content)
            case RSAPublicKey() if key.key_size >= _LEAST_RSA_BITS:
                key.verify(signature, content, PKCS1v15(), SHA256())
            case _:
                return False
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def to_base64(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """The bytes of base64url without padding. Raises ValueError."""
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
