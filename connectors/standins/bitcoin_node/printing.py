"""Scripts, transactions and blocks in the words and the order in which Bitcoin Core prints them as JSON.

Enter parsed blocks; leave dictionaries for `msgspec.json.encode`, whose order is the order of printing. Amounts are written
as text (`25.00002670`) and never become a float. The fields are those of Core 31; older versions print fewer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from embit.descriptor.checksum import checksum

from pipeline.chains.bitcoin.merkle import target_of
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of, operations, script_type, witness_program
from pipeline.chains.bitcoin.wire import Tx

from .recording import Coin, RecordedBlock

_COIN = 100_000_000
_FIELD = 2**256 - 2**32 - 977  # of the curve secp256k1
_MAX_SPENDABLE_SCRIPT = 10_000
_OP_RETURN = 0x6A

_OPCODES: dict[int, str] = {0x4F: "-1", 0x50: "OP_RESERVED", 0xFF: "OP_INVALIDOPCODE"}
_OPCODES |= {0x50 + number: str(number) for number in range(1, 17)}
# From OP_NOP (0x61) on, in the order of their codes.
_NAMES = """
NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP 3DUP 2OVER 2ROT 2SWAP IFDUP DEPTH DROP DUP
NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT RIGHT SIZE INVERT AND OR XOR EQUAL EQUALVERIFY RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV
NEGATE ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT BOOLAND BOOLOR NUMEQUAL NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN
LESSTHANOREQUAL GREATERTHANOREQUAL MIN MAX WITHIN RIPEMD160 SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY
CHECKMULTISIG CHECKMULTISIGVERIFY NOP1 CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY NOP4 NOP5 NOP6 NOP7 NOP8 NOP9 NOP10 CHECKSIGADD
"""
_OPCODES |= {0x61 + place: "OP_" + name for place, name in enumerate(_NAMES.split())}
_SIGHASHES = {1: "ALL", 2: "NONE", 3: "SINGLE", 0x81: "ALL|ANYONECANPAY", 0x82: "NONE|ANYONECANPAY", 0x83: "SINGLE|ANYONECANPAY"}


def amount(value: int) -> msgspec.Raw:
    """An amount in whole coins with all eight decimals."""
    whole, rest = divmod(value, _COIN)
    return msgspec.Raw(f"{whole}.{rest:08d}".encode())


def real(number: float) -> msgspec.Raw:
    """A number with sixteen significant digits and nothing more."""
    return msgspec.Raw(f"{number:.16g}".encode())


def asm(script: bytes, *, has_signatures: bool = False) -> str:
    """The script in words. `has_signatures`: its pushes may be signatures, which are printed with their kind's name."""
    is_unspendable = script[:1] == bytes([_OP_RETURN]) or len(script) > _MAX_SPENDABLE_SCRIPT
    words: list[str] = []
    for opcode, data in operations(script):
        if opcode is None:
            words.append("[error]")
        elif opcode > 0x4E:
            words.append(_OPCODES.get(opcode, "OP_UNKNOWN"))
        elif len(data) <= 4:
            words.append(str(_number(data)))
        elif has_signatures and not is_unspendable and _is_signature(data):
            words.append(f"{data[:-1].hex()}[{_SIGHASHES[data[-1]]}]")
        else:
            words.append(data.hex())
    return " ".join(words)


def descriptor(script: bytes, network: Network) -> str:
    """The output descriptor that a node without keys infers for a script, with its checksum."""
    text = _descriptor(script, network)
    return f"{text}#{checksum(text)}"


@lru_cache(maxsize=1 << 15)
def script_pub_key(script: bytes, network: Network) -> msgspec.Raw:
    """An output script's `scriptPubKey`."""
    fields = {"asm": asm(script), "desc": descriptor(script, network), "hex": script.hex()}
    address = address_of(script, network)
    if address is not None:
        fields["address"] = address
    return msgspec.Raw(msgspec.json.encode(fields | {"type": script_type(script)}))


def transaction(tx: Tx, coins: list[Coin] | None, network: Network, *, has_prevouts: bool) -> dict[str, Any]:
    """A transaction. `coins`: what it spends, None for a coinbase; `has_prevouts`: printed with its inputs (verbosity 3)."""
    outputs = tx.outputs
    fields: dict[str, Any] = {
        "txid": tx.txid.hex(),
        "hash": tx.wtxid.hex(),
        "version": tx.version,
        "size": tx.size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.locktime,
        "vin": _inputs(tx, coins, network, has_prevouts=has_prevouts),
        "vout": [
            {"value": amount(output.value), "n": vout, "scriptPubKey": script_pub_key(output.script, network)}
            for vout, output in enumerate(outputs)
        ],
    }
    if coins is not None:
        fields["fee"] = amount(sum(coin.value for coin in coins) - sum(output.value for output in outputs))
    fields["hex"] = tx.raw.hex()
    return fields


def header(block: RecordedBlock, confirmations: int, following: str | None) -> dict[str, Any]:
    """A block's header. `confirmations` is -1 off the main chain; `following` is the next block's hash, if there is one."""
    own = block.block.header
    fields: dict[str, Any] = {
        "hash": own.hash.hex(),
        "confirmations": confirmations,
        "height": block.height,
        "version": own.version,
        "versionHex": f"{own.version & 0xFFFFFFFF:08x}",
        "merkleroot": own.merkle_root.hex(),
        "time": own.time,
        "mediantime": block.mediantime,
        "nonce": own.nonce,
        "bits": f"{own.bits:08x}",
        "target": f"{target_of(own.bits):064x}",
        "difficulty": real(difficulty(own.bits)),
        "chainwork": f"{block.chainwork:064x}",
        "nTx": len(block.transactions),
    }
    if block.parent is not None:
        fields["previousblockhash"] = own.prev.hex()
    if following is not None:
        fields["nextblockhash"] = following
    return fields


