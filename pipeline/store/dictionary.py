"""Comments on every table, view and column, and the data dictionary made from them.

In: comments.toml (a text per column name, which a table may override) and a database. Out: COMMENT ON statements, and the
dictionary as Markdown, generated from the database's catalogue, so that `DESCRIBE`, `duckdb_columns()` and the page agree.
"""

from __future__ import annotations

import tomllib
from typing import Any

import duckdb

from pipeline.model.errors import StoreError
from pipeline.model.message import message

_RELATIONS = """
SELECT table_name AS name, 'TABLE' AS kind, comment FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT view_name, 'VIEW', comment FROM duckdb_views() WHERE NOT internal ORDER BY name
"""
_COLUMNS = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index"


def comment_statements(connection: duckdb.DuckDBPyConnection, comments_toml: str) -> list[str]:
    """COMMENT ON statements for every table, view, column and macro. Raises `StoreError` naming what has no text."""
    comments: dict[str, dict[str, Any]] = tomllib.loads(comments_toml)
    relations, columns, here = comments["relations"], comments["columns"], comments["in_one_place"]
    statements, missing = [], []
    for name, kind, _ in connection.execute(_RELATIONS).fetchall():
        said = relations.get(name)
        missing += [name] if not said else []
        statements.append(f"COMMENT ON {kind} {_name(name)} IS {_literal(said or '')}")
    for relation, column, _, _ in connection.execute(_COLUMNS).fetchall():
        said = here.get(f"{relation}.{column}") or columns.get(column)
        missing += [f"{relation}.{column}"] if not said else []
        statements.append(f"COMMENT ON COLUMN {_name(relation)}.{_name(column)} IS {_literal(said or '')}")
    for macro, said in comments["macros"].items():
        statements.append(f"COMMENT ON MACRO {_name(macro)} IS {_literal(said)}")
    if missing:
        raise StoreError(message("comments.toml has no text for {missing}: add one", missing=", ".join(missing)))
    return statements


def data_dictionary(connection: duckdb.DuckDBPyConnection) -> str:
    """The data dictionary as Markdown, from the database's own catalogue."""
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for relation, column, data_type, said in connection.execute(_COLUMNS).fetchall():
        columns.setdefault(relation, []).append((column, data_type, said))
    relations = connection.execute(_RELATIONS).fetchall()
    lines = [
        "# Data dictionary",
        "",
        "Made from the store's own catalogue: `DESCRIBE report` shows the types, and",
        "`SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'report'` the same texts.",
        "Amounts are whole base units of the asset (satoshi, wei, …) as DECIMAL(38,0); `…_printed` beside them has the asset's decimals.",
        "Instants (`…_at`) of views are TIMESTAMP in UTC; days (`…_date`, `date`) are days in Asia/Almaty.",
        "",
    ]
    for title, intro, chosen in _sections([(name, kind) for name, kind, _ in relations]):
        lines += [f"## {title}", "", intro, ""]
        for name, _, said in relations:
            if name in chosen:
                lines += [f"### {name}", "", said, "", "| column | type | meaning |", "|---|---|---|"]
                lines += [
                    f"| `{column}` | {data_type} | {meaning.replace('|', chr(92) + '|')} |" for column, data_type, meaning in columns[name]
                ]
                lines.append("")
    return "\n".join(lines)


def _sections(relations: list[tuple[str, str]]) -> list[tuple[str, str, set[str]]]:
    core = {name for name, kind in relations if kind == "VIEW" and name.startswith("core_")}
    analysts = {name for name, kind in relations if kind == "VIEW"} - core
    raw = {name for name, kind in relations if kind == "TABLE" and name.startswith("raw_")}
    rest = {name for name, kind in relations if kind == "TABLE"} - raw
    return [
        ("Views for analysts", "Start here. They are in the published copy and in every frozen month's `month.duckdb`.", analysts),
        ("Facts in force", "What enrichment reads: the main chain, the newest version of each row, the newest complete registry.", core),
        ("Results", "What enrichment last made of each month.", rest),
        ("As read from the log", "Every version and every block, stale ones too. All of it is rebuilt from the log.", raw),
    ]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
