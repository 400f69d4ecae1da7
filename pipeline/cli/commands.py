"""Assembles all commands: their groups, their help, and the options before the command's name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pipeline.model.message import message

from . import (
    begin,
    care,
    closing,
    decisions,
    documents,
    imports,
    inbox,
    issues,
    keys,
    log_commands,
    months,
    network,
    nodes,
    query,
    rule,
    services,
    setup,
    sources,
    statement,
    status,
    wallets,
)
from .frame import run, say
from .help_texts import translate_help
from .logs import configure_logs

HELP = """Esep turns what a mining pool pays out on chain into the monthly form ЦМПМ1.

Facts come in (watch, import), are judged by the rules (issues), and a month is frozen into a bundle that anyone can verify
(freeze, verify, replay). Everything can be rebuilt from one log; nothing is ever filed twice."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(message("esep {version}", version=version("esep")))
        raise typer.Exit()


def _before(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done to stderr.")] = False,
    _version_wanted: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    configure_logs(verbose=verbose)


def unwrapped(text: str) -> str:
    """A docstring's paragraphs, each on one line: the terminal wraps them to its own width. Words in brackets (`[closing]`) are shown as they
    are: `[dim]`, for examples, is the only markup of a help text."""
    joined = "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))
    return re.sub(r"(?<!\\)\[(?=[a-z#/@])(?!/?dim\])", r"\\[", joined)


def build() -> typer.Typer:
    """The command line, assembled."""
    app = typer.Typer(
        name="esep", help=unwrapped(HELP), no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=True
    )  # fmt: skip
    importing = typer.Typer(no_args_is_help=True, help="Bring in ledger and registry files, or declare the ledger complete.")
    app.callback(help=unwrapped(HELP))(_before)
    groups: dict[str, list[Callable[..., Any]]] = {
        "Begin": [begin.init, setup.demo, setup.docs],
        "Facts": [services.run, services.watch, sources.capture, services.ingest, nodes.nodes],
        "Judge": [status.status, issues.issues, decisions.label, decisions.waive, documents.document, query.query, rule.rule],
        "Close": [months.freeze, months.filters, months.verify, months.replay, months.render, statement.statement],
        "Keep": [care.doctor, care.backup, care.restore, log_commands.topics],
        "File": [
            closing.close,
            closing.schedule,
            closing.calendar,
            closing.approve,
            closing.receipt,
            closing.refile,
            closing.amend,
            closing.sandbox,
        ],
    }
    for panel, commands in groups.items():
        for command in commands:
            # A statement may begin with an SQL comment (`-- …`), which is no option.
            settings = {"ignore_unknown_options": True} if command is query.query else None
            app.command(help=unwrapped(command.__doc__ or ""), rich_help_panel=panel, context_settings=settings)(command)
    for name in ("allocations", "payments", "openings", "registry", "complete"):
        command = getattr(imports, name)
        importing.command(help=unwrapped(command.__doc__ or ""))(command)
    app.add_typer(importing, name="import", rich_help_panel="Facts")
    arriving = typer.Typer(no_args_is_help=True, help="Files that arrive in a folder: take them, or see what waits.")
    for arrived in (inbox.look, inbox.waiting, inbox.take):
        arriving.command(help=unwrapped(arrived.__doc__ or ""))(arrived)
    app.add_typer(arriving, name="inbox", rich_help_panel="Facts")
    origins = typer.Typer(no_args_is_help=True, help="Where the ledger is read from: how far, how late, what waits; end what waits.")
    origins.command("list", help=unwrapped(sources.state.__doc__ or ""))(sources.state)
    origins.command(help=unwrapped(sources.decide.__doc__ or ""))(sources.decide)
    app.add_typer(origins, name="sources", rich_help_panel="Facts")
    signed = typer.Typer(no_args_is_help=True, help="What the keys of the pool's addresses should sign, and the signatures brought in.")
    signed.command(help=unwrapped(wallets.messages.__doc__ or ""))(wallets.messages)
    signed.command("import", help=unwrapped(wallets.take.__doc__ or ""))(wallets.take)
    app.add_typer(signed, name="wallets", rich_help_panel="Facts")
    log = typer.Typer(no_args_is_help=True, help="Move the log, check it, or seal an old one.")
    for moved in (log_commands.copy, log_commands.check, log_commands.seal):
        log.command(help=unwrapped(moved.__doc__ or ""))(moved)
    app.add_typer(log, name="log", rich_help_panel="Keep")
    keyring = typer.Typer(no_args_is_help=True, help="Who may write to the log: make, grant, rotate, revoke and list keys.")
    for said in (keys.make, keys.start, keys.grant, keys.rotate, keys.revoke):
        keyring.command(help=unwrapped(said.__doc__ or ""))(said)
    keyring.command("list", help=unwrapped(keys.list_keys.__doc__ or ""))(keys.list_keys)
    app.add_typer(keyring, name="keys", rich_help_panel="Keep")
    known = typer.Typer(no_args_is_help=True, help="What is known of a network, and whether a node agrees.")
    for tried in (network.show, network.check):
        known.command(help=unwrapped(tried.__doc__ or ""))(tried)
    app.add_typer(known, name="network", rich_help_panel="Begin")
    return app


def run_commands() -> int:
    """Run the command that the process was started with, its help in the terminal's language; its exit code."""
    return run(typer.main.get_command(build()), prepare=translate_help)
