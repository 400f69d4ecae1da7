"""Checks across keys of the settings: addresses belong to their network, assets to their chain, each address to one wallet.

Every check returns its faults as lines; none stops at the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.work import finality_fault, payout_unit_fault
from pipeline.chains.networks import OURS, AnyNetwork, Networks, is_account_network, strict_address_on

from .closing import address_faults
from .models import AssetSettings, ChainSettings, LabelSettings, Settings, WalletSettings
from .nodes import NodeSettings
from .sources import BraiinsSettings, DatabaseSettings, F2PoolSettings, LuxorSettings, PushSettings, SbiSettings, SqlSettings, ledger_of

_journal = structlog.get_logger("esep.settings")


def check_chain(name: str, chain: ChainSettings, assets: Mapping[str, AssetSettings], known: Networks = OURS) -> list[str]:
    """Faults within one chain's table. `known`: the networks that it may name."""
    place, faults = f"chains.{name}", []
    try:
        network = known.of(chain.network)
    except ValueError as error:
        return [f'{place}.network: {error}, or describe it in a file of your own (networks = "FILE")']
    asset = assets.get(chain.asset)
    if asset is None:
        faults.append(
            f"{place}.asset: no asset is named {chain.asset!r}: use one of {', '.join(sorted(assets))}, or describe it in [assets.{chain.asset}]"
        )
    elif asset.chain != name:
        faults.append(
            f"{place}.asset: {chain.asset} is an asset of chain {asset.chain!r}: name this table [chains.{asset.chain}] or choose another asset"
        )
    elif asset.contract is not None:
        faults.append(f"{place}.asset: {chain.asset} is a token: name the chain's own asset, in which fees are paid")
    elif asset.decimals != network.decimals:
        faults.append(f"{place}.asset: {chain.asset} has {asset.decimals} decimals, the coin of {chain.network} has {network.decimals}")
    faults += _family_faults(place, chain)
    if chain.merged_mining_proofs and not (isinstance(network, Network) and network.pow == "scrypt-auxpow"):
        faults.append(f"{place}.merged_mining_proofs: {chain.network} has no merged mining")
    if isinstance(network, Network) and (fault := finality_fault(network, chain.finality)):
        faults.append(f"{place}.finality: {fault}: esep verify refuses a month that closed on fewer")
    if (chain.witnesses or 1) > len(chain.rpc_url) + len(chain.nodes):
        faults.append(
            f"{place}.witnesses: asks for {chain.witnesses} nodes, and one is named: give rpc_url a list, or add [[{place}.nodes]]"
        )
    variable = f"password_file or ESEP_CHAINS_{name.upper().replace('-', '_')}_PASSWORD"
    faults += _login_faults(place, chain, chain.rpc_url, variable)
    for number, node in enumerate(chain.nodes, start=1):
        faults += _login_faults(f"{place}.nodes[{number}]", node, (node.rpc_url,), "password_file")
        if node.rpc_url in (*chain.rpc_url, *(other.rpc_url for other in chain.nodes[: number - 1])):
            faults.append(f"{place}.nodes[{number}].rpc_url: that node is named already")
    faults += _check_wallets(place, chain, network)
    return faults


def _login_faults(place: str, node: ChainSettings | NodeSettings, urls: Iterable[str], password: str) -> list[str]:
    """Faults of the way we log in at these addresses. `password`: how one is set."""
    faults = []
    if node.cookie_file and (node.user or node.password_file):
        faults.append(f"{place}: has both cookie_file and user or password_file: keep one way to log in")
    elif node.user and not node.password:
        faults.append(f"{place}: user without a password: set {password}")
    elif node.password and not node.user:
        faults.append(f"{place}: a password without user")
    if node.cookie_file or node.password or node.bearer or node.header:
        faults += [
            f"{fault}, on the way to the node: bring it here by a tunnel"
            for url in urls
            for fault in address_faults(f"{place}.rpc_url", url, carries_secret=True)
        ]
    return faults


_OF_BITCOIN = ("cookie_file", "rest", "strategy", "first_used_height", "gap", "merged_mining_proofs", "compact_filters")
_OF_ACCOUNTS = ("bearer_file", "header_name", "header_file", "internal_calls", "block_reward", "calls_a_request")
_NODES_OF_ACCOUNTS = ("bearer_file", "header_name", "header_file")


