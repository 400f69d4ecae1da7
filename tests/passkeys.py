"""A passkey made of software, as a browser and an authenticator give it: registration apart, assertions by the book (WebAuthn level 3, section 7.2)."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.log.events.users import Assertion, PasskeyAdded
from pipeline.signing.passkey import to_base64

RP = "localhost"
PRESENT_AND_VERIFIED = 0x05


@dataclass
class SoftPasskey:
    """A passkey of a person for a host."""

    user: str
    rp_id: str = RP
    private: EllipticCurvePrivateKey | Ed25519PrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    credential_id: str = field(default_factory=lambda: to_base64(secrets.token_bytes(32)))

    def added(self, at: int = 1) -> PasskeyAdded:
        public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PasskeyAdded(
            id=f"passkey-added:{self.credential_id}"[:200], user=self.user, credential_id=self.credential_id, public_key=to_base64(public),
            rp_id=self.rp_id, by=self.user, reason="a passkey of theirs", at=at,
        )  # fmt: skip

    def answer(self, challenge: bytes, /, *, flags: int = PRESENT_AND_VERIFIED, rp_id: str | None = None, **client: Any) -> Assertion:
        """The assertion over a challenge; `flags`, `rp_id` and the client's data may be made wrong."""
        told = {"type": "webauthn.get", "challenge": to_base64(challenge), "origin": "https://localhost", "crossOrigin": False} | client
        told_bytes = json.dumps(told).encode()
        data = hashlib.sha256((rp_id or self.rp_id).encode()).digest() + bytes([flags]) + (7).to_bytes(4, "big")
        content = data + hashlib.sha256(told_bytes).digest()
        private = self.private
        signature = private.sign(content) if isinstance(private, Ed25519PrivateKey) else private.sign(content, ECDSA(SHA256()))
        return Assertion(
            credential_id=self.credential_id, authenticator_data=to_base64(data), client_data=to_base64(told_bytes), signature=to_base64(signature)
        )  # fmt: skip
