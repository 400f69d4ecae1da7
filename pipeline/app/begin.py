"""What `esep init` needs of the world: the nodes on this machine, and whether an answer holds by the node's own word.

Enters: the user's home folder, answers. Leaves: `FoundNode`s and `WalletProof`s; a wrong answer is an EsepError that says what is wrong with it. Nothing
is written, and no wallet of the node is asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from connectors.bitcoin.errors import RpcError
from connectors.bitcoin.indexes import BuildingIndex, read_indexes
from connectors.bitcoin.rpc import Credentials, NodeConnection
from pipeline.chains.bitcoin.descriptors import parse_descriptor
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.forks import fork_fault
from pipeline.chains.networks import OURS, Networks, is_account_network, network_of, strict_address_on
from pipeline.model.errors import EsepError, SettingsError, SourceError
from pipeline.model.message import message, text_of
from pipeline.model.packaged import packaged_path

SHORT_S = 3.0
"""Seconds that a node on this machine may take to say who it is."""
SHOWN_ADDRESSES = 2

_FOLDERS: tuple[tuple[str, str, int], ...] = (
    (".bitcoin", "", 8332), (".bitcoin", "testnet4", 48332), (".bitcoin", "testnet3", 18332), (".bitcoin", "signet", 38332), (".bitcoin", "regtest", 18443),
    (".litecoin", "", 9332), (".litecoin", "testnet4", 19332), (".litecoin", "regtest", 19443), (".dogecoin", "", 22555), (".dogecoin", "testnet3", 44555),
)  # fmt: skip
"""Data folder, network's folder in it, and port of nodes as they come."""
_PROGRAMS = ("bitcoind", "bitcoin-qt", "litecoind", "litecoin-qt", "dogecoind", "dogecoin-qt")
_EVM_URL = "http://127.0.0.1:8545"


@dataclass(frozen=True)
class NodeLogin:
    """Where a node may be, and how to log in."""

    url: str
    cookie_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """EVM: further headers that log in."""


@dataclass(frozen=True)
class FoundNode:
    """A node that answered."""

    login: NodeLogin
    network: str
    """Our name of it, by its first block and those after forks; `evm:1` of an EVM chain."""
    program: str
    height: int
    tip_time: int
    """Of its newest block, Unix seconds."""
    is_syncing: bool
    pruned_below: int
    """The first block that it still has."""
    clock_offset_s: int | None = None
    """By how many seconds its peers' clocks differ from its own, where it tells that."""
    building: tuple[BuildingIndex, ...] = ()
    """Indexes of transactions and of block filters that it is still building."""

    @property
    def chain_and_asset(self) -> tuple[str, str]:
        """The names of the chain and of its own asset, as in assets.toml; empty where the asset is not known."""
        facts = OURS.of(self.network).facts
        main = facts.test_of or self.network
        coin = OURS.of(main).coin
        if coin is None:
            return "", ""
        known = tomllib.loads(packaged_path("assets.toml").read_text(encoding="utf-8"))
        return known[coin]["chain"] if coin in known else main, coin


class _Info(msgspec.Struct):
    blocks: int
    headers: int
    initialblockdownload: bool = False
    pruned: bool = False
    pruneheight: int | None = None
    chain: str = ""


class _Version(msgspec.Struct):
    subversion: str = ""
    timeoffset: int | None = None


class _Header(msgspec.Struct):
    time: int
    mediantime: int = 0


class _Tip(msgspec.Struct):
    """Of an account chain."""

    number: str
    timestamp: str


def candidates(home: Path, proc: Path = Path("/proc")) -> list[NodeLogin]:
    """Where nodes of this machine may be: cookie files in the usual folders, those that running nodes name, and an EVM node's usual port."""
    found = []
    for folder, of_network, port in _FOLDERS:
        cookie = home / folder / of_network / ".cookie"
        if cookie.is_file():
            found.append(NodeLogin(f"http://127.0.0.1:{port}", cookie))
    found += _of_processes(proc)
    return [*dict.fromkeys(found), NodeLogin(_EVM_URL)]


