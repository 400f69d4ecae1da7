"""`esep topics`, `esep log copy` and `esep log check`: make Kafka topics, copy a log, check a log for damage."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline.app.open_log import look_at_log_of_format_1, make_log_topics, open_kept_log, open_log, require_log_file, seal_log_of_format_1
from pipeline.log.copying import check_log, copy_audit, copy_log
from pipeline.log.head import stamp_faults
from pipeline.model.errors import LogError, SettingsError
from pipeline.model.message import counted, joined, message, text_of
from pipeline.model.months import almaty_words
from pipeline.settings import Settings
from pipeline.texts import N_

from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, progress, say, settings_of

SourceArgument = Annotated[
    str, typer.Argument(help="The log that is copied: sqlite:FILE, relative to var, or kafka://HOST:PORT/PREFIX.", metavar="FROM")
]
TargetArgument = Annotated[str, typer.Argument(help="The log that it is copied into, written alike; a new file is made.", metavar="TO")]


def topics(
    alter: Annotated[bool, typer.Option("--alter", help="Also mend settings of topics that are there and differ.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> int:
    """Make the log's topics on Kafka, and check that none would forget, lose or reorder an event.

    Retention without end, no compaction, enough replicas, no unclean election: the same is checked at every start of every
    command. What is wrong and can't be mended here is listed with what mends it, and ends with exit code 6.

    [dim]esep topics[/dim]
    """
    found = make_log_topics(settings_of(config), is_altering=alter)
    if as_json:
        print_json({"made": found.made, "altered": found.altered, "faults": found.faults})
    else:
        for what, names in ((N_("made {name}"), found.made), (N_("altered {name}"), found.altered)):
            for name in names:
                say(message(what, name=name))
        if not found.faults:
            say(message("the topics at {place} keep everything", place=found.place))
    if found.faults and not as_json:
        raise LogError(
            message("the topics at {place} won't do:{names}", place=found.place, names="".join(f"\n  - {fault}" for fault in found.faults))
        )
    return LogError.exit_code if found.faults else 0


def copy(source: SourceArgument, target: TargetArgument, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Copy a log, every pool in it, into another: from a file to Kafka or back.

    The console's topic audit goes along; where it can't be read, that is said. Interrupted, it goes on from what the target holds. At the end everything is read back and both logs' digests are compared.
    Stop what writes into the source before, and change `log` in the settings after; then delete the store: it is rebuilt. Months
    frozen before the move are replayed from either log.

    [dim]esep log copy sqlite:log.sqlite kafka://broker1:9092,broker2:9092/esep[/dim]
    """
    settings = settings_of(config)
    if source == target:
        raise SettingsError([message("{source}: source and target are the same log", source=source)], source="esep log copy")
    from_settings, to_settings = (_at(url, settings, "esep log copy") for url in (source, target))
    require_log_file(from_settings)
    old, new = open_log(from_settings), open_log(to_settings)
    try:
        total = sum(old.end().values())
        with progress(message("copying the log")) as on_progress:
            copied = copy_log(old, new, on_progress=lambda looked_at: on_progress(looked_at, total))
        try:
            audit, left_out = copy_audit(old, new), ""
        except LogError as error:
            audit, left_out = 0, text_of(error)
    finally:
        old.close()
        new.close()
    result: dict[str, Any] = {
        "events": copied.events,
        "appended": copied.appended,
        "digest": copied.digest,
        "audit": audit,
        "audit_left_out": left_out,
    }
    if as_json:
        print_json(result)
    else:
        say(
            message(
                "{events} events, {appended} of them new in the target; both logs have digest {digest}",
                events=copied.events,
                appended=copied.appended,
                digest=copied.digest,
            )
        )
        if left_out:
            say(
                message(
                    "LEFT OUT: the topic audit (sign-ins, who saw whose number): {why}. Copy it again once it can be read", why=left_out
                )
            )
        else:
            say(message("{count} entries of the topic audit (sign-ins, who saw whose number), which no digest counts", count=audit))


