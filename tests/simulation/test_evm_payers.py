"""Transactions of other payers on an account chain that moves: whenever the ledger names them, the store knows in the end what they paid (rule 10.2).

The truth is taken from what each transaction of the world was meant to do, and shared with nothing of the connector.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.evm import EvmChain, EvmConnector, LookedUp, Step
from connectors.evm.errors import AnswerChanged
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events.chain import Disconnect, Doubt, NotTraced, Retold, Sought, Watch
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from ..unit.store.streams import empty_store
from .evm_world import BATCH, CHAIN_ID, TOKEN, Block, NodeFault, Served, Spend, World, address
from .test_evm_reorganisations import POOL, WALLETS, assert_to_the_wei, events, to_tip

PAYER, OTHER_TOKEN = address(20), address(950)
MINERS = [address(30 + n) for n in range(6)]
Paid = Counter[tuple[str, str]]
"""Units by address, in lower case, and asset."""


def connector(
    log: MemoryLog, served: Served, named: set[str], *, now_s: Callable[[], float] = time.monotonic, **changes: Any
) -> EvmConnector:
    settings: dict[str, Any] = {
        "pool_id": "pool", "chain": "eth", "asset": "ETH", "network": f"evm:{CHAIN_ID}", "rpc_url": served.url, "wallets": WALLETS,
        "tokens": {TOKEN: "USDT"}, "start_height": 1, "finality": 12, "blocks_a_step": 25, "timeout_s": 60.0,
    }  # fmt: skip
    return EvmConnector(log, EvmChain(**(settings | changes)), named=lambda: named, now_s=now_s)


class Book:
    """What every transaction of the world does, by id."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.spends: dict[str, Spend] = {}

    def mine(self, spends: list[Spend]) -> Block:
        block = self.world.mine(spends)
        self.spends |= {txid[2:]: spend for txid, spend in zip(ids_of(block), spends, strict=True)}
        return block

    def truth(self, named: set[str]) -> dict[str, Paid]:
        """Of each named transaction in the main chain what strangers gained by it."""
        return {
            txid: gains(self.spends[txid])
            for block in self.world.blocks[1:]
            for txid in (one[2:] for one in ids_of(block))
            if txid in named
        }


def ids_of(block: Block) -> list[str]:
    return [transaction["hash"] for transaction in block.body["transactions"]]


def gains(spend: Spend) -> Paid:
    if spend.is_failed:
        return Counter()
    found: Paid = Counter()
    moves = [("ETH", move) for move in [(spend.sender, spend.to, spend.value), *spend.calls]]
    moves += [("USDT", move) for move in spend.tokens] + [(contract, move) for contract, move in spend.logs]
    for asset, (giver, taker, value) in moves:
        found[giver, asset] -= value
        found[taker, asset] += value
    return Counter({place: value for place, value in found.items() if value > 0})


def any_payment(chance: random.Random) -> Spend:
    """A payer's transaction of some kind."""
    first, second = chance.sample(MINERS, 2)
    value = chance.randrange(1, 1000)
    kinds = [
        Spend(PAYER, first, value),
        Spend(PAYER, first, value, is_failed=True),
        Spend(PAYER, BATCH, 2 * value, calls=[(BATCH, first, value), (BATCH, second, value)]),
        Spend(PAYER, BATCH, value, calls=[(BATCH, first, value)], is_failed=True),
        Spend(PAYER, BATCH, value, calls=[(BATCH, first, value), (first, PAYER, value - 1)]),  # all but one comes back
        Spend(PAYER, TOKEN, tokens=[(PAYER, first, value), (PAYER, second, value)]),
        Spend(PAYER, OTHER_TOKEN, logs=[(OTHER_TOKEN, (PAYER, first, value))]),
        Spend(PAYER, BATCH, value, calls=[(BATCH, first, value)], tokens=[(PAYER, POOL[0], 5)]),  # pays the pool, too
    ]
    return chance.choice(kinds)


