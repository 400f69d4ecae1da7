"""`esep init`: a pool's first settings, asked on a terminal or given by flags, each answer proved against the node at once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from pipeline.app.begin import FoundNode, NodeLogin, ask_node, find_nodes, height_before, names, prove_wallet, wallets_by_name
from pipeline.chains.networks import is_account_network
from pipeline.model.errors import EsepError, SettingsError
from pipeline.model.message import joined, message, text_of
from pipeline.model.miner_id import miner_id_fault
from pipeline.model.months import ALMATY, Month
from pipeline.settings import load_settings, template_path
from pipeline.settings.begin import BeginChain, Beginning, BeginWallet, placeholder_faults, settings_text
from pipeline.settings.files import profile_names, read_profile

from .frame import command_line, progress, say, shown

T = TypeVar("T")
PROFILES = template_path("assets.toml").parent / "profiles"
TABLES = {
    "ledger.files.allocations": "allocations", "ledger.files.payments": "payments", "ledger.files.openings": "openings",
    "registry.files.miners": "miners", "registry.files.licences": "licences", "registry.files.accounts": "accounts", "registry.files.wallets": "wallets",
}  # fmt: skip
"""The tables that a profile may be of, and the kinds of their files."""


@dataclass
class Given:
    """The answers that flags gave; None is asked for on a terminal."""

    bin: str | None
    name: str | None
    login: NodeLogin | None
    wallets: list[str] = field(default_factory=list)
    payers: list[str] = field(default_factory=list)
    start: str | None = None
    profile: str | None = None
    first_month: str | None = None


def init(  # noqa: PLR0913 - a command's options are its parameters
    folder: Annotated[Path, typer.Argument(help="Where to put it.", metavar="[DIR]")] = Path(),
    bin_: Annotated[str | None, typer.Option("--bin", help="The pool's IIN/BIN.", metavar="BIN")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The pool's name.", metavar="NAME")] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="The node's address; nodes of this machine are found without it.", metavar="URL")
    ] = None,
    cookie: Annotated[Path | None, typer.Option("--cookie", help="The node's cookie file.", metavar="FILE")] = None,
    user: Annotated[str | None, typer.Option("--user", help="The node's user, instead of a cookie file.", metavar="NAME")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="A file with nothing but that user's password.", metavar="FILE")
    ] = None,
    wallet: Annotated[
        list[str] | None,
        typer.Option(
            "--wallet", help="NAME=DESCRIPTOR or NAME=ADDRESS of the pool; say it several times for several.", metavar="NAME=TEXT"
        ),
    ] = None,
    payer: Annotated[
        list[str] | None,
        typer.Option(
            "--payer",
            help="Who else pays the miners: NAME=on-chain or NAME=off-chain; say it several times for several. A pool that has no wallet needs one.",
            metavar="NAME=WAY",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="The day on which a wallet was first paid, or the first block to read.", metavar="DAY|BLOCK"),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="How the ledger's files are written: a name of config/profiles.", metavar="NAME")
    ] = None,
    first_month: Annotated[
        str | None, typer.Option("--first-month", help="The first month that Esep closes and files by itself.", metavar="MONTH")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="Ask nothing: write the commented template to fill in by hand.")] = False,
) -> None:
    """Write esep.toml for your pool: it asks, finds your node, and proves each answer against it at once. Overwrites nothing.

    What flags say is not asked. Where nobody can be asked (no terminal) and no flag is given, the commented template is written.

    [dim]esep init[/dim]

    [dim]esep init --bin 201040000013 --name "My pool" --node http://127.0.0.1:8332 --cookie ~/.bitcoin/.cookie --wallet "payouts=wpkh(…)"[/dim]
    """
    path = folder / "esep.toml"
    if path.exists():
        raise SettingsError([message("{path} is there already, and stays as it is", path=path)], source="esep init")
    if os.path.lexists(folder) and not folder.is_dir():
        raise SettingsError([message("DIR: {folder} is no folder: name another, or one to be made", folder=folder)], source="esep init")
    is_given = any(value is not None for value in (bin_, name, node, cookie, user, wallet, payer, start, profile, first_month))
    if template or not (is_given or sys.stdin.isatty()):
        _write(path, template_path("esep.toml").read_text(encoding="utf-8"))
        say(message("{path}: every key is explained in it. Put in your pool, node and wallets; then", path=shown(path)))
        say(message("  {command_line}", command_line=command_line("esep status", path)))
        return
    login = _login(node, cookie, user, password_file)
    given = Given(bin_, name, login, wallet or [], payer or [], start, profile, first_month)
    beginning = _ask_all(given, user, password_file)
    text = settings_text(beginning, template_path("esep.toml").read_text(encoding="utf-8"))
    _write(path, text)
    try:
        load_settings(path, {})
    except SettingsError:
        path.unlink()
        raise
    say(message("\n{path} is written; every further key is explained in it. Now:", path=shown(path)))
    for command in ("esep import registry DIR", "esep import allocations FILE", "esep import payments FILE", "esep run", "esep status"):
        say(f"  {command_line(command, path)}")
    say(message("{command_line} checks node, log, disk, clock, keys and backups.", command_line=command_line("esep doctor", path)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SettingsError([message("{path} is there already, and stays as it is", path=path)], source="esep init") from None


def _login(node: str | None, cookie: Path | None, user: str | None, password_file: Path | None) -> NodeLogin | None:
    if node is None:
        if cookie is not None or user is not None:
            raise SettingsError([message("--node: say the node's address, to which --cookie or --user belong")], source="esep init")
        return None
    return NodeLogin(node, cookie.expanduser() if cookie is not None else None, user, _password(password_file))


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [message("--password-file: {file} can't be read: {error}", file=file, error=text_of(error))], source="esep init"
        ) from None


# --- questions


def _ask_all(given: Given, user: str | None, password_file: Path | None) -> Beginning:
    payers = dict(map(_payer, given.payers))
    bin_ = _answer(message("The pool's IIN/BIN"), given.bin, _proved_bin, flag="--bin")
    name = _answer(message("The pool's name, as on the form"), given.name, _proved_name, flag="--name")
    node = _node(given.login)
    say(message("  {line}", line=names([node])[0]))
    if node.is_syncing:
        say(message("  It is still syncing: Esep waits for it."), hang=2)
    chain, asset = node.chain_and_asset
    if not chain:
        raise SettingsError(
            [message("{network}: describe its asset by hand (esep init --template)", network=node.network)], source="esep init"
        )
    wallets = _wallets(node, given.wallets, may_be_none=bool(payers))
    start = _answer(_START, given.start, lambda text: _proved_start(node, text), flag="--start", default="0", is_needed=False)
    profile = _answer(_PROFILE, given.profile, _proved_profile, flag="--profile", default="none", is_needed=False)
    first = _answer(_FIRST, given.first_month, _proved_month, flag="--first-month", default="none", is_needed=False)
    begin = BeginChain(
        chain=chain,
        network=node.network,
        asset=asset,
        rpc_url=node.login.url,
        wallets=wallets,
        cookie_file=str(node.login.cookie_file) if node.login.cookie_file is not None else "",
        user=user or "",
        password_file=str(password_file.expanduser().resolve()) if password_file is not None else "",
        start_height=start,
        finality=64 if is_account_network(node.network) else None,
    )
    return Beginning(_key_of(name), bin_, name, begin, payers, profile, first)


_START = message("When was a wallet first paid? A day (2026-03-01), or a block; 0 reads from the beginning")
_PROFILE = message(
    "How are the ledger's files written? A profile ({names}), or none: columns as in docs/import.md",
    names=", ".join(profile_names(PROFILES)),
)
_FIRST = message("The first month that Esep closes by itself (2026-10); none: a person freezes each")


def _answer(question: str, given: str | None, prove: Callable[[str], T], *, flag: str, default: str = "", is_needed: bool = True) -> T:
    """An answer that holds: the flag's, else one asked for until it does. Raises SettingsError for a flag that does not, or where nobody can be asked."""
    if given is not None:
        return prove(given)
    if not sys.stdin.isatty():
        if is_needed:
            raise SettingsError(
                [message("{flag} is needed, as nobody can be asked here: {question}", flag=flag, question=question)], source="esep init"
            )
        return prove(default)
    while True:
        say(message("\n{question}{default}", question=question, default=f" [{default}]" if default else ""))
        text = input("> ").strip() or default
        try:
            return prove(text)
        except (EsepError, ValueError) as error:
            say(message("  {fault}", fault=_words(error)), hang=0)


