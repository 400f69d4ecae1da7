"""Bitcoin-like networks: what their facts mean for addresses, blocks and proof of work.

Enters: a network's table of `networks.toml` (`chains.facts`). Leaves: a `Network`. Prefixes that a table leaves out come from the definition of
bitcoinlib that it names. Left out: everything about keys, wallets and fees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from pipeline.chains.facts import Facts, ForkFacts, hash_fault, hex_of, read_tables, typed
from pipeline.chains.rewards import RewardFacts, Share, reward_faults
from pipeline.model.message import message
from pipeline.model.packaged import packaged_path

Pow = Literal["sha256d", "scrypt", "scrypt-auxpow", "unchecked"]
RetargetRule = Literal["interval", "digishield", "asert"]


class CheckpointFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block, and the work of all blocks up to it, as the network's own node ships them."""

    height: int
    hash: str
    chain_work: str
    """Hexadecimal."""
    least_work: str | None = None
    """Hexadecimal: the expected hashes that every later header claims at least; None: the average of all blocks up to `height`."""
    source: str = ""


class AnchorFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a schedule of difficulty begins (`asert`)."""

    height: int
    bits: int
    parent_time: int
    """Of the block before it, Unix seconds."""
    half_life_s: int
    """So many seconds behind the schedule halve the difficulty."""


class RetargetFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the difficulty is set anew."""

    interval: int = 1
    """Blocks."""
    spacing_s: int
    """Seconds between two blocks, as meant."""
    reaches_back: int = 1
    """Blocks over which the time is measured."""
    rule: RetargetRule = "interval"
    anchor: AnchorFacts | None = None
    """Of `asert`, which sets the difficulty of the blocks after it."""
    begins: int = 0
    """The first block whose difficulty was set by this rule. An anchor says it by itself."""

    @property
    def first_block(self) -> int:
        """The first block whose difficulty is judged: what rule the blocks before it had is not known here."""
        return self.anchor.height + 1 if self.anchor is not None else self.begins


class ShareFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a network takes of each coinbase."""

    name: str
    part: Share
    """Of all that the coinbase pays."""
    begins: int = 0
    """The first block."""
    address: str | None = None
    """Whom it is paid to; None where that is another one in each block, and the amount alone tells."""
    source: str = ""


class BitcoinFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table of a Bitcoin-like network."""

    family: Literal["bitcoin"]
    chain: str
    """As getblockchaininfo names it: main, test, testnet4, signet, regtest."""
    genesis: str
    title: str = ""
    coin: str | None = None
    """The coin's name on the form; None for a test network, whose coins are worth nothing."""
    test_of: str | None = None
    """The network that this one tests: its coin's name may be used here."""
    decimals: int = 8
    supply: int | None = None
    bitcoinlib: str | None = None
    p2pkh_prefix: str | None = None
    p2sh_prefix: str | None = None
    p2sh_legacy_prefixes: tuple[str, ...] = ()
    cashaddr: str | None = None
    """The prefix of CashAddr addresses, without colon; None for a network that has none."""
    has_tokens: bool = False
    """Outputs may carry CashTokens (Bitcoin Cash since May 2023)."""
    hrp: str | None = None
    """"" for a network without segregated witness."""
    pow: Pow = "sha256d"
    pow_limit: str | None = None
    has_mweb: bool = False
    merged_mining_id: int | None = None
    message_magic: str = "Bitcoin Signed Message:\n"
    rpc_port: int | None = None
    finality: int | None = None
    least_finality: int = 1
    greatest_payout_unit: int | None = None
    checkpoint: CheckpointFacts | None = None
    retarget: RetargetFacts | None = None
    reward: RewardFacts | None = None
    shares: tuple[ShareFacts, ...] = ()
    """What nodes want in each coinbase besides the miner's outputs."""
    forks: tuple[ForkFacts, ...] = ()


class Mark(NamedTuple):
    """A height at which a network and its forks have different blocks."""

    height: int
    hash: str | None
    """The network's own block; None where only the forks' are known."""
    others: Mapping[str, str]
    """The forks' blocks, and the names of those that have them."""