def seen_in(log: MemoryLog, named: set[str], *, batch: int) -> dict[str, Paid]:
    """What the store says of the named transactions of the main chain, after reading the log in some batches."""
    with empty_store() as store:
        Ingest(log, store, limit_bytes=batch).catch_up()
        facts = read_facts(store.connection)
    assert set(facts.sought["txid"]) <= named
    found: dict[str, Paid] = {txid: Counter() for txid in facts.transactions["txid"] if txid in named}
    for txid, where, asset, value, wallet in facts.outputs.select("txid", "address", "asset", "value", "wallet").iter_rows():
        if txid in named:
            found[txid][where.lower(), asset.lower() if asset.startswith("0x") else asset] += value
            assert (wallet is not None) == (where.lower() in POOL)
    assert not facts.inputs.filter(facts.inputs["txid"].is_in(sorted(named))).height
    return found


@pytest.mark.parametrize("seed", range(4))
def test_whenever_payments_are_named_the_store_knows_what_they_paid(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    world, log, named = World(seed), MemoryLog(), set[str]()
    book, unnamed = Book(world), list[str]()
    with Served(world) as served:
        way = chance.choice(["trace_block", "debug_trace"])
        evm = connector(log, served, named, internal_calls=way)
        for _ in range(8):
            for _ in range(chance.randrange(1, 25)):
                spends = [any_payment(chance) for _ in range(chance.choice([0, 0, 1, 2]))]
                spends += [world.any_spend(POOL)] if chance.random() < 0.4 else []
                block = book.mine(spends)
                unnamed += [txid[2:] for txid, spend in zip(ids_of(block), spends, strict=True) if spend.sender == PAYER]
            chance.shuffle(unnamed)
            for _ in range(chance.randrange(0, 1 + len(unnamed))):
                named.add(unnamed.pop())
            if chance.random() < 0.5:
                left = [world.blocks.index(block) for block in world.blocks[-chance.randrange(1, min(20, world.height) + 1) :]]
                again = [[book.spends[txid[2:]] for txid in ids_of(world.blocks[height])] for height in left]
                world.replace(len(left))
                for spends in again:
                    unnamed += [txid[2:] for txid, s in zip(ids_of(book.mine(spends)), spends, strict=True) if s.sender == PAYER]
                book.mine([])
            for _ in range(chance.randrange(0, 4)):
                evm.step()
            if chance.random() < 0.3:
                evm.close()
                evm = connector(log, served, named, internal_calls=way)
        to_tip(evm)
        evm.close()
    assert named and sum(map(len, (event.txids for event in events(log) if isinstance(event, Sought)))) == len(named)
    truth = book.truth(named)
    assert truth
    for batch in (1000, 40_000, 1 << 24):
        assert seen_in(log, named, batch=batch) == truth


def steps_with(log: MemoryLog, served: Served, named: set[str], **changes: Any) -> list[Step]:
    with connector(log, served, named, **changes) as evm:
        return to_tip(evm)


def test_what_is_past_is_told_without_writing_the_chain_again() -> None:
    world, log, named = World(1), MemoryLog(), set[str]()
    book = Book(world)
    with Served(world) as served:
        batch = book.mine([Spend(PAYER, BATCH, 30, calls=[(BATCH, miner, 5) for miner in MINERS])])
        for _ in range(60):
            book.mine([])
        steps_with(log, served, named)
        n_before, asked = len(events(log)), len(served.asked)
        named |= {ids_of(batch)[0][2:], "ab" * 32}
        assert any(isinstance(step, LookedUp) and (step.n_sought, step.n_found) == (2, 1) for step in steps_with(log, served, named))
        assert served.asked[asked:].count("eth_getTransactionByHash") <= 4
    after = events(log)[n_before:]
    assert [type(event) for event in after] == [Retold, Sought]
    told = after[0].transactions[0]
    assert [((o.address or "").lower(), o.value, o.ref) for o in told.outputs] == [(m, "5", f"call:{n}") for n, m in enumerate(MINERS)]
    assert told.receipt and told.raw and told.transaction_proof and told.receipt_proof
    assert not told.inputs and told.fee == "0" and told.fee_wallet is None
    assert seen_in(log, named, batch=1 << 20) == book.truth(named)


def test_an_id_that_comes_before_its_transaction_is_found_in_its_block() -> None:
    world, log = World(2), MemoryLog()
    book = Book(world)
    book.mine([Spend(PAYER, MINERS[0], 7)])
    txid = ids_of(world.blocks[-1])[0][2:]
    world.replace(1)
    world.salt -= 1  # the same transaction comes again
    with Served(world) as served, connector(log, served, {txid}) as evm:
        to_tip(evm)
        book.mine([Spend(PAYER, MINERS[0], 7)])
        assert ids_of(world.blocks[-1])[0][2:] == txid
        to_tip(evm)
        found = [t.txid for event in events(log) if not isinstance(event, Sought | Watch) for t in getattr(event, "transactions", [])]
        assert found == [txid]
        world.replace(1)
        world.mine()
        world.mine()
        to_tip(evm)
        assert any(isinstance(event, Disconnect) for event in events(log))


def test_a_block_that_pays_an_account_itself_is_found_under_its_own_hash() -> None:
    world, log = World(3), MemoryLog()
    with Served(world) as served:
        block = world.mine(withdrawals=[(MINERS[0], 3), (MINERS[1], 4)])
        shared = world.mine(withdrawals=[(MINERS[0], 3), (POOL[0], 4)])
        steps_with(log, served, {block.hash[2:], shared.hash[2:]})
    told = {e.hash: e.transactions for e in events(log) if getattr(e, "transactions", None)}
    assert [(t.is_coinbase, [((o.address or "").lower(), o.value) for o in t.outputs]) for t in told[block.hash[2:]]] == [
        (True, [(MINERS[0], "3000000000"), (MINERS[1], "4000000000")])
    ]
    assert [[(o.address or "").lower() for o in t.outputs] for t in told[shared.hash[2:]]] == [
        [POOL[0]]
    ]  # the pool's own coinbase (rule 3.1)


@pytest.mark.parametrize("reach", [0, 7, 33, 61])
def test_blocks_that_the_nodes_index_lacks_are_searched_body_by_body(reach: int) -> None:
    world, log = World(4), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        for _ in range(60):
            book.mine([Spend(PAYER, MINERS[0], 7)])

        def between(method: str, params: list[Any], answer: Any) -> Any:
            found = answer(method, params)
            return None if method == "eth_getTransactionByHash" and found and int(found["blockNumber"], 16) < reach else found

        served.between = between
        steps_with(log, served, set())
        named = {ids_of(world.blocks[height])[0][2:] for height in (1, 6, 20, 60)}
        steps_with(log, served, named, blocks_a_step=10)
    assert {t.txid for event in events(log) if isinstance(event, Retold) for t in event.transactions} == named
    assert [event.height for event in events(log) if isinstance(event, Retold)] == [1, 6, 20, 60]


@pytest.mark.parametrize("lost", ["eth_getTransactionByHash", "eth_getBlockByHash"])
def test_an_id_that_the_node_does_not_know_is_asked_for_a_second_time_at_once(lost: str) -> None:
    """No root denies a null: one that was lost must not keep the payments `payment-not-on-chain` until the id is asked for again, minutes later."""
    world, log = World(8), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        txid = ids_of(book.mine([Spend(PAYER, MINERS[0], 7)]))[0][2:]
        credited = world.mine(withdrawals=[(MINERS[1], 3)]).hash[2:]
        steps_with(log, served, set())
        named, told_null = {txid, credited, "ab" * 32}, set[str]()

        def between(method: str, params: list[Any], answer: Any) -> Any:
            asked = params[0][2:] if method == lost else ""
            if asked in named - told_null:
                told_null.add(asked)
                return None
            return answer(method, params)

        served.between = between
        steps_with(log, served, named)
    assert {txid, credited} & told_null
    assert {t.txid for event in events(log) if isinstance(event, Retold) for t in event.transactions} == {txid, credited}
    assert [set(event.txids) for event in events(log) if isinstance(event, Sought)] == [named]


def test_an_index_that_is_being_built_is_asked_again_and_blocks_are_followed_meanwhile() -> None:
    world, log = World(5), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        txid = ids_of(book.mine([Spend(PAYER, MINERS[0], 7)]))[0][2:]

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method == "eth_getTransactionByHash":
                raise NodeFault(-32000, "transaction indexing is in progress")
            return answer(method, params)

        with connector(log, served, set()) as evm:
            to_tip(evm)
        with connector(log, served, {txid}) as evm:
            served.between = between
            world.mine()
            to_tip(evm)
            assert not [event for event in events(log) if isinstance(event, Sought)] and events(log)[-1].height == 2
            served.between = lambda method, params, answer: answer(method, params)
            to_tip(evm)
            assert [event.txids for event in events(log) if isinstance(event, Sought)] == [[txid]]


def test_what_the_node_can_not_trace_any_more_stays_to_be_looked_for() -> None:
    world, log = World(6), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        batch = ids_of(book.mine([Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[0], 9)])]))[0][2:]
        plain = ids_of(book.mine([Spend(PAYER, MINERS[1], 4)]))[0][2:]
        for _ in range(5):
            world.mine()
        steps_with(log, served, set())

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method in ("trace_block", "debug_traceBlockByHash") and params[0] in ("0x1", world.blocks[1].hash):
                raise NodeFault(-32000, "missing trie node: state is not available")
            return answer(method, params)

        served.between = between
        steps_with(log, served, {batch, plain})
        assert [event.txids for event in events(log) if isinstance(event, Sought)] == [[plain]]
        world.mine()
        steps_with(log, served, {batch, plain})  # it goes on following
        served.between = lambda method, params, answer: answer(method, params)
        steps_with(log, served, {batch, plain})
        assert [event.txids for event in events(log) if isinstance(event, Sought)] == [[plain], [batch]]
        told = [t for event in events(log) if isinstance(event, Retold) for t in event.transactions]
        assert [((o.address or "").lower(), o.value) for t in told if t.txid == batch for o in t.outputs] == [(MINERS[0], "9")]