def check(
    url: Annotated[
        str | None,
        typer.Argument(help="A log elsewhere, a backup perhaps: sqlite:FILE or kafka://…; the settings' when not given.", metavar="[URL]"),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Read the whole log and check that every event is what was written, and the file sound. Changes nothing.

    A damaged place is named, with exit code 6. Prints one digest for the whole: a backup with the same digest holds the same
    events, so note it with the backup, or check the backup itself. Events that this program can't read are listed; they block months.
    Where the log's head has public time stamps, the log must still give what was stamped.

    [dim]esep log check[/dim]

    [dim]esep log check sqlite:/backup/log.sqlite[/dim]
    """
    settings = settings_of(config)
    log = open_kept_log(_at(url, settings, "esep log check") if url else settings)
    try:
        total = sum(log.end().values())
        with progress(message("reading the log")) as on_progress:
            checked = check_log(log, on_progress=lambda looked_at: on_progress(looked_at, total))
        faults = stamp_faults(log, checked.stamps) if checked.stamps else []
    finally:
        log.close()
    stamped = max((stamp.at for stamp in checked.stamps), default=None)
    if as_json:
        found = {"events": checked.events, "digest": checked.digest, "unreadable": checked.unreadable}
        found |= {"not_authentic": checked.not_authentic, "is_signed": checked.is_signed}
        print_json(found | ({"stamps": len(checked.stamps), "stamp_faults": faults} if checked.stamps else {}))
    if faults:
        raise LogError(message("the log is not the one that was stamped:{names}", names="".join(f"\n  - {fault}" for fault in faults)))
    if as_json:
        return
    for line in checked.unreadable:
        say(message("  can't be read: {line}", line=line))
    for line in checked.not_authentic:
        say(message("  not authentic: {line}", line=line))
    if not checked.is_signed:
        say(message("events are not authenticated: no root key is set ([keys] root)"))
    say(
        message(
            "{events} events, {count} of them unreadable to this program; digest {digest}",
            events=checked.events,
            count=len(checked.unreadable),
            digest=checked.digest,
        )
    )
    if stamped is not None:
        heights = sorted({height for stamp in checked.stamps for height in stamp.heights})
        where = (
            message("up to Bitcoin block {height}, whose header is not checked here", height=heights[-1])
            if heights
            else message("promised by calendars, in no block yet")
        )
        say(
            message(
                "it gives the heads of all {count} public time stamps, the newest of {fromtimestamp}; {where}",
                count=len(checked.stamps),
                fromtimestamp=almaty_words(stamped),
                where=where,
            )
        )


def seal(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask: what was printed before is what should count.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let what lies in an embedded log of format 1 count, after a person looked at it.

    In that format nothing shows that events are what was written, so no program gives them digests unasked: it would make whatever lies there look genuine. Prints how
    many events there are and one digest of all, to compare with a backup's, and asks.

    [dim]esep log seal[/dim]
    """
    settings = settings_of(config)
    found = look_at_log_of_format_1(settings)
    if found is None:
        say(message("the log is not of format 1: there is nothing to seal"))
        return
    say(
        message(
            "{log_path}: {names}",
            log_path=settings.log_path,
            names=joined(
                ", ",
                [counted("{topic}: {count} event", "{topic}: {count} events", count, topic=topic) for topic, count in found.events.items()],
            ),
        )
    )
    say(message("digest {digest}", digest=found.digest))
    if not yes and not typer.confirm("Is this what was written, to your knowledge? It counts from here on as it is", default=False):
        raise LogError(message("{log_path} was left as it is", log_path=settings.log_path))
    seal_log_of_format_1(settings)
    say(message("sealed: every event has its digest, and what is changed from here on shows"))


def _at(url: str, settings: Settings, command: str) -> Settings:
    """The settings with another log URL."""
    if not url.startswith(("sqlite:", "kafka:")):
        raise SettingsError([message("{url}: a log is sqlite:FILE or kafka://HOST:PORT/PREFIX", url=url)], source=command)
    return settings.model_copy(update={"log": url})
