"""Output descriptors: from their text to their scripts.

Enters: a descriptor as Bitcoin Core prints it (BIP 380 to 389), public keys only. Leaves: scripts, index by index when it
is ranged. embit parses keys and miniscript; what it lacks is added here: bare `multi`, `pk` and miniscript, `addr`,
`raw`, `rawtr`, `combo`, every branch of `<0;1>`, and a fast path for the usual single keys (an HMAC and a point addition
per index: about 30 µs). A checksum is verified where there is one. Left out: hardened steps (they need the private key),
`musig`, and private keys, which are refused.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from io import BytesIO

from embit import hashes
from embit import script as embit_script
from embit.descriptor import Descriptor
from embit.descriptor.arguments import AllowedDerivation, Key
from embit.descriptor.checksum import checksum
from embit.descriptor.miniscript import Miniscript
from embit.util import secp256k1

from pipeline.model.message import Message, message, text_of

from .networks import Network
from .script import script_of

_PRIVATE = re.compile(r"\b[a-zA-Z]prv[1-9A-HJ-NP-Za-km-z]{20,}|(?<![0-9A-Za-z])[5KL9c][1-9A-HJ-NP-Za-km-z]{50,51}(?![0-9A-Za-z])")
_SINGLE = re.compile(r"^(?:(pkh|wpkh|tr)\(([^(),]+)\)|(sh\(wpkh)\(([^(),]+)\)\))$")
_TEST_KEY, _MAIN_KEY = re.compile(r"\b[tuvUV]pub[1-9A-HJ-NP-Za-km-z]{50,}"), re.compile(r"\b[xyzYZ]pub[1-9A-HJ-NP-Za-km-z]{50,}")
_WITNESS = re.compile(r"\b(wpkh|wsh|rawtr|tr|combo)\(")
_PREFIXED_KEY = re.compile(r"\b([yYzZuUvV])pub[1-9A-HJ-NP-Za-km-z]{50,}")
_SCRIPT_OF_PREFIX = {
    "z": "wpkh(", "v": "wpkh(", "y": "sh(wpkh(", "u": "sh(wpkh(", "Z": "wsh(", "V": "wsh(", "Y": "sh(wsh(", "U": "sh(wsh(",
}  # fmt: skip

MAX_INDEX = 1 << 31
ScriptsAt = Callable[[int], list[bytes]]


class ParsedDescriptor:
    """A parsed descriptor."""

    def __init__(self, text: str, is_ranged: bool, scripts_at: ScriptsAt) -> None:
        self.text = text
        """Without its checksum, so that two spellings of one descriptor are equal."""
        self.is_ranged = is_ranged
        self._scripts_at = scripts_at

    def scripts(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Each index in `start … stop - 1` with each of its scripts; a descriptor that is not ranged has index 0 only."""
        for index in range(start, min(stop, MAX_INDEX) if self.is_ranged else min(1, stop)):
            for script in self._scripts_at(index):
                yield index, script


def without_checksum(text: str) -> str:
    return text.partition("#")[0]


def parse_descriptor(text: str, network: Network) -> ParsedDescriptor:
    """Parse a descriptor. Raises ValueError that says what is wrong with it, without quoting a private key."""
    if _PRIVATE.search(text):
        raise ValueError(
            message(
                "the descriptor holds a private key: give the public one (listdescriptors without `private`), and treat that key as known"
            )
        )
    body, has_checksum, given = text.strip().partition("#")
    try:
        expected = checksum(body)
    except Exception as error:  # embit's own error type, or worse, for characters it does not know
        raise ValueError(message("descriptor {text}: {error}", text=repr(text), error=error)) from error
    if has_checksum and given != expected:
        raise ValueError(
            message("descriptor {text}: its checksum should be #{expected}: it was mistyped or cut", text=repr(text), expected=expected)
        )
    wrong_key = _TEST_KEY if network.chain == "main" else _MAIN_KEY
    if found := wrong_key.search(body):
        raise ValueError(
            message(
                "descriptor {text}: its key {found}… belongs to {more} network",
                text=repr(text),
                found=found[0][:8],
                more=message("a test") if network.chain == "main" else message("the main"),
            )
        )
    if fault := _script_fault(body, network):
        raise ValueError(message("descriptor {text}: {fault}", text=repr(text), fault=fault))
    try:
        scripts_at = _scripts_at(body, network)
        scripts_at(0)
    except Exception as error:  # embit raises many kinds, assertions among them, for text it can't read
        raise ValueError(message("descriptor {text} can't be read: {error}", text=repr(text), error=_fault_of(error))) from error
    is_ranged = "/*" in body
    return ParsedDescriptor(body, is_ranged, scripts_at)


def _fault_of(error: Exception) -> str:
    """Why a descriptor can't be read: our own words, else what it comes to; the library's speak of its insides."""
    text = text_of(error)
    return text if isinstance(text, Message) else message("a key, a bracket or a word in it is mistyped, missing or cut: copy it whole")