@pytest.mark.parametrize("way", ["trace_block", "debug_trace"])
def test_what_can_not_be_traced_when_its_block_is_first_read_is_asked_for_again(way: str, tmp_path: Path) -> None:
    """An id that is looked for already, in a block of which the node has no state: it counts as not looked for until it was traced."""
    world, log = World(8), MemoryLog()
    book, named = Book(world), set[str]()
    with Served(world) as served:
        world.mine([])
        batch = ids_of(book.mine([Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[0], 9)]), Spend(PAYER, MINERS[1], 3)]))
        named |= {txid[2:] for txid in batch}
        world.replace(1)
        world.salt -= 1
        steps_with(log, served, named, internal_calls=way)
        assert [len(event.txids) for event in events(log) if isinstance(event, Sought)] == [2]

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method in ("trace_block", "debug_traceBlockByHash") and params[0] in ("0x2", world.blocks[2].hash):
                raise NodeFault(-32000, "missing trie node: state is not available")
            return answer(method, params)

        assert ids_of(book.mine([Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[0], 9)]), Spend(PAYER, MINERS[1], 3)])) == batch
        book.mine([Spend(PAYER, MINERS[1], 1)])  # on the newest block the connector tries how calls can be traced
        served.between = between
        steps_with(log, served, named, internal_calls=way)
        for _ in range(30):  # the block becomes final: its second reading is no other answer
            world.mine()
        steps_with(log, served, named, internal_calls=way)
        assert [event.txids for event in events(log) if isinstance(event, NotTraced)] == [[batch[0][2:]]]
        assert not [event for event in events(log) if isinstance(event, Doubt)]
        assert seen_in(log, named, batch=1 << 20) == {batch[1][2:]: Counter({(MINERS[1], "ETH"): 3})}
        assert sought_in_store(log, tmp_path) == {batch[1][2:]}
        served.between = lambda method, params, answer: answer(method, params)
        steps_with(log, served, named, internal_calls=way)
        world.mine()
        steps_with(log, served, named, internal_calls=way)
    assert [event.txids for event in events(log) if isinstance(event, Sought)][1:] == [[batch[0][2:]]]
    for size in (500, 1 << 20):
        assert seen_in(log, named, batch=size + 1) == book.truth(named)
    assert sought_in_store(log, tmp_path) == named


