"""The settings' reference page, printed from the models themselves.

Leaves: Markdown, a table for each section: key, type, default, meaning.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .faults import section_at, variants
from .models import Settings


def reference_page() -> str:
    """`docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Every key of `esep.toml`. This page is printed from the program (`make docs`); `config/esep.toml` is the file to begin from.",
        "Secrets come from the environment or from files, never from `esep.toml`.",
    ]
    for place, section in sections(Settings):
        lines += [
            "",
            f"## {place or 'Top level'}",
            "",
            " ".join((section.__doc__ or "").split()),
            "",
            "| key | value | default | meaning |",
            "|---|---|---|---|",
        ]
        for name, field in section.model_fields.items():
            if not field.exclude and not _is_section(field):
                lines.append(f"| `{field.alias or name}` | {_kind(section, name)} | {_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def sections(model: type[BaseModel], place: str = "") -> list[tuple[str, type[BaseModel]]]:
    """Every table of the settings with its place: `("[[chains.NAME.wallets]]", WalletSettings)`."""
    found = [(place, model)]
    path = place.strip("[]")
    for name, field in model.model_fields.items():
        if several := variants(field.annotation):
            for one in several:
                found += sections(one, f"[{name}.NAME]")
            continue
        inner = section_at(model, (name,)) if _is_section(field) else None
        if inner is not None:
            below = f"{path}.{name}" if path else name
            text = str(field.annotation)
            if "dict[" in text:
                found += sections(inner, f"[{below}.NAME]")
            else:
                found += sections(inner, f"[[{below}]]" if "tuple[" in text else f"[{below}]")
    return found


def _is_section(field: FieldInfo) -> bool:
    return any(name in str(field.annotation) for name in ("Settings", "Columns", "LedgerFiles", "RegistryFiles", "AnySource"))


def _kind(section: type[BaseModel], name: str) -> str:
    """The value's kind in words with its limits, from the JSON Schema that checks it."""
    field = section.model_fields[name]
    shape: dict[str, Any] = _properties(section)[field.alias or name]
    shape = next((option for option in shape.get("anyOf", []) if option.get("type") != "null"), shape)
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    kinds = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`", "array": "list of texts", "object": "table"}
    words = kinds[shape["type"]]
    if shape.get("items", {}).get("type") == "integer":
        return "list of whole numbers"
    low, high = shape.get("minimum"), shape.get("maximum")
    return f"{words}, {low} to {high}" if high is not None else f"{words}, {low} or more" if low is not None else words


@cache
def _properties(section: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of each key: that of a whole section is made at once, and of the outermost it takes 30 ms."""
    schema: dict[str, Any] = section.model_json_schema(mode="validation")["properties"]
    return schema


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "none"
    value = field.default
    if value is None or value in ((), "") or value is PydanticUndefined or isinstance(value, SecretStr):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{value}`"
