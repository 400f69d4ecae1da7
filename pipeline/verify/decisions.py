"""The decisions that a month rests on were signed by their people's own keys, and those keys granted by the root key (ADR 14).

Enters: a bundle whose manifest names a root key, with `evidence/decisions.jsonl`: what the root key said of keys, labels, the month's waivers, each with the signature of the append
that it belongs to. Leaves: faults, what is proved, what is on the signer's word. Proved: that the named owner's key signed each of these decisions, that the root key had granted it the
right, and that no revocation which the bundle holds came before; where whoever asks names the root key, that it is this one. On the signer's word: else that the root key
is the pool's, that no revocation is left out, and decisions of before the root key was in force, which nobody signed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pipeline.log.authenticity import Grant
from pipeline.log.events import AnyEvent, decode
from pipeline.log.events.keys import KeyGranted, KeyRevoked, KeysRoot
from pipeline.log.events.months import Labelled, Waived
from pipeline.log.protocol import NewEvent
from pipeline.log.roles import why_not
from pipeline.log.signatures import AppendSignature, digest_if_signed, event_digest, unpack
from pipeline.model.errors import SettingsError, VerifyError
from pipeline.model.message import message
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder

from .finding import Finding
from .opened import OpenBundle
from .shapes import DECISIONS, read_plain

MAX_BYTES = 256 << 20
MAX_KEY_BYTES = 10_000
_PUBLIC = re.compile(r"[0-9a-fA-F]{64}")
_OF_WAIVER = ("code", "ref", "by", "reason", "at", "facts")


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    topic: str
    key: str
    id: str
    value: str
    signature: str


@dataclass
class _Told:
    """What the signed events say together."""

    root: str
    faults: list[str] = field(default_factory=list)
    begun_at: int | None = None
    """When the root key's own event says that it began to count, Unix seconds."""
    grants: dict[str, list[Grant]] = field(default_factory=dict)
    """By public key, in order."""
    waivers: list[Waived] = field(default_factory=list)
    labels: dict[tuple[str, str], Labelled] = field(default_factory=dict)
    """The newest by chain and address."""


def load_root_key(given: str) -> str:
    """The root key that an auditor pins, hex: 64 hexadecimal digits, or a file with these or with the public key in PEM. Raises SettingsError."""
    text = given.strip()
    if not _PUBLIC.fullmatch(text):
        wanted = message("64 hexadecimal digits, or a file with these, or with an Ed25519 public key in PEM")
        try:
            text = read_plain(Path(given), MAX_KEY_BYTES).decode("ascii").strip()
            if text.startswith("-----BEGIN PUBLIC KEY-----"):
                found = load_pem_public_key(text.encode())
                text = found.public_bytes_raw().hex() if isinstance(found, Ed25519PublicKey) else ""
        except OSError as error:
            raise SettingsError(
                [
                    message(
                        "--root-key: {given}: can't be read: {strerror}; it is {wanted}",
                        given=given,
                        strerror=system_words(error),
                        wanted=wanted,
                    )
                ],
                source="",
            ) from None
        except (ValueError, UnsupportedAlgorithm, VerifyError):
            text = ""
        if not _PUBLIC.fullmatch(text):
            raise SettingsError([message("--root-key: {given}: is not {wanted}", given=given, wanted=wanted)], source="")
    return text.lower()


def check_decisions(bundle: OpenBundle) -> Finding:
    """Waivers and labels, against their signatures."""
    keys, pinned = bundle.manifest.get("keys"), bundle.root_key
    if keys is None:
        faults = (
            [message("{decisions} stands in a bundle that names no root key", decisions=DECISIONS)]
            if DECISIONS in bundle.manifest["files"]
            else []
        )
        faults += [message("the bundle names no root key, and {pinned} is asked for", pinned=pinned)] if pinned else []
        return Finding(faults, "", on_word=(message("who gave labels and waivers: the log's events were not authenticated"),))
    if DECISIONS not in bundle.manifest["files"]:
        return Finding([message("the manifest names a root key, and {decisions} is missing", decisions=DECISIONS)], "")
    if pinned is not None and pinned != keys["root"]:
        return Finding(
            [message("the bundle is of the root key {root}, not of {pinned}, which is asked for", root=keys["root"], pinned=pinned)], ""
        )
    told = _told(bundle, keys["root"])
    if told.begun_at is None:
        told.faults.append(message("the root key {root}… never says that it counts", root=told.root[:16]))
    unsigned = _waiver_faults(bundle, told)
    told.faults += _label_faults(bundle, told)
    told.faults += _key_faults(bundle, told, keys)
    words = [
        *([message("the root key as the manifest says: {root}; --root-key pins it", root=told.root)] if pinned is None else []),
        message("that nothing which the root key said later is left out"),
        *(
            [message("{unsigned} waiver(s) of before the root key was in force, which nobody signed", unsigned=unsigned)]
            if unsigned
            else []
        ),
    ]
    count = len(bundle.manifest["waivers"]) - unsigned
    seen = message("the root key is the one asked for; ") if pinned else ""
    seen += message(
        "{count} waiver(s) and {count_2} label(s) are signed by their people's own keys, which the root key granted and had not revoked",
        count=count,
        count_2=len(told.labels),
    )
    return Finding(told.faults, seen, on_word=tuple(words))