def test_one_transaction_that_no_way_of_tracing_shows_holds_up_nothing_else(tmp_path: Path) -> None:
    """Also where the node shows it in a form that can't be read: blocks are followed, and another payment of the same block is told."""
    world, log = World(9), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        spends = [Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[n], 9)]) for n in range(2)]
        odd, plain = (txid[2:] for txid in ids_of(book.mine(spends)))
        named = {odd, plain}

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method == "trace_block":
                raise KeyError(method)
            found = answer(method, params)
            if method == "debug_traceBlockByHash" and params[0] == world.blocks[1].hash:
                found[0] = {"txHash": "0x" + odd, "error": "execution timeout"}
            return found

        served.between = between
        steps_with(log, served, named, internal_calls="debug_trace")
        world.mine()
        steps_with(log, served, named, internal_calls="debug_trace")
    assert [event.txids for event in events(log) if isinstance(event, NotTraced)] == [[odd]] and events(log)[-1].height == 2
    assert sought_in_store(log, tmp_path) == {plain} == set(seen_in(log, named, batch=1 << 20))


def sought_in_store(log: MemoryLog, folder: Path) -> set[str]:
    """What the store counts as looked for."""
    with Store.open(folder / "sought.duckdb") as store:
        Ingest(log, store).catch_up()
        return set(read_facts(store.connection).sought["txid"])