def _family_faults(place: str, chain: ChainSettings) -> list[str]:
    """Faults of keys that the chain's family does not use, or requires."""
    given = chain.model_fields_set
    nodes = [(f"{place}.nodes[{number}]", node) for number, node in enumerate(chain.nodes, start=1)]
    if not is_account_network(chain.network):
        named = [(place, key) for key in _OF_ACCOUNTS if key in given]
        named += [(at, key) for at, node in nodes for key in _NODES_OF_ACCOUNTS if key in node.model_fields_set]
        return [f"{at}.{key}: is for EVM chains (network evm:CHAIN_ID) only" for at, key in named]
    named = [(place, key) for key in _OF_BITCOIN if key in given]
    named += [(at, "cookie_file") for at, node in nodes if node.cookie_file]
    faults = [f"{at}.{key}: is for Bitcoin-like chains only" for at, key in named]
    if chain.start_height < 1:
        faults.append(f"{place}.start_height: say the first block that is read, 1 or more: balances begin with the block before it")
    if "finality" not in given:
        faults.append(
            f"{place}.finality: say how many confirmations make a block final there: 64 where stake decides; where work does, what you trust "
            "(reorganisations of thousands of blocks have happened)"
        )
    faults += [
        f"{place}.wallets[{n}].descriptors: an EVM chain has addresses only" for n, w in enumerate(chain.wallets, 1) if w.descriptors
    ]
    variable = f"header_file or ESEP_{place.upper().replace('.', '_').replace('-', '_')}_HEADER"
    logins: list[tuple[str, ChainSettings | NodeSettings]] = [(place, chain), *nodes]
    for at, node in logins:
        if (node.bearer is not None) + (node.user is not None) > 1:
            faults.append(f"{at}: has both a bearer token and a user: keep one way to log in")
        if (node.header is None) != (node.header_name is None):
            faults.append(f"{at}: header_name and its value go together: set {variable if node is chain else 'header_file'}")
    return faults


def check_contracts(assets: Mapping[str, AssetSettings], chains: Mapping[str, ChainSettings]) -> list[str]:
    """Faults of tokens: on a chain that has none, or two names for one contract."""
    faults: list[str] = []
    held: dict[tuple[str, str], str] = {}
    for name, asset in sorted(assets.items()):
        if asset.contract is None:
            if asset.wrapped:
                faults.append(f"assets.{name}.wrapped: only a token is a wrapped coin: give its contract")
            continue
        chain = chains.get(asset.chain)
        if chain is not None and not is_account_network(chain.network):
            faults.append(f"assets.{name}.contract: chain {asset.chain!r} is no EVM chain: it has no contracts")
        other = held.setdefault((asset.chain, asset.contract), name)
        if other != name:
            faults.append(f"assets.{name}.contract: is that of {other} too: one token, one name")
    return faults


def _check_wallets(place: str, chain: ChainSettings, network: AnyNetwork) -> list[str]:
    faults: list[str] = []
    names: set[str] = set()
    holder: dict[str, str] = {}
    for number, wallet in enumerate(chain.wallets, start=1):
        at = f"{place}.wallets[{number}]"
        if wallet.name in names:
            faults.append(f"{at}.name: a second wallet is named {wallet.name!r}")
        names.add(wallet.name)
        if not wallet.addresses and not wallet.descriptors:
            faults.append(f"{at}: has nothing to watch: give addresses, addresses_file or descriptors")
        for address in wallet.addresses:
            canonical, fault = canonical_or_fault(address, network)
            if fault:
                faults.append(f"{at}.addresses: {fault}")
            elif canonical in holder:
                other = "twice in it" if holder[canonical] == wallet.name else f"in wallet {holder[canonical]!r} too"
                faults.append(f"{at}.addresses: {address} is {other}")
            else:
                holder[canonical] = wallet.name
    return faults


def canonical_or_fault(address: str, network: AnyNetwork) -> tuple[str, str]:
    """The address as its network's nodes print it, and no fault; or the address as it is, and what is wrong with it."""
    try:
        return strict_address_on(network, address), ""
    except ValueError as error:
        return address, str(error)


def check_decisions(settings: Settings) -> list[str]:
    """Faults of labels, waivers, assets and payout units against the chains there are."""
    faults = []
    networks = {
        name: settings.network_of(name) for name, chain in settings.chains.items() if is_known(chain.network, settings.known_networks)
    }
    for number, label in enumerate(settings.labels, start=1):
        chain = settings.chains.get(label.chain)
        if chain is None:
            faults.append(f"labels[{number}].chain: there is no [chains.{label.chain}]")
        elif label.chain in networks and (fault := canonical_or_fault(label.address, networks[label.chain])[1]):
            faults.append(f"labels[{number}].address: {fault}")
    faults += _twice("labels", ((label.chain, label.address) for label in settings.labels))
    faults += _twice("waivers", ((waiver.month, waiver.code, waiver.ref) for waiver in settings.waivers))
    for name in settings.payout_unit:
        if name not in settings.assets:
            faults.append(f"payout_unit.{name}: no asset is named {name!r}: use one of {', '.join(sorted(settings.assets))}")
            continue
        asset = settings.assets[name]
        network = networks.get(asset.chain)
        if isinstance(network, Network) and asset.contract is None and (fault := payout_unit_fault(network, settings.payout_unit[name])):
            faults.append(f"payout_unit.{name}: {fault}: esep verify refuses a month whose payouts are rounded further")
    return faults


def is_known(name: str, known: Networks) -> bool:
    """Whether there is a network of that name."""
    try:
        known.of(name)
    except ValueError:
        return False
    return True


