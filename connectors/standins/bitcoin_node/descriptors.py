"""The scripts that an output descriptor stands for, as `scanblocks` takes them (strings, or objects with a range).

`addr`, `raw`, and `pk`, `rawtr` and `multi` with plain keys are read here, the others by embit. Left out: private keys, `combo`,
`sortedmulti` outside of `sh` and `wsh`.
"""

from __future__ import annotations

from typing import Any

from embit.descriptor import Descriptor
from embit.descriptor.checksum import checksum

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import script_of

from .errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError

_DEFAULT_RANGE = (0, 1000)
_MAX_RANGE = 1_000_000
_MAX_OPCODE_NUMBER = 16
_FUNCTIONS = {"addr", "raw", "pk", "rawtr", "multi", "pkh", "wpkh", "sh", "wsh", "tr"}


def scripts_of(scan_object: Any, network: Network) -> list[bytes]:
    """Every script of a scan object. Raises RpcError with Core's codes."""
    if isinstance(scan_object, str):
        text, span = scan_object, _DEFAULT_RANGE
    elif isinstance(scan_object, dict):
        if not isinstance(scan_object.get("desc"), str):
            raise RpcError(INVALID_PARAMETER, "Descriptor needs to be provided in scan object")
        text = scan_object["desc"]
        span = _DEFAULT_RANGE if scan_object.get("range") is None else _range(scan_object["range"])
    else:
        raise RpcError(INVALID_PARAMETER, "Scan object needs to be either a string or an object")
    body = _checked(text)
    function, bracket, inner = body.partition("(")
    if not bracket or not inner.endswith(")") or function not in _FUNCTIONS:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"'{body}' is not a valid descriptor function")
    inner = inner[:-1]
    if function == "addr":
        return [_script_of_address(inner, network)]
    plain = {"raw": _raw, "pk": _public_key, "rawtr": _output_key, "multi": _multisig}.get(function)
    script = plain(inner) if plain else None
    return [script] if script is not None else _derived(body, span)


def _checked(text: str) -> str:
    body, separator, given = text.partition("#")
    try:
        computed = checksum(body)
    except Exception as error:  # embit's error has no base of its own
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid characters in payload") from error
    if separator and given != computed:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"Provided checksum '{given}' does not match computed checksum '{computed}'")
    return body


def _range(value: Any) -> tuple[int, int]:
    low, high = value if isinstance(value, list) and len(value) == 2 else (0, value)
    if not isinstance(low, int) or not isinstance(high, int):
        raise RpcError(INVALID_PARAMETER, "Range must be specified as end or as [begin,end]")
    if low > high:
        raise RpcError(INVALID_PARAMETER, "Range specified as [begin,end] must not have begin after end")
    if low < 0:
        raise RpcError(INVALID_PARAMETER, "Range should be greater or equal than 0")
    if high >= low + _MAX_RANGE:
        raise RpcError(INVALID_PARAMETER, "Range is too large")
    return low, high


def _script_of_address(address: str, network: Network) -> bytes:
    try:
        return script_of(address, network)
    except ValueError as error:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Address is not valid") from error


def _raw(inner: str) -> bytes:
    script = _hex(inner)
    if script is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Raw script is not hex")
    return script


def _public_key(inner: str) -> bytes | None:
    key = _hex(inner)
    return bytes([len(key)]) + key + b"\xac" if key is not None and len(key) in (33, 65) else None


def _output_key(inner: str) -> bytes | None:
    key = _hex(inner)
    return b"\x51\x20" + key[-32:] if key is not None and len(key) in (32, 33) else None


def _multisig(inner: str) -> bytes | None:
    required, *keys = inner.split(",")
    pushes = [_public_key(key) for key in keys]
    if not required.isdecimal() or not 1 <= int(required) <= len(keys) <= _MAX_OPCODE_NUMBER or None in pushes:
        return None
    return bytes([0x50 + int(required)]) + b"".join(push[:-1] for push in pushes if push) + bytes([0x50 + len(keys), 0xAE])


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _derived(body: str, span: tuple[int, int]) -> list[bytes]:
    try:
        descriptor = Descriptor.from_string(body)
        branches = range(descriptor.num_branches) if descriptor.num_branches > 1 else [None]
        indexes = range(span[0], span[1] + 1) if descriptor.is_wildcard else [0]
        return [bytes(descriptor.derive(index, branch).script_pubkey().data) for index in indexes for branch in branches]
    except Exception as error:  # embit raises many kinds for a malformed descriptor
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"'{body}' is not a valid descriptor: {error}") from error
