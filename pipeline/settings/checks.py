"""Checks across keys of the settings: addresses belong to their network, assets to their chain, each address to one wallet.

Every check returns its faults as lines; none stops at the first one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.work import finality_fault, payout_unit_fault
from pipeline.chains.networks import OURS, AnyNetwork, Networks, is_account_network, strict_address_on
from pipeline.model.journal import Journal
from pipeline.model.message import message, text_of
from pipeline.model.system_words import system_words

from .closing import address_faults
from .models import AssetSettings, ChainSettings, LabelSettings, Settings, WalletSettings
from .nodes import NodeSettings
from .sources import (
    BraiinsSettings,
    DatabaseSettings,
    F2PoolSettings,
    LuxorSettings,
    PushSettings,
    SbiSettings,
    SqlSettings,
    ledger_of,
    registry_tables,
)

_journal = Journal("esep.settings")


def check_chain(name: str, chain: ChainSettings, assets: Mapping[str, AssetSettings], known: Networks = OURS) -> list[str]:
    """Faults within one chain's table. `known`: the networks that it may name."""
    place, faults = f"chains.{name}", []
    try:
        network = known.of(chain.network)
    except ValueError as error:
        return [message('{place}.network: {error}, or describe it in a file of your own (networks = "FILE")', place=place, error=error)]
    asset = assets.get(chain.asset)
    if asset is None:
        faults.append(message(
            "{place}.asset: no asset is named {asset}: use one of {assets}, or describe it in [assets.{asset_2}]",
            place=place, asset=repr(chain.asset), assets=", ".join(sorted(assets)), asset_2=chain.asset,
        ))  # fmt: skip
    elif asset.chain != name:
        faults.append(message(
            "{place}.asset: {asset} is an asset of chain {chain}: name this table [chains.{chain_2}] or choose another asset",
            place=place, asset=chain.asset, chain=repr(asset.chain), chain_2=asset.chain,
        ))  # fmt: skip
    elif asset.contract is not None:
        faults.append(message("{place}.asset: {asset} is a token: name the chain's own asset, in which fees are paid", place=place, asset=chain.asset))  # fmt: skip
    elif asset.decimals != network.decimals:
        faults.append(message(
            "{place}.asset: {asset} has {decimals} decimals, the coin of {network} has {decimals_2}",
            place=place, asset=chain.asset, decimals=asset.decimals, network=chain.network, decimals_2=network.decimals,
        ))  # fmt: skip
    faults += _family_faults(place, chain)
    if chain.merged_mining_proofs and not (isinstance(network, Network) and network.pow == "scrypt-auxpow"):
        faults.append(message("{place}.merged_mining_proofs: {network} has no merged mining", place=place, network=chain.network))
    if isinstance(network, Network) and (fault := finality_fault(network, chain.finality)):
        faults.append(message("{place}.finality: {fault}: esep verify refuses a month that closed on fewer", place=place, fault=fault))
    if (chain.witnesses or 1) > len(chain.rpc_url) + len(chain.nodes):
        faults.append(message("{place}.witnesses: asks for {witnesses} nodes, and one is named: give rpc_url a list, or add [[{place}.nodes]]", place=place, witnesses=chain.witnesses))  # fmt: skip
    variable = message("password_file or ESEP_CHAINS_{replace}_PASSWORD", replace=name.upper().replace("-", "_"))
    faults += _login_faults(place, chain, chain.rpc_url, variable)
    for number, node in enumerate(chain.nodes, start=1):
        faults += _login_faults(f"{place}.nodes[{number}]", node, (node.rpc_url,), "password_file")
        if node.rpc_url in (*chain.rpc_url, *(other.rpc_url for other in chain.nodes[: number - 1])):
            faults.append(message("{place}.nodes[{number}].rpc_url: that node is named already", place=place, number=number))
    faults += _check_wallets(place, chain, network)
    return faults


def _login_faults(place: str, node: ChainSettings | NodeSettings, urls: Iterable[str], password: str) -> list[str]:
    """Faults of the way we log in at these addresses. `password`: how one is set."""
    faults = []
    if node.cookie_file and (node.user or node.password_file):
        faults.append(message("{place}: has both cookie_file and user or password_file: keep one way to log in", place=place))
    elif node.user and not node.password:
        faults.append(message("{place}: user without a password: set {password}", place=place, password=password))
    elif node.password and not node.user:
        faults.append(message("{place}: a password without user", place=place))
    if node.cookie_file or node.password or node.bearer or node.header:
        faults += [
            message("{fault}, on the way to the node: bring it here by a tunnel", fault=fault)
            for url in urls
            for fault in address_faults(f"{place}.rpc_url", url, carries_secret=True)
        ]
    return faults