def test_the_pools_own_transaction_is_told_as_before() -> None:
    world, log = World(7), MemoryLog()
    book = Book(world)
    with Served(world) as served:
        own = ids_of(book.mine([Spend(POOL[0], MINERS[0], 4)]))[0][2:]
        steps_with(log, served, set())
        steps_with(log, served, {own})
        assert [type(event) for event in events(log)][-1] is Sought and not [e for e in events(log) if isinstance(e, Retold)]
        assert_to_the_wei(log, world)


def test_what_a_node_takes_back_of_a_payers_old_transaction_was_never_told() -> None:
    world, log, named = World(3), MemoryLog(), set[str]()
    book = Book(world)
    with Served(world) as served, connector(log, served, named) as evm:
        payment = book.mine([Spend(PAYER, BATCH, 9, calls=[(BATCH, MINERS[0], 4), (BATCH, MINERS[1], 5)])])
        for _ in range(30):
            book.mine([])
        asked = [0]

        def between(method: str, params: list[Any], answer: Any) -> Any:
            if method.startswith("debug_"):
                raise NodeFault(-32601, "the method does not exist/is not available")
            found = answer(method, params)
            if method == "trace_block" and params == ["0x1"]:
                asked[0] += 1
                return [frame for frame in found if not frame["traceAddress"]] if asked[0] == 1 else found
            return found

        to_tip(evm)
        served.between = between
        named.update(txid[2:] for txid in ids_of(payment))
        with pytest.raises(AnswerChanged, match="in block 1 when it was asked again"):
            to_tip(evm)
        assert not [event for event in events(log) if isinstance(event, Retold | Sought)]
        to_tip(evm)
        assert seen_in(log, named, batch=1000) == book.truth(named)