def _lines(bundle: OpenBundle) -> Iterator[_Line]:
    for number, raw in enumerate(read_plain(bundle.folder / DECISIONS, MAX_BYTES).splitlines(), start=1):
        try:
            yield decoder(_Line).decode(raw)
        except (ValueError, RecursionError) as error:
            raise ValueError(message("{decisions}:{number}: {error}", decisions=DECISIONS, number=number, error=error)) from None


def _told(bundle: OpenBundle, root: str) -> _Told:
    """What the file says, line after line; what is not signed is a fault."""
    told = _Told(root)
    stream: tuple[str, str] | None = None
    number = 0
    for line in _lines(bundle):
        stream = stream or (line.topic, line.key)
        try:
            signature = unpack(base64.b64decode(line.signature, validate=True))
            event = decode(line.value.encode())
        except (ValueError, RecursionError) as error:
            told.faults.append(message("{id}: {error}", id=repr(line.id), error=error))
            continue
        why = _why_not_signed(line, signature, stream)
        if not why and signature.number < number:
            why = message("append {number} stands after append {number_2}", number=signature.number, number_2=number)
        number = max(number, signature.number)
        why = why or _take(told, event, line, signature)
        if why:
            told.faults.append(message("{id}: {why}", id=repr(line.id), why=why))
    return told


def _why_not_signed(line: _Line, signature: AppendSignature, stream: tuple[str, str]) -> str:
    if (line.topic, line.key) != stream or line.topic != "months":
        return message("it is of {topic} of {key}", topic=line.topic, key=repr(line.key))
    if event_digest(NewEvent(line.id, line.value.encode())) not in signature.digests:
        return message("it was changed after it was signed")
    if digest_if_signed(signature, line.topic, line.key) is None:
        return message("its signature does not hold")
    return ""


def _take(told: _Told, event: AnyEvent, line: _Line, signature: AppendSignature) -> str:
    """Take in a signed event; why it says nothing, "" when it does."""
    signer = signature.signer.hex()
    tag = str(type(event).__struct_config__.tag)
    if signer == told.root:
        return _take_key(told, event, signature.number)
    grant = next((known for known in reversed(told.grants.get(signer, [])) if known.since < signature.number), None)
    if grant is None:
        return message("the root key granted nothing to the key {signer}…", signer=signer[:16])
    if grant.until is not None and grant.until < signature.number:
        return message("the key of {owner} was revoked before", owner=repr(grant.owner))
    if not isinstance(event, Labelled | Waived):
        return message("an event of type {tag} stands among the decisions", tag=repr(tag))
    if why := why_not(line.topic, tag, event.by, grant.owner, grant.roles):
        return why
    if isinstance(event, Waived):
        told.waivers.append(event)
    else:
        told.labels[event.chain, event.address] = event
    return ""


def _take_key(told: _Told, event: AnyEvent, number: int) -> str:
    """What the root key says of keys."""
    match event:
        case KeysRoot():
            told.begun_at = event.at if told.begun_at is None else told.begun_at
        case KeyGranted():
            if event.replaces is not None:
                _revoke(told, event.replaces, number)
            told.grants.setdefault(event.key, []).append(Grant(event.owner, list(event.roles), number))
        case KeyRevoked():
            _revoke(told, event.key, number)
        case _:
            return message("the root key writes keys alone")
    return ""


def _revoke(told: _Told, key: str, number: int) -> None:
    for grant in told.grants.get(key, []):
        if grant.until is None:
            grant.until = number


def _waiver_faults(bundle: OpenBundle, told: _Told) -> int:
    """How many of the manifest's waivers nobody signed because they are of before the root key; the others that nobody signed are faults."""
    signed = [{name: getattr(waiver, name) for name in _OF_WAIVER} for waiver in told.waivers]
    unsigned = 0
    for waiver in bundle.manifest["waivers"]:
        given: dict[str, Any] = {name: waiver[name] for name in _OF_WAIVER if name in waiver}
        if any(all(known[name] == value for name, value in given.items()) for known in signed):
            continue
        if told.begun_at is not None and waiver["at"] >= told.begun_at:
            told.faults.append(
                message(
                    "the waiver of {code} {ref} by {by} is not signed by their key",
                    code=waiver["code"],
                    ref=waiver["ref"],
                    by=repr(waiver["by"]),
                )
            )
        else:
            unsigned += 1
    return unsigned


def _label_faults(bundle: OpenBundle, told: _Told) -> list[str]:
    """Labels that were signed, and say something else in the facts."""
    held = {(chain, address): outflow_class for chain, address, outflow_class in bundle.facts.labels.iter_rows()}
    return [
        message(
            "the label of {address} on {chain} is {held} in the facts, and {outflow_class} was signed",
            address=address,
            chain=chain,
            held=repr(held.get((chain, address), "not there")),
            outflow_class=repr(label.outflow_class),
        )
        for (chain, address), label in sorted(told.labels.items())
        if held.get((chain, address)) != label.outflow_class
    ]


def _key_faults(bundle: OpenBundle, told: _Told, keys: dict[str, Any]) -> list[str]:
    """Keys that the manifest names for the months, and what the root key said of them."""
    months = [stream for name, stream in keys["streams"].items() if name.startswith("months/")]
    stated = {(key["key"], key["owner"], key["since"], key["until"]) for stream in months for key in stream["keys"]}
    signed = {(key, grants[-1].owner, grants[-1].since, grants[-1].until) for key, grants in told.grants.items()}
    return (
        []
        if stated == signed
        else [message("the keys that the manifest names for the months are not those that the root key granted and revoked")]
    )