def _words(error: Exception) -> str:
    return joined("; ", error.faults) if isinstance(error, SettingsError) else text_of(error)


def _proved_bin(text: str) -> str:
    fault = miner_id_fault(text) or next(iter(placeholder_faults(text, "")), None)
    if fault:
        raise SettingsError([message("{text}: {fault}", text=repr(text), fault=fault)], source="esep init")
    return text


def _proved_name(text: str) -> str:
    if not text.strip() or placeholder_faults("", text):
        raise SettingsError([message("{text} is not the name of a pool of yours", text=repr(text))], source="esep init")
    return text.strip()


def _proved_profile(text: str) -> dict[str, str]:
    """The tables that the profile is of."""
    if text in ("", "none"):
        return {}
    folder, found = PROFILES, {}
    for table, kind in TABLES.items():
        try:
            read_profile(folder, text, kind)
        except SettingsError as error:
            if text not in profile_names(folder):
                raise error from None
            continue
        found[table] = text
    return found


def _proved_month(text: str) -> str:
    if text in ("", "none"):
        return ""
    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise SettingsError([text_of(error)], source="esep init") from None


def _proved_start(node: FoundNode, text: str) -> int:
    if text.isdigit():
        height = int(text)
        if height > node.height:
            raise SettingsError([message("the node has blocks up to {height}", height=node.height)], source="esep init")
        if is_account_network(node.network):
            height = max(height, 1)  # balances begin with the block before the first one read
    elif re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) and not is_account_network(node.network):
        height = height_before(node, datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ALMATY))
        say(message("  By the node, block {height} is the last one before that day.", height=height))
    else:
        raise SettingsError([message("{text} is neither a day like 2026-03-01 nor a block", text=repr(text))], source="esep init")
    if height < node.pruned_below:
        raise SettingsError(
            [
                message(
                    "the node has deleted the blocks below {pruned_below}: it must keep all from the first one read",
                    pruned_below=node.pruned_below,
                )
            ],
            source="esep init",
        )
    return height


