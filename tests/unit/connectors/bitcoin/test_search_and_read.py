"""Searching bytes never misses an output; reading refuses whatever is not the block asked for."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.errors import AnswerUnreadable
from connectors.bitcoin.fetch import Fetcher
from connectors.bitcoin.read_blocks import PAYEE, parsed_block, read_transactions
from connectors.bitcoin.search import FEW, ScriptSearch
from connectors.bitcoin.strategies import BlockRef, SearchRest, watching_for
from pipeline.chains.bitcoin.merkle import root_of_branch
from pipeline.chains.bitcoin.wire import TxOutput

from ....simulation.bitcoin_world import OURS, REGTEST, SimBlock, SimulatedNode, World

PREFIXES = (b"\x00\x14", b"\x51\x20", b"\x00\x20", b"\xa9\x14", b"\x76\xa9\x14", b"\x21\x02", b"\x6a", b"")


def scripts_of(seed: int, count: int) -> list[bytes]:
    rng = random.Random(seed)
    return [(prefix := rng.choice(PREFIXES)) + rng.randbytes(rng.choice([0, 2, 20, 20, 32, 67, 260])) or prefix for _ in range(count)]


def as_output(script: bytes) -> bytes:
    length = bytes([len(script)]) if len(script) < 0xFD else b"\xfd" + struct.pack("<H", len(script))
    return struct.pack("<q", 12345) + length + script


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.binary(max_size=80), st.binary(min_size=4, max_size=80), st.data())
def test_an_output_is_never_missed(seed: int, count: int, before: bytes, after: bytes, data: st.DataObject):
    scripts = scripts_of(seed, count)
    search = ScriptSearch(scripts)
    one = data.draw(st.sampled_from(scripts))
    decoy = data.draw(st.sampled_from([b"", b"\x16\x00\x14", b"\x22\x51\x20", as_output(one)[:12]]))
    assert search.may_contain(before + decoy + as_output(one) + after)


def test_many_scripts_of_a_kind_are_found_one_by_one_and_strangers_are_not():
    rng = random.Random(5)
    for prefix, tail, size in (
        (b"\x00\x14", b"", 20),
        (b"\x51\x20", b"", 32),
        (b"\x76\xa9\x14", b"\x88\xac", 20),
        (b"\x51\x21\x02", b"\x51\xae", 32),
    ):
        watched = [prefix + rng.randbytes(size) + tail for _ in range(200)]
        assert len(watched) > FEW
        search = ScriptSearch(watched)
        noise = b"".join(as_output(prefix + rng.randbytes(size) + tail) for _ in range(500))
        assert not search.may_contain(noise)
        for script in watched[:20]:
            assert search.may_contain(noise + as_output(script) + noise)


def test_nothing_watched_is_nowhere():
    assert not ScriptSearch([]).may_contain(b"\x16\x00\x14" * 100)


@pytest.fixture(scope="module")
def block() -> SimBlock:
    """A block in which ours both pay and are paid."""
    world = World(11)
    world.extend(60)
    return max(world.chain(), key=lambda b: len([tx for tx in b.txs if any(s in OURS for _, _, s in tx.spends)]))


def spent_of(block: SimBlock) -> dict[int, list[TxOutput]]:
    return {position: [TxOutput(value, script) for _, value, script in tx.spends] for position, tx in enumerate(block.txs) if position}


def test_branches_lead_to_the_root_of_the_header(block: SimBlock):
    parsed = parsed_block(block.raw, block.hash, REGTEST)
    found = read_transactions(parsed, spent_of(block), dict.fromkeys(OURS, "w"), REGTEST, "BTC")
    assert len(found) > 1
    for tx in found:
        branch = [bytes.fromhex(neighbour) for neighbour in tx.branch]
        assert root_of_branch(bytes.fromhex(tx.txid), tx.position, branch) == parsed.header.merkle_root


def test_only_a_coinbase_that_pays_us_is_told(block: SimBlock):
    parsed = parsed_block(block.raw, block.hash, REGTEST)
    payee = block.txs[0].pays[0][1]
    for watched, expected in (({payee: "w"}, True), ({b"\x51": "w"}, False)):
        found = [tx for tx in read_transactions(parsed, spent_of(block), watched, REGTEST, "BTC") if tx.is_coinbase]
        assert bool(found) is expected
        for tx in found:
            assert (tx.inputs, tx.other_inputs, tx.fee) == ([], 0, "0")


def test_what_is_not_the_block_asked_for_is_refused(block: SimBlock):
    other = World(12)
    other.extend(1)
    with pytest.raises(AnswerUnreadable, match=r"was asked for block .* and answered with"):
        parsed_block(other.tip.raw, block.hash, REGTEST)
    with pytest.raises(AnswerUnreadable, match="do not hash to the root"):
        parsed_block(block.raw[:-5] + b"\x01" + block.raw[-4:] if block.raw[-5] != 1 else block.raw[:-1] + b"\x09", block.hash, REGTEST)


def test_spent_outputs_that_do_not_fit_are_refused(block: SimBlock):
    parsed = parsed_block(block.raw, block.hash, REGTEST)
    scripts = dict.fromkeys(OURS, "w")
    too_many = {position: [*outputs, TxOutput(1, OURS[0])] for position, outputs in spent_of(block).items()}
    with pytest.raises(AnswerUnreadable, match="inputs, and the node gave"):
        read_transactions(parsed, too_many, scripts, REGTEST, "BTC")
    too_little = {position: [TxOutput(0, output.script) for output in outputs] for position, outputs in spent_of(block).items()}
    with pytest.raises(AnswerUnreadable, match="more than it spends"):
        read_transactions(parsed, too_little, scripts, REGTEST, "BTC")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_blocks_are_refused_and_nothing_else_happens(block: SimBlock, data: st.DataObject):
    place = data.draw(st.integers(0, len(block.raw) - 1))
    how = data.draw(st.sampled_from(["cut", "flip", "insert"]))
    raw = block.raw
    if how == "cut":
        raw = raw[:place]
    elif how == "flip":
        raw = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]
    else:
        raw = raw[:place] + data.draw(st.binary(min_size=1, max_size=5)) + raw[place:]
    if raw == block.raw:
        return
    with pytest.raises(AnswerUnreadable):
        parsed_block(raw, block.hash, REGTEST)


@pytest.mark.parametrize("seed", range(3))
def test_what_payees_spend_is_not_looked_for_and_nothing_is_missed(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Rule 10.2: a miner's address is watched for what it gets; a block in which it only spends is not parsed."""
    world = World(seed)
    world.extend(80)
    ours = list(OURS)
    spent = {s: sum(s == script for block in world.chain() for tx in block.txs for _, _, script in tx.spends) for s in ours}
    scripts = {**dict.fromkeys(ours, PAYEE), min(ours, key=lambda s: spent[s]): "w"}
    blocks = [BlockRef(block.height, block.hash) for block in world.chain()[1:]]
    parsed: list[str] = []
    fetcher = Fetcher(SimulatedNode(world, has_rest=True), REGTEST)
    read_rest = fetcher.read_rest
    monkeypatch.setattr(fetcher, "read_rest", lambda hash_, raw, spent: parsed.append(hash_) or read_rest(hash_, raw, spent))
    found = SearchRest(fetcher, REGTEST).read(blocks, watching_for(scripts, "BTC"), lambda _: None, 1 << 30)
    fetcher.close()
    expected = {
        block.height: told
        for block in world.chain()[1:]
        if (told := read_transactions(parsed_block(block.raw, block.hash, REGTEST), spent_of(block), scripts, REGTEST, "BTC"))
    }
    assert found == expected and expected
    assert set(parsed) == {block.hash for block in world.chain() if block.height in expected}
