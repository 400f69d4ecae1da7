"""`esep freeze`, `replay`, `verify`, `render`: freeze a month into a version that never changes, check it, print it."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from pipeline.app.app import App
from pipeline.app.audit import verify_with_node
from pipeline.app.filters import add_filters
from pipeline.app.headers import add_headers
from pipeline.app.summary import month_summary
from pipeline.model.errors import MonthError, SettingsError, VerifyError
from pipeline.model.message import grouped, joined, message
from pipeline.model.reason import require_reason
from pipeline.render import FORMATS, Document, Format, render_all
from pipeline.render.form import LANGUAGES, Language
from pipeline.verify import telling
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.decisions import load_root_key
from pipeline.verify.finding import Check, judge
from pipeline.verify.given import load_headers, load_trusted, require_folder
from pipeline.verify.receipts import check_receipt
from pipeline.verify.shapes import read_manifest

from .decisions import ByOption, parse_month
from .frame import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    MonthArgument,
    err,
    fail,
    now,
    print_json,
    progress,
    say,
    settings_of,
    table,
    terminal_words,
)
from .summary import print_summary

LanguageName = StrEnum("LanguageName", {name: name for name in LANGUAGES})  # type: ignore[misc]
FormatName = StrEnum("FormatName", {name: name for name in FORMATS})  # type: ignore[misc]

BundleArgument = Annotated[str, typer.Argument(help="A bundle's folder, or a month: its newest version.", metavar="DIR|MONTH")]


def freeze(
    month: MonthArgument,
    by: ByOption = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; needed from the second version on.", metavar="TEXT")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Freeze a month: write the bundle that is filed, and never change it again.

    The month must be able to close (rule 8.1): chains past its end and final, ledger complete, registry loaded, every
    blocking issue resolved or waived. What is missing is listed, with exit code 3. When facts changed since the last
    version, the next version is made, and wants a reason (rule 8.3); when none did, the last version stands and no reason is asked. Works while
    `esep run` is running: the month is then built from the log.

    [dim]esep freeze 2026-10 --by "A. Person"[/dim]
    """
    settings = settings_of(config)
    named = parse_month(month)
    if reason.strip():
        require_reason(reason, "esep freeze")
    with App(settings, now) as app:
        by = app.people.decider(by)
        app.decisions.record_settings_labels()
        with progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
            if app.decisions.record_settings_waivers(app.months, store, named):
                app.stores.fill(store)
            why = reason.strip() or ("" if app.months.frozen(named) else "the month's report")
            outcome = app.months.freeze(store, named, by=by, reason=why, progress=print_step)
        summary = month_summary(app, named)
    if as_json:
        made = {
            "month": str(named),
            "version": outcome.version,
            "digest": outcome.digest,
            "folder": outcome.folder,
            "is_new": outcome.is_new,
        }
        print_json(made | {"papers": summary.papers, "totals": summary.totals, "next": asdict(summary.next)})
        return
    if not outcome.is_new:
        say(message("nothing in the report changed since version {version}: it stands", version=outcome.version))
    print_summary(summary, config)


