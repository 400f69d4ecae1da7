"""The machine room: nodes, chains, the log's lag, the published copy, what the calendar does next, versions, the settings in force.

Enters: an `App`, an overview, what the service last noted of each chain. Leaves: `Machine`. Secrets are never part of the settings' text. Left out: pages.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import SecretStr

from pipeline.model.errors import EsepError
from pipeline.model.message import text_of

from .app import App
from .desk import CalendarEntry

SOFTWARE = ("esep", "polars", "duckdb", "msgspec", "fastapi", "uvicorn", "tzdata")
MASK = "••••"
_SECRET_WORDS = ("password", "secret", "token", "bearer", "pin", "header_file", "cookie_file")


@dataclass(frozen=True)
class Reorganisation:
    """The newest block of a chain that left the main chain."""

    chain: str
    height: int
    hash: str
    at: int
    """The header's time, Unix seconds."""
    blocks: int
    """How many blocks ever left."""


@dataclass(frozen=True)
class Setting:
    """One setting in force, by its name in `esep.toml`."""

    key: str
    value: str


@dataclass(frozen=True)
class Machine:
    """What runs, and by which settings."""

    calendar: list[CalendarEntry]
    calendar_fault: str
    reorganisations: list[Reorganisation]
    versions: dict[str, str]
    settings: list[Setting]


def machine(app: App, connection: Any) -> Machine:
    """The machine room, read through a connection to the store."""
    try:
        calendar, fault = app.desk.calendar(), ""
    except EsepError as error:
        calendar, fault = [], text_of(error)
    rows = connection.execute(_LEFT).fetchall()
    return Machine(calendar, fault, [Reorganisation(*row) for row in rows], _versions(), settings_in_force(app))


@cache
def _versions() -> dict[str, str]:
    """Of this process: what is installed beside it later changes nothing of it."""
    return {name: version(name) for name in SOFTWARE} | {"python": platform.python_version(), "system": platform.system()}


_LEFT = """
SELECT chain, max_by(height, time), max_by(hash, time), max(time), count(*) FROM raw_block WHERE NOT is_main GROUP BY chain ORDER BY chain
"""


def settings_in_force(app: App) -> list[Setting]:
    """Every setting, defaults among them, in the order of the settings' page; what is secret, or leads to a secret, is masked."""
    found: list[Setting] = []
    _flatten("", app.settings.model_dump(mode="python"), found)
    return found


def _flatten(place: str, value: Any, found: list[Setting]) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            _flatten(f"{place}.{name}" if place else str(name), part, found)
    elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        for number, part in enumerate(value, start=1):
            _flatten(f"{place}[{number}]", part, found)
    elif value is not None:
        is_secret = isinstance(value, SecretStr) or any(word in place.rpartition(".")[2] for word in _SECRET_WORDS)
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        found.append(Setting(place, MASK if is_secret and text else text))