def _of_processes(proc: Path) -> list[NodeLogin]:
    """Nodes that run as this user or are visible to it, by -datadir and -rpcport of their command lines."""
    found = []
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if Path(words[0]).name not in _PROGRAMS:
            continue
        options = dict(word.lstrip("-").split("=", 1) for word in words[1:] if "=" in word)
        flags = {word.lstrip("-") for word in words[1:]}
        folder = next((f for _, f, _ in _FOLDERS if f and (f.rstrip("34") in flags or f in flags or options.get("chain") == f)), "")
        program = Path(words[0]).name
        kind = next(name for name in (".litecoin", ".dogecoin", ".bitcoin") if program.startswith(name[1:]))
        port = options.get("rpcport") or next((str(p) for k, f, p in _FOLDERS if k == kind and f == folder), "")
        data = options.get("datadir")
        if data and port.isdigit():
            found += [
                NodeLogin(f"http://127.0.0.1:{port}", c) for c in (Path(data) / folder / ".cookie", Path(data) / ".cookie") if c.is_file()
            ]
    return found


def find_nodes(home: Path, proc: Path = Path("/proc")) -> list[FoundNode]:
    """The nodes of this machine that answer."""
    nodes = []
    for login in candidates(home, proc):
        try:
            nodes.append(ask_node(login, timeout_s=SHORT_S))
        except (EsepError, OSError):
            continue
    return nodes


def ask_node(
    login: NodeLogin, *, timeout_s: float = 30.0, is_evm: bool = False, known: Networks = OURS, expected: str | None = None
) -> FoundNode:
    """Who the node is, by its first block and those after forks. `known`: the networks that it may be of; `expected`: the one that is tried first. One without a login is taken for an EVM node. Raises SettingsError for an address that can't be one, SourceError for one that is no node or does not answer."""
    if login.cookie_file is None and (login.user is None or is_evm):
        return _ask_evm_node(login, timeout_s)
    connection = NodeConnection(login.url, _credentials(login), timeout_s=timeout_s)
    named = None
    try:
        genesis = connection.call("getblockhash", 0, result=str)
        info = connection.call("getblockchaininfo", result=_Info)
        version = connection.call("getnetworkinfo", result=_Version)
        tip = connection.call("getblockheader", connection.call("getblockhash", info.blocks, result=str), result=_Header)
        building = _building(connection) if info.blocks > 0 else ()
        for network in _beginning_so(genesis, known, expected):
            heights = [mark.height for mark in network.marks if mark.height <= info.blocks]
            if fork_fault(network, {height: connection.call("getblockhash", height, result=str) for height in heights}) is None:
                named = network.name
                break
    finally:
        connection.close()
    if named is None:
        raise SourceError(
            message(
                "the node at {name} is of no network that Esep knows: its first block is {genesis}", name=connection.name, genesis=genesis
            )
        )
    syncing = info.headers > info.blocks or (info.initialblockdownload and info.chain != "regtest")
    pruned_below = (info.pruneheight or 0) if info.pruned else 0
    return FoundNode(
        login, named, version.subversion.strip("/"), info.blocks, tip.time, syncing, pruned_below, version.timeoffset, building
    )


def _building(connection: NodeConnection) -> tuple[BuildingIndex, ...]:
    """The indexes that it is still building; none where it does not say, which is no fault of who it is."""
    try:
        return read_indexes(connection).building
    except SourceError:
        return ()


def _ask_evm_node(login: NodeLogin, timeout_s: float) -> FoundNode:
    from connectors.evm.rpc import NodeConnection as EvmConnection

    connection = EvmConnection(login.url, user=login.user, password=login.password, headers=login.headers, timeout_s=timeout_s)
    try:
        chain_id = int(connection.call("eth_chainId", result=str), 16)
        version = connection.call("web3_clientVersion", result=str)
        tip = connection.call("eth_getBlockByNumber", "latest", False, result=_Tip)
        height, tip_time = int(tip.number, 16), int(tip.timestamp, 16)
        syncing = connection.call("eth_syncing", result=Any)
    except ValueError as error:
        raise SourceError(
            message("the node at {name} answers what no EVM node would: {error}", name=connection.name, error=text_of(error))
        ) from error
    finally:
        connection.close()
    return FoundNode(login, f"evm:{chain_id}", version, height, tip_time, bool(syncing), 0)


def _beginning_so(genesis: str, known: Networks, expected: str | None) -> list[Network]:
    """The networks that begin with that block, the one expected first."""
    found = [network for network in map(known.of, known.names) if isinstance(network, Network) and network.genesis == genesis]
    return sorted(found, key=lambda network: network.name != expected)


