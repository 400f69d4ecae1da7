"""Every forgery of the catalogue is caught by the check that should, in its words, and never ends with exit code 0."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.verify.bundle import CHECKS

from .catalogue import FORGERIES, REFUSED, Forgery
from .catalogue_bases import OTHERS
from .forger import came_to, own_copy, without_forms
from .signatures import signed as with_signature
from .signatures import trusted

pytestmark = pytest.mark.usefixtures("remembering")


def forge(forgery: Forgery, bundle: Path) -> None:
    """The forgery made; what it writes anew has forms where the check that is asked, or all of them, would look for them."""
    with nullcontext() if forgery.check in ("documents", "files", REFUSED) else without_forms():
        forgery.forge(bundle)


@pytest.mark.parametrize("forgery", OTHERS, ids=str)
def test_a_forgery_of_another_month_is_caught_and_named(honest_of: dict[str, Path], tmp_path: Path, forgery: Forgery) -> None:
    bundle = own_copy(honest_of[forgery.base], tmp_path)
    forge(forgery, bundle)
    failing, said, code = came_to(bundle, forgery.check, root_key=forgery.root_key)
    assert forgery.check in failing and forgery.named in said, said
    assert code == 8


@pytest.mark.parametrize("forgery", FORGERIES, ids=str)
def test_a_forgery_is_caught_and_named(bundle: Path, forgery: Forgery) -> None:
    forge(forgery, bundle)
    failing, said, code = came_to(bundle, forgery.check, trusted() if forgery.is_trusting else [])
    assert forgery.check in failing and forgery.named in said, said
    assert code == 8


def test_names_are_one_forgery_s_each() -> None:
    every = (*FORGERIES, *OTHERS)
    assert len({str(forgery) for forgery in every}) == len(every)


def test_every_check_is_some_forgery_s() -> None:
    assert {name for name, _ in CHECKS} == {forgery.check for forgery in (*FORGERIES, *OTHERS)} - {REFUSED}


def test_an_honest_signature_holds(bundle: Path) -> None:
    """The forger's tools make no fault: what is caught above is the forgery."""
    assert came_to(with_signature(bundle), "signatures", trusted()) == (set(), "", 0)
