"""Loads `esep.toml` into frozen settings, or reports every fault in it at once.

Enters: the file, the files it names (addresses, passwords, assets.toml) and an environment given by the caller: the core
reads none itself. Leaves: `Settings` with absolute paths, canonical addresses, all assets and the secrets, which print
as asterisks. Left out: whether descriptors parse and nodes answer (their connectors).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from pipeline.chains.networks import OURS, Networks, read_networks
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.packaged import packaged_path
from pipeline.model.system_words import system_words

from .begin import placeholder_faults
from .checks import (
    canonical_label,
    canonical_wallet,
    check_chain,
    check_contracts,
    check_decisions,
    check_payers,
    check_sources,
    is_known,
    read_addresses,
    read_password,
    warn_if_exposed,
)
from .closing import closing_faults, public_time_faults
from .console import console_faults
from .faults import explain
from .models import AssetSettings, ChainSettings, Settings
from .parts import Section

WITH_PASSWORD = ("kafka", "keys", "signing", "filing", "notices")
"""The tables, besides the chains, whose password comes from a file or the environment."""

SECRETS = {"chains": ("password", "bearer", "header"), "sources": ("password", "token", "secret")}
"""Login secrets of chains and sources: from the file that KEY_file names, or the environment."""

NAMED_ALWAYS = ("BTC", "LTC", "DOGE")
"""The assets of assets.toml that are in every pool's rules. Others are only if their chain is followed: a pool should not allocate what Esep can't see."""


def template_path(name: str) -> Path:
    """`esep.toml`, `assets.toml` or `networks.toml` as they come with the program."""
    return packaged_path(name)


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in `path`, with secrets from `environ` (`ESEP_CHAINS_BITCOIN_PASSWORD`) or the files they name.

    Raises SettingsError with every fault found: unreadable file, TOML, unknown and missing keys, values, cross-checks.
    """
    source = str(path)
    raw = _read_toml(path)
    folder = path.resolve().parent
    faults = _password_keys(raw)
    faults += _bring_secrets(raw, folder, environ)
    faults += _bring_addresses(raw, folder)
    known, wrong = _networks(raw, folder, environ)
    faults += wrong
    assets = _assets(raw, known)
    try:
        settings = Settings.model_validate(_with_all_tables(raw, Settings))
    except ValidationError as error:
        faults += explain(error.errors(), Settings)
        # The tables that do stand are checked all the same, so that one round shows everything.
        for name, chain in _chains_that_stand(raw).items():
            faults += check_chain(name, chain, assets, known)
        raise SettingsError(list(dict.fromkeys(faults)), source=source) from None
    settings = settings.model_copy(update={"assets": assets}).with_networks(known)
    for name, chain in settings.chains.items():
        faults += check_chain(name, chain, assets, known)
    faults += placeholder_faults(settings.pool.bin, settings.pool.name)
    faults += check_decisions(settings)
    faults += check_contracts(assets, settings.chains)
    faults += check_payers(settings, {table["chain"] for table in _our_assets().values()})
    faults += check_sources(settings)
    faults += console_faults(settings.console)
    faults += public_time_faults(settings.public_time)
    faults += closing_faults(settings.closing, settings.signing, settings.filing, settings.notices)
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)), source=source)
    return _settle(settings, folder, environ)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(
            [
                message(
                    "can't be read: {strerror}: name it with --config, or write one with `esep init`",
                    strerror=system_words(error) or message("unknown error"),
                )
            ],
            source=str(path),
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            [message("is not UTF-8 text: byte {start} ({reason})", start=error.start, reason=error.reason)], source=str(path)
        ) from None
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise SettingsError([message("is not TOML: {error}", error=error)], source=str(path)) from None


def _with_all_tables(raw: Mapping[str, Any], model: type[Section]) -> dict[str, Any]:
    """The table with an empty one for every table below it that is left out: a default would have a checker of its own built, once more."""
    found = dict(raw)
    for name, field in model.model_fields.items():
        below = field.default_factory
        if isinstance(below, type) and issubclass(below, Section) and isinstance(found.get(name, {}), dict):
            found[name] = _with_all_tables(found.get(name, {}), below)
    return found


