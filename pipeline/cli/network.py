"""`esep network …`: what Esep knows of a network, and whether a node agrees (ADR 21).

Enters: a network's name, a node's address. Leaves: a line for each fact. Nothing is written to the log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.try_network import try_network
from pipeline.chains.networks import OURS, Networks, read_networks
from pipeline.model.errors import SettingsError, VerifyError
from pipeline.model.message import message, text_of

from .frame import JsonOption, progress, say

FileOption = Annotated[
    Path | None, typer.Option("--networks", help="A file of networks of your own, laid over those that Esep knows.", metavar="FILE")
]
NameArgument = Annotated[str, typer.Argument(help="The network: bitcoin, evm:61, or one of your own file's.", metavar="NAME")]


def _known(file: Path | None) -> Networks:
    if file is None:
        return OURS
    known, faults = read_networks(file)
    if faults:
        raise SettingsError(faults, source="esep network")
    return known


def show(name: NameArgument, networks: FileOption = None) -> None:
    """Print what Esep knows of a network, as JSON: the facts that a month records.

    [dim]esep network show bitcoincash[/dim]
    """
    try:
        network = _known(networks).of(name)
    except ValueError as error:
        raise SettingsError([text_of(error)], source="esep network") from error
    say(json.dumps(network.facts.to_json(), ensure_ascii=False, indent=1))


def check(
    name: NameArgument,
    node: Annotated[str, typer.Option("--node", help="The node's JSON-RPC address, without user and password.", metavar="URL")],
    node_login: Annotated[
        Path | None, typer.Option("--node-login", help="A file with USER:PASSWORD for the node: its cookie file.", metavar="FILE")
    ] = None,
    networks: FileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Try what Esep knows of a network against a node of yours: first block, forks, addresses, work, difficulty, rewards; each fact a line.

    [ok] holds, [no] is wrong, [ ? ] is what this node does not show. Exit code 8 when a fact is wrong. Nothing is written.

    [dim]esep network check mycoin --networks my-networks.toml --node http://127.0.0.1:8332 --node-login ~/.mycoin/.cookie[/dim]
    """
    try:
        network = _known(networks).of(name)
    except ValueError as error:
        raise SettingsError([text_of(error)], source="esep network") from error
    with progress(message("asking the node")):
        found = try_network(network, node, node_login)
    if as_json:
        say(json.dumps([tried._asdict() for tried in found], ensure_ascii=False, indent=1))
    else:
        for tried in found:
            say(
                message(
                    "{more} {what}: {detail}",
                    more="[ ? ]" if tried.holds is None else message("[ok] ") if tried.holds else message("[no] "),
                    what=tried.what,
                    detail=tried.detail,
                )
            )
        wrong, unknown = sum(tried.holds is False for tried in found), sum(tried.holds is None for tried in found)
        say(
            message(
                "{name}: {count} facts hold, {wrong} are wrong, {unknown} this node does not show",
                name=name,
                count=len(found) - wrong - unknown,
                wrong=wrong,
                unknown=unknown,
            )
        )
    return VerifyError.exit_code if any(tried.holds is False for tried in found) else 0
