"""docs/rules.md: every rule that a message, a document or the code cites stands there, with an example; `esep rule` prints it."""

import re
from pathlib import Path

import pytest

from pipeline.app.rules_text import rules
from pipeline.cli.rule import rule
from pipeline.model.errors import SettingsError

ROOT = Path(__file__).parents[3]
CITED = re.compile(r"\b[Rr]ules? ((?:[0-9]+\.[0-9]+(?:,? and |, |–)?)+)|\b([0-9]+\.[0-9]+)-қағида|правил[аоу]? ([0-9]+\.[0-9]+)")


def cited() -> dict[str, str]:
    """Every rule's number that is cited, with one place that does."""
    found: dict[str, str] = {}
    for folder, kinds in (("pipeline", ("py", "sql", "po", "toml")), ("connectors", ("py",)), ("docs", ("md",)), ("config", ("toml",))):
        for kind in kinds:
            for path in sorted((ROOT / folder).rglob(f"*.{kind}")):
                for match in CITED.finditer(path.read_text(encoding="utf-8")):
                    for number in re.findall(r"[0-9]+\.[0-9]+", match[0]):
                        found.setdefault(number, str(path.relative_to(ROOT)))
    return found


def test_every_rule_that_is_cited_is_explained_with_an_example() -> None:
    known, wanted = rules(), cited()
    assert len(wanted) > 40
    assert {number: place for number, place in wanted.items() if number not in known} == {}
    assert [number for number, (title, text) in known.items() if not title or "Example: " not in text] == []


def test_headings_have_the_anchors_that_links_lead_to() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    for number in rules():
        assert f"{{ #rule-{number.replace('.', '-')} }}" in page, number


def test_a_rule_is_printed_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    rule("5.3")
    said = capsys.readouterr().out
    assert said.startswith("5.3 Why amounts may differ\n") and "subtracted-fee" in said and "Example:" in said
    rule()
    assert "10.9  Payers in the files" in capsys.readouterr().out


def test_a_number_that_no_rule_has_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"there is no rule '5\.9': esep rule lists them"):
        rule("5.9")
