"""The report as JSON, and the JSON Schema of it.

What enters: a `Document`. What leaves: UTF-8 JSON with one row a line, empty fields null, amounts as strings (a JSON
number would lose digits, law 7), dates ISO 8601; the same document gives the same bytes. Language-neutral: labels are in the schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any

import polars as pl

from .csv_parts import ROWS_AT_ONCE
from .document import HEADER_FIELDS, Document
from .form import form

SCHEMA_ID = "urn:esep:report:1"


def write_report_json(document: Document, file: IO[bytes], *, on_progress: Callable[[int], None] = lambda _: None) -> None:
    """Write the report as JSON to a binary file, a slice of the rows at a time; `on_progress`: how many are done."""
    head = {
        "schema": SCHEMA_ID,
        "form": form().index,
        "month": str(document.month),
        "version": document.version,
        "digest": document.digest,
        "header": {name: document.header.get(name, "") for name in HEADER_FIELDS},
        "totals": form().in_order(document.totals),
    }
    opening = json.dumps(head, ensure_ascii=False, indent=1)
    file.write(opening.removesuffix("\n}").encode() + b',\n "rows": [')
    done = 0
    for part in document.rows.iter_slices(ROWS_AT_ONCE):
        lines = part.with_columns(pl.col("n").cast(pl.Int64), pl.exclude("n").replace("", None)).write_ndjson().rstrip("\n")
        file.write((",\n  " if done else "\n  ").encode() + lines.replace("\n", ",\n  ").encode())
        done += part.height
        on_progress(done)
    file.write(b"\n ]\n}\n" if document.rows.height else b"]\n}\n")


def report_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `write_report_json` writes; headings in it are the form's."""
    amount = {"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"}
    by_name = {"type": "object", "additionalProperties": {"type": "string"}}
    values: dict[str, dict[str, Any]] = {
        "integer": {"type": "integer", "minimum": 1},
        "text": {"type": ["string", "null"]},
        "date": {"type": ["string", "null"], "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "amount": {"type": ["string", "null"], "pattern": amount["pattern"]},
    }
    row = {}
    for number, column in enumerate(form().column, 1):
        # Rule 9.7: a currency's amount is the ledger's own text.
        kind = "text" if column.name == "commission_currency_amount" else column.kind
        row[column.name] = {**values[kind], "title": column.en, "description": f"Column {number}: {column.kk}"}
    totals = {
        total.name: {**({"type": "integer", "minimum": 0} if total.name.endswith("_count") else by_name), "title": total.en}
        for total in form().total
    }
    properties = {
        "schema": {"const": SCHEMA_ID},
        "form": {"const": form().index},
        "month": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
        "version": {"type": "integer", "minimum": 1, "description": "greater than 1 for an amendment"},
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the canonical report.csv"},
        "header": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in HEADER_FIELDS},
            "required": list(HEADER_FIELDS),
            "additionalProperties": False,
        },
        "totals": {
            "type": "object",
            "description": "amounts by asset or currency, with all decimals",
            "properties": totals,
            "required": list(totals),
        },
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": row, "required": list(row), "additionalProperties": False},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": f"The monthly form {form().index} of a digital mining pool",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