_OF_BITCOIN = (
    "cookie_file",
    "rest",
    "strategy",
    "first_used_height",
    "gap",
    "merged_mining_proofs",
    "headers_from_checkpoint",
    "compact_filters",
    "auditor_descriptors",
)
_OF_ACCOUNTS = ("bearer_file", "header_name", "header_file", "internal_calls", "block_reward", "calls_a_request")
_NODES_OF_ACCOUNTS = ("bearer_file", "header_name", "header_file")


def _family_faults(place: str, chain: ChainSettings) -> list[str]:
    """Faults of keys that the chain's family does not use, or requires."""
    given = chain.model_fields_set
    nodes = [(f"{place}.nodes[{number}]", node) for number, node in enumerate(chain.nodes, start=1)]
    if not is_account_network(chain.network):
        named = [(place, key) for key in _OF_ACCOUNTS if key in given]
        named += [(at, key) for at, node in nodes for key in _NODES_OF_ACCOUNTS if key in node.model_fields_set]
        return [message("{at}.{key}: is for EVM chains (network evm:CHAIN_ID) only", at=at, key=key) for at, key in named]
    named = [(place, key) for key in _OF_BITCOIN if key in given]
    named += [(at, "cookie_file") for at, node in nodes if node.cookie_file]
    faults = [message("{at}.{key}: is for Bitcoin-like chains only", at=at, key=key) for at, key in named]
    if chain.start_height < 1:
        faults.append(message("{place}.start_height: say the first block that is read, 1 or more: balances begin with the block before it", place=place))  # fmt: skip
    if "finality" not in given:
        faults.append(
            message(
                "{place}.finality: say how many confirmations make a block final there: 64 where stake decides; where work does, what you trust (reorganisations of thousands of blocks have happened)",
                place=place,
            )
        )
    faults += [message("{place}.wallets[{n}].descriptors: an EVM chain has addresses only", place=place, n=n) for n, w in enumerate(chain.wallets, 1) if w.descriptors]  # fmt: skip
    variable = message("header_file or ESEP_{replace}_HEADER", replace=place.upper().replace(".", "_").replace("-", "_"))
    logins: list[tuple[str, ChainSettings | NodeSettings]] = [(place, chain), *nodes]
    for at, node in logins:
        if (node.bearer is not None) + (node.user is not None) > 1:
            faults.append(message("{at}: has both a bearer token and a user: keep one way to log in", at=at))
        if (node.header is None) != (node.header_name is None):
            faults.append(message("{at}: header_name and its value go together: set {variable}", at=at, variable=variable if node is chain else "header_file"))  # fmt: skip
    return faults


def check_contracts(assets: Mapping[str, AssetSettings], chains: Mapping[str, ChainSettings]) -> list[str]:
    """Faults of tokens: on a chain that has none, or two names for one contract."""
    faults: list[str] = []
    held: dict[tuple[str, str], str] = {}
    for name, asset in sorted(assets.items()):
        if asset.contract is None:
            if asset.wrapped:
                faults.append(message("assets.{name}.wrapped: only a token is a wrapped coin: give its contract", name=name))
            continue
        chain = chains.get(asset.chain)
        if chain is not None and not is_account_network(chain.network):
            faults.append(message("assets.{name}.contract: chain {chain} is no EVM chain: it has no contracts", name=name, chain=repr(asset.chain)))  # fmt: skip
        other = held.setdefault((asset.chain, asset.contract), name)
        if other != name:
            faults.append(message("assets.{name}.contract: is that of {other} too: one token, one name", name=name, other=other))
    return faults


