"""A transaction of an account left out whole (forgery 3 on account chains): its number is missing, between two others or under a state."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store import Store
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import Check
from tests.integration.account_month import HOT, Delegation, chain_events, freeze, log_of, payments_block

from .forger import own_copy, rewritten
from .test_coins import without

TOLD = [transaction.txid for transaction in payments_block("00" * 32)[1]]
"""The wallet's four transactions, by number."""


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "with-states"])
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """An honest bundle, without and with proved states. Nobody changes it: copy it."""
    with Store.memory() as store:
        return freeze(log_of(chain_events(is_proved=request.param)), store, tmp_path_factory.mktemp("nonces") / "months")[0], request.param


@pytest.fixture
def bundle(frozen: tuple[Path, bool], tmp_path: Path) -> tuple[Path, bool]:
    return own_copy(frozen[0], tmp_path), frozen[1]


def nonces(bundle: Path) -> Check:
    (check,) = [check for check in verify_bundle(bundle, left_out=["documents"]) if check.name == "nonces"]
    return check


def test_an_honest_month_has_every_number(bundle: tuple[Path, bool]) -> None:
    check = nonces(bundle[0])
    assert check.holds and "4 transactions of 1 senders" in check.detail
    assert [f"{HOT} after number 3" in word for word in check.on_word] == ([] if bundle[1] else [True])


@pytest.mark.parametrize("number", [1, 2])
def test_one_left_out_between_others_is_missed_by_its_number(bundle: tuple[Path, bool], number: int) -> None:
    check = nonces(rewritten(bundle[0], **without(TOLD[number])))
    assert not check.holds and f"then number {number + 1}" in check.detail and "what it sent between them is left out" in check.detail


@pytest.mark.parametrize("number", [0, 3])
def test_the_first_or_the_last_is_missed_by_the_states(bundle: tuple[Path, bool], number: int) -> None:
    check = nonces(rewritten(bundle[0], **without(TOLD[number])))
    if bundle[1]:
        assert not check.holds and "some are left out" in check.detail
    else:
        assert check.holds and (number == 0 or f"{HOT} after number 2" in check.on_word[0]), "without states the end is the signer's word"


def test_all_left_out_are_missed_by_the_states(bundle: tuple[Path, bool]) -> None:
    forged = bundle[0]
    for txid in TOLD[:-1]:
        forged = rewritten(forged, **without(txid))
    check = nonces(rewritten(forged, **without(TOLD[-1])))
    assert check.holds is not bundle[1], "without states nothing is left that could be missed"
    assert not bundle[1] or "some are left out" in check.detail


def delegating(folder: Path, delegation: Delegation, *, is_proved: bool) -> Path:
    """A month whose wallet's second transaction carries an authorization (EIP-7702), and whose others go on two numbers later."""
    with Store.memory() as store:
        return freeze(log_of(chain_events(is_proved=is_proved, delegation=delegation)), store, folder / "months")[0]


@pytest.mark.parametrize("is_proved", [False, True], ids=["bare", "with-states"])
@pytest.mark.parametrize("chain_id", [0, 1])
def test_an_authorization_of_code_uses_a_number_up(tmp_path: Path, chain_id: int, is_proved: bool) -> None:
    honest = delegating(tmp_path, Delegation(chain_id=chain_id), is_proved=is_proved)
    checks = verify_bundle(honest, left_out=["documents"])
    assert [check.name for check in checks if not check.holds] == []
    (check,) = [check for check in checks if check.name == "nonces"]
    assert "4 transactions of 1 senders" in check.detail and "1 numbers were used by authorizations of code" in check.detail
    assert any(HOT in word for word in check.on_word) is not is_proved, "the state counts although the account runs code now"
    left_out = nonces(
        rewritten(own_copy(honest, tmp_path / "forged"), **without(payments_block("00" * 32, Delegation(chain_id=chain_id))[1][1].txid))
    )
    assert not left_out.holds and "sent number 0" in left_out.detail and "then number 3" in left_out.detail


@pytest.mark.parametrize(
    "delegation",
    [Delegation(nonce=7), Delegation(nonce=1), Delegation(chain_id=5), Delegation(key="0x" + "47" * 32)],
    ids=["a-number-to-come", "a-number-that-was", "another-chain", "another-key"],
)
def test_a_payout_left_out_is_not_explained_by_an_authorization_that_does_not_apply(tmp_path: Path, delegation: Delegation) -> None:
    check = nonces(delegating(tmp_path, delegation, is_proved=False))
    assert not check.holds and "sent number 1" in check.detail and "then number 3" in check.detail
