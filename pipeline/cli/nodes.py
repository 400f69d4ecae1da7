"""`esep nodes`: each node of each chain, as the running service last found it, or asked now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline.app.app import App
from pipeline.model.errors import EsepError, SettingsError
from pipeline.model.message import message, text_of
from pipeline.service.chain_notes import NodeNote, node_notes, read_note, with_earlier

from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, now, print_json, say, settings_of, table

FRESH_S = 120
"""Seconds for which what the running service wrote counts as news."""


def nodes(
    chains: Annotated[list[str] | None, typer.Argument(help="The chains; all when not given.", metavar="[CHAIN]…")] = None,
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
                ("* " if node["is_followed"] else "  ") + node["node"], node["version"], node["height"], node["lag_blocks"], ", ".join(node["ways"]),
                node["answers_in_ms"], _trouble_words(node),
            ]
            for node in chain["nodes"]
        ]  # fmt: skip
        table(
            chain["chain"],
            [
                message("node"),
                message("version"),
                message("height"),
                message("blocks behind"),
                message("ways"),
                message("ms"),
                message("last trouble"),
            ],
            rows,
        )
        for node in chain["nodes"]:
            if node["n_unproved"]:
                say(
                    message(
                        "{node} did not show {count} transaction(s) of strangers, the newest: {newest}",
                        node=node["node"],
                        count=node["n_unproved"],
                        newest=node["unproved"][-1],
                    ),
                    hang=2,
                )
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
                "lag_blocks": highest - node.height if highest is not None and node.height is not None else None, "ways": node.ways,
                "answers_in_ms": node.answers_in_ms, "is_in_trouble": node.is_in_trouble, "trouble": node.trouble, "trouble_at": node.trouble_at,
                "unproved": node.unproved, "n_unproved": node.n_unproved,
            }
            for node in nodes
        ],
    }  # fmt: skip


def _trouble_words(node: dict[str, Any]) -> str:
    if node["trouble"] is None:
        return ""
    return node["trouble"] if node["is_in_trouble"] else f"over: {node['trouble']}"
