"""Signs through NCANode 3: the key travels in the request's body, so the address must be on this machine or use TLS.

Enters: files' bytes, the key file's bytes, `now`. Leaves: detached CMS of each file, verified by NCANode's own `/cms/verify` at once, and
its certificate looked at here: its time and the pool's BIN. GOST keys too. Where a time stamp is wanted, NCANode fetches it.

Requests and answers as in NCANode's own sources (`CmsCreateRequest`, `CmsVerifyRequest`, `SignerRequest`, `CmsResponse`, `CmsVerificationResponse`,
`ErrorResponse`; master of 2025-07-21, the 3.x line). It wants a password that is not empty. It checks that `keyAlias` is in the file and then
signs with the file's first key all the same: a file of several keys is to be split, and the BIN is looked at here whatever it signed with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from connectors.transport.service import Limits, NoAnswer, NotConnected, ask
from pipeline.model.address import parse_address
from pipeline.model.errors import SettingsError, SigningError
from pipeline.model.message import message
from pipeline.model.secret_mask import SecretMask
from pipeline.model.system_words import system_words
from pipeline.signing.certificate import KeyCertificate, certificate_fault, subject_of
from pipeline.signing.cms import read_signature
from pipeline.signing.signature import signer_certificate
from pipeline.signing.signer import Signature

_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]{100,}")
MOST_ANSWER_BYTES = 32 << 20
"""Of one answer: a signature and its certificates are some kilobytes."""


class NcanodeSigner:
    """`pipeline.closing.advance.Signer` through NCANode."""

    def __init__(
        self, url: str, path: Path, password: str | None, pool_bin: str, *, key_alias: str | None = None, with_tsp: bool = False,
        tsa_policy: str | None = None, timeout_s: float = 30,
    ) -> None:  # fmt: skip
        """Raises SettingsError for an address that would carry the key over a network in the clear."""
        try:
            self._address = parse_address(url, carries_secret=True)
        except ValueError as error:
            raise SettingsError(
                [
                    message(
                        "signing.ncanode_url: {error}: the key travels in the request; write it like http://127.0.0.1:14579", error=error
                    )
                ],
                source="signing",
            ) from None
        self._path, self._password, self._bin = path, password, pool_bin
        self._key_alias, self._with_tsp, self._tsa_policy, self._timeout_s = key_alias, with_tsp, tsa_policy, timeout_s

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature:
        """Detached CMS of each file, each verified. Raises SigningError."""
        made: dict[str, bytes] = {}
        certificate: x509.Certificate | None = None
        for name, content in files.items():
            made[name] = self._sign(content)
            certificate = signer_certificate(read_signature(made[name]))
            fault = certificate_fault(certificate, self._bin, now)
            if fault:
                raise SigningError(message("{path}: {fault}", path=self._path, fault=fault))
            self._verify(made[name], content)
        assert certificate is not None, "nothing to sign"
        return Signature(
            made,
            subject_of(certificate),
            hashlib.sha256(certificate.public_bytes(_der())).hexdigest(),
            int(certificate.not_valid_after_utc.timestamp()),
        )

    def certificate(self) -> KeyCertificate:
        """The certificate of the key, as NCANode reads it (`/pkcs12/info`). Raises SigningError."""
        answer = self._post("/pkcs12/info", {"keys": [self._signer()], "revocationCheck": []})
        try:
            (told,) = answer["signers"]
            begins, ends = (int(datetime.fromisoformat(told[name]).timestamp()) for name in ("notBefore", "notAfter"))
            numbers = {str(told["subject"].get(name) or "") for name in ("bin", "iin")} - {""}
            return KeyCertificate(str(told["serialNumber"]), begins, ends, frozenset(numbers))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SigningError(
                message("{name}/pkcs12/info: the answer tells of no certificate: is this NCANode 3?", name=self._address.name)
            ) from error

    def _signer(self) -> dict[str, Any]:
        """The key as it travels. Raises SigningError for a file that can't be read, or a key without a password."""
        try:
            key = base64.b64encode(self._path.read_bytes()).decode()
        except OSError as error:
            raise SigningError(
                message("{path}: {strerror}: set signing.pkcs12_file to the key's .p12 file", path=self._path, strerror=system_words(error))
            ) from error
        if not self._password:
            raise SigningError(
                message(
                    "{path}: NCANode takes no key without a password: set signing.password_file or ESEP_SIGNING_PASSWORD", path=self._path
                )
            )
        return {"key": key, "password": self._password, "keyAlias": self._key_alias}

    def _sign(self, content: bytes) -> bytes:
        wanted: dict[str, Any] = {"data": _base64(content), "signers": [self._signer()], "withTsp": self._with_tsp, "detached": True}
        if self._with_tsp and self._tsa_policy:
            wanted["tsaPolicy"] = self._tsa_policy
        answer = self._post("/cms/sign", wanted)
        try:
            return base64.b64decode(answer["cms"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise SigningError(
                message("{name}/cms/sign: no signature in the answer: {said}", name=self._address.name, said=repr(self._said(answer)))
            ) from error

    def _verify(self, signature: bytes, content: bytes) -> None:
        if read_signature(signature).is_detached is False:
            raise SigningError(
                message("{name}/cms/sign: the signature carries the content: it was asked for a detached one", name=self._address.name)
            )
        answer = self._post("/cms/verify", {"cms": _base64(signature), "data": _base64(content)})
        if answer.get("valid") is not True:
            raise SigningError(
                message(
                    "{name}/cms/verify: the signature just made does not verify: {said}",
                    name=self._address.name,
                    said=repr(self._said(answer) or message("not valid")),
                )
            )

    def _said(self, answer: dict[str, Any]) -> str:
        """What NCANode says, without our password and without what may be our key: long runs of base64.

        It says `message`; what fails before it is asked (an empty password, an unknown policy) is Spring's own `error`.
        """
        hide = SecretMask([self._password or ""])
        return hide.beginning(_LONG_BASE64.sub("***", str(answer.get("message") or answer.get("error") or "")), 500)

    def _post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """One request; the key in it never shows in an error, nor does its password, should the answer repeat it."""
        place, hide = f"{self._address.name}{path}", SecretMask([self._password or ""])
        address = self._address._replace(path=self._address.path.rstrip("/") + path)
        body = json.dumps(content).encode()
        try:
            got = ask(address, "POST", {"Content-Type": "application/json"}, body, Limits(self._timeout_s, MOST_ANSWER_BYTES))
        except (NotConnected, NoAnswer) as error:
            raise SigningError(message("{place}: {hide}: is NCANode running?", place=place, hide=hide(str(error)))) from None
        if got.fault:
            raise SigningError(message("{place}: {fault}: is this NCANode 3?", place=place, fault=got.fault))
        try:
            answer: Any = json.loads(got.body)
        except (ValueError, RecursionError):
            raise SigningError(message("{place}: HTTP {status} and no JSON: is this NCANode 3?", place=place, status=got.status)) from None
        if got.status != 200 or not isinstance(answer, dict) or answer.get("status") not in (200, None):
            said = self._said(answer) if isinstance(answer, dict) else ""
            raise SigningError(message("{place}: HTTP {status}: {said}", place=place, status=got.status, said=repr(said)))
        return answer


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER
