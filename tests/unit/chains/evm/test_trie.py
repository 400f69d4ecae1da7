"""The tries: every item of lists of all lengths is proven, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from rlp import decode, encode
from trie import HexaryTrie

from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.fields import Nested
from pipeline.chains.evm.trie import MOST_NODES, _found, account_balance, check
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


def by_the_library(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """What py-trie finds at the key; None where it finds fault."""
    try:
        return bytes(HexaryTrie.get_from_proof(root, key, [decode(node) for node in nodes]))
    except Exception:  # noqa: BLE001 - it fails in many ways
        return None


def ours(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    try:
        return _found(root, key, nodes)
    except ValueError as error:
        assert str(error).startswith("its proof does not")
        return None


def test_in_tries_of_one_seed_the_same_is_found_as_the_library_finds_and_nothing_where_it_finds_nothing() -> None:
    """Keys of one to three bytes lie close: some end in branches, and most short nodes stand in their parents."""
    chance = random.Random(17)
    for _ in range(20):
        held = {
            chance.randbytes(chance.choice((1, 1, 2, 3))): chance.randbytes(chance.choice((1, 2, 33)))
            for _ in range(chance.randrange(1, 40))
        }
        built = HexaryTrie({}, prune=True)
        for key, value in held.items():
            built[key] = value
        root = bytes(built.root_hash)
        for key in [*held, *(chance.randbytes(length) for length in (1, 2, 3, 4) for _ in range(5))]:
            nodes = [encode(node) for node in built.get_proof(key)]
            assert ours(root, key, nodes) == by_the_library(root, key, nodes) == held.get(key, b"")
            shorter = nodes[:-1]
            assert ours(root, key, shorter) == (by_the_library(root, key, shorter) if shorter else None)


def some_node(chance: random.Random, depth: int) -> tuple[Nested, list[bytes]]:
    """A node that anyone may have made up, sound or not, and those below it that it names."""
    if chance.random() < 0.1:
        return b"", []
    below: list[bytes] = []

    def child() -> Nested:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice((*[b""] * 60, b"\x07", chance.randbytes(31), chance.randbytes(32)))
        node, more = some_node(chance, depth - 1)
        below.extend(more)
        raw = encode(node)
        if len(raw) < 32 and chance.random() < 0.9:
            return node
        below.append(raw)
        return keccak256(raw)

    if chance.random() < 0.5:
        parts: list[Nested] = [b""] * 16
        for place in chance.sample(range(4), 3):
            parts[place] = child()
        node: Nested = [*parts, chance.choice((b"", b"value"))]
    else:
        sound, unsound = (
            ("20", "10", "11", "30", "31", "32", "0012", "2012", "2001", "1012", "3012"),
            ("", "00", "40", "2f", "01", "80" * 3),
        )
        path = chance.choice(sound if chance.random() < 0.95 else unsound)
        node = [bytes.fromhex(path), b"value" if path[:1] in ("2", "3") else child()]
        if chance.random() < 0.02:
            node += [b""]
    return node, below


def test_whatever_nodes_are_made_up_nothing_is_found_that_the_library_does_not_find() -> None:
    chance, n_found, n_refused = random.Random(17), 0, 0
    for _ in range(600):
        node, below = some_node(chance, 3)
        nodes = [encode(node), *below]
        root = keccak256(nodes[0])
        for path in ("", "00", "01", "02", "10", "12", "20", "0012", "0101", "1212", "2130"):
            found = ours(root, bytes.fromhex(path), nodes)
            n_found += bool(found)
            n_refused += found is None
            if found:
                assert found == by_the_library(root, bytes.fromhex(path), nodes)
            # The library takes a key that ends within a node's path for a fault; that there is nothing at a longer one both say.
            longer = bytes.fromhex(path).ljust(12, b"\x01")
            found = ours(root, longer, nodes)
            assert found is None or found == by_the_library(root, longer, nodes)
    assert n_found > 200 and n_refused > 200, (n_found, n_refused)


def test_more_nodes_than_a_path_has_are_no_proof() -> None:
    root, nodes = trie_root(items(3)), prove(items(3), 1)
    assert check(root, 1, nodes + [nodes[-1]] * (MOST_NODES - len(nodes))) == items(3)[1]
    with pytest.raises(ValueError, match="its proof does not begin"):
        check(root, 1, nodes + [nodes[-1]] * (MOST_NODES + 1 - len(nodes)))
