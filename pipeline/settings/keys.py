"""The `[keys]` table: the root key that says who may write to the log, and where private keys lie (ADR 14)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from .parts import FilePath, Section


class KeysSettings(Section):
    """Who may write to the log."""

    root: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="the root key's public half, as `esep keys make root` prints it; without it nothing is checked: events are not authenticated",
    )
    folder: FilePath = Field(
        default=Path("keys"), description="the folder with the private keys that this process signs with, NAME.pem; relative to this file"
    )
    password_file: FilePath | None = Field(default=None, description="a file with nothing but the keys' password; or ESEP_KEYS_PASSWORD")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_KEYS_PASSWORD or password_file")
