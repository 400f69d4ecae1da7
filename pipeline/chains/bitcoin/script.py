"""Output scripts and addresses: the type and address of a script, and the script of an address.

Kinds and addresses are those that Bitcoin Core (25 and later) prints in `getblock`; the kind `anchor` since 28 (before:
`witness_unknown`). Base58 is embit's; bech32 (BIP 173, BIP 350) is ours, because an address that is refused must be refused
with its cause. bitcoinlib's encoders serve as a check in the tests only: importing it writes into the home directory.
Left out: miniscript, descriptors, Litecoin's stealth addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from embit import base58

from pipeline.model.message import message

from .cashaddr import KEY_HASH, SCRIPT_HASH, TOKEN_KEY_HASH, decode_cashaddr, encode_cashaddr, looks_like_cashaddr
from .networks import NETWORKS, Network, network
from .wire import double_sha256

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE_OF = {character: value for value, character in enumerate(_CHARSET)}
BECH32, BECH32M = 1, 0x2BC830A3
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_STEP = [0] * 32
for _top in range(32):
    for _bit, _generator in enumerate(_GENERATORS):
        if _top >> _bit & 1:
            _STEP[_top] ^= _generator

_OP_RETURN, _OP_CHECKSIG, _OP_CHECKMULTISIG = 0x6A, 0xAC, 0xAE
_OP_1, _OP_16 = 0x51, 0x60
_MAX_KEYS = 20
_STEALTH_HRPS = ("ltcmweb", "tmweb")
_KEY_LENGTH = {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """The witness version and program of a script, None for other scripts (BIP 141)."""
    if not 4 <= len(script) <= 42 or script[1] != len(script) - 2:
        return None
    opcode = script[0]
    if opcode == 0:
        return 0, script[2:]
    return (opcode - _OP_1 + 1, script[2:]) if _OP_1 <= opcode <= _OP_16 else None


@lru_cache(maxsize=1 << 16)
def script_type(script: bytes) -> str:
    """Bitcoin Core's name of the script's kind."""
    if len(script) == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87:
        return "scripthash"
    witness = witness_program(script)
    if witness is not None:
        return _witness_type(*witness)
    if script[:1] == bytes([_OP_RETURN]) and _is_push_only(script, 1):
        return "nulldata"
    if len(script) in (35, 67) and script[0] == len(script) - 2 and script[-1] == _OP_CHECKSIG and _is_key(script[1:-1]):
        return "pubkey"
    if len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return "pubkeyhash"
    return "multisig" if _is_multisig(script) else "nonstandard"


@lru_cache(maxsize=1 << 16)
def address_of(script: bytes, network: Network) -> str | None:
    """The address that Bitcoin Core prints for an output script; None where it prints none."""
    witness = witness_program(script)
    if witness is not None:
        if network.hrp is None or (witness[0] == 0 and len(witness[1]) not in (20, 32)) or _is_of_mweb(witness, network):
            return None
        return _bech32_address(network.hrp, *witness)
    kind = script_type(script)
    if network.cashaddr is not None:
        return _cash_address(network.cashaddr, script, kind, has_tokens=network.facts.has_tokens)
    if kind == "pubkeyhash":
        return str(base58.encode_check(network.p2pkh_prefix + script[3:23]))
    if kind == "scripthash":
        return str(base58.encode_check(network.p2sh_prefix + script[2:22]))
    return None


def script_of(address: str, network: Network) -> bytes:
    """The output script that an address of `network` stands for. Raises ValueError with the cause for anything else."""
    if network.cashaddr is not None and looks_like_cashaddr(address, network.cashaddr):
        return _script_of_cashaddr(address, network.cashaddr, network)
    payload = _base58_payload(address)  # tried first: base58 addresses of Litecoin can begin with LTC, like its bech32 ones
    if payload is not None:
        return _script_of_base58(address, payload, network)
    hrp = address.lower().rpartition("1")[0]
    if hrp in _STEALTH_HRPS:
        raise ValueError(
            message(
                "{address}… is a stealth address of Litecoin's extension blocks (MWEB), which is not supported: what it is paid can't be read from blocks; give a transparent one",
                address=address[:20],
            )
        )
    if network.hrp is not None and address[: len(network.hrp)].lower() == network.hrp:
        script = _script_of_bech32(address, network.hrp)
        if _is_of_mweb(witness_program(script), network):
            raise ValueError(
                message(
                    "{address} stands for an output of Litecoin's extension blocks (MWEB), which has no address: not supported",
                    address=repr(address),
                )
            )
        return script
    others = sorted(name for name, other_hrp in _hrps() if other_hrp == hrp)
    others += [name for name in NETWORKS if address.lower().startswith(f"{network_prefix(name)}:")]
    if others:
        raise ValueError(
            message(
                "{address} is an address of another network ({others}), not of {name}",
                address=repr(address),
                others=", ".join(others),
                name=network.name,
            )
        )
    if not 26 <= len(address) <= 36:
        raise ValueError(
            message(
                "{address} is no address of {name}: wrong length ({count} characters)",
                address=repr(address),
                name=network.name,
                count=len(address),
            )
        )
    if set(address) - set(base58.B58_DIGITS):
        raise ValueError(
            message(
                "{address} is no address of {name}: it has characters that no base58 address has", address=repr(address), name=network.name
            )
        )
    raise ValueError(message("{address} has a wrong checksum: a character is mistyped, missing or swapped", address=repr(address)))


def _is_of_mweb(witness: tuple[int, bytes] | None, network: Network) -> bool:
    """Whether it is the balance of Litecoin's extension blocks (HogEx, version 8) or a payment into them (peg-in, version 9): neither has an address."""
    return network.has_mweb and witness is not None and witness[0] in (8, 9) and len(witness[1]) == 32


