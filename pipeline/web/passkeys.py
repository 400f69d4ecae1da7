"""Passkeys between browser and program: what the browser is asked, and what is made of its answers (WebAuthn level 3).

Enters: requests, answers as JSON. Leaves: options for `navigator.credentials`, public keys, assertions. Registration is checked by the library webauthn; assertions by `signing.passkey`, the same
check that the verifier makes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from webauthn import generate_registration_options, options_to_json, verify_registration_response
from webauthn.helpers import base64url_to_bytes, decode_credential_public_key, decoded_public_key_to_cryptography
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from pipeline.log.events.users import Assertion, PasskeyAdded
from pipeline.signing.passkey import to_base64

ALGORITHMS = [COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.EDDSA, COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=8000)]


class AnswerIn(BaseModel):
    """A passkey's answer to a challenge, as the browser's script sends it."""

    model_config = ConfigDict(extra="forbid")
    pending: Annotated[str, Field(max_length=100)]
    credential_id: Base64
    authenticator_data: Base64
    client_data: Base64
    signature: Base64

    def assertion(self) -> Assertion:
        return Assertion(
            credential_id=self.credential_id,
            authenticator_data=self.authenticator_data,
            client_data=self.client_data,
            signature=self.signature,
        )


class SignInAnswer(AnswerIn):
    """A passkey's answer that signs in or says again who it is, and the page to go on to."""

    then: Annotated[str, Field(max_length=4000)] = "/"


class RegistrationIn(BaseModel):
    """A new passkey, as the browser's script sends it."""

    model_config = ConfigDict(extra="forbid")
    pending: Annotated[str, Field(max_length=100)]
    credential_id: Base64
    client_data: Base64
    attestation: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=60_000)]
    name: Annotated[str, Field(max_length=100)] = ""


class Asked(BaseModel):
    """What the browser's script asks the authenticator."""

    pending: str = Field(description="names the challenge in the answer")
    options: dict[str, Any]


def host_of(request: Request) -> str:
    """The host's name that a passkey is for: as the browser called us, without the port."""
    return request.url.hostname or "localhost"


def registration_options(request: Request, user: str, known: list[PasskeyAdded], challenge: bytes) -> dict[str, Any]:
    """The options of `navigator.credentials.create`, as JSON."""
    made = generate_registration_options(
        rp_id=host_of(request),
        rp_name="Esep",
        user_id=hashlib.sha256(user.encode()).digest(),
        user_name=user,
        user_display_name=user,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(key.credential_id)) for key in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    found: dict[str, Any] = json.loads(options_to_json(made))
    return found


def assertion_options(rp_id: str, allowed: list[PasskeyAdded], challenge: bytes) -> dict[str, Any]:
    """The options of `navigator.credentials.get`, as JSON; without `allowed` any passkey of the host may answer."""
    return {
        "challenge": to_base64(challenge),
        "rpId": rp_id,
        "userVerification": "required",
        "timeout": 300_000,
        "allowCredentials": [{"type": "public-key", "id": key.credential_id} for key in allowed],
    }


def registered_key(request: Request, given: RegistrationIn, challenge: bytes) -> str:
    """The new passkey's public key, as events carry it. Raises ValueError where the registration does not hold."""
    credential = {
        "id": given.credential_id,
        "rawId": given.credential_id,
        "type": "public-key",
        "response": {"clientDataJSON": given.client_data, "attestationObject": given.attestation},
    }
    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=host_of(request),
            expected_origin=[
                f"{request.url.scheme}://{request.url.netloc}",
                f"https://{request.url.netloc}",
            ],  # a proxy may end TLS before us
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        key = decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
    except (WebAuthnException, ValueError, KeyError) as error:
        raise ValueError(f"the registration does not hold: {error}") from error
    return to_base64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
