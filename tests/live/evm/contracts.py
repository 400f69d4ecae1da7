"""The scenario's contracts: compiled from their sources, encoded to calls.

Enters: the Solidity compiler's path. Leaves: `Contract`s with their code and their functions' calldata. Nothing is compiled ahead:
what is in `contracts/` is what runs.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web3 import Web3

SOURCES = Path(__file__).with_name("contracts")
COMPILE_TIMEOUT_S = 120


@dataclass(frozen=True)
class Contract:
    """A compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    code: str

    def create(self, *arguments: Any) -> str:
        """The data of the transaction that makes it."""
        made: str = Web3().eth.contract(abi=self.abi, bytecode=self.code).constructor(*arguments).data_in_transaction
        return made

    def call(self, function: str, *arguments: Any) -> str:
        """The data of a call."""
        encoded: str = Web3().eth.contract(abi=self.abi).encode_abi(function, args=list(arguments))
        return encoded


def compile_contracts(solc: Path, evm_version: str = "cancun") -> dict[str, Contract]:
    """All contracts by name, for machines that know the forks up to `evm_version`."""
    sources = {path.name: {"content": path.read_text(encoding="utf-8")} for path in sorted(SOURCES.glob("*.sol"))}
    asked = {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": evm_version,
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    answered = subprocess.run(
        [str(solc), "--standard-json"], input=json.dumps(asked), capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=True
    ).stdout
    told = json.loads(answered[answered.index("{") :])  # the JavaScript build may print a line about SMT solvers before
    if faults := _faults(told.get("errors", [])):
        raise AssertionError("the contracts do not compile:\n" + "\n".join(faults))
    return {
        name: Contract(name, content["abi"], "0x" + content["evm"]["bytecode"]["object"])
        for file in told["contracts"].values()
        for name, content in file.items()
    }


def _faults(errors: Sequence[dict[str, Any]]) -> list[str]:
    return [str(error["formattedMessage"]) for error in errors if error["severity"] == "error"]
