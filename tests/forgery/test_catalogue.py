"""Every forgery of the catalogue is caught by the check that should, in its words, and never ends with exit code 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.verify.bundle import CHECKS

from .catalogue import FORGERIES, Forgery
from .forger import came_to
from .signatures import signed, trusted


@pytest.mark.parametrize("forgery", FORGERIES, ids=str)
def test_a_forgery_is_caught_and_named(bundle: Path, forgery: Forgery) -> None:
    forgery.forge(bundle)
    failing, said, code = came_to(bundle, forgery.check, trusted() if forgery.is_trusting else [])
    assert forgery.check in failing and forgery.named in said, said
    assert code == 8


def test_names_are_one_forgery_s_each() -> None:
    assert len({str(forgery) for forgery in FORGERIES}) == len(FORGERIES)


def test_every_check_is_some_forgery_s() -> None:
    """Accounts, their numbers, signed decisions and public time have forgeries of their own beside this catalogue; the rest of the checks are shown here."""
    elsewhere = {"account balances", "decisions", "nonces", "public time"}
    assert {name for name, _ in CHECKS} - {forgery.check for forgery in FORGERIES} <= elsewhere


def test_an_honest_signature_holds(bundle: Path) -> None:
    """The forger's tools make no fault: what is caught above is the forgery."""
    assert came_to(signed(bundle), "signatures", trusted()) == (set(), "", 0)
