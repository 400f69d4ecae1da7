"""The parameters of Bitcoin-like networks: address prefixes, names, proof of work.

Address prefixes come from bitcoinlib's network definitions; the table `_COMPLETED` adds what those lack (the node's own name
of the chain, the genesis block, the proof of work, Litecoin's regtest) and puts right what differs from the networks' own
nodes. Left out: everything about keys, wallets and fees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal

Pow = Literal["sha256d", "scrypt", "scrypt-auxpow"]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One network's parameters. There is one object of each (`network`), so two are equal only when they are the same."""

    name: str
    chain: str  # as getblockchaininfo names it: main, test, testnet4, signet, regtest
    genesis: str
    p2pkh_prefix: bytes
    p2sh_prefix: bytes
    p2sh_legacy_prefixes: tuple[bytes, ...]  # still read, never written
    hrp: str | None  # of bech32 addresses; None where the network has no segregated witness
    pow: Pow
    pow_limit: int  # the easiest target the network allows
    has_mweb: bool  # Litecoin's extension blocks may trail a block


_BITCOIN_LIMIT = (1 << 224) - 1
_REGTEST_LIMIT = (1 << 255) - 1
_SCRYPT_LIMIT = (1 << 236) - 1

# `base` is bitcoinlib's definition; every other key is ours and wins. bitcoinlib gives regtest the main network's base58
# prefixes and Dogecoin a bech32 prefix: Bitcoin Core's regtest has the test network's, and Dogecoin has no segregated witness.
_COMPLETED: dict[str, dict[str, Any]] = {
    "bitcoin": {
        "chain": "main",
        "genesis": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    },
    "testnet": {
        "chain": "test",
        "genesis": "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    },
    "testnet4": {
        "chain": "testnet4",
        "genesis": "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    },
    "signet": {
        "chain": "signet",
        "genesis": "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
        "pow_limit": 0x377AE << 216,
    },
    "regtest": {
        "chain": "regtest",
        "genesis": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        "p2pkh_prefix": b"\x6f",
        "p2sh_prefix": b"\xc4",
        "pow_limit": _REGTEST_LIMIT,
    },
    "litecoin": {
        "chain": "main",
        "genesis": "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2",
        "p2sh_legacy_prefixes": (b"\x05",),
        "pow": "scrypt",
        "pow_limit": _SCRYPT_LIMIT,
        "has_mweb": True,
    },
    "litecoin_testnet": {
        "chain": "test",
        "genesis": "4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0",
        "p2sh_legacy_prefixes": (b"\xc4",),
        "pow": "scrypt",
        "pow_limit": _SCRYPT_LIMIT,
        "has_mweb": True,
    },
    "litecoin_regtest": {
        "base": "litecoin_testnet",
        "chain": "regtest",
        "genesis": "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
        "p2sh_legacy_prefixes": (b"\xc4",),
        "hrp": "rltc",
        "pow": "scrypt",
        "pow_limit": _REGTEST_LIMIT,
        "has_mweb": True,
    },
    "dogecoin": {
        "chain": "main",
        "genesis": "1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691",
        "hrp": None,
        "pow": "scrypt-auxpow",
        "pow_limit": _SCRYPT_LIMIT,
    },
    "dogecoin_testnet": {
        "chain": "test",
        "genesis": "bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e",
        "hrp": None,
        "pow": "scrypt-auxpow",
        "pow_limit": _SCRYPT_LIMIT,
    },
}

NETWORKS = tuple(_COMPLETED)


@cache
def _bitcoinlib_definitions() -> dict[str, dict[str, Any]]:
    # Importing bitcoinlib (importlib.resources would, too) creates ~/.bitcoinlib with a database, settings and a log, and
    # takes half a second. Its data file is found through the installed distribution instead: nothing of it runs.
    path = distribution("bitcoinlib").locate_file("bitcoinlib/data/networks.json")
    definitions: dict[str, dict[str, Any]] = json.loads(Path(str(path)).read_text(encoding="utf-8"))
    return definitions


@cache
def network(name: str) -> Network:
    """The network of that name, one of `NETWORKS`. Raises ValueError for any other name."""
    completed = _COMPLETED.get(name)
    if completed is None:
        raise ValueError(f"no network is named {name!r}: use one of {', '.join(NETWORKS)}")
    base = _bitcoinlib_definitions()[completed.get("base", name)]
    return Network(
        name=name,
        chain=completed["chain"],
        genesis=completed["genesis"],
        p2pkh_prefix=completed.get("p2pkh_prefix", bytes.fromhex(base["prefix_address"])),
        p2sh_prefix=completed.get("p2sh_prefix", bytes.fromhex(base["prefix_address_p2sh"])),
        p2sh_legacy_prefixes=completed.get("p2sh_legacy_prefixes", ()),
        hrp=completed.get("hrp", base["prefix_bech32"]),
        pow=completed.get("pow", "sha256d"),
        pow_limit=completed.get("pow_limit", _BITCOIN_LIMIT),
        has_mweb=completed.get("has_mweb", False),
    )
