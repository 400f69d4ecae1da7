"""Movements become inputs and outputs without a unit lost or made (ADR 7)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.evm.movements import Movement
from connectors.evm.netting import MAX_UNITS, net
from pipeline.model.errors import SourceError

TX = "ab" * 32
POOL = {"p1": "hot", "p2": "cold"}
KNOWN = frozenset(("ETH", "USDT"))
movements = st.lists(
    st.builds(
        Movement,
        asset=st.sampled_from(["ETH", "USDT"]),
        sender=st.sampled_from(["p1", "p2", "a", "b", "c"]),
        recipient=st.sampled_from(["p1", "p2", "a", "b", "c"]),
        value=st.integers(1, 50),
        ref=st.just("tx"),
    ),
    max_size=12,
)


def told(*moves: Movement, fee: int = 0, payer: str | None = None):
    return net(TX, moves, POOL, asset="ETH", known=KNOWN, fee=fee, fee_payer=payer)


@settings(deadline=None)
@given(movements, st.integers(0, 9), st.sampled_from([None, "p1"]))
def test_inputs_equal_outputs_and_fee_for_each_asset(moves: list[Movement], fee: int, payer: str | None) -> None:
    fee = fee if payer else 0
    found = told(*moves, fee=fee, payer=payer)
    if found is None:
        assert payer is None and not any(m.sender in POOL or m.recipient in POOL for m in moves)
        return
    balance: Counter[str] = Counter({"ETH": found.other_inputs_value - fee, "USDT": 0})
    for taken in found.inputs:
        balance[taken.asset] += int(taken.value)
    for output in found.outputs:
        balance[output.asset] -= int(output.value)
    strangers = {"a", "b", "c"}
    assert balance["ETH"] == 0
    gains: Counter[str] = Counter()
    for m in moves:
        if m.asset == "USDT":
            gains[m.recipient] += m.value
            gains[m.sender] -= m.value
    paid_in_usdt = any(m.asset == "USDT" and m.sender in POOL for m in moves)
    lost = (
        sum(-gains[a] for a in strangers if gains[a] < 0)
        if paid_in_usdt
        else sum(m.value for m in moves if m.asset == "USDT" and m.recipient in POOL and m.sender in strangers)
    )
    assert balance["USDT"] == -lost
    for address in POOL:
        own = sum(int(o.value) for o in found.outputs if o.address == address and o.asset == "ETH")
        spent = sum(int(i.value) for i in found.inputs if i.address == address and i.asset == "ETH")
        truth = sum(m.value for m in moves if m.recipient == address and m.asset == "ETH")
        truth -= sum(m.value for m in moves if m.sender == address and m.asset == "ETH") + (fee if address == payer else 0)
        assert own - spent == truth
    assert [o.vout for o in found.outputs] == list(range(len(found.outputs)))
    assert [i.vout for i in found.inputs] == list(range(len(found.inputs)))


def test_a_batch_contract_shows_whom_it_paid_and_what_it_kept() -> None:
    found = told(
        Movement("ETH", "p1", "batch", 25, "tx"), Movement("ETH", "batch", "a", 10, "call:0"), Movement("ETH", "batch", "b", 10, "call:1"),
        fee=3, payer="p1",
    )  # fmt: skip
    assert found is not None
    assert [(i.address, i.value) for i in found.inputs] == [("p1", "25"), ("p1", "3")]
    assert [(o.address, o.value, o.ref) for o in found.outputs] == [("batch", "5", "tx"), ("a", "10", "call:0"), ("b", "10", "call:1")]
    assert (found.other_inputs, found.other_inputs_value) == (0, 0)


def test_a_contract_that_adds_of_its_own_is_another_input() -> None:
    found = told(Movement("ETH", "p1", "batch", 5, "tx"), Movement("ETH", "batch", "a", 9, "call:0"))
    assert found is not None
    assert [(o.address, o.value) for o in found.outputs] == [("a", "9")]
    assert (found.other_inputs, found.other_inputs_value) == (1, 4)


def test_what_strangers_do_in_an_asset_that_left_no_wallet_is_not_told() -> None:
    found = told(Movement("ETH", "a", "p1", 5, "tx"), Movement("ETH", "a", "b", 7, "call:0"), Movement("USDT", "a", "b", 9, "log:0"))
    assert found is not None
    assert [(o.address, o.value, o.wallet) for o in found.outputs] == [("p1", "5", "hot")]
    assert (found.other_inputs, found.other_inputs_value) == (1, 5)


def test_a_failed_transaction_is_its_fee() -> None:
    found = told(fee=21, payer="p1")
    assert found is not None and [(i.value, i.wallet) for i in found.inputs] == [("21", "hot")] and found.outputs == []


def test_an_unknown_token_may_claim_anything_and_a_known_one_may_not() -> None:
    forged = told(Movement("0xspam", "p1", "a", 2**256 - 1, "log:0"))
    assert forged is not None and forged.outputs[0].value == str(MAX_UNITS) == "9" * 38
    with pytest.raises(SourceError, match="more than the 38 digits"):
        told(Movement("USDT", "p1", "a", 2**256 - 1, "log:0"))
