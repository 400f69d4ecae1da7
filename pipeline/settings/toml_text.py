"""TOML of plain values, as text: tables, lists, strings, numbers. What `tomllib` reads back is what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def toml_lines(table: Mapping[str, Any], place: str = "") -> list[str]:
    """TOML of plain values, tables and lists of tables: values first, as TOML wants."""
    lines: list[str] = []
    tables: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_string(key)
        is_table = isinstance(value, dict) or (isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value))
        if is_table:
            tables.append((f"{place}.{name}" if place else name, value))
        else:
            lines.append(f"{name} = {_toml_value(value)}")
    for name, value in tables:
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *toml_lines(value, name)]
        else:
            for entry in value:
                lines += ["", f"[[{name}]]", *toml_lines(entry, name)]
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return (
            "[\n" + "".join(f"    {_toml_value(entry)},\n" for entry in value) + "]"
            if len(value) > 1
            else f"[{''.join(map(_toml_value, value))}]"
        )
    return json.dumps(value) if isinstance(value, bool | int | float) else toml_string(str(value))


def toml_string(value: str) -> str:
    """JSON writes texts as TOML does, but for one sign that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