def block_body(block: RecordedBlock, network: Network, *, verbosity: int) -> dict[str, Any]:
    """What follows the header's fields: sizes, the coinbase in short, and txids (1), transactions (2) or these with prevouts (3)."""
    transactions = block.transactions
    size = len(block.block.raw)
    stripped = size - sum(tx.size - tx.stripped_size for tx in transactions)
    fields: dict[str, Any] = {
        "strippedsize": stripped,
        "size": size,
        "weight": 3 * stripped + size,
        "coinbase_tx": _coinbase(transactions[0]),
    }
    if verbosity == 1:
        fields["tx"] = [txid.hex() for txid in block.block.txids]
    else:
        fields["tx"] = [
            transaction(tx, coins if place else None, network, has_prevouts=verbosity > 2)
            for place, (tx, coins) in enumerate(zip(transactions, block.spent, strict=True))
        ]
    return fields


def difficulty(bits: int) -> float:
    """How many times harder than the easiest target of the main network, as Core works it out in doubles."""
    number = 0xFFFF / (bits & 0x00FFFFFF)
    exponent = bits >> 24
    while exponent < 29:
        number *= 256.0
        exponent += 1
    while exponent > 29:
        number /= 256.0
        exponent -= 1
    return number


def is_on_curve(x: bytes, y: bytes | None = None) -> bool:
    """Whether the point (x, y), or some point with this x, is on secp256k1."""
    abscissa = int.from_bytes(x, "big")
    if abscissa >= _FIELD:
        return False
    square = (pow(abscissa, 3, _FIELD) + 7) % _FIELD
    if y is not None:
        ordinate = int.from_bytes(y, "big")
        return ordinate < _FIELD and ordinate * ordinate % _FIELD == square
    return pow(square, (_FIELD - 1) // 2, _FIELD) <= 1


def _coinbase(tx: Tx) -> dict[str, Any]:
    spend = tx.inputs[0]
    fields: dict[str, Any] = {
        "version": tx.version,
        "locktime": tx.locktime,
        "sequence": spend.sequence,
        "coinbase": spend.script_sig.hex(),
    }
    witness = tx.witness[0]
    return fields | {"witness": witness[0].hex()} if witness else fields


def _inputs(tx: Tx, coins: list[Coin] | None, network: Network, *, has_prevouts: bool) -> list[dict[str, Any]]:
    printed: list[dict[str, Any]] = []
    for place, (spend, witness) in enumerate(zip(tx.inputs, tx.witness, strict=True)):
        fields: dict[str, Any]
        if tx.is_coinbase:
            fields = {"coinbase": spend.script_sig.hex()}
        else:
            script_sig = {"asm": asm(spend.script_sig, has_signatures=True), "hex": spend.script_sig.hex()}
            fields = {"txid": spend.txid.hex(), "vout": spend.vout, "scriptSig": script_sig}
        if witness:
            fields["txinwitness"] = [item.hex() for item in witness]
        if coins is not None and has_prevouts:
            coin = coins[place]
            fields["prevout"] = {
                "generated": coin.is_coinbase,
                "height": coin.height,
                "value": amount(coin.value),
                "scriptPubKey": script_pub_key(coin.script, network),
            }
        fields["sequence"] = spend.sequence
        printed.append(fields)
    return printed


def _descriptor(script: bytes, network: Network) -> str:
    kind = script_type(script)
    if kind == "pubkey" and script[1] in (2, 3, 4):
        return f"pk({script[1:-1].hex()})"
    if kind == "multisig":
        pushes = list(operations(script))
        keys = [data for opcode, data in pushes[1:-2]]
        if all(key[0] in (2, 3, 4) for key in keys):
            return f"multi({_script_number(pushes[0])},{','.join(key.hex() for key in keys)})"
    if kind == "witness_v1_taproot":
        program = witness_program(script)
        if program is not None and is_on_curve(program[1]):
            return f"rawtr({program[1].hex()})"
    address = address_of(script, network)
    return f"addr({address})" if address is not None else f"raw({script.hex()})"


def _script_number(operation: tuple[int | None, bytes]) -> int:
    opcode, data = operation
    assert opcode is not None
    return data[0] if data else opcode - 0x50


def _number(data: bytes) -> int:
    """A script's number: little-endian, the sign in the last byte's highest bit."""
    if not data:
        return 0
    number = int.from_bytes(data, "little")
    sign = 0x80 << 8 * (len(data) - 1)
    return -(number ^ sign) if number & sign else number


def _is_signature(data: bytes) -> bool:
    """Whether a push has the strict DER form of a signature, with a known kind's byte at its end (BIP 66)."""
    if not 9 <= len(data) <= 73 or data[-1] not in _SIGHASHES or data[0] != 0x30 or data[1] != len(data) - 3:
        return False
    length_r = data[3]
    if 5 + length_r >= len(data):
        return False
    length_s = data[5 + length_r]
    if length_r + length_s + 7 != len(data):
        return False
    return _is_der_integer(data[2 : 4 + length_r]) and _is_der_integer(data[4 + length_r : -1])


def _is_der_integer(data: bytes) -> bool:
    """A positive integer with its tag and length, not longer than it must be."""
    value = data[2:]
    if data[0] != 2 or not value or value[0] & 0x80:
        return False
    return not (len(value) > 1 and value[0] == 0 and not value[1] & 0x80)
