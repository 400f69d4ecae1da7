"""The generated pages in docs/ are what the program makes, and the JSON Schemas hold for its events."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pipeline.cli.reference import pages
from pipeline.log.events import encode, json_schemas

from ..store.streams import example_events

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", ["data-dictionary.md", "events.md", "events.schema.json"])
def test_the_committed_page_is_current(name: str):
    assert (DOCS / name).read_text("utf-8") == pages()[name], "make them anew: python -m pipeline.cli.reference docs"


def test_descriptions_have_no_indentation_of_the_code():
    described = [one["description"] for one in json_schemas()["$defs"].values() if "description" in one]
    assert any("\n" in text for text in described), "none has two paragraphs"
    assert not [text for text in described if "\n " in text]


def test_events_hold_their_schema_and_broken_ones_do_not():
    validator = jsonschema.Draft202012Validator(json_schemas())
    seen = set()
    for events in example_events().values():
        for event in events:
            document = json.loads(encode(event).value)
            seen.add(document["type"])
            validator.validate(document)
            assert not validator.is_valid(document | {"unexpected": 1})
            assert not validator.is_valid({k: v for k, v in document.items() if k != "id"})
    assert seen >= {
        "watch",
        "connect",
        "stretch",
        "disconnect",
        "allocations",
        "payments",
        "openings",
        "complete",
        "registry",
        "label",
        "waive",
    }


def test_every_kind_of_event_and_field_is_on_the_page():
    page = pages()["events.md"]
    for definition in json_schemas()["$defs"].values():
        for field in definition["properties"]:
            assert f"| `{field}` |" in page
