"""What the recorded node answers to each RPC method at one place of its sequence.

Enters a method with its parameters; leaves a value for `msgspec.json.encode`, in the order and the wording of Bitcoin Core 31,
or RpcError with its codes. All is computed from the blocks, except what no block knows (getnetworkinfo, warnings): that is
taken from the recording's `rpc.jsonl` where it has it. Left out: the help text that Core gives for a wrong number of
parameters (its first line stands for it), wallets, the mempool. Waiting for blocks is the node's (`node.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pipeline.chains.bitcoin.merkle import target_of
from pipeline.model.typed import decoder

from . import printing
from .descriptors import scripts_of
from .errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, METHOD_NOT_FOUND, MISC_ERROR, TYPE_ERROR, RpcError
from .filters import Filters
from .recording import RecordedBlock
from .state import NodeState

_HASH = re.compile(r"[0-9a-fA-F]{64}")
_TX_RATE = {"regtest": 0.001}  # transactions a second that a chain is guessed to have beyond its last block
_HEIGHT_PROGRESS_S = 2 * 3600

# Each method's parameters: names (with the old ones), the JSON type that Core wants of it ("" for any), whether it must be there.
_PARAMETERS: dict[str, list[tuple[str, str, bool]]] = {
    "getbestblockhash": [],
    "getblock": [("blockhash", "string", True), ("verbosity|verbose", "", False)],
    "getblockchaininfo": [],
    "getblockcount": [],
    "getblockfilter": [("blockhash", "string", True), ("filtertype", "string", False)],
    "getblockhash": [("height", "number", True)],
    "getblockheader": [("blockhash", "string", True), ("verbose", "bool", False)],
    "getchaintips": [],
    "getindexinfo": [("index_name", "string", False)],
    "getnetworkinfo": [],
    "getrawtransaction": [("txid", "string", True), ("verbosity|verbose", "", False), ("blockhash", "string", False)],
    "scanblocks": [
        ("action", "string", True),
        ("scanobjects", "array", False),
        ("start_height", "number", False),
        ("stop_height", "number", False),
        ("filtertype", "string", False),
        ("options", "object", False),
    ],
    "uptime": [],
    "waitforblockheight": [("height", "number", True), ("timeout", "number", False)],
    "waitfornewblock": [("timeout", "number", False), ("current_tip", "string", False)],
}

# Of a node whose recording does not say.
_NETWORK_INFO = {
    "version": 310000,
    "subversion": "/Satoshi:31.0.0/",
    "protocolversion": 70017,
    "localservices": "0000000000000c09",
    "localservicesnames": ["NETWORK", "WITNESS", "NETWORK_LIMITED", "P2P_V2"],
    "localrelay": True,
    "timeoffset": 0,
    "networkactive": True,
    "connections": 0,
    "connections_in": 0,
    "connections_out": 0,
    "networks": [],
    "relayfee": msgspec.Raw(b"0.00000100"),
    "incrementalfee": msgspec.Raw(b"0.00000100"),
    "localaddresses": [],
    "warnings": [],
}


class Answers:
    """The node's methods that answer at once, over one state."""

    def __init__(self, state: NodeState, uptime_s: Callable[[], int]) -> None:
        self._state = state
        self._network = state.recording.network
        self._filters: Filters | None = None
        self._uptime_s = uptime_s
        self._network_info = _verbatim_result(state.recording.answers.get(("getnetworkinfo", "[]"))) or _NETWORK_INFO
        self._warnings = (state.recording.recorded_result("getblockchaininfo") or {}).get("warnings", [])

    @property
    def filters(self) -> Filters:
        """Made on first use: a client may never ask for one."""
        if self._filters is None:
            self._filters = Filters(self._state.recording)
        return self._filters

    def call(self, method: str, parameters: list[Any]) -> Any:
        """A method's result; `parameters` as `positional` returns them."""
        answer: Callable[..., Any] = getattr(self, f"_{method}")
        return answer(*parameters)

    def block(self, block_hash: str) -> RecordedBlock | None:
        """The block of that hash, if the node has seen it by now."""
        return self._state.known.get(block_hash.lower())

    def header(self, block: RecordedBlock) -> dict[str, Any]:
        """A block's header as JSON."""
        following = self._state.next_of(block)
        return printing.header(block, self._state.confirmations_of(block), following.hash if following else None)

    def block_json(self, block: RecordedBlock, verbosity: int) -> dict[str, Any]:
        """A block as JSON, at verbosity 1 to 3."""
        return self.header(block) | printing.block_body(block, self._network, verbosity=verbosity)

    def _getblockchaininfo(self) -> dict[str, Any]:
        state, tip = self._state, self._state.tip
        header = tip.block.header
        info: dict[str, Any] = {
            "chain": self._network.chain,
            "blocks": tip.height,
            "headers": tip.height,
            "bestblockhash": tip.hash,
            "bits": f"{header.bits:08x}",
            "target": f"{target_of(header.bits):064x}",
            "difficulty": printing.real(printing.difficulty(header.bits)),
            "time": header.time,
            "mediantime": tip.mediantime,
            "verificationprogress": printing.real(self._progress(tip)),
            "initialblockdownload": state.is_initial_download,
            "chainwork": f"{tip.chainwork:064x}",
            "size_on_disk": state.size_on_disk,
            "pruned": False,
        }
        return info | {"warnings": self._warnings}

    def _progress(self, tip: RecordedBlock) -> float:
        """The share of all transactions that the node guesses it has verified."""
        behind_s = self._state.clock - tip.block.header.time
        rate = _TX_RATE.get(self._network.name, 0.0)
        missing = 0.0 if abs(behind_s) <= _HEIGHT_PROGRESS_S else behind_s * rate
        return min(tip.tx_count / (tip.tx_count + missing), 1.0)

    def _getnetworkinfo(self) -> Any:
        return self._network_info

    def _getindexinfo(self, name: str | None = None) -> dict[str, Any]:
        summary = {"synced": True, "best_block_height": self._state.indexed_height}
        indexes = ("txindex", "basic block filter index")
        return {index: summary for index in indexes if name in (None, "", index)}

    def _getblockcount(self) -> int:
        return self._state.tip.height

    def _getbestblockhash(self) -> str:
        return self._state.tip.hash

    def _uptime(self) -> int:
        return self._uptime_s()

    def _getblockhash(self, wanted: Any) -> str:
        height = integer_of(wanted)
        if not 0 <= height < len(self._state.main):
            raise RpcError(INVALID_PARAMETER, "Block height out of range")
        return self._state.main[height].hash

    def _getblockheader(self, block_hash: str, is_verbose: bool | None = None) -> Any:
        block = self._found(block_hash, "hash")
        return block.block.header_raw.hex() if is_verbose is False else self.header(block)

    def _getblock(self, block_hash: str, verbosity: Any = None) -> Any:
        hash_of(block_hash, "blockhash")
        verbosity = _verbosity(verbosity, 1)
        block = self._found(block_hash, "blockhash")
        return block.block.raw.hex() if verbosity <= 0 else self.block_json(block, verbosity)

    def _getblockfilter(self, block_hash: str, kind: str | None = None) -> dict[str, str]:
        hash_of(block_hash, "blockhash")
        _filter_type(kind)
        block = self._found(block_hash, "blockhash")
        return {"filter": self.filters.filter_of(block).hex(), "header": self.filters.header_of(block)[::-1].hex()}

    def _getrawtransaction(self, txid: str, verbosity: Any = None, block_hash: str | None = None) -> Any:
        txid = hash_of(txid, "parameter 1")
        if txid == self._state.recording.genesis.block.header.merkle_root.hex():
            reason = "The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved"
            raise RpcError(INVALID_ADDRESS_OR_KEY, reason)
        verbosity = _verbosity(verbosity, 0)
        block, place = self._locate(txid, block_hash)
        tx = block.transactions[place]
        if verbosity <= 0:
            return tx.raw.hex()
        is_in_main = self._state.is_in_main(block)
        fields: dict[str, Any] = {} if block_hash is None else {"in_active_chain": is_in_main}
        coins = block.spent[place] if verbosity > 1 and place else None
        fields |= printing.transaction(tx, coins, self._network, has_prevouts=True)
        fields |= {"blockhash": block.hash, "confirmations": max(self._state.confirmations_of(block), 0)}
        return fields | {"time": block.block.header.time, "blocktime": block.block.header.time} if is_in_main else fields

    def _locate(self, txid: str, block_hash: str | None) -> tuple[RecordedBlock, int]:
        if block_hash is None:
            found = self._state.transactions.get(txid)
            reason = "No such mempool or blockchain transaction"
        else:
            block = self.block(hash_of(block_hash, "parameter 3"))
            if block is None:
                raise RpcError(INVALID_ADDRESS_OR_KEY, "Block hash not found")
            found = next(((block, place) for place, tx in enumerate(block.transactions) if tx.txid.hex() == txid), None)
            reason = "No such transaction found in the provided block"
        if found is None:
            raise RpcError(INVALID_ADDRESS_OR_KEY, f"{reason}. Use gettransaction for wallet transactions.")
        return found

    def _scanblocks(
        self, action: str, scan_objects: Any = None, start: Any = None, stop: Any = None, kind: str | None = None, options: Any = None
    ) -> Any:
        if action in ("status", "abort"):  # a scan is over before anyone can ask about it
            return None if action == "status" else False
        if action != "start":
            raise RpcError(INVALID_PARAMETER, f"Invalid action '{action}'")
        _filter_type(kind)
        main = self._state.main
        first = 0 if start is None else integer_of(start)
        if not 0 <= first < len(main):
            raise RpcError(MISC_ERROR, "Invalid start_height")
        last = len(main) - 1 if stop is None else integer_of(stop)
        if not first <= last < len(main):
            raise RpcError(MISC_ERROR, "Invalid stop_height")
        if scan_objects is None:
            raise RpcError(MISC_ERROR, "scanobjects argument is required for the start action")
        scripts = {script for scan_object in scan_objects for script in scripts_of(scan_object, self._network)}
        touched = [block for block in self.filters.touching(scripts) if first <= block.height <= last and self._state.is_in_main(block)]
        hashes = [block.hash for block in sorted(touched, key=lambda block: block.height)]
        return {"from_height": first, "to_height": last, "relevant_blocks": hashes, "completed": True}

    def _getchaintips(self) -> list[dict[str, Any]]:
        return [
            {"height": tip.block.height, "hash": tip.block.hash, "branchlen": tip.branch_length, "status": tip.status}
            for tip in self._state.chain_tips()
        ]

    def _found(self, block_hash: str, name: str) -> RecordedBlock:
        block = self.block(hash_of(block_hash, name))
        if block is None:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
        return block


