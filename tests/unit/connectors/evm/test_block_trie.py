"""The trie built at once is the one grown item by item, and its proofs hold."""

from __future__ import annotations

import random

import pytest

from connectors.evm.block_trie import BlockTrie
from pipeline.chains.evm.trie import check
from tests.evm_encoding import prove_each, trie_root


@pytest.mark.parametrize(("count", "longest"), [(0, 9), (1, 40), (2, 3), (17, 3), (127, 40), (128, 3), (129, 300), (300, 60)])
def test_root_and_proofs_are_those_of_the_library(count: int, longest: int) -> None:
    chance = random.Random(count)
    items = [chance.randbytes(chance.randrange(1, longest)) for _ in range(count)]
    trie = BlockTrie(items)
    assert trie.root == trie_root(items)
    places = sorted({0, count // 2, count - 1}) if count else []
    assert [trie.prove(place) for place in places] == prove_each(items, places)
    for place in places:
        assert check(trie.root, place, trie.prove(place)) == items[place]


def test_tries_of_one_seed_are_those_of_the_library_one_after_another_of_any_count() -> None:
    """The keys of a count are kept: what is built of one block must not show in the next."""
    chance = random.Random(17)
    for count in [*chance.sample(range(1, 300), 12), 5, 130, 5, 130]:
        items = [chance.randbytes(chance.choice((1, 2, 27, 28, 29, 30, 31, 32, 33, 110, 600))) for _ in range(count)]
        trie = BlockTrie(items)
        assert trie.root == trie_root(items)
        places = sorted({0, chance.randrange(count), count - 1})
        assert [trie.prove(place) for place in places] == prove_each(items, places)