def _tables(raw: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """The tables below `key`, leaving out what is no table: pydantic says so."""
    value = raw.get(key)
    return {name: table for name, table in value.items() if isinstance(table, dict)} if isinstance(value, dict) else {}


def _password_keys(raw: Mapping[str, Any]) -> list[str]:
    """A password in the settings file is a fault; it is removed from the values checked further."""
    faults = []
    for section, keys in SECRETS.items():
        for name, table in _tables(raw, section).items():
            for key in keys:
                if table.pop(key, None) is not None:
                    variable = _variable(section, name, key)
                    faults.append(
                        message(
                            "{section}.{name}.{key}: is not kept in the settings: use {key}_file, or the environment variable {variable}",
                            section=section,
                            name=name,
                            key=key,
                            variable=variable,
                        )
                    )
            for place, node in _nodes(section, name, table):
                faults += [
                    message("{place}.{key}: is not kept in the settings: use {key}_file", place=place, key=key)
                    for key in keys
                    if node.pop(key, None) is not None
                ]
    return faults


def _nodes(section: str, name: str, table: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The tables of a chain's further nodes with their places, leaving out what is no table."""
    nodes = table.get("nodes") if section == "chains" else None
    listed = enumerate(nodes if isinstance(nodes, list) else [], start=1)
    return [(f"{section}.{name}.nodes[{number}]", node) for number, node in listed if isinstance(node, dict)]


def _variable(section: str, name: str, key: str) -> str:
    return f"ESEP_{section}_{name}_{key}".upper().replace("-", "_")


def _bring_named_secrets(raw: dict[str, Any], folder: Path, environ: Mapping[str, str]) -> list[str]:
    """The logins of chains, their nodes and sources: also from the environment, of a further node from its files alone."""
    faults: list[str] = []
    for section, keys in SECRETS.items():
        for name, table in _tables(raw, section).items():
            if user := environ.get(_variable(section, name, "user")):
                table["user"] = user
            given = {key: environ.get(_variable(section, name, key)) for key in keys}
            for place, node in [(f"{section}.{name}", table), *_nodes(section, name, table)]:
                for key in keys:
                    if node is table and (secret := given[key]):
                        table[key] = SecretStr(secret)
                    elif isinstance(file := node.get(f"{key}_file"), str):
                        found, wrong = read_password(folder / _home(Path(file), environ), f"{place}.{key}_file")
                        faults += wrong
                        # An unreadable file is one fault, not also a user without a password.
                        node[key] = SecretStr(found or "unread")
    return faults


def _bring_secrets(raw: dict[str, Any], folder: Path, environ: Mapping[str, str]) -> list[str]:
    faults = _bring_named_secrets(raw, folder, environ)
    for section, table in ((name, raw[name]) for name in WITH_PASSWORD if isinstance(raw.get(name), dict)):
        if table.pop("password", None) is not None:
            faults.append(
                message(
                    "{section}.password: is not kept in the settings: use password_file, or ESEP_{section_2}_PASSWORD",
                    section=section,
                    section_2=section.upper(),
                )
            )
    for section in WITH_PASSWORD:
        table = raw.get(section, {})
        if not isinstance(table, dict):
            continue
        if password := environ.get(f"ESEP_{section.upper()}_PASSWORD"):
            table["password"] = SecretStr(password)
        elif isinstance(file := table.get("password_file"), str):
            found, wrong = read_password(folder / _home(Path(file), environ), f"{section}.password_file")
            faults += wrong
            table["password"] = SecretStr(found or "unread")
        if table:
            raw[section] = table
    return faults


def _bring_addresses(raw: Mapping[str, Any], folder: Path) -> list[str]:
    """The addresses of `addresses_file` join those of `addresses`."""
    faults: list[str] = []
    for name, table in _tables(raw, "chains").items():
        wallets = table.get("wallets")
        for number, wallet in enumerate(wallets if isinstance(wallets, list) else [], start=1):
            if isinstance(wallet, dict) and isinstance(file := wallet.get("addresses_file"), str):
                found, wrong = read_addresses(folder / file, f"chains.{name}.wallets[{number}].addresses_file")
                faults += wrong
                if isinstance(named := wallet.get("addresses", []), list):
                    wallet["addresses"] = [*named, *found]
    return faults


def _networks(raw: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> tuple[Networks, list[str]]:
    """The networks that the settings may name, and every fault of the file of their own."""
    named = raw.get("networks")
    if not isinstance(named, str):
        return OURS, []  # what is no text is reported with the whole
    known, faults = read_networks(folder / _home(Path(named), environ))
    return known, [message("networks: {fault}", fault=fault) for fault in faults]


def _our_assets() -> dict[str, dict[str, Any]]:
    """assets.toml as it comes with the program."""
    return tomllib.loads(template_path("assets.toml").read_text(encoding="utf-8"))


def _assets(raw: Mapping[str, Any], known: Networks) -> dict[str, AssetSettings]:
    """The assets of assets.toml, the coins of the networks that are followed, and the valid ones of `[assets]`, which take precedence."""
    of_ours = _our_assets()
    chains = _tables(raw, "chains")
    assets = {
        name: AssetSettings.model_validate(table) for name, table in of_ours.items() if name in NAMED_ALWAYS or table["chain"] in chains
    }
    for name, table in chains.items():
        if isinstance(coin := table.get("asset"), str) and coin not in assets and is_known(str(table.get("network")), known):
            network = known.of(table["network"])
            if coin == network.coin:
                assets[coin] = AssetSettings(chain=name, decimals=network.decimals, supply=network.facts.supply)
    for name, table in _tables(raw, "assets").items():
        try:
            assets[name] = AssetSettings.model_validate(table)
        except ValidationError:
            continue  # reported with the whole
    return assets


def _chains_that_stand(raw: Mapping[str, Any]) -> dict[str, ChainSettings]:
    chains = {}
    for name, table in _tables(raw, "chains").items():
        try:
            chains[name] = ChainSettings.model_validate(table)
        except ValidationError:
            continue  # reported with the whole
    return chains


def _home(path: Path, environ: Mapping[str, str]) -> Path:
    """`~/x` below the HOME of `environ`; other paths as they are."""
    return Path(environ["HOME"], *path.parts[1:]) if path.parts[:1] == ("~",) and "HOME" in environ else path


def _settle(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Settings:
    """Absolute paths, canonical addresses."""
    var = folder / _home(settings.var, environ)
    store = settings.store.model_copy(update={"path": var / settings.store.path, "published": var / settings.store.published})
    chains = {
        name: chain.model_copy(
            update={
                "wallets": tuple(canonical_wallet(wallet, settings.network_of(name)) for wallet in chain.wallets),
                "cookie_file": folder / _home(chain.cookie_file, environ) if chain.cookie_file else None,
                "nodes": tuple(
                    node.model_copy(update={"cookie_file": folder / _home(node.cookie_file, environ)}) if node.cookie_file else node
                    for node in chain.nodes
                ),
            }
        )
        for name, chain in settings.chains.items()
    }
    labels = tuple(canonical_label(label, settings.network_of(label.chain)) for label in settings.labels)

    def placed(section: Section, *names: str) -> Section:
        """The section with the paths of these keys absolute."""
        paths = {name: getattr(section, name) for name in names}
        return section.model_copy(update={name: folder / _home(path, environ) for name, path in paths.items() if path is not None})

    signing = placed(settings.signing, "pkcs12_file")
    filing = placed(settings.filing, "client_cert_file", "client_key_file", "ca_file", "template_file")
    keys = [("signing.pkcs12_file", settings.signing.pkcs12_file), ("filing.client_key_file", settings.filing.client_key_file)]
    keys.append(("console.key", settings.console.key))
    for place, path in keys:
        if path is not None:
            warn_if_exposed(folder / _home(path, environ), place)
    filing = filing.model_copy(update={"outbox": var / settings.filing.outbox})
    settings = settings.model_copy(
        update={
            "signing": signing,
            "filing": filing,
            "inbox": placed(settings.inbox, "folder"),
            "keys": placed(settings.keys, "folder"),
            "console": placed(settings.console, "certificate", "key"),
        }
    )
    if settings.networks is not None:
        settings = settings.model_copy(update={"networks": folder / _home(settings.networks, environ)})
    return settings.model_copy(update={"var": var, "store": store, "chains": chains, "labels": labels})
