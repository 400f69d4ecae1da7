"""Every table, view and column says what it means, in the catalogue and on the page alike."""

from __future__ import annotations

import re
import tomllib

import duckdb
import pytest

from pipeline.model.errors import StoreError
from pipeline.store.dictionary import comment_statements, data_dictionary
from pipeline.store.store import prepare, text


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(":memory:") as connection:
        prepare(connection, ":memory:")
        yield connection


def test_no_table_view_or_column_lacks_a_comment(connection):
    silent = connection.execute("""
        SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''
        UNION ALL SELECT table_name, NULL FROM duckdb_tables() WHERE NOT internal AND coalesce(comment, '') = ''
        UNION ALL SELECT view_name, NULL FROM duckdb_views() WHERE NOT internal AND coalesce(comment, '') = ''
    """).fetchall()
    assert silent == []


def test_no_text_is_left_for_what_no_longer_exists(connection):
    comments = tomllib.loads(text("comments.toml"))
    columns = connection.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    tables = {table for table, _ in columns}
    assert set(comments["relations"]) == tables
    assert set(comments["in_one_place"]) <= {f"{table}.{column}" for table, column in columns}
    used = {column for table, column in columns if f"{table}.{column}" not in comments["in_one_place"]}
    assert set(comments["columns"]) == used


def test_a_column_without_a_text_is_an_error_that_names_it(connection):
    without = re.sub(r"(?m)^allocation_date = .*$", "", text("comments.toml"))
    with pytest.raises(StoreError, match=r"allocations\.allocation_date"):
        comment_statements(connection, without)


def test_the_page_and_describe_say_the_same(connection):
    page = data_dictionary(connection)
    sections = dict(re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^##|\Z)", page))
    relations = connection.execute("SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    assert set(sections) == {name for (name,) in relations}
    for name, section in sections.items():
        described = [(row[0], row[1]) for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
        comments = dict(
            connection.execute("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $name", {"name": name}).fetchall()
        )
        printed = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \| (.*) \|$", section)
        assert [(column, kind) for column, kind, _ in printed] == described
        assert {column: meaning for column, _, meaning in printed} == comments


def test_every_analyst_view_is_described_before_the_tables(connection):
    page = data_dictionary(connection)
    titles = re.findall(r"(?m)^## (.*)$", page)
    assert titles == ["Views for analysts", "Facts in force", "Results", "As read from the log"]
    assert page.index("### report") < page.index("## Facts in force") < page.index("### core_allocation") < page.index("### out_report")