@lru_cache(maxsize=1 << 16)
def canonical_address(address: str, network: Network) -> str:
    """The address as nodes print it: bech32 in small letters, Litecoin's old script prefix replaced by the new one.

    Raises ValueError with the cause when it is no address of `network`.
    """
    canonical = address_of(script_of(address, network), network)
    assert canonical is not None, f"{address} has a script without an address"
    return canonical


def operations(script: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Each opcode with what it pushes; opcode None, last, where a push is cut short by the script's end."""
    position = 0
    while position < len(script):
        operation = _operation(script, position)
        if operation is None:
            yield None, b""
            return
        opcode, data, position = operation
        yield opcode, data


def _witness_type(version: int, program: bytes) -> str:
    if version == 0:
        return {20: "witness_v0_keyhash", 32: "witness_v0_scripthash"}.get(len(program), "nonstandard")
    if version == 1 and len(program) == 32:
        return "witness_v1_taproot"
    return "anchor" if version == 1 and program == b"\x4e\x73" else "witness_unknown"


def _operation(script: bytes, position: int) -> tuple[int, bytes, int] | None:
    """The opcode at `position`, what it pushes, and where the next one is; None at the end or when the push is cut short."""
    if position >= len(script):
        return None
    opcode = script[position]
    start = position + 1
    if opcode > 0x4E:
        return opcode, b"", start
    length = opcode
    if opcode >= 0x4C:
        width = 1 << (opcode - 0x4C)
        if start + width > len(script):
            return None
        length = int.from_bytes(script[start : start + width], "little")
        start += width
    if start + length > len(script):
        return None
    return opcode, script[start : start + length], start + length


def _is_push_only(script: bytes, position: int) -> bool:
    while position < len(script):
        operation = _operation(script, position)
        if operation is None or operation[0] > _OP_16:
            return False
        position = operation[2]
    return True


def _is_key(data: bytes) -> bool:
    return len(data) > 0 and _KEY_LENGTH.get(data[0]) == len(data)


def _small_number(operation: tuple[int, bytes, int]) -> int:
    """1 … 20 as multisig scripts write it in the shortest form (opcodes up to 16, a one-byte push above); else 0."""
    opcode, data, _ = operation
    if _OP_1 <= opcode <= _OP_16:
        return opcode - _OP_1 + 1
    return data[0] if opcode == 1 and 16 < data[0] <= _MAX_KEYS else 0


def _is_multisig(script: bytes) -> bool:
    if not script or script[-1] != _OP_CHECKMULTISIG:
        return False
    operation = _operation(script, 0)
    required = _small_number(operation) if operation else 0
    if operation is None or not required:
        return False
    keys = 0
    following = _operation(script, operation[2])
    while following is not None and _is_key(following[1]):
        keys += 1
        following = _operation(script, following[2])
    return following is not None and _small_number(following) == keys >= required and following[2] + 1 == len(script)


def checksum_state(hrp: str, values: list[int]) -> int:
    """What the checksum of BIP 173 comes to over a prefix and groups of five bits: `BECH32` or `BECH32M` for a whole text."""
    state = 1
    for value in (*(ord(c) >> 5 for c in hrp), 0, *(ord(c) & 31 for c in hrp), *values):
        state = (state & 0x1FFFFFF) << 5 ^ value ^ _STEP[state >> 25]
    return state


def bech32_values(data: str) -> list[int]:
    """The groups of five bits of bech32's characters, which must all be such."""
    return [_VALUE_OF[character] for character in data]


def _bech32_address(hrp: str, version: int, program: bytes) -> str:
    width = (len(program) * 8 + 4) // 5
    number = int.from_bytes(program, "big") << (width * 5 - len(program) * 8)
    values = [version, *(number >> 5 * place & 31 for place in range(width - 1, -1, -1))]
    state = checksum_state(hrp, [*values, 0, 0, 0, 0, 0, 0]) ^ (BECH32M if version else BECH32)
    values += [state >> 5 * place & 31 for place in range(5, -1, -1)]
    return hrp + "1" + "".join(_CHARSET[value] for value in values)


def _script_of_bech32(address: str, hrp: str) -> bytes:
    if address != address.lower() and address != address.upper():
        raise ValueError(message("{address} mixes capital and small letters", address=repr(address)))
    found, separator, data = address.lower().rpartition("1")
    if not separator or found != hrp:
        raise ValueError(
            message(
                "{address} begins like {hrp}1… but its prefix is {found}: a character is wrong or missing",
                address=repr(address),
                hrp=hrp,
                found=repr(found),
            )
        )
    if len(address) > 90 or len(data) < 7:
        raise ValueError(message("{address} has a wrong length ({count} characters)", address=repr(address), count=len(address)))
    unknown = sorted(set(data) - set(_CHARSET))
    if unknown:
        raise ValueError(
            message("{address} has characters that no bech32 address has: {unknown}", address=repr(address), unknown=" ".join(unknown))
        )
    values = bech32_values(data)
    state, version, payload = checksum_state(hrp, values), values[0], values[1:-6]
    if state not in (BECH32, BECH32M):
        raise ValueError(message("{address} has a wrong checksum: a character is mistyped, missing or swapped", address=repr(address)))
    if version == 0 and state != BECH32:
        raise ValueError(message("{address} has a bech32m checksum, but witness version 0 needs bech32", address=repr(address)))
    if version != 0 and state != BECH32M:
        raise ValueError(
            message("{address} has a bech32 checksum, but witness version {version} needs bech32m", address=repr(address), version=version)
        )
    if version > 16:
        raise ValueError(message("{address} has witness version {version}; the greatest is 16", address=repr(address), version=version))
    return _witness_script(address, version, payload)


def _witness_script(address: str, version: int, payload: list[int]) -> bytes:
    number = 0
    for value in payload:
        number = number << 5 | value
    length, spare = divmod(len(payload) * 5, 8)
    if spare > 4 or number & ((1 << spare) - 1):
        raise ValueError(message("{address} has wrong padding at its end", address=repr(address)))
    if not 2 <= length <= 40 or (version == 0 and length not in (20, 32)):
        raise ValueError(
            message(
                "{address} has a wrong length: a program of {length} bytes for witness version {version}",
                address=repr(address),
                length=length,
                version=version,
            )
        )
    opcode = version + _OP_1 - 1 if version else 0
    return bytes([opcode, length]) + (number >> spare).to_bytes(length, "big")


def _base58_payload(address: str) -> bytes | None:
    """What an address in base58 carries, if its checksum is right."""
    if not 26 <= len(address) <= 36:
        return None
    try:
        data: bytes = base58.decode(address)
    except ValueError:
        return None
    return data[:-4] if double_sha256(data[:-4])[:4] == data[-4:] else None


def _script_of_base58(address: str, payload: bytes, network: Network) -> bytes:
    if len(payload) != 21:
        raise ValueError(message("{address} has a wrong length: {count} bytes instead of 21", address=repr(address), count=len(payload)))
    prefix, digest = payload[:1], payload[1:]
    if prefix == network.p2pkh_prefix:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    if prefix == network.p2sh_prefix or prefix in network.p2sh_legacy_prefixes:
        return b"\xa9\x14" + digest + b"\x87"
    others = [name for name in NETWORKS if _has_prefix(name, prefix) and network_prefix(name) is None]
    whose = f"of another network ({', '.join(others)})" if others else "of no network known here"
    raise ValueError(message("{address} is an address {whose}, not of {name}", address=repr(address), whose=whose, name=network.name))


def network_prefix(name: str) -> str | None:
    """The prefix of a network's CashAddr addresses."""
    return network(name).cashaddr


def _cash_address(prefix: str, script: bytes, kind: str, *, has_tokens: bool) -> str | None:
    if kind == "pubkeyhash":
        return encode_cashaddr(prefix, KEY_HASH, script[3:23])
    if kind == "scripthash":
        return encode_cashaddr(prefix, SCRIPT_HASH, script[2:22])
    if has_tokens and _is_long_script_hash(script):
        return encode_cashaddr(prefix, SCRIPT_HASH, script[2:34])
    return None


def _is_long_script_hash(script: bytes) -> bool:
    """Whether it is Bitcoin Cash's hash of a script in 32 bytes (P2SH32, since May 2023)."""
    return len(script) == 35 and script[:2] == b"\xaa\x20" and script[34] == 0x87


def _script_of_cashaddr(address: str, prefix: str, network: Network) -> bytes:
    kind, digest = decode_cashaddr(address, prefix)
    if kind >= TOKEN_KEY_HASH and not network.facts.has_tokens:
        raise ValueError(
            message(
                "{address} is of type {kind}, which {name} does not have: token-aware addresses are Bitcoin Cash's",
                address=repr(address),
                kind=kind,
                name=network.name,
            )
        )
    kind -= TOKEN_KEY_HASH if kind >= TOKEN_KEY_HASH else 0  # a token-aware address stands for the same script
    if kind == KEY_HASH and len(digest) == 20:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    if kind == SCRIPT_HASH and len(digest) == 20:
        return b"\xa9\x14" + digest + b"\x87"
    if kind == SCRIPT_HASH and len(digest) == 32 and network.facts.has_tokens:
        return b"\xaa\x20" + digest + b"\x87"
    raise ValueError(
        message(
            "{address} is of type {kind} with {count} bytes, which stands for no script on {name}",
            address=repr(address),
            kind=kind,
            count=len(digest),
            name=network.name,
        )
    )


def _has_prefix(name: str, prefix: bytes) -> bool:
    other = network(name)
    return prefix in (other.p2pkh_prefix, other.p2sh_prefix, *other.p2sh_legacy_prefixes)


def _hrps() -> list[tuple[str, str | None]]:
    return [(name, network(name).hrp) for name in NETWORKS]
