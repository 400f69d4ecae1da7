"""The templates: every word in the catalogue, nothing inline that the policy would refuse, no arithmetic and no SQL."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from pipeline.texts.collect import messages_in_template, untranslated_in_template
from pipeline.web.layout import environment

FOLDER = Path(str(files("pipeline.web") / "templates"))
TEMPLATES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_word_stands_outside_the_catalogue(name: str) -> None:
    assert untranslated_in_template((FOLDER / name).read_text("utf-8")) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_inline_and_nothing_is_fetched_from_elsewhere(name: str) -> None:
    source = (FOLDER / name).read_text("utf-8")
    assert not re.search(r"""\sstyle=|<style|\son[a-z]+=|javascript:|hx-on|https?://|<script(?![^>]*\ssrc=)""", source)
    assert "safe" not in {node.name for node in Environment(autoescape=True).parse(source).find_all(nodes.Filter)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_compute_nothing(name: str) -> None:
    """Lengths and places in a list are layout; sums, differences and products are not."""
    tree = Environment(autoescape=True).parse((FOLDER / name).read_text("utf-8"))
    arithmetic = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)
    assert [type(node).__name__ for node in tree.find_all(arithmetic)] == []
    assert "sum" not in {node.name for node in tree.find_all(nodes.Filter)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_compiles(name: str) -> None:
    environment("kk").get_template(name)


def test_words_outside_the_catalogue_are_found() -> None:
    assert untranslated_in_template("<p>Hello {{ gettext('there') }}</p>") == ["Hello"]
    assert untranslated_in_template('<a title="Look">{{ gettext("x") }}</a>') == ["Look"]
    assert untranslated_in_template("{% if a %}<p class='b'>{{ gettext('x') }}: {{ b }}</p>{% endif %}") == []
    assert list(messages_in_template("{% if a %}{{ ngettext('{count} a', '{count} b', n) }}{% endif %}")) == [("{count} a", "{count} b")]
