"""The tries: every item of lists of all lengths is proven, and nothing else is."""

from __future__ import annotations

import pytest

from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.trie import account_balance, check
from tests.evm_encoding import prove, prove_each, state_trie, trie_root


def items(count: int) -> list[bytes]:
    return [bytes([1 + n % 250]) * (1 + n * 37 % 300) for n in range(count)]


def test_the_root_of_nothing_is_the_one_in_every_empty_block() -> None:
    assert trie_root([]).hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"


@pytest.mark.parametrize("count", [1, 2, 16, 17, 128, 129, 300])
def test_every_item_is_proven_and_the_next_place_is_not(count: int) -> None:
    listed = items(count)
    root = trie_root(listed)
    places = sorted({0, 1 % count, count // 2, count - 1, min(127, count - 1), min(128, count - 1)})
    for index, nodes in zip(places, prove_each(listed, places), strict=True):
        assert nodes == prove(listed, index)
        assert check(root, index, nodes) == listed[index]
        with pytest.raises(ValueError, match="its proof"):
            check(root, count, nodes)


def test_a_changed_proof_holds_nothing() -> None:
    listed = items(200)
    root, nodes = trie_root(listed), prove(listed, 77)
    assert len(nodes) > 1
    for place, node in enumerate(nodes):
        for at in (0, len(node) // 2, len(node) - 1):
            forged = [*nodes[:place], node[:at] + bytes([node[at] ^ 1]) + node[at + 1 :], *nodes[place + 1 :]]
            with pytest.raises(ValueError, match="its proof"):
                check(root, 77, forged)
    for shorter in ([], nodes[1:], nodes[:-1]):
        with pytest.raises(ValueError, match="its proof"):
            check(root, 77, shorter)
    with pytest.raises(ValueError, match="begin at the header"):
        check(trie_root(items(199)), 77, nodes)


def test_an_item_that_is_not_there_is_not_proven() -> None:
    with pytest.raises(IndexError, match="no item 5 among 5"):
        prove(items(5), 5)


HELD = {f"0x{number:040x}": number * 10**18 for number in range(1, 60)}


def test_what_an_account_holds_is_proved_below_the_states_root_and_so_is_that_there_is_none() -> None:
    root, nodes = state_trie(HELD)
    for address, value in HELD.items():
        assert account_balance(root, address, nodes[address]) == value
    absent = "0x" + "ab" * 20
    path = next(
        nodes[address] for address in HELD if keccak256(bytes.fromhex(address[2:]))[0] >> 4 == keccak256(bytes.fromhex(absent[2:]))[0] >> 4
    )
    assert account_balance(root, absent, path) == 0, "the branch on its way leads elsewhere"


def test_nodes_that_lead_to_no_account_prove_nothing() -> None:
    root, nodes = state_trie(HELD)
    mine, others = nodes["0x" + f"{7:040x}"], nodes["0x" + f"{8:040x}"]
    for forged in ([], mine[1:], mine[:-1], [mine[0], *others[1:]], [b"\x80"], mine * 40):
        with pytest.raises(ValueError, match="its proof does"):
            account_balance(root, "0x" + f"{7:040x}", forged)
    assert account_balance(keccak256(b"\x80"), "0x" + f"{7:040x}", [b"\x80"]) == 0, "nobody holds anything in the empty state"
