"""A transaction of an account left out whole (forgery 3 on account chains): its number is missing, between two others or under a state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.log.events.chain import Connect, Output, Transaction
from pipeline.verify.finding import Check, judge
from tests.integration.account_month import HOT, Delegation, chain_events, freeze, log_of, payments_block
from tests.unit.store.streams import empty_store

from .forger import check_of, own_copy, rewritten, verified, without_forms
from .test_coins import without

pytestmark = pytest.mark.usefixtures("remembering")

TOLD = [transaction.txid for transaction in payments_block("00" * 32)[1]]
"""The wallet's four transactions, by number."""


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "with-states"])
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """An honest bundle, without and with proved states. Nobody changes it: copy it."""
    with empty_store() as store:
        return freeze(log_of(chain_events(is_proved=request.param)), store, tmp_path_factory.mktemp("nonces") / "months")[0], request.param


@pytest.fixture
def bundle(frozen: tuple[Path, bool], tmp_path: Path) -> tuple[Path, bool]:
    return own_copy(frozen[0], tmp_path), frozen[1]


def nonces(bundle: Path) -> Check:
    return check_of(bundle, "nonces")


@pytest.fixture(scope="module", autouse=True)
def no_forms() -> Iterator[None]:
    """No test here opens them."""
    with without_forms():
        yield


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


def delegating(folder: Path, delegation: Delegation, *, is_proved: bool, told_from: int | None = 100) -> Path:
    """A month in which a transaction carries an authorization of the wallet's (EIP-7702), and the later ones go on one number higher."""
    events = chain_events(is_proved=is_proved, delegation=delegation, told_from=told_from)
    with empty_store() as store:
        return freeze(log_of(events), store, folder / "months")[0]


@pytest.mark.parametrize("is_proved", [False, True], ids=["bare", "with-states"])
@pytest.mark.parametrize("chain_id", [0, 1])
def test_an_authorization_of_code_uses_a_number_up(tmp_path: Path, chain_id: int, is_proved: bool) -> None:
    honest = delegating(tmp_path, Delegation(chain_id=chain_id), is_proved=is_proved)
    checks = verified(honest, left_out=["documents"])
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


STRANGERS = Delegation(nonce=1, is_strangers=True)


@pytest.mark.parametrize("is_proved", [False, True], ids=["bare", "with-states"])
def test_an_authorization_that_a_stranger_carries_is_told_and_proved(tmp_path: Path, is_proved: bool) -> None:
    honest = delegating(tmp_path, STRANGERS, is_proved=is_proved)
    checks = verified(honest, left_out=["documents"])
    assert [check.name for check in checks if not check.holds] == []
    (check,) = [check for check in checks if check.name == "nonces"]
    assert "4 transactions of 1 senders" in check.detail and "none is left out" in check.detail and "1 numbers were used" in check.detail
    assert not check.undecided


@pytest.mark.parametrize("is_proved", [False, True], ids=["bare", "with-states"])
def test_the_carrier_left_out_is_missed_by_the_number(tmp_path: Path, is_proved: bool) -> None:
    honest = delegating(tmp_path, STRANGERS, is_proved=is_proved)
    carrier = payments_block("00" * 32, STRANGERS)[1][1]
    assert not carrier.inputs and not carrier.outputs
    check = nonces(rewritten(own_copy(honest, tmp_path / "forged"), **without(carrier.txid)))
    assert not check.holds and "sent number 0" in check.detail and "then number 2" in check.detail


@pytest.mark.parametrize("told_from", [None, 102], ids=["never", "later"])
@pytest.mark.parametrize("is_proved", [False, True], ids=["bare", "with-states"])
def test_a_month_read_before_strangers_transactions_were_told_is_not_accused(
    tmp_path: Path, is_proved: bool, told_from: int | None
) -> None:
    honest = delegating(tmp_path, STRANGERS._replace(is_told=False), is_proved=is_proved, told_from=told_from)
    checks = verified(honest, left_out=["documents"])
    assert [check.name for check in checks if not check.holds] == []
    (check,) = [check for check in checks if check.name == "nonces"]
    assert "then number 2" in check.undecided and "which were not told" in check.undecided and "none is left out" not in check.detail
    assert judge([check]).exit_code == 13, "it is not called proved"


def test_what_code_that_the_account_runs_may_have_used_up_is_not_accused(tmp_path: Path) -> None:
    """Once the account runs code, that code makes contracts under the account's own numbers."""
    delegation = Delegation()
    honest = delegating(tmp_path, delegation, is_proved=True)
    after = payments_block("00" * 32, delegation)[1][2]
    check = nonces(rewritten(own_copy(honest, tmp_path / "forged"), **without(after.txid)))
    assert check.holds and "or the code that it runs made contracts" in check.undecided and judge([check]).exit_code == 13


def test_who_takes_back_that_authorizations_are_told_proves_nothing(bundle: tuple[Path, bool]) -> None:
    """A payout is left out, and the manifest no longer says from which block on authorizations are told: it might be an honest older bundle, and is not called proved."""

    def taken_back(manifest: dict[str, Any]) -> None:
        del manifest["chains"]["ethereum"]["authorizations_from"]

    forged = rewritten(bundle[0], **without(TOLD[1]), manifest=taken_back)
    checks = {check.name: check for check in verified(forged, left_out=["documents"])}
    assert "then number 2" in checks["nonces"].undecided
    assert judge([checks["nonces"]]).exit_code == 13


def test_what_a_block_credits_is_nobody_s_transaction(tmp_path: Path) -> None:
    """A reward is told under its block's hash and has no proof: senders' numbers are compared all the same."""
    events = chain_events(is_proved=True)
    last = events[-1]
    assert isinstance(last, Connect)
    reward = Output(vout=0, value="5", address=HOT, wallet="hot", asset="ETH", script_type="account", ref="reward")
    credit = Transaction(
        txid=last.hash, position=0, is_coinbase=True, inputs=[], other_inputs=0, other_inputs_value="0", outputs=[reward], fee="0", fee_asset="ETH",
    )  # fmt: skip
    events[-1] = replace(last, transactions=[credit])
    with empty_store() as store:
        check = nonces(freeze(log_of(events), store, tmp_path / "months")[0])
    assert check.holds and "4 transactions of 1 senders" in check.detail and not any("can't be compared" in word for word in check.on_word)
