"""Bitcoin's wire format: bytes of blocks, headers, transactions and spent outputs in, their parts out.

A block is walked once to find where every transaction lies; a transaction's id, inputs, outputs and witnesses are read only
when asked for, because of a block's thousands of transactions few are the pool's. Hashes are 32 bytes in the order in which they
are printed: `.hex()` gives what people and nodes know them by. Strict: bytes missing, bytes left over,
counts that cannot fit, lengths not written in the shortest form and superfluous witness records raise ValueError with what
and where (offset in bytes). Knows Litecoin's extension block (a trailing part, skipped) and Dogecoin's auxiliary proof of
work (between header and transactions, skipped). Judges nothing: no consensus rule is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from .networks import Network
from .sizes import bare_script, compact_size, counted

HEADER_SIZE = 80
_HEADER = Struct("<i32s32sIII")
"""Version, hash of the block before, Merkle root, time, bits, nonce."""

_HAS_WITNESS = 1
_HAS_MWEB = 8  # Litecoin: on the block's last transaction, whose extension part is empty
AUXPOW_VERSION = 0x100  # Dogecoin: the header is followed by its parent's proof


class Header(NamedTuple):
    """A block's header. Hashes are 32 bytes in the order in which they are printed; `version` is signed, as nodes print it."""

    hash: bytes
    prev: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int
    version: int


class TxInput(NamedTuple):
    """What an input spends, and how."""

    txid: bytes
    vout: int
    script_sig: bytes
    sequence: int


class TxOutput(NamedTuple):
    """A value in base units, and the script that holds it (without the tokens before it, on a network that has them)."""

    value: int
    script: bytes


def double_sha256(data: bytes) -> bytes:
    """SHA-256 of SHA-256: the hash of blocks, transactions and Merkle nodes, in the wire's order."""
    return sha256(sha256(data).digest()).digest()


class Tx:
    """A transaction within the bytes it was read from; its parts are read when asked for."""

    __slots__ = ("_body", "_body_end", "_end", "_flag", "_has_tokens", "_parts", "_raw", "_start", "_txid")

    def __init__(self, raw: bytes, start: int, body: int, body_end: int, end: int, flag: int) -> None:
        self._raw, self._flag = raw, flag
        self._start, self._body, self._body_end, self._end = start, body, body_end, end
        self._has_tokens = False
        self._txid: bytes | None = None
        self._parts: tuple[list[TxInput], list[TxOutput]] | None = None

    @property
    def raw(self) -> bytes:
        """As it stands in its block, witnesses included."""
        return self._raw[self._start : self._end]

    @property
    def raw_stripped(self) -> bytes:
        """Without witnesses: its double SHA-256 is the txid."""
        raw = self._raw
        if not self._flag:
            return self.raw
        return raw[self._start : self._start + 4] + raw[self._body : self._body_end] + raw[self._end - 4 : self._end]

    @property
    def txid(self) -> bytes:
        """32 bytes in the order in which it is printed."""
        if self._txid is None:
            self._txid = double_sha256(self.raw_stripped)[::-1]
        return self._txid

    @property
    def wtxid(self) -> bytes:
        """The hash over witnesses too (nodes print it as `hash`)."""
        return double_sha256(self.raw)[::-1]

    @property
    def version(self) -> int:
        return int.from_bytes(self._raw[self._start : self._start + 4], "little")

    @property
    def locktime(self) -> int:
        return int.from_bytes(self._raw[self._end - 4 : self._end], "little")

    @property
    def size(self) -> int:
        """Bytes, witnesses included."""
        return self._end - self._start

    @property
    def stripped_size(self) -> int:
        """Bytes, without witnesses."""
        return self.size if not self._flag else self._body_end - self._body + 8

    @property
    def weight(self) -> int:
        """BIP 141: three times the stripped size plus the whole size."""
        return 3 * self.stripped_size + self.size

    @property
    def vsize(self) -> int:
        return (self.weight + 3) // 4

    @property
    def is_coinbase(self) -> bool:
        """One input, which spends nothing."""
        raw, body = self._raw, self._body
        return raw[body] == 1 and raw[body + 1 : body + 37] == b"\0" * 32 + b"\xff" * 4

    @property
    def inputs(self) -> list[TxInput]:
        return self._read()[0]

    @property
    def outputs(self) -> list[TxOutput]:
        return self._read()[1]

    @property
    def witness(self) -> list[list[bytes]]:
        """A stack for every input; empty ones where the transaction has no witnesses."""
        raw, position = self._raw, self._body_end
        if not self._flag & _HAS_WITNESS:
            return [[] for _ in self.inputs]
        stacks: list[list[bytes]] = []
        for _ in self.inputs:
            items, position = compact_size(raw, position)
            stack: list[bytes] = []
            for _ in range(items):
                length, position = compact_size(raw, position)
                stack.append(raw[position : position + length])
                position += length
            stacks.append(stack)
        return stacks

    def _read(self) -> tuple[list[TxInput], list[TxOutput]]:
        # The walk has shown that all of this lies within the bytes.
        if self._parts is not None:
            return self._parts
        raw = self._raw
        count, position = compact_size(raw, self._body)
        inputs: list[TxInput] = []
        for _ in range(count):
            prev = raw[position : position + 32]
            vout = int.from_bytes(raw[position + 32 : position + 36], "little")
            length, position = compact_size(raw, position + 36)
            end = position + length
            sequence = int.from_bytes(raw[end : end + 4], "little")
            inputs.append(TxInput(prev[::-1], vout, raw[position:end], sequence))
            position = end + 4
        count, position = compact_size(raw, position)
        outputs: list[TxOutput] = []
        for _ in range(count):
            output, position = _read_output(raw, position)
            outputs.append(TxOutput(output.value, bare_script(output.script)) if self._has_tokens else output)
        self._parts = inputs, outputs
        return self._parts


