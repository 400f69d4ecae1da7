"""The report as JSON: valid by its schema, nothing lost, the same bytes for the same document."""

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.render import json_report
from pipeline.render.form import COLUMNS
from pipeline.render.json_report import report_schema

from .documents import document, example, hard, report_json


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if name == "n" else value or None for name, value in row.items()}


def test_the_example_is_valid_and_whole() -> None:
    made = example()
    content = json.loads(report_json(made))
    jsonschema.validate(content, report_schema(), format_checker=jsonschema.FormatChecker())
    assert content["rows"] == [plain(row) for row in made.rows.iter_rows(named=True)]
    assert (content["digest"], content["month"], content["version"]) == (made.digest, "2026-10", 1)
    assert content["totals"] == made.totals
    assert content["header"] == made.header


def test_one_row_a_line() -> None:
    lines = report_json(document([{}, {}])).decode().splitlines()
    assert [line.strip()[:7] for line in lines if '"miner_id"' in line] == ['{"n":1,', '{"n":2,']


@given(st.lists(st.fixed_dictionaries({name: st.none() | st.text() for name in COLUMNS if name != "n"}), max_size=4))
def test_any_text_survives(rows: list[dict[str, str | None]]) -> None:
    made = document(rows)
    assert json.loads(report_json(made))["rows"] == [plain(row) for row in made.rows.iter_rows(named=True)]


def test_slices_make_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report_json(hard())
    monkeypatch.setattr(json_report, "ROWS_AT_ONCE", 3)
    assert report_json(hard()) == whole


def test_the_order_of_totals_given_does_not_show() -> None:
    made = example()
    backwards = example()
    backwards.totals.clear()
    backwards.totals.update({name: made.totals[name] for name in reversed(made.totals)})
    assert report_json(backwards) == report_json(made)


def test_no_rows_is_valid() -> None:
    jsonschema.validate(json.loads(report_json(document([]))), report_schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rows", 0, "amount"), 0.5),
        (("rows", 0, "amount"), "1e3"),
        (("rows", 0, "transfer_date"), "02.10.2026"),
        (("rows", 0, "n"), "1"),
        (("digest",), "f5"),
        (("month",), "2026-13"),
        (("header", "fax"), "1"),
        (("totals", "allocated_in_month"), {"BTC": 1.5}),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[str | int, ...], value: Any) -> None:
    content = json.loads(report_json(document([{}])))
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = copy.deepcopy(value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, report_schema())
