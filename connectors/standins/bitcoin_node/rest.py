"""What the recorded node answers on its REST interface.

Enters a path below `/rest/`, leaves a status, a content type and a body, with Bitcoin Core's wording of what is wrong.
Left out: transactions, unspent outputs, the mempool, deployments, parts of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from . import printing
from .answers import Answers
from .recording import Coin, RecordedBlock
from .state import NodeState

_MAX_HEADERS = 2000
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_FORMATS = {"bin", "hex", "json"}
_AVAILABLE = "output format not found (available: .bin, .hex, .json)"


class Reply(NamedTuple):
    """An HTTP response's status, content type (None: the server's default) and body."""

    status: int
    content_type: str | None
    body: bytes


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.reply = Reply(status, "text/plain", message.encode() + b"\r\n")
        super().__init__(message)


class Rest:
    """The REST interface over one state."""

    def __init__(self, state: NodeState, answers: Answers) -> None:
        self._state = state
        self._answers = answers
        self._endpoints: list[tuple[str, Callable[[str, str], Reply]]] = [
            ("block/notxdetails/", lambda path, _: self._block(path, 1)),
            ("block/", lambda path, _: self._block(path, 3)),
            ("blockfilter/", self._filter),
            ("blockfilterheaders/", self._filter_headers),
            ("blockhashbyheight/", self._hash_by_height),
            ("chaininfo", self._chain_info),
            ("headers/", self._headers),
            ("spenttxouts/", self._spent_outputs),
        ]

    def answer(self, target: str) -> Reply:
        """The reply to a path after `/rest/`, with its query."""
        path, _, query = target.partition("?")
        for prefix, endpoint in self._endpoints:
            if path.startswith(prefix):
                try:
                    return endpoint(path[len(prefix) :], query)
                except _Refusal as refusal:
                    return refusal.reply
        return Reply(404, None, b"")

    def _block(self, path: str, verbosity: int) -> Reply:
        text, form = _split_format(path)
        block = self._known(text)
        if form == "json":
            return _json(self._answers.block_json(block, verbosity))
        return _bytes_or_hex(block.block.raw, form)

    def _spent_outputs(self, path: str, _: str) -> Reply:
        text, form = _split_format(path)
        if "/" in text:
            raise _Refusal(400, "Invalid URI format. Expected /rest/spenttxouts/<hash>.<ext>")
        spent = self._known(text).spent
        if form == "json":
            network = self._state.recording.network
            return _json(
                [
                    [
                        {"value": printing.amount(coin.value), "scriptPubKey": printing.script_pub_key(coin.script, network)}
                        for coin in coins
                    ]
                    for coins in spent
                ]
            )
        # The genesis block's coinbase is all that is listed of it, as for any coinbase.
        body = _compact_size(len(spent)) + b"".join(_compact_size(len(coins)) + b"".join(map(_output, coins)) for coins in spent)
        return _bytes_or_hex(body, form)

    def _headers(self, path: str, query: str) -> Reply:
        text, form = _split_format(path)
        parts = text.split("/")
        if len(parts) > 2:
            raise _Refusal(400, "Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>")
        blocks = self._main_from(parts[-1], parts[0] if len(parts) == 2 else _count_in(query))
        if form == "json":
            return _json([self._answers.header(block) for block in blocks])
        return _bytes_or_hex(b"".join(block.block.header_raw for block in blocks), form)

    def _filter(self, path: str, _: str) -> Reply:
        text, form = _split_format(path)
        parts = text.split("/")
        if len(parts) != 2:
            raise _Refusal(400, "Invalid URI format. Expected /rest/blockfilter/<filtertype>/<blockhash>")
        _hash(parts[1])
        _filter_type(parts[0])
        block = self._known(parts[1])
        encoded = self._answers.filters.filter_of(block)
        if form == "json":
            return _json({"filter": encoded.hex()})
        # A filter on the wire: its type, the block's hash, and the filter as bytes with their length.
        return _bytes_or_hex(b"\0" + bytes.fromhex(block.hash)[::-1] + _compact_size(len(encoded)) + encoded, form)

    def _filter_headers(self, path: str, query: str) -> Reply:
        text, form = _split_format(path)
        parts = text.split("/")
        if len(parts) not in (2, 3):
            raise _Refusal(400, "Invalid URI format. Expected /rest/blockfilterheaders/<filtertype>/<blockhash>.<ext>?count=<count>")
        count = parts[1] if len(parts) == 3 else _count_in(query)
        _checked_count(count)
        _hash(parts[-1])
        _filter_type(parts[0])
        headers = [self._answers.filters.header_of(block) for block in self._main_from(parts[-1], count)]
        return _json([header[::-1].hex() for header in headers]) if form == "json" else _bytes_or_hex(b"".join(headers), form)

    def _hash_by_height(self, path: str, _: str) -> Reply:
        text, form = _split_format(path)
        if not _NUMBER.fullmatch(text) or not 0 <= int(text) < 1 << 31:
            raise _Refusal(400, f"Invalid height: {text}")
        if int(text) >= len(self._state.main):
            raise _Refusal(404, "Block height out of range")
        block_hash = self._state.main[int(text)].hash
        if form == "json":
            return _json({"blockhash": block_hash})
        if form == "hex":  # in the customary order, where .bin has the wire's
            return Reply(200, "text/plain", block_hash.encode() + b"\n")
        return _bytes_or_hex(bytes.fromhex(block_hash)[::-1], form)

    def _chain_info(self, path: str, _: str) -> Reply:
        if _split_format(path)[1] != "json":
            raise _Refusal(404, "output format not found (available: json)")
        return _json(self._answers.call("getblockchaininfo", []))

    def _main_from(self, text: str, count: str) -> list[RecordedBlock]:
        """Up to `count` blocks of the main chain, from one on; none when it is not in it."""
        most = _checked_count(count)
        block = self._state.known.get(_hash(text))
        if block is None or not self._state.is_in_main(block):
            return []
        return self._state.main[block.height : block.height + most]

    def _known(self, text: str) -> RecordedBlock:
        block = self._state.known.get(_hash(text))
        if block is None:
            raise _Refusal(404, f"{text} not found")
        return block


def _split_format(path: str) -> tuple[str, str]:
    """The path without its format's suffix, and the format ("" without a known one)."""
    text, dot, suffix = path.rpartition(".")
    return (text, suffix) if dot and suffix in _FORMATS else (path, "")


def _bytes_or_hex(body: bytes, form: str) -> Reply:
    if form == "bin":
        return Reply(200, "application/octet-stream", body)
    if form == "hex":
        return Reply(200, "text/plain", body.hex().encode() + b"\n")
    raise _Refusal(404, _AVAILABLE)


def _json(value: Any) -> Reply:
    return Reply(200, "application/json", msgspec.json.encode(value) + b"\n")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise _Refusal(400, f"Invalid hash: {text}")
    return text.lower()


def _count_in(query: str) -> str:
    return parse_qs(query, keep_blank_values=True).get("count", ["5"])[0]


def _checked_count(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MAX_HEADERS:
        raise _Refusal(400, f"Header count is invalid or out of acceptable range (1-{_MAX_HEADERS}): {text}")
    return int(text)


def _filter_type(kind: str) -> None:
    if kind != "basic":
        raise _Refusal(400, f"Unknown filtertype {kind}")


def _output(coin: Coin) -> bytes:
    return coin.value.to_bytes(8, "little") + _compact_size(len(coin.script)) + coin.script


def _compact_size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little") if number <= 0xFFFF else b"\xfe" + number.to_bytes(4, "little")