def check_payers(settings: Settings) -> list[str]:
    """Faults of payers against the chains there are (rule 10.1)."""
    faults = []
    for name, payer in settings.payers.items():
        if payer.way == "off-chain" and payer.chain is not None:
            faults.append(f"payers.{name}.chain: an off-chain payer has none: leave it out")
        elif payer.way == "on-chain" and payer.chain is None:
            faults.append(f"payers.{name}.chain: say which chain its transactions are on: one of {', '.join(sorted(settings.chains))}")
        elif payer.way == "on-chain" and payer.chain not in settings.chains:
            faults.append(f"payers.{name}.chain: there is no [chains.{payer.chain}]: its transactions are looked up by that chain's node")
        elif payer.chain is not None and is_account_network(settings.chains[payer.chain].network):
            faults.append(
                f"payers.{name}.chain: on account chains the transactions of others are not followed yet: only Bitcoin-like chains have on-chain payers"
            )
    return faults


def _twice(place: str, keys: Iterable[tuple[str, ...]]) -> list[str]:
    faults = []
    seen: dict[tuple[str, ...], int] = {}
    for number, key in enumerate(keys, start=1):
        if key in seen:
            faults.append(f"{place}[{number}]: says again what {place}[{seen[key]}] says: {' '.join(key)}")
        seen.setdefault(key, number)
    return faults


def canonical_wallet(wallet: WalletSettings, network: AnyNetwork) -> WalletSettings:
    """The wallet with its addresses as the network's nodes print them."""
    return wallet.model_copy(update={"addresses": tuple(canonical_or_fault(a, network)[0] for a in wallet.addresses)})


def canonical_label(label: LabelSettings, network: AnyNetwork) -> LabelSettings:
    return label.model_copy(update={"address": canonical_or_fault(label.address, network)[0]})


def read_addresses(path: Path, place: str) -> tuple[list[str], list[str]]:
    """The addresses of a file, one a line, `#` begins a comment; and the faults."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return [], [f"{place}: {path} can't be read: {_cause(error)}"]
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    faults = [
        f"{place}: {path}:{number}: {len(line.split())} words where one address stands"
        for number, line in enumerate(lines, 1)
        if " " in line
    ]
    return [line for line in lines if line and " " not in line], faults


def read_password(path: Path, place: str) -> tuple[str | None, list[str]]:
    """A file's only line; and the faults. The fault never shows what the file holds."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return None, [f"{place}: {path} can't be read: {_cause(error)}"]
    warn_if_exposed(path, place)
    if not text or "\n" in text:
        return None, [f"{place}: {path} must hold the password on one line and nothing else"]
    return text, []


def warn_if_exposed(path: Path, place: str) -> None:
    """Warn if others on this machine can read a secret's file. It is used anyway: containers mount secrets like this."""
    try:
        is_exposed = bool(path.stat().st_mode & 0o004)
    except OSError:
        return  # an unreadable file is reported where it is read
    if is_exposed:
        _journal.warning(
            "secret-readable-by-all", setting=place, path=str(path), advice="chmod o= it, unless nobody else is on this machine"
        )


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "unknown error"
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def check_sources(settings: Settings) -> list[str]:
    """Faults of sources of the ledger: assets and payers that are not declared, statements that are missing, two of one ledger."""
    faults: list[str] = []
    held: dict[str, str] = {}
    for name, source in settings.sources.items():
        place = f"sources.{name}"
        asset = getattr(source, "asset", None)
        if asset is not None and asset not in settings.assets:
            faults.append(f"{place}.asset: no asset is named {asset!r}: use one of {', '.join(sorted(settings.assets))}")
        payer = getattr(source, "payer", None)
        if payer is not None and payer not in settings.payers:
            faults.append(f"{place}.payer: no payer is named {payer!r}: declare it as [payers.{payer}]")
        if isinstance(source, SqlSettings) and source.allocations is None and source.payments is None:
            faults.append(f"{place}: has nothing to read: give {place}.allocations, {place}.payments, or both")
        if isinstance(source, DatabaseSettings) and source.password is None:
            variable = f"ESEP_SOURCES_{name}_PASSWORD".upper().replace("-", "_")
            faults.append(f"{place}: no password for user {source.user!r}: set password_file or {variable}")
        if isinstance(source, LuxorSettings | F2PoolSettings | SbiSettings | BraiinsSettings | PushSettings) and source.token is None:
            faults.append(f"{place}: no token: set token_file or {f'ESEP_SOURCES_{name}_TOKEN'.upper().replace('-', '_')}")
        if isinstance(source, SbiSettings) and source.secret is None:
            faults.append(f"{place}: no secret: set secret_file or {f'ESEP_SOURCES_{name}_SECRET'.upper().replace('-', '_')}")
        ledger = ledger_of(name, source)
        if (other := held.setdefault(ledger, name)) != name:
            faults.append(f"{place}: gives the same ids as sources.{other} ({ledger}…): each needs a pool_id or coin of its own")
        if [fee.since for fee in source.fees] != sorted({fee.since for fee in source.fees}):
            faults.append(f"{place}.fees: stand in no order of days, or a day stands twice")
    return faults
