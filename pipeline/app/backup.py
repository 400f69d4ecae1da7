"""A backup of everything that can't be rebuilt: the log, the frozen months, the settings; and its restore, proved by a replay.

Enters: a pool's `App`, or a backup's folder. Leaves: a folder with a copy of the log, the bundles, `esep.toml` and the files that it names, and
`backup.json` with the SHA-256 of each; or a folder that the commands work in. Secrets (keys, passwords) go along only on request. What the store holds
is derived, and is not kept.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.freeze.replay import Replay
from pipeline.log.copying import check_log, copy_audit, copy_log
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog
from pipeline.model.durable import write_atomically
from pipeline.model.errors import DiskError, LogError, SettingsError, VerifyError
from pipeline.model.message import joined, message, text_of
from pipeline.model.paths import path_within
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder
from pipeline.settings import Settings, load_settings
from pipeline.settings.toml_text import toml_lines
from pipeline.verify.files import digest_of

from .app import App
from .open_log import open_log

LOG = "log.sqlite"
MANIFEST = "backup.json"
NOTE = "last-backup.json"
"""Below var: where the newest backup of this pool was put and when, for `esep doctor`."""
SECRETS = ("password_file", "bearer_file", "header_file", "pkcs12_file", "client_key_file", "key_file")
"""Settings that name a file with a secret; and the folder of the log's keys."""
OTHER_FILES = ("addresses_file", "template_file", "ca_file", "client_cert_file", "certificate_file", "networks")
_PROOF_NEEDS_NOT = ("signing", "notices", "filing", "answers", "public_time", "kafka", "closing", "store", "metrics", "inbox", "sources")


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """`backup.json`."""

    schema: int
    at: int
    pool: str
    events: int
    log_digest: str
    months: list[tuple[str, int, str]]
    """Month, version and digest of each frozen version."""
    files: dict[str, str]
    """SHA-256 of each file, by its path in the backup."""
    has_secrets: bool


class BackupNote(msgspec.Struct, frozen=True):
    """`last-backup.json`."""

    at: int
    place: str
    log_digest: str


@dataclass(frozen=True)
class BackupOutcome:
    """A backup that was made and read back."""

    folder: Path
    manifest: BackupManifest
    size_bytes: int
    left_out: list[str]
    """Files that the settings name and that are not in it, each with the reason."""


@dataclass(frozen=True)
class RestoreOutcome:
    """A restored folder, and what the replays of its frozen versions gave."""

    folder: Path
    settings: Path
    manifest: BackupManifest
    replays: list[tuple[Frozen, Replay]]
    not_restored: list[str]


def back_up(
    app: App, config: Path, into: Path, *, with_secrets: bool = False, on_progress: Callable[[int], None] = lambda _: None
) -> BackupOutcome:
    """Make a backup in a new folder of `into`, named by the time, and read it back. Raises LogError, VerifyError, OSError; DiskError for a folder that is there."""
    at = app.now()
    folder = into / f"esep-{app.pool}-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"
    if folder.exists():
        raise DiskError(message("{folder} is there already: wait a second, or name another folder", folder=folder))
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        # Bundles before the log: what was frozen meanwhile is in the log, and its bundle is rebuilt from there.
        if app.settings.months_path.is_dir():
            shutil.copytree(app.settings.months_path, partial / "months", ignore=shutil.ignore_patterns(".*"))
        left_out = _copy_settings(config, partial / "settings", with_secrets=with_secrets)
        copied = open_log(_with_log(app.settings, partial / LOG))
        try:
            log_digest = copy_log(app.log, copied, on_progress=on_progress).digest
            left_out += _copy_audit(app.log, copied)
        finally:
            copied.close()
        app.diary.refresh()
        months = [(event.month, event.version, event.digest) for life in app.diary.lives.values() for event in life.versions]
        files = {str(path.relative_to(partial)): digest_of(path) for path in sorted(partial.rglob("*")) if path.is_file()}
        manifest = BackupManifest(
            schema=1, at=at, pool=app.pool, events=sum(app.log.end().values()), log_digest=log_digest, months=sorted(months), files=files, has_secrets=with_secrets
        )  # fmt: skip
        write_atomically(partial / MANIFEST, json.dumps(msgspec.to_builtins(manifest), ensure_ascii=False, indent=1).encode() + b"\n")
        check_backup(partial)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    app.settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(app.settings.var / NOTE, msgspec.json.encode(BackupNote(at, str(folder.resolve()), log_digest)))
    return BackupOutcome(folder, manifest, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), left_out)