def _script_fault(body: str, network: Network) -> str | None:
    """Why the network has no such scripts, or a key stands in another kind of script than the one that its prefix says (SLIP-132)."""
    if network.hrp is None and (found := _WITNESS.search(body)):
        return message(
            "{network} has no segregated witness, and {function}() pays by it: what is sent there can't be spent as such; use pkh() or sh()",
            network=network.name,
            function=found[1],
        )
    for found in _PREFIXED_KEY.finditer(body):
        wanted = _SCRIPT_OF_PREFIX[found[1]]
        if not body.startswith(wanted):
            return message(
                "its key {prefix}pub… is one for {wanted}…): write {wanted}…), or export the key as xpub (tpub on test networks)",
                prefix=found[1],
                wanted=wanted,
            )
    return None


def _scripts_at(body: str, network: Network) -> ScriptsAt:
    if re.search(r"\*['hH]", body):
        raise ValueError(message("hardened indexes need the private key"))
    name, _, rest = body.partition("(")
    inner = rest[:-1]
    if not rest.endswith(")"):
        raise ValueError(message("it does not end with a bracket"))
    if name == "addr":
        address_script = script_of(inner, network)
        return lambda _: [address_script]
    if name == "raw":
        raw = bytes.fromhex(inner)
        return lambda _: [raw]
    if name == "combo":
        parts = [_scripts_at(f"{kind}({inner}{')' * kind.count('(')})", network) for kind in ("pk", "pkh", "wpkh", "sh(wpkh")]
        return lambda index: [script for part in parts for script in part(index)]
    if name == "rawtr":
        keys = _branches(_whole(Key, inner, taproot=True))
        return lambda index: [b"\x51\x20" + _at(key, index).xonly() for key in keys]
    if single := _SINGLE.match(body):
        kind, key = single[1] or single[3], single[2] or single[4]
        return _single_key(kind, _whole(Key, key, taproot=kind == "tr"))
    if name in ("sh", "wsh", "tr", "wpkh", "pkh"):
        descriptor = Descriptor.from_string(body)
        count = descriptor.num_branches
        return lambda index: [bytes(descriptor.derive(index, branch_index=n).script_pubkey().data) for n in range(count)]
    miniscript = _whole(Miniscript, body)
    miniscript.verify()
    count = max(key.num_branches for key in miniscript.keys)
    return lambda index: [bytes(miniscript.derive(index, n).compile()) for n in range(count)]


def _whole(kind: type, text: str, **options: object) -> Key | Miniscript:
    stream = BytesIO(text.encode())
    found = kind.read_from(stream, **options)  # type: ignore[attr-defined]
    if left := stream.read():
        raise ValueError(message("unexpected {left}", left=repr(left.decode(errors="replace"))))
    return found


def _branches(key: Key) -> list[Key]:
    return [key.branch(n) for n in range(key.num_branches)] if key.num_branches > 1 else [key]


def _at(key: Key, index: int) -> Key:
    return key.derive(index) if key.is_extended and key.allowed_derivation is not None else key


def _single_key(kind: str, key: Key) -> ScriptsAt:
    """The scripts of a single-key descriptor, the most common kind."""
    parts = [_derivation(branch) for branch in _branches(key)]
    finish = _FINISH[kind]
    if not key.is_extended or key.allowed_derivation is None:
        sec = key.sec()
        return lambda _: [finish(sec)]
    return lambda index: [finish(derive(index)) for derive in parts]


def _derivation(key: Key) -> Callable[[int], bytes]:
    """A function from an index to its public key (BIP 32, public parent to public child); the steps before it are derived once."""
    steps = key.allowed_derivation.indexes if key.allowed_derivation is not None else []
    if not key.is_extended or None not in steps or steps[-1] is not None:
        return lambda index: bytes(_at(key, index).sec())
    parent = key.key.derive(AllowedDerivation(steps[:-1]).fill(None)) if steps[:-1] else key.key
    sec, point, chain_code = parent.sec(), parent.get_public_key()._point, parent.chain_code

    def derive(index: int) -> bytes:
        tweak = hmac.digest(chain_code, sec + index.to_bytes(4, "big"), "sha512")[:32]
        return bytes(secp256k1.ec_pubkey_serialize(secp256k1.ec_pubkey_add(point, tweak)))

    return derive


_TAP_TWEAK = sha256(b"TapTweak").digest() * 2


def _taproot(sec: bytes) -> bytes:
    """BIP 86: an output key that commits to no script."""
    tweak = sha256(_TAP_TWEAK + sec[1:33]).digest()
    internal = secp256k1.ec_pubkey_parse(b"\x02" + sec[1:33])
    return b"\x51\x20" + bytes(secp256k1.ec_pubkey_serialize(secp256k1.ec_pubkey_add(internal, tweak)))[1:33]


def _wpkh(sec: bytes) -> bytes:
    if len(sec) != 33:
        raise ValueError(message("segregated witness needs a compressed key"))
    return b"\x00\x14" + bytes(hashes.hash160(sec))


_FINISH: dict[str, Callable[[bytes], bytes]] = {
    "pkh": lambda sec: b"\x76\xa9\x14" + bytes(hashes.hash160(sec)) + b"\x88\xac",
    "wpkh": _wpkh,
    "sh(wpkh": lambda sec: bytes(embit_script.p2sh(embit_script.Script(_wpkh(sec))).data),
    "tr": _taproot,
}
