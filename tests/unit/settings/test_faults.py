"""The words for keys that are gone: each names a key that the settings have, and none is a key itself."""

from __future__ import annotations

import re

import pytest

from pipeline.settings import Settings
from pipeline.settings.faults import REMOVED, section_at

NO_SUCCESSOR = {"chains.*.password", "chains.*.rpc_password", "report.formats"}


def has_key(place: str) -> bool:
    """Whether the settings have the key at that place, `chains.<name>.user` or `chains.*.user`."""
    *above, key = place.split(".")
    section = section_at(Settings, above)
    return section is not None and any(key == (field.alias or name) for name, field in section.model_fields.items() if not field.exclude)


@pytest.mark.parametrize("removed", sorted(REMOVED))
def test_a_removed_key_is_gone_and_its_successor_is_there(removed: str) -> None:
    assert not has_key(removed)
    if removed not in NO_SUCCESSOR:
        named = re.match(r"is now (?:the table \[(\w+)\]|([\w.<>]+))", REMOVED[removed])
        assert named, f"{removed}: its words name no successor: {REMOVED[removed]}"
        assert has_key(named[1] or named[2]), f"{removed}: {named[0]}, which is not there"


def test_what_is_asked_is_whether_the_key_stands_at_that_place() -> None:
    assert (
        has_key("chains.<name>.user")
        and has_key("labels.class")
        and has_key("payout_unit")
        and has_key("chains.<name>.wallets.descriptors")
    )
    assert not has_key("user") and not has_key("chains.<name>.class") and not has_key("nowhere.user")
