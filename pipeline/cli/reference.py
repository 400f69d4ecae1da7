"""The pages of docs/ that are made from the program itself: events, their JSON Schemas, the data dictionary.

Out: file names and contents. `python -m pipeline.cli.reference docs` writes them anew; a test proves that the files in
docs/ are what this module makes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

from pipeline.log.events import TOPIC_OF, json_schemas
from pipeline.log.events.audit import AUDIT_EVENTS
from pipeline.log.protocol import TOPICS
from pipeline.store.dictionary import data_dictionary
from pipeline.store.store import prepare

Schema = dict[str, Any]


def pages() -> dict[str, str]:
    """Each page's content by its file name."""
    with duckdb.connect(":memory:") as connection:
        prepare(connection, ":memory:")
        dictionary = data_dictionary(connection)
    schemas = json_schemas()
    return {
        "data-dictionary.md": dictionary,
        "events.md": events_page(schemas),
        "events.schema.json": json.dumps(schemas, ensure_ascii=False, indent=1) + "\n",
    }


def events_page(schemas: Schema) -> str:
    """The events of the log as Markdown: by topic, each field with its type and meaning."""
    definitions: dict[str, Schema] = schemas["$defs"]
    lines = [
        "# Events of the log",
        "",
        "Each event is one JSON document, checked against [events.schema.json](events.schema.json) when it is read. `type` names the",
        "kind of event, `schema` the version of its form; a reader refuses a version newer than it knows. `id` is unique within topic",
        "and key. Money is whole base units of the asset as decimal text.",
        "",
    ]
    for topic in TOPICS:
        lines += [f"## Topic `{topic}`", ""]
        for kind in (kind for kind, its_topic in TOPIC_OF.items() if its_topic == topic):
            lines += _section(kind.__name__, definitions[kind.__name__], "###")
    lines += ["## Topic `audit`", "", "Read by itself: no fact of a month, and no key signs it.", ""]
    for kind in AUDIT_EVENTS:
        lines += _section(kind.__name__, definitions[kind.__name__], "###")
    kinds = {kind.__name__ for kind in (*TOPIC_OF, *AUDIT_EVENTS)}
    lines += ["## Parts of events", ""]
    for name in sorted(set(definitions) - kinds):
        lines += _section(name, definitions[name], "###")
    return "\n".join(lines)


def _section(name: str, definition: Schema, mark: str) -> list[str]:
    properties: dict[str, Schema] = definition["properties"]
    tag = properties.get("type", {}).get("enum", [None])[0]
    said = " ".join(definition.get("description", "").split())
    needed = set(definition.get("required", ()))
    lines = [f"{mark} {f'`{tag}`' if tag else name}", "", *([said, ""] if said else []), "| field | type | meaning |", "|---|---|---|"]
    for field, schema in properties.items():
        meaning = schema.get("description", "") or schema.get("items", {}).get("description", "")
        optional = "" if field in needed else f" (`{json.dumps(schema.get('default'))}` when left out)"
        lines.append(f"| `{field}` | {_type(schema)} | {(meaning + optional).strip().replace('|', chr(92) + '|')} |")
    return [*lines, ""]


def _type(schema: Schema) -> str:
    """A JSON Schema's type in words: `list of text or null`."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        inner = _type(schema["items"])
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    if kind == "object" and "additionalProperties" in schema:
        values = schema["additionalProperties"]
        return f"object of {_type(values)}" if isinstance(values, dict) and values else "object"
    words = {"string": "text", "integer": "integer", "boolean": "true or false", "null": "null", "object": "object"}
    return words.get(kind, "any") if isinstance(kind, str) else "any"


def main(folder: str) -> None:
    """Write the pages into `folder`."""
    for name, content in pages().items():
        (Path(folder) / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