@dataclass(frozen=True)
class Checkpoint:
    """The data that a main network's headers are checked against."""

    height: int
    hash: str
    chain_work: int
    """Expected hashes of all blocks up to `height`."""

    floor: int | None = None

    @property
    def least_work(self) -> int:
        """Expected hashes that every header after `height` claims at least."""
        return self.floor if self.floor is not None else self.chain_work // self.height


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One network's parameters. Two are equal only when they are the same object."""

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
    checkpoint: Checkpoint | None  # None: no work can be checked from headers
    marks: tuple[Mark, ...]  # by height, its checkpoint among them
    facts: BitcoinFacts  # all of them, as recorded with a month

    @property
    def coin(self) -> str | None:
        """The coin's name; None on a test network."""
        return self.facts.coin

    @property
    def decimals(self) -> int:
        """Between the coin and its base unit."""
        return self.facts.decimals

    @property
    def cashaddr(self) -> str | None:
        """The prefix of its CashAddr addresses; None where it has base58 ones only."""
        return self.facts.cashaddr

    @property
    def retarget(self) -> RetargetFacts | None:
        """How the difficulty is set anew; None where that can't be checked here."""
        return self.facts.retarget


_LIMITS: dict[str, int] = {"scrypt": (1 << 236) - 1, "scrypt-auxpow": (1 << 236) - 1}
_BITCOIN_LIMIT = (1 << 224) - 1


def bitcoin_network(name: str, table: Mapping[str, Any], place: str) -> tuple[Network | None, list[str]]:
    """The network of that table, or every fault in it, each beginning with `place`."""
    facts, faults = typed(BitcoinFacts, table, place)
    if facts is None:
        return None, faults
    base = _bitcoinlib_definitions().get(facts.bitcoinlib or "", {})
    if facts.bitcoinlib and not base:
        faults.append(
            f"{place}.bitcoinlib: bitcoinlib knows no network {facts.bitcoinlib!r}: use one of {', '.join(_bitcoinlib_definitions())}"
        )
    prefixes = []
    for key, theirs in (("p2pkh_prefix", "prefix_address"), ("p2sh_prefix", "prefix_address_p2sh")):
        text = getattr(facts, key) or base.get(theirs)
        if text is None and not facts.bitcoinlib:
            faults.append(
                f"{place}.{key}: is missing: the first byte of such addresses in hexadecimal, or bitcoinlib's name of the network"
            )
        found, wrong = hex_of(text, f"{place}.{key}", most=2) if text is not None else (b"", [])
        prefixes.append(found)
        faults += wrong
    legacy = [hex_of(text, f"{place}.p2sh_legacy_prefixes", most=2) for text in facts.p2sh_legacy_prefixes]
    limit, wrong = _target(facts, f"{place}.pow_limit")
    faults += [fault for _, each in legacy for fault in each] + wrong
    faults += hash_fault(facts.genesis, f"{place}.genesis") + _checkpoint_faults(facts, place)
    faults += reward_faults(facts.reward, f"{place}.reward") if facts.reward is not None else []
    if (facts.pow == "scrypt-auxpow") != (facts.merged_mining_id is not None):
        faults.append(f'{place}.merged_mining_id: belongs to pow = "scrypt-auxpow", and only to it: the chain\'s number among merged ones')
    for number, fork in enumerate(facts.forks, 1):
        for text in (fork.hash, *fork.others):
            faults += hash_fault(text, f"{place}.forks[{number}]")
    if faults:
        return None, faults
    hrp = facts.hrp if facts.hrp is not None else base.get("prefix_bech32", "")
    # What is recorded with a month doesn't depend on the version of bitcoinlib.
    facts = msgspec.structs.replace(
        facts, bitcoinlib=None, p2pkh_prefix=prefixes[0].hex(), p2sh_prefix=prefixes[1].hex(), hrp=hrp, pow_limit=f"{limit:064x}"
    )
    checkpoint = _checkpoint(facts.checkpoint)
    marks = [Mark(fork.height, fork.hash, fork.others) for fork in facts.forks]
    marks += [Mark(checkpoint.height, checkpoint.hash, {})] if checkpoint else []
    return Network(
        name=name,
        chain=facts.chain,
        genesis=facts.genesis,
        p2pkh_prefix=prefixes[0],
        p2sh_prefix=prefixes[1],
        p2sh_legacy_prefixes=tuple(found for found, _ in legacy),
        hrp=hrp or None,
        pow=facts.pow,
        pow_limit=limit,
        has_mweb=facts.has_mweb,
        checkpoint=checkpoint,
        marks=tuple(sorted(marks, key=lambda mark: mark.height)),
        facts=facts,
    ), []