def _credentials(login: NodeLogin) -> Credentials:
    return Credentials(cookie_path=login.cookie_file, user=login.user, password=login.password)


# --- wallets


@dataclass(frozen=True)
class WalletProof:
    """What a pasted line is, by our reading and the node's."""

    text: str
    kind: str
    """descriptor, or address."""
    first_addresses: list[str]
    is_ranged: bool
    is_confirmed: bool
    """Whether the node derives the same addresses; False where it is too old to be asked."""


def prove_wallet(node: FoundNode, text: str) -> WalletProof:
    """Read a pasted descriptor or address, and compare it with what the node makes of it. Raises SettingsError that says what is wrong."""
    text = "".join(text.split())
    if is_account_network(node.network) or "(" not in text:
        try:
            address = strict_address_on(node.network, text)
        except ValueError as error:
            raise SettingsError([text_of(error)], source="wallet") from None
        return WalletProof(address, "address", [address], is_ranged=False, is_confirmed=True)
    network = network_of(node.network)
    assert isinstance(network, Network)
    if any(mark in text for mark in ("prv",)):
        raise SettingsError(
            [message("this descriptor holds a private key: paste the public one (listdescriptors without `private`)")], source="wallet"
        )
    try:
        parsed = parse_descriptor(text, network)
        own = [address_of(script, network) for _, script in parsed.scripts(0, SHOWN_ADDRESSES if parsed.is_ranged else 1)]
    except ValueError as error:
        raise SettingsError([text_of(error)], source="wallet") from None
    found = [address for address in own if address is not None]
    theirs = _derived(node, text, is_ranged=parsed.is_ranged)
    if theirs is not None and not set(theirs) <= set(found):
        raise SettingsError(
            [message("the node derives {theirs}, and Esep {found}: report this descriptor's form", theirs=theirs[0], found=found[:1])],
            source="wallet",
        )
    return WalletProof(text, "descriptor", found, parsed.is_ranged, is_confirmed=theirs is not None)


def _derived(node: FoundNode, text: str, *, is_ranged: bool) -> list[str] | None:
    """The first addresses by the node; None where it can't derive any (old nodes, several branches, bare scripts)."""
    connection = NodeConnection(node.login.url, _credentials(node.login), timeout_s=30.0)
    try:
        described = connection.call("getdescriptorinfo", text, result=dict[str, Any])
        if described.get("hasprivatekeys"):
            raise SettingsError([message("this descriptor holds a private key: paste the public one")], source="wallet")
        arguments: list[object] = [[0, SHOWN_ADDRESSES - 1]] if is_ranged else []
        return list(connection.call("deriveaddresses", described["descriptor"], *arguments, result=list[str]))
    except RpcError as error:
        if "checksum" in str(error).lower():
            raise SettingsError([text_of(error)], source="wallet") from None
        return None
    finally:
        connection.close()


def height_before(node: FoundNode, day: datetime) -> int:
    """The last block whose median time lies before the day, or 0: where reading may begin for wallets first paid on that day. Raises SourceError."""
    wanted = int(day.astimezone(UTC).timestamp())
    connection = NodeConnection(node.login.url, _credentials(node.login), timeout_s=30.0)
    low, high = 0, node.height
    try:
        while low < high:
            middle = (low + high + 1) // 2
            header = connection.call("getblockheader", connection.call("getblockhash", middle, result=str), result=_Header)
            low, high = (middle, high) if header.mediantime < wanted else (low, middle - 1)
    finally:
        connection.close()
    return low


def wallets_by_name(lines: Iterable[str]) -> dict[str, list[str]]:
    """`NAME=DESCRIPTOR` lines by name; without a name before the sign: `payouts`."""
    found: dict[str, list[str]] = {}
    for line in lines:
        name, sign, rest = line.partition("=")
        is_named = bool(sign) and "(" not in name
        found.setdefault(name if is_named else "payouts", []).append(rest if is_named else line)
    return found


def names(nodes: Sequence[FoundNode]) -> list[str]:
    """A line for each node."""
    return [
        message(
            "{network} at {url}: {program}, block {height}{syncing}",
            network=n.network,
            url=n.login.url,
            program=n.program,
            height=n.height,
            syncing=message(", still syncing") if n.is_syncing else "",
        )
        for n in nodes
    ]