class Block(NamedTuple):
    """A block: its header, and its transactions in order."""

    raw: bytes
    header: Header
    header_raw: bytes
    transactions: list[Tx]

    @property
    def txids(self) -> list[bytes]:
        """Of every transaction, in order."""
        return [tx.txid for tx in self.transactions]


def parse_header(raw: bytes) -> Header:
    """The header in exactly 80 bytes."""
    _require_header(raw)
    version, prev, merkle_root, time, bits, nonce = _HEADER.unpack(raw)
    return Header(double_sha256(raw)[::-1], prev[::-1], merkle_root[::-1], time, bits, nonce, version)


def time_of(raw: bytes) -> int:
    """The time alone of the header in exactly 80 bytes, Unix seconds."""
    _require_header(raw)
    return int.from_bytes(raw[68:72], "little")


def link_of(raw: bytes) -> tuple[bytes, bytes]:
    """What ties the header in exactly 80 bytes to others: its hash, and that of the block before."""
    _require_header(raw)
    return double_sha256(raw)[::-1], raw[35:3:-1]


def _require_header(raw: bytes) -> None:
    if len(raw) != HEADER_SIZE:
        raise ValueError(f"a block header has {HEADER_SIZE} bytes, this one {len(raw)}")


def parse_headers(raw: bytes, network: Network | None = None, *, with_proofs: bool = False) -> list[tuple[Header, bytes]]:
    """Headers one after another, as a node's REST interface gives them, each with its own 80 bytes; `with_proofs`: and merged mining's proof."""
    headers: list[tuple[Header, bytes]] = []
    position = 0
    while position < len(raw):
        header_raw = raw[position : position + HEADER_SIZE]
        if len(header_raw) < HEADER_SIZE:
            raise ValueError(f"header {len(headers)} ends early: {len(header_raw)} bytes at offset {position}")
        end = end_of_header(raw, position, network)
        headers.append((parse_header(header_raw), raw[position:end] if with_proofs else header_raw))
        position = end
    return headers


def parse_block(raw: bytes, network: Network | None = None) -> Block:
    """A whole block of `network` (None: any that is like Bitcoin itself)."""
    if len(raw) < HEADER_SIZE:
        raise ValueError(f"the block ends early: {len(raw)} bytes, a header alone has {HEADER_SIZE}")
    return Block(raw, parse_header(raw[:HEADER_SIZE]), raw[:HEADER_SIZE], list(_transactions(raw, network)))


def parse_transaction(raw: bytes, network: Network | None = None) -> Tx:
    """One transaction, with or without witnesses, and nothing after it."""
    tx = walk(raw, 0, 0, has_mweb=network is not None and network.has_mweb)
    tx._has_tokens = network is not None and network.facts.has_tokens
    if tx._end != len(raw):
        raise ValueError(f"{len(raw) - tx._end} bytes are left over after the transaction, at offset {tx._end}")
    return tx


def parse_spent_outputs(raw: bytes) -> list[list[TxOutput]]:
    """What each transaction of a block spends, in the order of its inputs (none for the coinbase).

    The body of Bitcoin Core's `/rest/spenttxouts/HASH.bin`: a vector per transaction of vectors of outputs.
    """
    end = len(raw)
    spent: list[list[TxOutput]] = []
    position = 0
    try:
        count, position = counted(raw, 0, 1, "transactions")
        for _ in range(count):
            outputs: list[TxOutput] = []
            items, position = counted(raw, position, 9, "spent outputs")
            for _ in range(items):
                output, position = _read_output(raw, position)
                outputs.append(output)
            spent.append(outputs)
    except IndexError:
        position = end + 1
    if position > end:
        raise ValueError(f"spent outputs end early: {end} bytes, transaction {max(len(spent) - 1, 0)} or the one after it needs more")
    if position < end:
        raise ValueError(f"{end - position} bytes are left over after the spent outputs, at offset {position}")
    return spent