def filters(month: MonthArgument, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Lay the month's compact block filters beside its newest bundle, for an auditor.

    Asks the first node of each Bitcoin-like chain, which needs blockfilterindex=1: about 120 MB for a month of Bitcoin. Nothing that was frozen
    changes. With compact_filters in a chain's settings each freeze does so by itself.

    [dim]esep filters 2026-10[/dim]
    """
    settings = settings_of(config)
    added = add_filters(settings, bundle_folder(month, config), progress=print_step)
    if as_json:
        print_json([each._asdict() for each in added])
        return
    for each in added:
        say(
            message(
                "{chain}: {blocks} filters, {matched} blocks carried whole, {size} bytes",
                chain=each.chain,
                blocks=each.blocks,
                matched=each.matched,
                size=each.size,
            )
        )


def headers(month: MonthArgument, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Lay the headers since each network's checkpoint beside the month's newest bundle, for an auditor.

    Asks the first node of each Bitcoin-like chain; any node has them. `esep verify` then ties the bundle's chain to a block that it knows. Nothing that was
    frozen changes. Each freeze does so by itself, unless headers_from_checkpoint in a chain's settings says otherwise.

    [dim]esep headers 2026-10[/dim]
    """
    settings = settings_of(config)
    added = add_headers(settings, bundle_folder(month, config), progress=print_step)
    if as_json:
        print_json([each._asdict() for each in added])
        return
    for each in added:
        say(
            message(
                "{chain}: {count} headers since the checkpoint {height}, {size} bytes",
                chain=each.chain,
                count=grouped(each.headers),
                height=each.checkpoint,
                size=grouped(each.size),
            )
        )
    if not added:
        say(message("no headers to lay: no chain of the month has a checkpoint of its network below its headers"))


def print_step(step: str) -> None:
    """Print a line of progress on stderr; nothing if stderr is no terminal."""
    if err.is_terminal:
        err.print(f"  {terminal_words().tell(step)}", markup=False, style="dim")


def replay(
    month: MonthArgument,
    version: Annotated[int | None, typer.Option("--version", help="Which version; the newest when not given.", min=1)] = None,
    keep: Annotated[Path | None, typer.Option("--keep", help="Leave what was built in this new folder.", metavar="DIR")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> int:
    """Rebuild a frozen month from the log alone, and compare it with its bundle, byte by byte.

    Reads the log up to the positions that the frozen version names, into an empty store, and makes the bundle again. A
    difference ends with exit code 8. A bundle that was lost is put back in its place.

    [dim]esep replay 2026-10[/dim]
    """
    settings = settings_of(config)
    named = parse_month(month)
    if keep is not None and os.path.lexists(keep):
        raise SettingsError([message("--keep: {keep} is there already: name a new folder", keep=keep)], source="esep replay")
    with App(settings, now) as app:
        events = [event for event in app.months.frozen(named) if version in (None, event.version)]
        if not events:
            raise MonthError(
                message(
                    "{named} has no frozen version{more} in the log: esep freeze {named} makes one",
                    named=named,
                    more=f" {version}" if version else "",
                )
            )
        with progress(message("replaying the log")) as on_progress:
            result = app.months.replay(events[-1], keep=keep, on_progress=on_progress, progress=print_step)
    if as_json:
        print_json(
            {
                "month": str(named), "version": events[-1].version, "digest": result.bundle.digest, "expected": result.expected_digest,
                "compared": result.compared, "differences": result.differences, "in_other_bytes": result.in_other_bytes, "is_same": result.is_same,
            }
        )  # fmt: skip
    elif result.is_same:
        compared = (
            message("{compared} files equal the bundle's", compared=result.compared - len(result.in_other_bytes))
            if result.compared
            else message("there was no bundle to compare with")
        )
        say(
            message(
                "{named} version {version}: the log gives the same report, digest {digest}; {compared}",
                named=named,
                version=events[-1].version,
                digest=result.bundle.digest,
                compared=compared,
            )
        )
        if result.in_other_bytes:
            say(
                message(
                    "the same contents in other bytes, since {versions} wrote them when the month was frozen: {names}",
                    versions=joined(", ", result.other_versions),
                    names=", ".join(result.in_other_bytes),
                )
            )
    else:
        raise VerifyError(
            message(
                "{named} version {version} comes out different: digest {digest}, frozen was {expected_digest}{names}",
                named=named,
                version=events[-1].version,
                digest=result.bundle.digest,
                expected_digest=result.expected_digest,
                names=joined("", [message("\n  - {name} differs", name=name) for name in result.differences]),
            )
        )
    return 0 if result.is_same else VerifyError.exit_code


def verify(  # noqa: PLR0913 - a command's options are its parameters
    bundle: Annotated[
        str | None,
        typer.Argument(
            help="A bundle's folder, or a month: its newest version. With --receipt a manifest alone will do.", metavar="DIR|MONTH"
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Certificates of the authorities that signers must stand under, PEM.", metavar="FILE")
    ] = None,
    root_key: Annotated[
        str | None,
        typer.Option(
            "--root-key", help="The pool's root key, or a file with it: a bundle of another one does not hold.", metavar="HEX|FILE"
        ),
    ] = None,
    is_test_network: Annotated[
        bool, typer.Option("--test-network", help="The chain is a test network, without work behind it: do not ask for any.")
    ] = False,
    node: Annotated[
        str | None, typer.Option("--node", help="A Bitcoin-like node of yours to compare the pool's coins with.", metavar="URL")
    ] = None,
    node_login: Annotated[
        Path | None, typer.Option("--node-login", help="A file with USER:PASSWORD for the node: its cookie file.", metavar="FILE")
    ] = None,
    reads_blocks: Annotated[
        bool, typer.Option("--node-blocks", help="Let the node show every block of the month, too, or those that its filters name.")
    ] = False,
    headers_file: Annotated[
        Path | None,
        typer.Option(
            "--headers",
            help="Headers of Bitcoin that you have, as a bundle's evidence/headers.csv: for public time stamps.",
            metavar="FILE",
        ),
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="A miner's receipt: whether its rows stand in the report.", metavar="FILE")
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", help="The root that the pool published, to check a receipt against.", metavar="HEX")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> int:
    """Check a bundle, offline, with nothing but the bundle; with --node, against the chain of today, too.

    Ends with three lists: what is proved, what is on the signer's word, what is not checked here. Exit code 0: all is proved
    that can be, and it is signed where --trust is given. 8: a check fails. 13: all hold, but something in it can't be
    checked here. A folder needs no settings; for a month they say where the bundle lies.

    --node asks a node of the pool's coins: which are unspent today, and who spent the others after the month. So a payout that was left out
    whole, with its proof, is found. What it says is that node's word: ask one of your own.

    --root-key names the pool's root key, as its settings and manifests do: without it that key is taken as the manifest says.

    --receipt checks what a miner was given by esep statement, against a root that was published (--root), or against a bundle or its manifest.

    A public time stamp beside the manifest leads to a block of Bitcoin later than the month: a later bundle's evidence/headers.csv has its header.

    [dim]esep verify var/months/2026-10/v1 --trust authorities.pem --headers var/months/2026-11/v1/evidence/headers.csv[/dim]
    """
    if receipt is not None:
        checks = check_receipt(receipt, root, bundle_folder(bundle, config) if bundle is not None else None)
        return report_checks(checks, receipt, is_test_network=is_test_network, as_json=as_json)
    if bundle is None or root is not None:
        raise SettingsError([message("a bundle's folder or a month is needed; --root goes with --receipt")], source="esep verify")
    folder = bundle_folder(bundle, config)
    if folder != Path(bundle):
        require_month(folder, bundle)
    trusted = load_trusted(trust) if trust is not None else []
    if node is None and (node_login is not None or reads_blocks):
        raise SettingsError([message("--node-login and --node-blocks go with --node URL")], source="esep verify")
    headers = load_headers(headers_file) if headers_file is not None else {}
    root = load_root_key(root_key) if root_key is not None else None
    require_folder(folder)
    with progress(message("verifying")):
        if node is None:
            checks = verify_bundle(folder, trusted=trusted, headers=headers, root_key=root)
        else:
            checks = verify_with_node(folder, node, node_login, trusted=trusted, reads_blocks=reads_blocks, headers=headers, root_key=root)
    return report_checks(checks, folder, is_test_network=is_test_network, as_json=as_json)


def report_checks(checks: list[Check], folder: Path, *, is_test_network: bool, as_json: bool) -> int:
    """Print the checks and their verdict; the exit code."""
    verdict = judge(checks, is_test_network=is_test_network)
    if as_json:
        print_json(telling.as_json(checks, verdict, folder))
    else:
        rows = [
            (check.name, telling.outcome(check), check.detail if not check.holds else check.detail or check.undecided) for check in checks
        ]
        table(str(folder), [message("check"), "", message("seen")], rows)
        for line in telling.list_lines(verdict):
            say(line, hang=2 if line.startswith("  - ") else 0)
    if said := telling.summary(checks, verdict, folder):
        fail(said)
    return verdict.exit_code


def require_month(folder: Path, month: str) -> None:
    """What lies in a month's place is of that month. Raises VerifyError."""
    manifest = read_manifest(folder)
    if (manifest["month"], f"v{manifest['version']}") != (month, folder.name):
        raise VerifyError(
            message(
                "{folder}: the bundle in this place is of {month} v{version}: put the right one back, or replay {month2}",
                folder=folder,
                month=manifest["month"],
                version=manifest["version"],
                month2=month,
            )
        )


def render(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option("--out", help="The folder to print into; made when it is not there.", metavar="DIR")],
    languages: Annotated[
        list[LanguageName] | None, typer.Option("--language", "-l", help="Say it several times for several; kk is the form.")
    ] = None,
    formats: Annotated[
        list[FormatName] | None, typer.Option("--format", "-f", help="Say it several times for several; all when not given.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print a frozen month again, in other languages too: JSON, XLSX, PDF.

    The bundle itself is not touched. The report's digest is checked first.

    [dim]esep render 2026-10 --out /tmp/form -l kk -l ru -l en[/dim]
    """
    folder = bundle_folder(bundle, config)
    document = Document.load(folder)
    out.mkdir(parents=True, exist_ok=True)
    with progress(message("printing")):
        chosen: list[Language] = [cast("Language", name.value) for name in languages or []]
        wanted: list[Format] = [cast("Format", name.value) for name in formats or []]
        written = render_all(document, out, languages=chosen or ["kk"], formats=wanted or FORMATS)
    for path in written:
        say(str(path))


def bundle_folder(bundle: str, config: Path) -> Path:
    """The bundle's folder; for a month, its newest version's. Raises VerifyError if there is none."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", bundle) or Path(bundle, "manifest.json").is_file():
        return Path(bundle)
    month = parse_month(bundle)
    settings = settings_of(config)
    versions = sorted((settings.months_path / str(month)).glob("v*"), key=lambda path: int(path.name[1:]) if path.name[1:].isdigit() else 0)
    if not versions:
        raise VerifyError(
            message(
                "{months_path} has no frozen version: esep freeze {month} makes one",
                months_path=settings.months_path / str(month),
                month=month,
            )
        )
    return versions[-1]
