"""Facts of networks as data: the tables of `networks.toml`, read strictly, with every fault at once.

Enters: tables as TOML or JSON gives them. Leaves: typed facts, or lines that say what is wrong, where, and what to do. The same form is recorded
with a month (`Rules.network_facts`), so that what was in force is known later. Left out: what the facts mean (`bitcoin.networks`, `evm.networks`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pipeline.model.message import message
from pipeline.model.typed import convert

_HEX_DIGITS = frozenset("0123456789abcdef")


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all tables of facts."""

    def to_json(self) -> dict[str, Any]:
        """As plain values: what differs from a key's default."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        return content


class ForkFacts(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A height at which a network and its forks have different blocks."""

    height: int
    hash: str | None = None
    """The network's own block; None where only the forks' are known."""
    others: dict[str, str] = {}
    """The forks' blocks, and the names of those that have them."""
    source: str = ""


_Facts = TypeVar("_Facts", bound=Facts)


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a file of networks by name, unchecked. Raises OSError, and ValueError for what is not UTF-8 or not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(message("is not TOML: {error}", error=error)) from error


def typed(kind: type[_Facts], table: Mapping[str, Any], place: str) -> tuple[_Facts | None, list[str]]:
    """The table as facts of that kind, or every fault in it: unknown and missing keys, values of a wrong type."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    faults = [f"{place}.{key}: is no key of a network{_near(key, fields)}" for key in table if key not in fields]
    for name, field in fields.items():
        if name not in table:
            if field.required:
                faults.append(f"{place}.{name}: is missing")
            continue
        try:
            convert(table[name], field.type)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            faults.append(f"{place}.{name}{where.removesuffix('`')}: {what[:1].lower()}{what[1:]}")
    return (None, faults) if faults else (convert(dict(table), kind), [])


def hash_fault(text: str | None, place: str, *, digits: int = 64) -> list[str]:
    """Why it is no hash in small hexadecimal digits; None is none at all."""
    if text is None or (len(text) == digits and set(text) <= _HEX_DIGITS):
        return []
    return [f"{place}: {text!r} is not {digits} hexadecimal digits in small letters"]


def hex_of(text: str | None, place: str, *, least: int = 1, most: int = 32) -> tuple[bytes, list[str]]:
    """Bytes written in hexadecimal, or why they are none."""
    try:
        found = bytes.fromhex(text or "")
    except ValueError:
        return b"", [f"{place}: {text!r} is not hexadecimal"]
    if text is not None and not least <= len(found) <= most:
        return b"", [f"{place}: {text!r} has {len(found)} bytes: {least} to {most} are possible"]
    return found, []


def _near(key: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(key, known, 1)
    return f" (is {close[0]} meant?)" if close else f": use one of {', '.join(known)}"