def _copy_audit(log: EventLog, copied: EventLog) -> list[str]:
    """Take the console's audit topic along; where it can't be read, why: a backup of the months is worth having without it."""
    try:
        copy_audit(log, copied)
    except LogError as error:
        return [message("the topic audit (sign-ins, who saw whose number): {why}", why=text_of(error))]
    return []


def last_backup(var: Path) -> BackupNote | None:
    """The newest backup that was made of this pool here; None where none was, or its note can't be read."""
    try:
        return decoder(BackupNote).decode((var / NOTE).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def check_backup(folder: Path) -> BackupManifest:
    """Every file of a backup is what its manifest says, none is missing, none is more. Raises VerifyError that names the first that is not."""
    try:
        manifest = decoder(BackupManifest).decode((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise VerifyError(
            message(
                "{folder} is no backup: {MANIFEST} can't be read: {strerror}",
                folder=folder,
                MANIFEST=MANIFEST,
                strerror=system_words(error),
            )
        ) from error
    except msgspec.MsgspecError as error:
        raise VerifyError(
            message("{folder} is not the manifest of a backup: {error}", folder=folder / MANIFEST, error=text_of(error))
        ) from error
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    for name, digest in manifest.files.items():
        try:
            path = path_within(folder, name)
        except ValueError as error:
            raise VerifyError(message("{folder}: {error}", folder=folder / MANIFEST, error=error)) from error
        if name not in there:
            raise VerifyError(message("{folder}: {name} is missing: the backup is not whole", folder=folder, name=name))
        if (found := digest_of(path)) != digest:
            raise VerifyError(
                message(
                    "{folder}: {name} is not what was backed up: its SHA-256 is {found}, not {digest}",
                    folder=folder,
                    name=name,
                    found=found,
                    digest=digest,
                )
            )
    if more := sorted(there - set(manifest.files)):
        raise VerifyError(message("{folder}: {more} is no part of the backup: take it away", folder=folder, more=more[0]))
    return manifest


def restore(backup: Path, folder: Path, now: Callable[[], int], *, on_month: Callable[[str], None] = lambda _: None) -> RestoreOutcome:
    """Put a backup into a new folder, and prove it: the log is read whole, and every month's newest version is replayed from it.

    Raises VerifyError for a backup that is damaged, or a month that comes out different; SettingsError for a folder that holds settings already.
    """
    manifest = check_backup(backup)
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(
            [message("{folder} is not empty: a backup is restored into a new folder", folder=folder)], source="esep restore"
        )
    settings_folder = backup / "settings"
    shutil.copytree(settings_folder, folder, dirs_exist_ok=True)
    path = folder / "esep.toml"
    path.write_text(_with_places(path.read_text(encoding="utf-8-sig")), encoding="utf-8")
    var = folder / "var"
    var.mkdir(mode=0o700)
    shutil.copyfile(backup / LOG, var / LOG)
    (var / LOG).chmod(0o600)
    if (backup / "months").is_dir():
        shutil.copytree(backup / "months", var / "months")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    proof = folder / ".proof.toml"
    try:
        proof.write_text("\n".join(toml_lines(_without_secrets(raw))) + "\n", encoding="utf-8")
        with App(load_settings(proof, {}), now) as app:
            checked = check_log(app.log)
            if checked.digest != manifest.log_digest:
                raise VerifyError(
                    message(
                        "{backup}: the log has digest {digest}, not {log_digest}",
                        backup=backup,
                        digest=checked.digest,
                        log_digest=manifest.log_digest,
                    )
                )
            replays = list(_replay_newest(app, on_month))
    finally:
        proof.unlink(missing_ok=True)
    wrong = [
        message(
            "{month} v{version}: {differences}",
            month=event.month,
            version=event.version,
            differences=", ".join(replay.differences) or message("another digest"),
        )
        for event, replay in replays
        if not replay.is_same
    ]
    if wrong:
        raise VerifyError(
            message(
                "{backup}: replayed from the restored log, months come out different: {wrong}", backup=backup, wrong=joined("; ", wrong)
            )
        )
    missing = [f"{key} = {value}" for key, value in _files_named(raw) if not (folder / Path(value).expanduser()).exists()]
    return RestoreOutcome(folder, path, manifest, replays, missing)


def _replay_newest(app: App, on_month: Callable[[str], None]) -> Iterator[tuple[Frozen, Replay]]:
    app.diary.refresh()
    for life in sorted(app.diary.lives.values(), key=lambda life: str(life.month)):
        if life.frozen:
            on_month(str(life.month))
            event = life.frozen[life.version]
            yield event, app.months.replay(event)


def _with_log(settings: Settings, path: Path) -> Settings:
    return settings.model_copy(update={"log": f"sqlite:{path.resolve()}"})


def _with_places(text: str) -> str:
    """The settings with everything below `var` beside them, and the log a file in it: they stand before the first table."""
    head, table, rest = text.partition("\n[")
    for key, value in (("var", "var"), ("log", f"sqlite:{LOG}")):
        head, count = re.subn(rf"(?m)^{key} = .*$", f'{key} = "{value}"', head)
        if not count:
            head = f'{key} = "{value}"\n{head}'
    return head + table + rest


def _without_secrets(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a replay needs of the settings: nothing that logs in, signs or sends."""
    kept = {name: value for name, value in raw.items() if name not in _PROOF_NEEDS_NOT}
    if isinstance(kept.get("keys"), dict):
        kept["keys"] = {name: value for name, value in kept["keys"].items() if name == "root"}
    chains = kept.get("chains", {})
    drop = (*SECRETS, "header_name", "user", "cookie_file")
    kept["chains"] = {name: {key: value for key, value in chain.items() if key not in drop} for name, chain in chains.items()}
    return kept


def _files_named(raw: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Every setting that names a file or a folder of keys: its key, and the path as written."""
    for key, value in raw.items():
        where = f"{place}.{key}" if place else key
        if isinstance(value, dict):
            yield from _files_named(value, where)
        elif isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    yield from _files_named(entry, where)
        elif isinstance(value, str) and (key in (*SECRETS, *OTHER_FILES) or where == "keys.folder"):
            yield where, value


def _copy_settings(config: Path, into: Path, *, with_secrets: bool) -> list[str]:
    """Copy `esep.toml` and the files that it names; those left out, each with the reason."""
    into.mkdir(mode=0o700)
    shutil.copyfile(config, into / "esep.toml")
    base, left_out = config.resolve().parent, []
    for where, text in _files_named(tomllib.loads(config.read_text(encoding="utf-8-sig"))):
        source = base / Path(text).expanduser()
        is_secret = where.rpartition(".")[2] in SECRETS or where == "keys.folder"
        if is_secret and not with_secrets:
            left_out.append(message("{where} = {text}: a secret; --with-secrets takes it along", where=where, text=text))
        elif not source.resolve().is_relative_to(base):
            left_out.append(message("{where} = {text}: lies outside the settings' folder; keep it apart", where=where, text=text))
        elif source.is_dir():
            shutil.copytree(source, into / source.resolve().relative_to(base), dirs_exist_ok=True)
        elif source.is_file():
            target = into / source.resolve().relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        else:
            left_out.append(message("{where} = {text}: is not there", where=where, text=text))
    return left_out
