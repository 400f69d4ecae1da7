"""Each event type has its roles, and where a topic alone decides, all its types have the same (ADR 14)."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.closing.steps import SCHEDULE
from pipeline.log.events import KEY_EVENTS, TOPIC_OF
from pipeline.log.events.keys import Role
from pipeline.log.roles import MACHINE, ROLES, ROLES_IN, ROLES_OF, why_not


def test_every_event_type_has_its_roles():
    assert set(ROLES_OF) == set(TOPIC_OF) | set(KEY_EVENTS)
    assert set(ROLES) == set(get_args(Role)) == {role for roles in ROLES_OF.values() for role in roles}
    assert all(ROLES_OF[kind] for kind in TOPIC_OF)
    assert not any(ROLES_OF[kind] for kind in KEY_EVENTS)


def test_the_topics_roles_are_those_of_its_types():
    for topic, roles in ROLES_IN.items():
        kinds = [kind for kind, of in TOPIC_OF.items() if of == topic]
        assert set(roles) == {role for kind in kinds for role in ROLES_OF[kind]}
        if topic != "months":
            assert {ROLES_OF[kind] for kind in kinds} == {roles}, "the topic alone decides there"


def test_what_a_person_decides_is_for_the_role_decide_alone():
    for tag in ("label", "waive", "approved", "as-frozen"):
        assert why_not("months", tag, "Aigul", "Aigul", ["decide"]) == ""
        assert why_not("months", tag, "Aigul", "Aigul", ["file", "import", "watch", "capture"]) != ""


@pytest.mark.parametrize("tag", ["frozen", "drafted", "answered", "submitting"])
def test_the_program_and_a_person_may_both_take_these_steps_each_in_their_name(tag: str):
    assert MACHINE == SCHEDULE
    assert why_not("months", tag, MACHINE, "esep schedule", ["file"]) == ""
    assert why_not("months", tag, "Aigul", "Aigul", ["decide"]) == ""
    assert why_not("months", tag, MACHINE, "Aigul", ["decide"]) != ""
    assert why_not("months", tag, "Aigul", "esep schedule", ["file"]) != ""


def test_an_unknown_type_is_for_nobody():
    assert why_not("months", "miracle", "Aigul", "Aigul", list(ROLES)) != ""
