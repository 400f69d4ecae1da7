"""`esep doctor`, `backup`, `restore`: whether everything is as it should be, and a copy of what can't be rebuilt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from pipeline.app.app import App
from pipeline.app.backup import back_up
from pipeline.app.backup import restore as restore_backup
from pipeline.app.doctor import examine
from pipeline.model.message import Amount, message

from .frame import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    command_line,
    field_width,
    now,
    print_json,
    progress,
    say,
    say_field,
    say_fields,
    settings_of,
    shown,
)

MARKS = {"well": message("ok"), "look": message("LOOK"), "ill": message("ILL")}


def doctor(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> int:
    """Check nodes, log, disk, clock, keys, the filing address and the last backup's age, and say how to mend what is not as it should be.

    Changes nothing, and sends nothing to the filing address. Exit code 1 when something is to be mended (ILL); what is only worth a look (LOOK) does not count.

    [dim]esep doctor[/dim]
    """
    with App(settings_of(config), now) as app, progress(message("looking")):
        found = examine(app)
    is_ill = any(finding.health == "ill" for finding in found)
    if as_json:
        print_json([asdict(finding) for finding in found])
        return int(is_ill)
    width = field_width(MARKS.values(), least=7)
    for finding in found:
        say_field(MARKS[finding.health], message("{name}: {detail}", name=finding.name, detail=finding.detail), width=width)
        if finding.mend:
            say_field("", message("mend: {mend}", mend=finding.mend), width=width)
    return int(is_ill)


def backup(
    folder: Annotated[Path, typer.Argument(help="Where the backup's own new folder is made; on another disk.", metavar="DIR")],
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Take keys and passwords along that the settings name: guard the backup like them.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy everything that can't be rebuilt into a new folder, while the service runs, and read it back: the log, the frozen months, the settings.

    A log on Kafka, every pool in it, is exported into a file. Secrets stay where they are unless --with-secrets is given. The store is derived and not kept.

    [dim]esep backup /mnt/backup[/dim]
    """
    settings = settings_of(config)
    with App(settings, now) as app, progress(message("copying the log")) as on_progress:
        total = sum(app.log.end().values())
        done = back_up(app, config, folder, with_secrets=with_secrets, on_progress=lambda looked_at: on_progress(looked_at, total))
    if as_json:
        print_json({"folder": done.folder, "bytes": done.size_bytes, "left_out": done.left_out} | msgspec.to_builtins(done.manifest))
        return
    manifest = done.manifest
    say(
        message(
            "{folder}: {size_bytes} MiB, read back and whole",
            folder=shown(done.folder),
            size_bytes=Amount(format(done.size_bytes / (1 << 20), ".1f")),
        ),
        hang=2,
    )
    events = message("{events} events, digest {log_digest}", events=manifest.events, log_digest=manifest.log_digest)
    months = ", ".join(f"{month} v{version}" for month, version, _ in manifest.months) or message("none frozen yet")
    left_out = [(message("left out"), line) for line in done.left_out]
    say_fields([(message("log"), events), (message("months"), months), *left_out], indent=2, least=12)
    say(message("Try it: esep restore {folder} DIR", folder=shown(done.folder)), hang=2)


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup's folder.", metavar="BACKUP")],
    into: Annotated[Path, typer.Argument(help="A new folder, for the settings and var.", metavar="DIR")],
    as_json: JsonOption = False,
) -> None:
    """Put a backup into a new folder and prove it: every file is what was backed up, and each month's newest version comes out the same from the log, byte by byte.

    Settings that named a log on Kafka name its copy in a file now; `esep log copy` brings that to a cluster. Only one of two copies of a pool may go on.

    [dim]esep restore /mnt/backup/esep-my-pool-20261128T120000Z pool/[/dim]
    """
    with progress(message("replaying")):
        done = restore_backup(folder, into, now)
    if as_json:
        replayed = [{"month": event.month, "version": event.version, "digest": event.digest} for event, _ in done.replays]
        print_json({"folder": done.folder, "settings": done.settings, "replayed": replayed, "not_restored": done.not_restored})
        return
    say(
        message(
            "{folder}: restored; {events} events, log digest {log_digest}",
            folder=shown(done.folder),
            events=done.manifest.events,
            log_digest=done.manifest.log_digest,
        ),
        hang=2,
    )
    for event, replay in done.replays:
        say(
            message(
                "  {month} v{version}: replayed, {compared} files equal the bundle's, digest {digest}",
                month=event.month,
                version=event.version,
                compared=replay.compared,
                digest=event.digest,
            ),
            hang=2,
        )
    for line in done.not_restored:
        say(message("  not here, put it back: {line}", line=line), hang=2)
    say(message("  {command_line}", command_line=command_line("esep status", done.settings)))