def _check_wallets(place: str, chain: ChainSettings, network: AnyNetwork) -> list[str]:
    faults: list[str] = []
    names: set[str] = set()
    holder: dict[str, str] = {}
    for number, wallet in enumerate(chain.wallets, start=1):
        at = f"{place}.wallets[{number}]"
        if wallet.name in names:
            faults.append(message("{at}.name: a second wallet is named {name}", at=at, name=repr(wallet.name)))
        names.add(wallet.name)
        if not wallet.addresses and not wallet.descriptors:
            faults.append(message("{at}: has nothing to watch: give addresses, addresses_file or descriptors", at=at))
        for address in wallet.addresses:
            canonical, fault = canonical_or_fault(address, network)
            if fault:
                faults.append(message("{at}.addresses: {fault}", at=at, fault=fault))
            elif canonical in holder:
                other = (message("twice in it") if holder[canonical] == wallet.name else message("in wallet {holder} too", holder=repr(holder[canonical])))  # fmt: skip
                faults.append(message("{at}.addresses: {address} is {other}", at=at, address=address, other=other))
            else:
                holder[canonical] = wallet.name
    return faults


def canonical_or_fault(address: str, network: AnyNetwork) -> tuple[str, str]:
    """The address as its network's nodes print it, and no fault; or the address as it is, and what is wrong with it."""
    try:
        return strict_address_on(network, address), ""
    except ValueError as error:
        return address, text_of(error)


def check_decisions(settings: Settings) -> list[str]:
    """Faults of labels, waivers, assets and payout units against the chains there are."""
    faults = []
    networks = {
        name: settings.network_of(name) for name, chain in settings.chains.items() if is_known(chain.network, settings.known_networks)
    }
    for number, label in enumerate(settings.labels, start=1):
        chain = settings.chains.get(label.chain)
        if chain is None:
            faults.append(message("labels[{number}].chain: there is no [chains.{chain}]", number=number, chain=label.chain))
        elif label.chain in networks and (fault := canonical_or_fault(label.address, networks[label.chain])[1]):
            faults.append(message("labels[{number}].address: {fault}", number=number, fault=fault))
    faults += _twice("labels", ((label.chain, label.address) for label in settings.labels))
    faults += _twice("waivers", ((waiver.month, waiver.code, waiver.ref) for waiver in settings.waivers))
    for name in settings.payout_unit:
        if name not in settings.assets:
            faults.append(message("payout_unit.{name}: no asset is named {name_2}: use one of {assets}", name=name, name_2=repr(name), assets=", ".join(sorted(settings.assets))))  # fmt: skip
            continue
        asset = settings.assets[name]
        network = networks.get(asset.chain)
        if isinstance(network, Network) and asset.contract is None and (fault := payout_unit_fault(network, settings.payout_unit[name])):
            faults.append(message("payout_unit.{name}: {fault}: esep verify refuses a month whose payouts are rounded further", name=name, fault=fault))  # fmt: skip
    return faults


def is_known(name: str, known: Networks) -> bool:
    """Whether there is a network of that name."""
    try:
        known.of(name)
    except ValueError:
        return False
    return True


def check_payers(settings: Settings, asset_chains: Collection[str]) -> list[str]:
    """Faults of payers against the chains there are (rule 10.1), and of chains on which nobody pays. `asset_chains`: the chains of the assets that Esep knows.

    A payer may be declared on one of those though the pool does not follow it: a payment of its in an asset of another chain is issue `unknown-payer`,
    and one in an asset of that chain keeps the month open until the chain is followed (rule 10.8).
    """
    faults = []
    chains = {*settings.chains, *asset_chains, *(asset.chain for asset in settings.assets.values())}
    paying = {payer.chain for payer in settings.payers.values()} if settings.ledger.payments else set()
    for name, chain in settings.chains.items():
        if not chain.wallets and not {name, None} & paying:  # None: an off-chain payer's
            faults.append(message("chains.{name}.wallets: is missing: name the pool's wallets there; a pool that has none, since others pay its miners, declares those in [payers.NAME]", name=name))  # fmt: skip
    for name, payer in settings.payers.items():
        if payer.way == "off-chain" and payer.chain is not None:
            faults.append(message("payers.{name}.chain: an off-chain payer has none: leave it out", name=name))
        elif payer.way == "on-chain" and payer.chain is None:
            faults.append(message("payers.{name}.chain: say which chain its transactions are on: one of {chains}", name=name, chains=", ".join(sorted(settings.chains))))  # fmt: skip
        elif payer.way == "on-chain" and payer.chain not in chains:
            faults.append(message("payers.{name}.chain: there is no [chains.{chain}]: its transactions are looked up by that chain's node", name=name, chain=payer.chain))  # fmt: skip
    return faults