def positional(method: str, parameters: Any) -> list[Any]:
    """A call's parameters in the method's order. Raises RpcError for an unknown method, too many, too few or wrong types."""
    expected = _PARAMETERS.get(method)
    if expected is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    values = _by_name(expected, parameters) if isinstance(parameters, dict) else list(parameters)
    required = sum(is_required for _, _, is_required in expected)
    if not required <= len(values) <= len(expected):
        raise RpcError(MISC_ERROR, _usage(method, expected))
    wrong: list[str] = []
    for place, (names, kind, is_required) in enumerate(expected[: len(values)]):
        found = _json_type(values[place])
        if kind and found != kind and (is_required or found != "null"):
            wrong.append(f'    "Position {place + 1} ({names})": "JSON value of type {found} is not of expected type {kind}"')
    if wrong:
        raise RpcError(TYPE_ERROR, "Wrong type passed:\n{\n" + ",\n".join(wrong) + "\n}")
    return values


def _by_name(expected: list[tuple[str, str, bool]], named: dict[str, Any]) -> list[Any]:
    left = dict(named)
    values: list[Any] = list(left.pop("args", []))
    for names, _, _ in expected[len(values) :]:
        given = [name for name in names.split("|") if name in left]
        values.append(left.pop(given[0]) if given else None)
    if left:
        raise RpcError(INVALID_PARAMETER, f"Unknown named parameter {next(iter(left))}")
    while values and values[-1] is None:
        values.pop()
    return values