def _checkpoint(given: CheckpointFacts | None) -> Checkpoint | None:
    if given is None:
        return None
    return Checkpoint(
        given.height, given.hash, int(given.chain_work, 16), int(given.least_work, 16) if given.least_work is not None else None
    )


def _target(facts: BitcoinFacts, place: str) -> tuple[int, list[str]]:
    if facts.pow_limit is None:
        return _LIMITS.get(facts.pow, _BITCOIN_LIMIT), []
    found, faults = hex_of(facts.pow_limit, place, least=32)
    if not faults and not any(found):
        faults = [f"{place}: 0 is no target"]
    return int.from_bytes(found, "big"), faults


def _checkpoint_faults(facts: BitcoinFacts, place: str) -> list[str]:
    faults = []
    if facts.checkpoint is not None:
        faults += hash_fault(facts.checkpoint.hash, f"{place}.checkpoint.hash")
        work, wrong = hex_of(facts.checkpoint.chain_work.rjust(64, "0"), f"{place}.checkpoint.chain_work", least=32)
        faults += wrong
        if facts.checkpoint.least_work is not None:
            faults += hex_of(facts.checkpoint.least_work.rjust(64, "0"), f"{place}.checkpoint.least_work", least=32)[1]
        if facts.checkpoint.height < 1 or (not wrong and not any(work)):
            faults.append(f"{place}.checkpoint: its height and its work are at least 1")
        if facts.retarget is None:
            faults.append(
                f"{place}.retarget: is missing: work is checked where there is a checkpoint, and that needs to know how difficulty is set"
            )
    if facts.retarget is not None and min(facts.retarget.interval, facts.retarget.spacing_s, facts.retarget.reaches_back) < 1:
        faults.append(f"{place}.retarget: interval, spacing_s and reaches_back are at least 1")
    if facts.retarget is not None and (facts.retarget.rule == "asert") != (facts.retarget.anchor is not None):
        faults.append(f'{place}.retarget.anchor: belongs to rule = "asert", and only to it')
    if facts.retarget is not None and facts.retarget.begins and facts.retarget.anchor is not None:
        faults.append(f"{place}.retarget.begins: an anchor says by itself where the rule begins")
    if facts.checkpoint is not None and facts.retarget is not None and facts.checkpoint.height < facts.retarget.first_block:
        faults.append(f"{place}.checkpoint: lies before block {facts.retarget.first_block}, where the rule of retargeting begins")
    return faults


@cache
def _bitcoinlib_definitions() -> dict[str, dict[str, Any]]:
    # Importing bitcoinlib (importlib.resources would, too) creates ~/.bitcoinlib with a database, settings and a log, and
    # takes half a second. Its data file is found through the installed distribution instead: nothing of it runs.
    path = distribution("bitcoinlib").locate_file("bitcoinlib/data/networks.json")
    definitions: dict[str, dict[str, Any]] = json.loads(Path(str(path)).read_text(encoding="utf-8"))
    return definitions


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return {name: table for name, table in read_tables(packaged_path("networks.toml")).items() if table["family"] == "bitcoin"}


@cache
def network(name: str) -> Network:
    """The network of that name, one of `NETWORKS`. Raises ValueError for any other name."""
    if name not in _tables():
        raise ValueError(message("no network is named {name}: use one of {tables}", name=repr(name), tables=", ".join(_tables())))
    found, faults = bitcoin_network(name, _tables()[name], f"networks.toml: {name}")
    assert found is not None, "; ".join(faults)
    return found


NETWORKS = tuple(_tables())
"""The names of the Bitcoin-like networks that come with the program."""