def _twice(place: str, keys: Iterable[tuple[str, ...]]) -> list[str]:
    faults = []
    seen: dict[tuple[str, ...], int] = {}
    for number, key in enumerate(keys, start=1):
        if key in seen:
            faults.append(message(
                "{place}[{number}]: says again what {place}[{seen}] says: {key}",
                place=place, number=number, seen=seen[key], key=" ".join(key),
            ))  # fmt: skip
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
        return [], [message("{place}: {path} can't be read: {cause}", place=place, path=path, cause=_cause(error))]
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    faults = [
        message(
            "{place}: {path}:{number}: {count} words where one address stands",
            place=place, path=path, number=number, count=len(line.split()),
        )
        for number, line in enumerate(lines, 1)
        if " " in line
    ]  # fmt: skip
    return [line for line in lines if line and " " not in line], faults


def read_password(path: Path, place: str) -> tuple[str | None, list[str]]:
    """A file's only line; and the faults. The fault never shows what the file holds."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return None, [message("{place}: {path} can't be read: {cause}", place=place, path=path, cause=_cause(error))]
    warn_if_exposed(path, place)
    if not text or "\n" in text:
        return None, [message("{place}: {path} must hold the password on one line and nothing else", place=place, path=path)]
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
        return system_words(error) or message("unknown error")
    return message("it is not UTF-8 text") if isinstance(error, UnicodeDecodeError) else text_of(error)


def check_sources(settings: Settings) -> list[str]:
    """Faults of sources of the ledger: assets and payers that are not declared, statements that are missing, two of one ledger."""
    faults: list[str] = []
    held: dict[str, str] = {}
    keepers: dict[str, str] = {}
    for name, source in settings.sources.items():
        place = f"sources.{name}"
        asset = getattr(source, "asset", None)
        if asset is not None and asset not in settings.assets:
            faults.append(message("{place}.asset: no asset is named {asset}: use one of {assets}", place=place, asset=repr(asset), assets=", ".join(sorted(settings.assets))))  # fmt: skip
        payer = getattr(source, "payer", None)
        if payer is not None and payer not in settings.payers:
            faults.append(message("{place}.payer: no payer is named {payer}: declare it as [payers.{payer_2}]", place=place, payer=repr(payer), payer_2=payer))  # fmt: skip
        setting_off = getattr(source, "fee_payer", None)
        if setting_off is not None and (setting_off not in settings.payers or settings.payers[setting_off].way != "off-chain"):
            faults.append(
                message('{place}.fee_payer: declare it as [payers.{payer}] with way = "off-chain"', place=place, payer=setting_off)
            )
        tables = registry_tables(source)
        if isinstance(source, SqlSettings) and source.allocations is None and source.payments is None and not tables:
            faults.append(message("{place}: has nothing to read: give {place}.allocations, {place}.payments, or tables of the registry", place=place))  # fmt: skip
        if tables and (keeper := keepers.setdefault("registry", name)) != name:
            faults.append(message("{place}: sources.{keeper} keeps the registry already: one source does, with all of its tables", place=place, keeper=keeper))  # fmt: skip
        if isinstance(source, DatabaseSettings) and source.password is None:
            variable = f"ESEP_SOURCES_{name}_PASSWORD".upper().replace("-", "_")
            faults.append(message("{place}: no password for user {user}: set password_file or {variable}", place=place, user=repr(source.user), variable=variable))  # fmt: skip
        if isinstance(source, LuxorSettings | F2PoolSettings | SbiSettings | BraiinsSettings | PushSettings) and source.token is None:
            faults.append(message("{place}: no token: set token_file or {replace}", place=place, replace=f"ESEP_SOURCES_{name}_TOKEN".upper().replace("-", "_")))  # fmt: skip
        if isinstance(source, SbiSettings) and source.secret is None:
            faults.append(message("{place}: no secret: set secret_file or {replace}", place=place, replace=f"ESEP_SOURCES_{name}_SECRET".upper().replace("-", "_")))  # fmt: skip
        ledger = ledger_of(name, source)
        if (other := held.setdefault(ledger, name)) != name:
            faults.append(message("{place}: gives the same ids as sources.{other} ({ledger}…): each needs a pool_id or coin of its own", place=place, other=other, ledger=ledger))  # fmt: skip
        if [fee.since for fee in source.fees] != sorted({fee.since for fee in source.fees}):
            faults.append(message("{place}.fees: stand in no order of days, or a day stands twice", place=place))
    return faults
