"""The log's keys that the settings name: private keys read from files, made, and brought together as the `LogKeys` of a log (ADR 14).

Enters: `[keys]`. Leaves: the keys by which appends are signed and events checked; None without a root key. A key that can't be opened with the password at hand is not
at hand: what only it could sign is refused, with its file's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.log.keys import LogKeys
from pipeline.log.signatures import public_of
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.system_words import system_words
from pipeline.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_PUBLIC = re.compile(r"[0-9a-f]{64}")


def log_keys(settings: Settings, ring: Iterable[Ed25519PrivateKey] = ()) -> LogKeys | None:
    """The keys in force for the pool's log, with `ring` beside those of the folder; None where the settings name no root key."""
    if settings.keys.root is None:
        return None
    held, locked = keys_at_hand(settings)
    return LogKeys(settings.keys.root, settings.pool.key, [*held.values(), *ring], locked=locked)


def keys_at_hand(settings: Settings) -> tuple[dict[str, Ed25519PrivateKey], list[str]]:
    """The private keys in the folder, by their files' names without .pem; and the files that can't be opened."""
    held: dict[str, Ed25519PrivateKey] = {}
    locked: list[str] = []
    folder = settings.keys.folder
    for path in sorted(folder.glob("*.pem")) if folder.is_dir() else []:
        try:
            held[path.stem] = read_key(path, _password(settings))
        except SettingsError:
            locked.append(path.name)
    return held, locked


def read_key(path: Path, password: str | None) -> Ed25519PrivateKey:
    """A private key. Raises SettingsError: no file, no Ed25519 key, another password."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            [message("{path}: can't be read: {strerror}", path=path, strerror=system_words(error))], source="keys"
        ) from None
    wrong = message("its password is needed (ESEP_KEYS_PASSWORD, or [keys] password_file), or it is no key in PEM form")
    for secret in (password.encode() if password else None, None):
        try:
            found = load_pem_private_key(content, secret)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(found, Ed25519PrivateKey):
            return found
        wrong = message("it is no Ed25519 key: `esep keys make` makes one")
    raise SettingsError([message("{path}: can't be opened: {wrong}", path=path, wrong=wrong)], source="keys")


def make_key(settings: Settings, name: str) -> tuple[Path, str]:
    """A new private key in the folder, for its owner's eyes alone; its file and its public half. Raises SettingsError when one of that name is there."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

    if not _NAME.fullmatch(name):
        raise SettingsError([message("NAME: {name}: letters, digits, and . _ - within", name=repr(name))], source="esep keys make")
    settings.keys.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.keys.folder / f"{name}.pem"
    private = Ed25519PrivateKey.generate()
    password = _password(settings)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError([message("{path} is there already, and stays as it is", path=path)], source="esep keys make") from None
    with os.fdopen(file, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    return path, public_of(private).hex()


def public_named(settings: Settings, name: str) -> str:
    """The public half that `name` means, hex: itself, or that of a key in the folder. Raises SettingsError."""
    if _PUBLIC.fullmatch(name):
        return name
    held, _ = keys_at_hand(settings)
    if name not in held:
        raise SettingsError(
            [
                message(
                    "{name}: no public key (64 hexadecimal digits), and no {name2}.pem that can be opened in {folder}",
                    name=repr(name),
                    name2=name,
                    folder=settings.keys.folder,
                )
            ],
            source="keys",
        )
    return public_of(held[name]).hex()


def _password(settings: Settings) -> str | None:
    return settings.keys.password.get_secret_value() if settings.keys.password else None