def _usage(method: str, expected: list[tuple[str, str, bool]]) -> str:
    words = [f'"{names}"' if kind == "string" else names.partition("|")[0] for names, kind, _ in expected]
    required = sum(is_required for _, _, is_required in expected)
    optional = [f"( {' '.join(words[required:])} )"] if words[required:] else []
    return " ".join([method, *words[:required], *optional]) + "\n"


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    kinds = {str: "string", int: "number", float: "number", list: "array"}
    return kinds.get(type(value), "object")


def integer_of(value: Any) -> int:
    """A number that Core takes as an int. Raises RpcError for others."""
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31:
        return value
    raise RpcError(MISC_ERROR, "JSON integer out of range")


def _verbosity(value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, str | list | dict):
        raise RpcError(TYPE_ERROR, f"JSON value of type {_json_type(value)} is not of expected type number")
    return int(value) if isinstance(value, bool) else integer_of(value)


def hash_of(text: str, name: str) -> str:
    """The hash in small letters. Raises RpcError, naming the parameter, for what is none."""
    if _HASH.fullmatch(text):
        return text.lower()
    if len(text) != 64:
        raise RpcError(INVALID_PARAMETER, f"{name} must be of length 64 (not {len(text)}, for '{text}')")
    raise RpcError(INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text}')")


def _filter_type(kind: str | None) -> None:
    if kind not in (None, "basic"):
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Unknown filtertype")


class _Response(msgspec.Struct):
    result: msgspec.Raw


def _verbatim_result(response: bytes | None) -> msgspec.Raw | None:
    """A recorded result as its very bytes: decoding it would lose how its numbers were written."""
    return None if response is None else decoder(_Response).decode(response).result
