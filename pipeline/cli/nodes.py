"""`esep nodes`: each node of each chain, as the running service last found it, or asked now."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from pipeline.app.app import App
from pipeline.follow.nodes import PendingWay
from pipeline.model.errors import EsepError, SettingsError
from pipeline.model.message import joined, message, text_of
from pipeline.service.chain_notes import NodeNote, node_notes, pending_words, read_note, way_words, with_earlier

from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, now, print_json, say, settings_of, table

FRESH_S = 120
"""Seconds for which what the running service wrote counts as news."""


def nodes(
    chains: Annotated[list[str] | None, typer.Argument(help="The chains; all when not given.", metavar="CHAIN")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the nodes now, though a service is running.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show each node of each chain: its version, its height and how far it lags behind the highest one, the ways of reading that it offers, how long
    an answer takes, and its last trouble. The followed node is marked.

    What the running service last found is shown (`esep run`, `esep watch`); without one, or with --ask, each node is asked now. Nothing is written.

    [dim]esep nodes[/dim]

    [dim]esep nodes bitcoin --ask --json[/dim]
    """
    with App(settings_of(config), now) as app:
        unknown = sorted(set(chains or ()) - set(app.settings.chains))
        if unknown:
            raise SettingsError(
                [
                    message(
                        "there is no chain {unknown}: use one of {chains}",
                        unknown=", ".join(unknown),
                        chains=", ".join(app.settings.chains),
                    )
                ]
            )
        found = [_survey(app, chain, ask=ask) for chain in chains or app.settings.chains]
    if as_json:
        print_json(found)
        return
    for chain in found:
        if chain["fault"]:
            say(message("{chain}: {fault}", chain=chain["chain"], fault=chain["fault"]))
            continue
        rows = [
            [
                ("* " if node["is_followed"] else "  ") + node["node"],
                node["version"],
                node["height"],
                node["lag_blocks"],
                node["answers_in_ms"],
            ]
            for node in chain["nodes"]
        ]
        table(chain["chain"], [message("node"), message("version"), message("height"), message("blocks behind"), message("ms")], rows)
        for node in chain["nodes"]:
            _say_node(node)
        if chain["witnesses"] > 1:
            to = chain["witnessed_to_height"]
            say(
                message(
                    "{chain}: {witnesses} nodes stand behind every block up to {more}",
                    chain=chain["chain"],
                    witnesses=chain["witnesses"],
                    more="…" if to is None else to,
                )
            )


def _survey(app: App, chain: str, *, ask: bool) -> dict[str, Any]:
    """One chain's nodes, as JSON."""
    note, fault = read_note(app.settings.var, chain), None
    is_news = note is not None and bool(note.nodes) and 0 <= app.now() - note.at <= FRESH_S and not ask
    nodes: list[NodeNote] = list(note.nodes) if note is not None and is_news else []
    if not is_news:
        try:
            with app.connector(chain) as connector:
                noted = {node.node: node for node in note.nodes} if note is not None else {}
                nodes = [with_earlier(node, noted.get(node.node)) for node in node_notes(connector.look_at_nodes(), app.now())]
        except EsepError as error:
            fault = text_of(error)
    highest = max((node.height for node in nodes if node.height is not None), default=None)
    return {
        "chain": chain,
        "asked": "by the service" if is_news else "now",
        "fault": fault,
        "witnesses": app.settings.chains[chain].needed_witnesses(),
        "witnessed_to_height": note.witnessed_to_height if note is not None and is_news else None,
        "nodes": [
            {
                "node": node.node, "is_followed": node.is_followed, "version": node.version, "height": node.height,
                "lag_blocks": highest - node.height if highest is not None and node.height is not None else None, "ways": node.ways, "pending": msgspec.to_builtins(node.pending),
                "answers_in_ms": node.answers_in_ms, "is_in_trouble": node.is_in_trouble, "trouble": node.trouble, "trouble_at": node.trouble_at,
                "unproved": node.unproved, "n_unproved": node.n_unproved,
            }
            for node in nodes
        ],
    }  # fmt: skip


def _say_node(node: dict[str, Any]) -> None:
    """What does not fit into a column: the ways of reading, those that the node may offer later, its last trouble, what it could not show."""
    words = pending_words([PendingWay(**way) for way in node["pending"]])
    if node["ways"]:
        words = [message("ways: {ways}", ways=joined(", ", map(way_words, node["ways"]))), *words]
    if node["trouble"] is not None:
        words.append(message("last trouble: {trouble}", trouble=_trouble_words(node)))
    if node["n_unproved"]:
        words.append(
            message("it did not show {count} transaction(s) of strangers, the newest: {newest}", count=node["n_unproved"], newest=node["unproved"][-1])
        )  # fmt: skip
    if words:
        say(message("{node}:", node=node["node"]))
    for text in words:
        say("  " + text, hang=2)


def _trouble_words(node: dict[str, Any]) -> str:
    return node["trouble"] if node["is_in_trouble"] else message("over: {trouble}", trouble=node["trouble"])
