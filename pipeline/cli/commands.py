"""Assembles all commands: their groups, their summaries, and the options before the command's name.

A command's module is imported only when that command is called (`deferred`): what the list below says of it is what `esep --help` shows, and a test compares
it with the function's docstring.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import typer

from pipeline.model.message import message

from .deferred import CommandGroup, DeferredCommand, unwrapped
from .frame import run, say
from .help_texts import translate_help
from .logs import configure_logs

HELP = """Esep turns what a mining pool pays out on chain into the monthly form ЦМПМ1.

Facts come in (watch, import), are judged by the rules (issues), and a month is frozen into a bundle that anyone can verify
(freeze, verify, replay). Everything can be rebuilt from one log; nothing is ever filed twice."""


class Entry(NamedTuple):
    """A command."""

    name: str
    place: str
    """`module.function` in this room."""
    summary: str
    """The first paragraph of the function's docstring."""
    settings: dict[str, Any] | None = None
    """Typer's settings of the command."""


class Below(NamedTuple):
    """Commands that share their first word."""

    name: str
    summary: str
    entries: tuple[Entry, ...]
    otherwise: str = ""
    """The one that is meant where none is named; "": the help is shown."""


COMMANDS: Final[dict[str, tuple[Entry | Below, ...]]] = {
    "Begin": (
        Entry(
            "init",
            "begin.init",
            "Write esep.toml for your pool: it asks, finds your node, and proves each answer against it at once. Overwrites nothing.",
        ),
        Entry(
            "demo",
            "setup.demo",
            "Carry a recorded month the whole way: its node is served back and followed, files imported, the month frozen and verified.",
        ),
        Entry(
            "console",
            "console.console",
            "Show everything in a browser, and take every decision there: the console. Prints an address with a link that signs in once.",
        ),
        Entry(
            "docs",
            "setup.docs",
            "Print the generated documents: data dictionary, settings, metrics, JSON Schemas of events and of report.json.",
        ),
        Below(
            "network",
            "What is known of a network, and whether a node agrees.",
            (
                Entry("show", "network.show", "Print what Esep knows of a network, as JSON: the facts that a month records."),
                Entry(
                    "check",
                    "network.check",
                    "Try what Esep knows of a network against a node of yours: first block, forks, addresses, work, difficulty, rewards; each fact a line.",
                ),
            ),
        ),
    ),
    "Facts": (
        Entry(
            "run",
            "services.run",
            "Run everything in one process: follow all chains, fill the store, publish the analysts' copy, and close months where [closing] in_run is true. Ends cleanly on SIGTERM.",
        ),
        Entry(
            "watch",
            "services.watch",
            "Follow chains: from the nodes into the log, reorganisations too. A process of its own where `esep run` is too much.",
        ),
        Entry("capture", "sources.capture", "Read the ledger from where the pool keeps it: databases and services of [sources.NAME]."),
        Entry(
            "ingest", "services.ingest", "Bring the store up to the log's end, work out the open months, and publish the analysts' copy."
        ),
        Entry(
            "nodes",
            "nodes.nodes",
            "Show each node of each chain: its version, its height and how far it lags behind the highest one, the ways of reading that it offers, how long an answer takes, and its last trouble. The followed node is marked.",
        ),
        Below(
            "import",
            "Bring in ledger and registry files, or declare the ledger complete.",
            (
                Entry("allocations", "imports.allocations", "What the pool credited to its miners."),
                Entry("payments", "imports.payments", "What the pool's ledger believes it paid."),
                Entry("openings", "imports.openings", "What the pool owed when its records begin (rule 6.4)."),
                Entry("registry", "imports.registry", "The registry of miners, licences, accounts and wallets: a whole version at a time."),
                Entry(
                    "complete",
                    "imports.complete",
                    "Declare that the ledger holds everything through a day: a month can't close before its last day is declared (rule 8.1).",
                ),
            ),
        ),
        Below(
            "inbox",
            "Files that arrive in a folder: take them, or see what waits.",
            (
                Entry(
                    "look",
                    "inbox.look",
                    "Import the files that have arrived whole, once. `esep run` does so all the time where [inbox] folder is set.",
                ),
                Entry("waiting", "inbox.waiting", "The files that wait for a person, because something in them is odd."),
                Entry("take", "inbox.take", "Import a file that waits: you have looked at what is odd in it, and agree."),
            ),
        ),
        Below(
            "sources",
            "Where the ledger is read from: how far, how late, what waits; end what waits.",
            (
                Entry(
                    "list",
                    "sources.state",
                    "Show each source: how far it was read, how late that is, what is not certain yet, what would be lost and when.",
                ),
                Entry(
                    "decide",
                    "sources.decide",
                    "End an item that waits, by name: a payment without an outcome, a restatement, a row unexplained, a hole, a change without a day.",
                ),
            ),
            otherwise="list",
        ),
        Below(
            "wallets",
            "What the keys of the pool's addresses should sign, and the signatures brought in.",
            (
                Entry(
                    "messages",
                    "wallets.messages",
                    "Print the pool's addresses as CSV, each with the message that its key should sign; signatures that the log holds stand there already.",
                ),
                Entry(
                    "import",
                    "wallets.take",
                    "Bring signatures into the log, so that the months frozen from now on carry them: an auditor sees that the spending wallets are the pool's.",
                ),
            ),
        ),
    ),
    "Judge": (
        Entry("status", "status.status", "Show where everything stands, and who acts next with which command."),
        Entry(
            "issues",
            "issues.issues",
            "List what is wrong or odd in a month, alike ones together: short name, day, amount, miner, ref, who waived it, and what to do.",
        ),
        Entry(
            "explain",
            "explain.explain",
            "Tell how a row of the form came about: allocation, holder, licence, settlement, payment, transaction, block, proof.",
        ),
        Entry("label", "decisions.label", "Say whose address it is."),
        Entry("waive", "decisions.waive", "Take one blocking issue of one month upon yourself, by name and with a reason."),
        Entry("document", "documents.document", "Name a document that a label, a waiver or an off-chain transfer rests on."),
        # A statement may begin with an SQL comment (`-- …`), which is no option.
        Entry(
            "query",
            "query.query",
            "Ask the published read-only copy in SQL (DuckDB): one statement, a file, a ready query, or a prompt.",
            {"ignore_unknown_options": True},
        ),
        Entry("rule", "rule.rule", "Explain a rule that a message cites, with an example."),
    ),
    "Close": (
        Entry("freeze", "months.freeze", "Freeze a month: write the bundle that is filed, and never change it again."),
        Entry(
            "headers", "months.headers", "Lay the headers since each network's checkpoint beside the month's newest bundle, for an auditor."
        ),
        Entry("filters", "months.filters", "Lay the month's compact block filters beside its newest bundle, for an auditor."),
        Entry(
            "verify", "months.verify", "Check a bundle, offline, with nothing but the bundle; with --node, against the chain of today, too."
        ),
        Entry("replay", "months.replay", "Rebuild a frozen month from the log alone, and compare it with its bundle, byte by byte."),
        Entry("render", "months.render", "Print a frozen month again, in other languages too: JSON, XLSX, PDF."),
        Entry(
            "statement",
            "statement.statement",
            "Write each miner's statement of a month: the act of reconciliation (салыстыру актісі, акт сверки).",
        ),
    ),
    "Keep": (
        Entry(
            "doctor",
            "care.doctor",
            "Check nodes, log, disk, clock, keys, the filing address and the last backup's age, and say how to mend what is not as it should be.",
        ),
        Entry(
            "backup",
            "care.backup",
            "Copy everything that can't be rebuilt into a new folder, while the service runs, and read it back: the log, the frozen months, the settings.",
        ),
        Entry(
            "restore",
            "care.restore",
            "Put a backup into a new folder and prove it: every file is what was backed up, and each month's newest version comes out the same from the log, byte by byte.",
        ),
        Entry(
            "topics", "log_commands.topics", "Make the log's topics on Kafka, and check that none would forget, lose or reorder an event."
        ),
        Below(
            "log",
            "Move the log, check it, or seal an old one.",
            (
                Entry("copy", "log_commands.copy", "Copy a log, every pool in it, into another: from a file to Kafka or back."),
                Entry(
                    "check",
                    "log_commands.check",
                    "Read the whole log and check that every event is what was written, and the file sound. Changes nothing.",
                ),
                Entry("seal", "log_commands.seal", "Let what lies in an embedded log of format 1 count, after a person looked at it."),
            ),
        ),
        Below(
            "keys",
            "Who may write to the log: make, grant, rotate, revoke and list keys.",
            (
                Entry("make", "keys.make", "Make a private key in the folder of keys, and print its public half."),
                Entry(
                    "start", "keys.start", "Let the root key count from here on, in every stream of the pool (each topic, and each chain)."
                ),
                Entry("grant", "keys.grant", "Let a key write what its roles allow, from here on."),
                Entry(
                    "rotate",
                    "keys.rotate",
                    "Put a new key in the place of an old one, with its owner and roles; the old one may write nothing more. What it wrote counts.",
                ),
                Entry(
                    "revoke",
                    "keys.revoke",
                    "Let a key write nothing more: its owner left, or it was lost or stolen. What it wrote before counts.",
                ),
                Entry(
                    "list",
                    "keys.list_keys",
                    "Show the keys that the log knows, what each may write, which are at hand here, and which streams are not signed.",
                ),
            ),
        ),
        Below(
            "users",
            "Who may do what in the console: give roles, invite, revoke, list.",
            (
                Entry(
                    "set",
                    "users.set_roles",
                    "Make a user of the console, or give one other roles. Prints an invitation where they have no password yet.",
                ),
                Entry(
                    "invite",
                    "users.invite",
                    "Print an invitation: an address of the console that sets a user's password, once, within a day. An earlier one ends.",
                ),
                Entry(
                    "revoke",
                    "users.revoke",
                    "Let a user do nothing more. Their sessions end, and their passkeys count no longer; what they approved before counts.",
                ),
                Entry("list", "users.list_users", "List the users with their roles and passkeys."),
            ),
        ),
    ),
    "File": (
        Entry(
            "close",
            "closing.close",
            "Take all steps that are due now, once, for every month: freeze, sign, file, ask for the status, send notices; then show each month's state.",
        ),
        Entry(
            "schedule",
            "closing.schedule",
            "Close months by the calendar, until SIGTERM: looks at the start, every few minutes, and at each of the calendar's points.",
        ),
        Entry("calendar", "closing.calendar", "What will happen when, for every month that is not filed and the next three, and why."),
        Entry(
            "approve",
            "closing.approve",
            "Approve by name that the newest frozen version of a month is filed. Needed where [closing] asks for approvals, and where a month is unusual.",
        ),
        Entry(
            "receipt",
            "closing.receipt",
            "Record the outcome of a month's newest submission that a person found out: after handing in from the outbox, or by telephone.",
        ),
        Entry(
            "refile",
            "closing.refile",
            "File a rejected version again, as a new submission: when not the facts but the way of filing was wrong.",
        ),
        Entry(
            "amend",
            "amending.amend",
            "Show what changed since a month was frozen, row by row with its cause; with a name and a reason, freeze the further version.",
        ),
        Entry(
            "sandbox",
            "closing.sandbox",
            "A filing service for trials on this machine, until SIGTERM: takes submissions, gives receipts, and misbehaves as told.",
        ),
    ),
}
"""All commands by the heading of the help that they stand under."""


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


def build() -> CommandGroup:
    """The command line, assembled; the commands are loaded as they are called."""
    app = typer.Typer(name="esep", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=True)
    app.callback(cls=CommandGroup, help=unwrapped(HELP))(_before)
    root = typer.main.get_command(app)
    assert isinstance(root, CommandGroup)
    for panel, entries in COMMANDS.items():
        for entry in entries:
            root.add_command(_deferred(entry, panel) if isinstance(entry, Entry) else _group(entry, panel))
    return root


def _deferred(entry: Entry, panel: str | None = None) -> DeferredCommand:
    return DeferredCommand(entry.name, entry.place, entry.summary, panel, entry.settings)


def _group(below: Below, panel: str) -> CommandGroup:
    group = CommandGroup(
        name=below.name, help=below.summary, commands=[_deferred(entry) for entry in below.entries],
        no_args_is_help=True, rich_help_panel=panel, rich_markup_mode="rich",
    )  # fmt: skip
    group.otherwise = below.otherwise
    return group


def run_commands() -> int:
    """Run the command that the process was started with, its help in the terminal's language; its exit code."""
    return run(build(), prepare=translate_help)
