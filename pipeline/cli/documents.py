"""`esep document`: names a document that a label, a waiver or an off-chain transfer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .decisions import ByOption, ReasonOption, parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, now, say, settings_of


def document(
    file: Annotated[Path, typer.Argument(help="The document: a contract, the upstream's statement.", metavar="FILE")],
    reason: ReasonOption,
    by: ByOption = "",
    label: Annotated[str | None, typer.Option("--label", help="Of a label: CHAIN:ADDRESS.", metavar="CHAIN:ADDRESS")] = None,
    waiver: Annotated[str | None, typer.Option("--waiver", help="Of a waiver: its month, code and ref.", metavar="MONTH:CODE:REF")] = None,
    transfer: Annotated[
        str | None, typer.Option("--transfer", help="Of an off-chain payer's transfer.", metavar="PAYER:REFERENCE:ADDRESS")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Name a document that a label, a waiver or an off-chain transfer rests on.

    Its digest (SHA-256), name and size stand in the log, and in the manifest of the months that it concerns. The document itself stays with you: keep it, an
    auditor will ask for it.

    [dim]esep document contract-17.pdf --label bitcoin:bc1q… --by "A. Person" --reason "the power company's contract"[/dim]
    """
    given = [(about, ref) for about, ref in (("label", label), ("waiver", waiver), ("transfer", transfer)) if ref is not None]
    if len(given) != 1:
        raise SettingsError([message("say what it is about: one of --label, --waiver, --transfer")], source="esep document")
    about, ref = given[0]
    month = None
    if about == "waiver":
        named, _, ref = ref.partition(":")
        month = parse_month(named)
    if ref.count(":") < (2 if about == "transfer" else 1):
        raise SettingsError([message("{ref}: too few parts: write it as the help says", ref=ref)], source="esep document")
    settings = settings_of(config)
    with App(settings, now) as app:
        digest = app.decisions.document(file, about=about, ref=ref, month=month, by=app.people.decider(by), reason=reason)  # type: ignore[arg-type]
    say(message("named: {name}, SHA-256 {digest}", name=file.name, digest=digest))
