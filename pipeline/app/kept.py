"""What a look at a month came to, kept beside the store until something that it rests on changes: the next look at the same facts computes nothing again.

Enters: what `esep status` and `esep issues` show of a month, and its basis: the log's positions in the store with the newest events, the root key, the rules in force, and the
program's own files. Leaves: the same values when they are asked for by the same basis, else nothing. Derived (law 1): `var/kept` may be deleted at any time; a file that can't be read
or written is as good as none. For people's eyes alone: nothing that is frozen, signed or filed is read from here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from pipeline.model.durable import write_atomically
from pipeline.model.message import Amount, Grouped, Instant, Message, counted, joined, message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.store import Store
from pipeline.store.queries import last_read

MOST_BYTES = 4 << 20
"""What is larger is not kept: to read it would take longer than a person should wait."""


class Kept:
    """One pool's kept looks."""

    def __init__(self, folder: Path, root: str | None) -> None:
        """`folder`: `var/kept`. `root`: the root key in force (ADR 14)."""
        self._folder = folder
        self._root = root

    def basis(self, store: Store, month: Month, rules: Rules) -> str:
        """A digest of all that a look at the month rests on. The edition is the one that `rules` name."""
        read = [list(event) for event in last_read(store.connection)]
        return self.basis_of([store.positions(), read, str(month), rules.to_json()])

    def basis_of(self, content: Any) -> str:
        """A digest of the content, the root key in force, and the program."""
        held = [content, self._root, _program()]
        return hashlib.sha256(json.dumps(held, sort_keys=True, default=str).encode()).hexdigest()

    def get(self, name: str, basis: str) -> Any:
        """What was kept under the name and rests on this; None when there is nothing."""
        try:
            found = json.loads((self._folder / f"{name}.json").read_bytes())
            return _unpacked(found["content"]) if found["basis"] == basis else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, name: str, basis: str, content: Any) -> None:
        """Keep it in place of what was kept under the name."""
        try:
            text = json.dumps({"basis": basis, "content": _packed(content)}).encode()
            if len(text) <= MOST_BYTES:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(self._folder / f"{name}.json", text)
        except (OSError, TypeError, ValueError):
            return  # a disk that is full, a value that has no form here: the next look computes it again


def as_kept(shown: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, for `put`; `Kind(**…)` makes it again."""
    return {field.name: getattr(shown, field.name) for field in fields(shown)}


@cache
def _program() -> list[Any]:
    """The size and time of every file of the program, and of the library that computes: another one may come to something else."""
    spec = find_spec("polars")
    marks = sorted(_marks(Path(__file__).parents[1]))
    if spec and spec.origin:
        marks.append((spec.origin, (stat := os.stat(spec.origin)).st_size, stat.st_mtime_ns))  # noqa: PTH116 - one of a thousand files
    return [sys.version, duckdb.__version__, hashlib.sha256(repr(marks).encode()).hexdigest()]


def _marks(folder: str | Path) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of every Python file below the folder. By `scandir`: paths as objects would take four times as long."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                stat = entry.stat()
                yield entry.path, stat.st_size, stat.st_mtime_ns
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _marks(entry.path)


def _packed(value: Any) -> Any:
    """The value as JSON: a list begins with what it is. Raises TypeError for what has no form, ValueError for a text that would not come out the same."""
    if isinstance(value, Message):
        if value.parts is not None:
            form = ["joined", value.template, _packed(value.parts)]
        else:
            form = ["message", value.template, value.many, _packed(value.values)]
        if str(_unpacked(json.loads(json.dumps(form)))) != str(value):
            raise ValueError(value.template)
        return form
    if isinstance(value, (Amount, Grouped, Instant)):
        return [type(value).__name__, str(value)]
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (list, tuple)):
        return ["list" if isinstance(value, list) else "tuple", *map(_packed, value)]
    if type(value) in (date, Month):
        return ["day" if type(value) is date else "month", str(value)]
    if isinstance(value, dict):
        if any(isinstance(key, Message) for key in value):
            return ["dict", *([_packed(key), _packed(one)] for key, one in value.items())]
        return {str(key): _packed(one) for key, one in value.items()}
    raise TypeError(type(value).__name__)


def _unpacked(form: Any) -> Any:
    """The value that `_packed` made the form of."""
    if isinstance(form, dict):
        return {name: _unpacked(one) for name, one in form.items()}
    if not isinstance(form, list):
        return form
    kind, *rest = form
    return _MAKE[kind](rest)


def _message(parts: list[Any]) -> str:
    template, many, packed = parts
    values = _unpacked(packed)
    return message(template, **values) if many is None else counted(template, many, values.pop("count"), **values)


_MAKE: dict[str, Callable[[list[Any]], Any]] = {
    "dict": lambda parts: {_unpacked(key): _unpacked(one) for key, one in parts},
    "list": lambda parts: list(map(_unpacked, parts)),
    "tuple": lambda parts: tuple(map(_unpacked, parts)),
    "day": lambda parts: date.fromisoformat(parts[0]),
    "month": lambda parts: Month.parse(parts[0]),
    "Amount": lambda parts: Amount(parts[0]),
    "Grouped": lambda parts: Grouped(parts[0]),
    "Instant": lambda parts: Instant(parts[0]),
    "joined": lambda parts: joined(parts[0], _unpacked(parts[1])),
    "message": _message,
}
