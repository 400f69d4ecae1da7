"""Versions of ledger rows: new, changed, changed back, unchanged."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.validate.restate import newest, restate

SCHEMA = {"id": pl.String, "amount": pl.Int128, "note": pl.String}
FILES = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 2), st.sampled_from([None, "n"])), max_size=6), max_size=6
)


def rows(content: dict[str, tuple[int, str | None]]) -> pl.DataFrame:
    return pl.DataFrame([(key, *value) for key, value in content.items()], schema=SCHEMA, orient="row")


def test_changed_and_changed_back_is_two_restatements() -> None:
    held = pl.DataFrame(schema={**SCHEMA, "version": pl.Int32})
    versions = []
    for amount in (1, 2, 1):
        step = restate(rows({"a": (amount, None)}), held, ["id"])
        versions += step.rows["version"].to_list()
        held = newest(pl.concat([held, step.rows.select(held.columns)]), ["id"])
    assert versions == [1, 2, 3]
    assert held.select("amount", "version").row(0) == (1, 3)


def test_an_empty_value_that_is_filled_is_a_change() -> None:
    first = restate(rows({"a": (1, None)}), pl.DataFrame(schema={**SCHEMA, "version": pl.Int32}), ["id"]).rows
    assert restate(rows({"a": (1, "n")}), first, ["id"]).changed == 1
    assert restate(rows({"a": (1, None)}), first, ["id"]).unchanged == 1


@settings(max_examples=40, deadline=None)
@given(FILES)
def test_the_newest_versions_are_what_the_files_said_last(files: list[dict[str, tuple[int, str | None]]]) -> None:
    log = pl.DataFrame(schema={**SCHEMA, "version": pl.Int32})
    said: dict[str, tuple[int, str | None]] = {}
    for content in files:
        step = restate(rows(content), newest(log, ["id"]), ["id"])
        assert step.new == len(content.keys() - said.keys())
        assert step.changed == sum(said[key] != value for key, value in content.items() if key in said)
        assert step.new + step.changed == len(step.rows) and step.unchanged == len(content) - len(step.rows)
        log = pl.concat([log, step.rows.select(log.columns)])
        said.update(content)
        assert restate(rows(content), newest(log, ["id"]), ["id"]).rows.is_empty()
    assert not log.select("id", "version").is_duplicated().any()
    assert {key: (amount, note) for key, amount, note, _ in newest(log, ["id"]).iter_rows()} == said
    assert {key: (amount, note) for key, amount, note, _ in newest(log.reverse(), ["id"]).iter_rows()} == said