def _transactions(raw: bytes, network: Network | None) -> Iterator[Tx]:
    has_mweb = network is not None and network.has_mweb
    has_tokens = network is not None and network.facts.has_tokens
    position = end_of_header(raw, 0, network)
    try:
        count, position = counted(raw, position, 51, "transactions")
    except IndexError:
        raise ValueError(f"the block ends early: its transactions should begin at offset {position}") from None
    if not count:
        raise ValueError(f"the block has no transactions (offset {position})")
    flag = 0
    for index in range(count):
        tx = walk(raw, position, index, has_mweb=has_mweb)
        tx._has_tokens = has_tokens
        yield tx
        position, flag = tx._end, tx._flag
    if flag & _HAS_MWEB and count > 1 and (raw[position : position + 1] == b"\1" or raw[position:] == b"\0"):
        return  # the extension block takes all the rest; nothing of it is on the transparent side
    if position != len(raw):
        raise ValueError(f"{len(raw) - position} bytes are left over after the block's last transaction, at offset {position}")


def walk(raw: bytes, start: int, index: int, *, has_mweb: bool) -> Tx:
    """Find where a transaction's parts lie."""
    end = len(raw)
    position = start + 4
    flag = 0
    try:
        if raw[position] == 0:
            flag = raw[position + 1]
            if flag != _HAS_WITNESS and not (has_mweb and flag in (_HAS_MWEB, _HAS_MWEB | _HAS_WITNESS)):
                raise ValueError(f"transaction {index} has no inputs, or unknown extra data ({flag}), at offset {position}")
            position += 2
        body = position
        inputs, position = counted(raw, position, 41, "inputs")
        if not inputs:
            raise ValueError(f"transaction {index} has no inputs, at offset {body}")
        for _ in range(inputs):
            position += 36
            length = raw[position]
            position += 1
            if length >= 0xFD:
                length, position = compact_size(raw, position - 1)
            position += length + 4
        outputs, position = counted(raw, position, 9, "outputs")
        for _ in range(outputs):
            position += 8
            length = raw[position]
            position += 1
            if length >= 0xFD:
                length, position = compact_size(raw, position - 1)
            position += length
        body_end = position
        if flag & _HAS_WITNESS:
            position = _end_of_witness(raw, position, inputs, index)
        if flag & _HAS_MWEB:
            if raw[position] != 0:
                raise ValueError(f"transaction {index} carries an extension part, which no block may hold, at offset {position}")
            position += 1
    except IndexError:
        position = end
    position += 4
    if position > end:
        raise ValueError(f"transaction {index} ends early: it begins at offset {start} and needs more than the {end} bytes there are")
    return Tx(raw, start, body, body_end, position, flag)


def _end_of_witness(raw: bytes, position: int, inputs: int, index: int) -> int:
    start = position
    for _ in range(inputs):
        items = raw[position]
        position += 1
        if items >= 0xFD:
            items, position = counted(raw, position - 1, 1, "witness items")
        for _ in range(items):
            length = raw[position]
            position += 1
            if length >= 0xFD:
                length, position = compact_size(raw, position - 1)
            position += length
    if position - start == inputs:
        raise ValueError(f"transaction {index} has a superfluous witness record, at offset {start}")
    return position


def end_of_header(raw: bytes, start: int, network: Network | None) -> int:
    """Where a header ends, with its auxiliary proof of work if it has one."""
    position = start + HEADER_SIZE
    if network is None or network.pow != "scrypt-auxpow":
        return position
    if not int.from_bytes(raw[start : start + 4], "little") & AUXPOW_VERSION:
        return position
    # The parent's coinbase, the parent's hash, two Merkle branches each with an index, and the parent's header.
    position = walk(raw, position, 0, has_mweb=network.has_mweb)._end + 32
    try:
        for _ in range(2):
            count, position = counted(raw, position, 32, "Merkle hashes")
            position += 32 * count + 4
    except IndexError:
        position = len(raw)
    position += HEADER_SIZE
    if position > len(raw):
        raise ValueError(f"the auxiliary proof of work of the header at offset {start} ends early: the bytes end at {len(raw)}")
    return position


def _read_output(raw: bytes, position: int) -> tuple[TxOutput, int]:
    value = int.from_bytes(raw[position : position + 8], "little")
    if value >> 63:
        raise ValueError(f"an output's value is negative, at offset {position}")
    length = raw[position + 8]
    start = position + 9
    if length >= 0xFD:
        length, start = compact_size(raw, position + 8)
    end = start + length
    return TxOutput(value, raw[start:end]), end