def _node(login: NodeLogin | None) -> FoundNode:
    """The node that the flags name; else one of this machine's, or one that a person names."""
    if login is not None:
        return ask_node(login)
    with progress(message("looking for nodes on this machine")):
        found = find_nodes(Path.home())
    if not sys.stdin.isatty():
        if len(found) != 1:
            raise SettingsError(
                [message("--node is needed: {names}", names=joined("; ", names(found)) or message("no node was found on this machine"))],
                source="esep init",
            )
        return found[0]
    say(message("\nNodes found on this machine:") if found else message("\nNo node was found on this machine."))
    for number, line in enumerate(names(found), 1):
        say(message("  {number}  {line}", number=number, line=line), hang=3)
    while True:
        say(message("Its number, or an address like http://127.0.0.1:8332{more}", more=" [1]" if found else ""))
        text = input("> ").strip() or ("1" if found else "")
        try:
            if text.isdigit() and 1 <= int(text) <= len(found):
                return found[int(text) - 1]
            if "://" in text:
                return _logged_in(text)
        except EsepError as error:
            say(message("  {fault}", fault=_words(error)))


def _logged_in(url: str) -> FoundNode:
    """The node at that address: its cookie file is asked for until one is there. Raises EsepError for an address at which no node answers."""
    while True:
        say(message("Its cookie file; empty for an EVM node, or to log in by --user and --password-file"))
        cookie = input("> ").strip()
        login = NodeLogin(url, Path(cookie).expanduser() if cookie else None)
        if login.cookie_file is None or login.cookie_file.is_file():
            return ask_node(login)
        say(message("  there is no file {file}: the node writes it into its data folder while it runs", file=login.cookie_file))


def _payer(text: str) -> tuple[str, str]:
    """`luxor=on-chain` as name and way."""
    name, _, way = (part.strip() for part in text.rpartition("="))
    if not name or way not in ("on-chain", "off-chain"):
        raise SettingsError([message("--payer: {text} is not NAME=on-chain or NAME=off-chain", text=repr(text))], source="esep init")
    return name, way


def _wallets(node: FoundNode, given: list[str], *, may_be_none: bool) -> list[BeginWallet]:
    """The pool's wallets, each line proved: by flags, else pasted on the terminal until an empty line. `may_be_none`: a payer was named."""
    found: dict[str, list[str]] = {}
    if given:
        for name, texts in wallets_by_name(given).items():
            for text in texts:
                _add_wallet(found, node, name, text)
    elif not sys.stdin.isatty():
        if may_be_none:
            return []
        raise SettingsError(
            [
                message(
                    "--wallet is needed, as nobody can be asked here: NAME=DESCRIPTOR; or, for a pool that has none, --payer: who pays its miners"
                )
            ],
            source="esep init",
        )
    else:
        say(message("\nThe pool's wallets: paste their public descriptors (listdescriptors) or addresses, one a line; change descriptors, too. Name one as name=descriptor; an empty line ends."))  # fmt: skip
        while line := input("> ").strip() or (None if found or may_be_none else "?"):
            try:
                if line == "?":
                    raise SettingsError([message("at least one is needed; a pool that has none says who pays its miners (esep init --payer NAME=on-chain)")], source="esep init")  # fmt: skip
                ((name, (text,)),) = wallets_by_name([line]).items()
                _add_wallet(found, node, name, text)
            except (EsepError, ValueError) as error:
                say(message("  {fault}", fault=_words(error)))
    made = []
    for name, texts in found.items():
        made.append(BeginWallet(name, [t for t in texts if "(" in t], [t for t in texts if "(" not in t]))
    return made


def _add_wallet(found: dict[str, list[str]], node: FoundNode, name: str, text: str) -> None:
    proof = prove_wallet(node, text)
    if proof.kind == "address":
        kind, word = message("address"), ""
    else:
        kind = (
            message("first addresses {addresses}", addresses=", ".join(proof.first_addresses))
            if proof.first_addresses
            else message("outputs without an address")
        )
        word = message("; the node derives the same") if proof.is_confirmed else message("; the node was not asked: it can't derive it")
    say(message("  {name}: {kind}{word}", name=name, kind=kind, word=word), hang=4)
    if proof.text not in found.setdefault(name, []):
        found[name].append(proof.text)


def _key_of(name: str) -> str:
    """The pool's key in the log: the letters of its name that a key may have, else `pool`."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return text[:40] if re.fullmatch(r"[a-z][a-z0-9-]*", text) else "pool"
