"""Authorizations of code by a pool's wallet (EIP-7702) in strangers' transactions: they are told although they move nothing of the pool's, with their proofs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from eth_account import Account

from connectors.evm import Connected, EvmConnector, Idle, Rescanned, Rescanning
from connectors.evm.answers import LightTransaction
from connectors.evm.authorizing import may_authorize
from connectors.evm.errors import NotOffered
from connectors.evm.watch import watch_list
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.authorizations import authorizations_of
from pipeline.log.events import decode, encode
from pipeline.log.events.chain import Connect, Transaction, Watch, WatchedWallet
from pipeline.log.protocol import NewEvent

from ..simulation.evm_blocks import CHAIN_ID
from ..simulation.evm_world import BATCH, OPENING, Answer, Served, Spend, World, address
from .test_evm_node_troubles import connector

KEY, OTHER = "0x" + "46" * 32, "0x" + "47" * 32
HOT = Account.from_key(KEY).address
CODE = address(903)


def signed(key: str, nonce: int, *, chain_id: int = CHAIN_ID) -> dict[str, str]:
    made = Account.sign_authorization({"chainId": chain_id, "address": CODE, "nonce": nonce}, key)
    return {
        "chainId": hex(chain_id), "address": CODE, "nonce": hex(nonce), "yParity": hex(made.y_parity), "r": hex(made.r), "s": hex(made.s),
    }  # fmt: skip


@pytest.fixture
def world() -> World:
    world = World(5)
    world.blocks[0].wei[HOT.lower()] = OPENING
    world.mine()
    world.mine([Spend(HOT.lower(), address(30), 7)])
    # Strangers carry what another key and the pool's key signed; nothing of the pool's moves.
    world.mine(
        [
            Spend(address(25), CODE, authorizations=[signed(OTHER, 0)]),
            Spend(address(26), CODE, authorizations=[signed(OTHER, 1), signed(KEY, 1)]),
        ]
    )
    world.mine([Spend(address(25), BATCH, is_failed=True, authorizations=[signed(KEY, 2)])])
    world.mine([Spend(HOT.lower(), address(30), 7)])
    return world


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as served:
        yield served


def follow(served: Served, log: MemoryLog, **changes: Any) -> EvmConnector:
    with connector(served, log, **({"wallets": [WatchedWallet(name="hot", addresses=[HOT])]} | changes)) as evm:
        while not isinstance(step := evm.step(), Idle):
            assert isinstance(step, Connected | Rescanned | Rescanning), step
    return evm


def told(log: MemoryLog) -> list[tuple[int, Transaction]]:
    events = [decode(record.value) for record in log.read({})]
    return [(event.height, one) for event in events if isinstance(event, Connect) for one in event.transactions]


def watches(log: MemoryLog) -> list[Watch]:
    return [event for record in log.read({}) if isinstance(event := decode(record.value), Watch)]


def test_the_transactions_that_carry_them_are_told_without_inputs_and_outputs(served: Served) -> None:
    log = MemoryLog()
    follow(served, log)
    first, carried, failed, last = told(log)
    assert [height for height, _ in (first, carried, failed, last)] == [2, 3, 4, 5]
    for (_, one), number in ((carried, 1), (failed, 2)):
        assert (one.inputs, one.outputs, one.other_inputs, one.fee, one.fee_wallet) == ([], [], 0, "0", None)
        assert one.raw and one.transaction_proof and one.receipt and one.receipt_proof, "so that a bundle can prove it"
        assert [(given.authority, given.nonce) for given in authorizations_of(bytes.fromhex(one.raw)) if given.authority == HOT] == [
            (HOT, number)
        ]
    assert carried[1].position == 1, "the other key's is nobody's business"
    assert [watch.authorizations_from for watch in watches(log)] == [1]


def test_they_are_found_for_an_address_that_is_watched_later(served: Served) -> None:
    log = MemoryLog()
    follow(served, log, wallets=[WatchedWallet(name="cold", addresses=[address(31)])])
    assert not told(log)
    follow(served, log, wallets=[WatchedWallet(name="cold", addresses=[address(31)]), WatchedWallet(name="hot", addresses=[HOT])])
    assert [height for height, _ in told(log)] == [2, 3, 4, 5]
    assert watches(log)[-1].authorizations_from == 1


@pytest.mark.parametrize("gives_traces", [True, False], ids=["traces", "no traces"])
@pytest.mark.parametrize("is_one_block", [True, False], ids=["one block", "three blocks"])
def test_what_an_account_passes_on_between_two_authorizations_is_told(gives_traces: bool, is_one_block: bool) -> None:
    """Code is given and taken away within what is read at once, and meanwhile a stranger's transaction pays the account and has it pay as much: neither
    its code nor its balance at the ends shows that."""
    world = World(5)
    world.blocks[0].wei[HOT.lower()] = OPENING
    passing = Spend(address(25), BATCH, 900, calls=[(BATCH, HOT.lower(), 900), (HOT.lower(), address(31), 900)])
    given, taken = (Spend(address(26), address(27), authorizations=[signed(KEY, nonce)]) for nonce in (0, 1))
    world.mine()
    for spends in [[given, passing, taken]] if is_one_block else [[given], [passing], [taken]]:
        world.mine(spends)
    log = MemoryLog()
    with Served(world) as served:
        if not gives_traces:
            served.between = _without_traces
            with pytest.raises(NotOffered, match=f"the watched address {HOT} is a contract"):
                follow(served, log)
            return
        follow(served, log)
    (paid,) = (one for _, one in told(log) if one.inputs)
    assert [(spent.address, spent.value) for spent in paid.inputs] == [(HOT, "900")]
    assert [(output.address, output.value) for output in paid.outputs] == [(HOT, "900"), (to_checksum(address(31)), "900")]


def _without_traces(method: str, params: list[Any], answer: Answer) -> Any:
    if method.startswith(("trace_", "debug_")):
        raise KeyError(method)
    return answer(method, params)


def test_a_log_of_before_says_from_which_block_on_they_are_told(served: Served, world: World) -> None:
    """What an older program read is not read again; blocks to come are."""
    whole = MemoryLog()
    follow(served, whole)
    log = MemoryLog()
    with log.writer("chain", "pool/eth") as writer:
        writer.append([_of_before(record.value) for record in whole.read({})])
    assert watches(log)[0].authorizations_from is None
    world.mine([Spend(address(25), CODE, authorizations=[signed(KEY, 4)])])
    follow(served, log)
    assert [watch.authorizations_from for watch in watches(log)] == [None, 6]
    assert told(log)[-1][0] == 6


def _of_before(value: bytes) -> NewEvent:
    event = decode(value)
    return encode(msgspec.structs.replace(event, authorizations_from=None) if isinstance(event, Watch) else event)


@pytest.mark.parametrize("broken", [{"nonce": "0x"}, {"address": "0x12"}, {"r": None}])
def test_an_entry_that_can_not_be_read_is_a_fault_of_the_answer(broken: dict[str, Any]) -> None:
    watched = watch_list([WatchedWallet(name="hot", addresses=[HOT])])

    def light(entry: dict[str, Any]) -> LightTransaction:
        return msgspec.convert(
            {"hash": f"0x{1:064x}", "from": address(25), "authorizationList": msgspec.Raw(msgspec.json.encode([entry]))}, LightTransaction
        )

    assert may_authorize([light(signed(KEY, 1) | broken)], watched), "the block is read whole, and the fault is told there"
    assert may_authorize([light(signed(KEY, 1))], watched) and not may_authorize([light(signed(OTHER, 1))], watched)
    assert not may_authorize([LightTransaction(hash=f"0x{2:064x}", sender=address(25))], watched)
