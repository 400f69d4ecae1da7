"""The parts of a token contract's ABI that are used, by web3's codec: `balanceOf`, and the log `Transfer` (ERC-20).

Enters: addresses, answers. Leaves: call data, amounts. Logs are decoded by the faster `pipeline.chains.evm.receipts`; tests compare the two.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from eth_typing import ABI
from hexbytes import HexBytes

_usual = sys.getrecursionlimit()
from web3 import Web3  # noqa: E402 - what follows undoes what this import does
from web3.exceptions import InvalidAddress  # noqa: E402 - the same

# A dependency of web3 raises the recursion limit a hundredfold: deeply nested JSON would then overflow the stack and crash the process
# instead of raising an error.
sys.setrecursionlimit(_usual)

ERC20: ABI = [
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"name": "owner", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
    {
        "type": "event",
        "name": "Transfer",
        "anonymous": False,
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    },
]
_web3 = Web3()  # no provider: used as a codec only
TOKEN: Any = _web3.eth.contract(abi=ERC20)


@lru_cache(maxsize=10_000)
def balance_of(address: str) -> str:
    """Call data that asks a token for an address's balance, remembered: the pool's are asked about again and again. Raises ValueError for what is not an address in EIP-55."""
    try:
        return str(TOKEN.encode_abi("balanceOf", args=[address]))
    except InvalidAddress as error:
        raise ValueError(f"{address!r} is not an account's address: {error}") from error


def amount(answer: str) -> int:
    """The number in a token's answer: its first 32 bytes. Raises ValueError for anything shorter."""
    data = HexBytes(answer)
    if len(data) < 32:
        raise ValueError(f"a token answered {len(data)} bytes where a number has 32")
    return int(_web3.codec.decode(["uint256"], data)[0])
