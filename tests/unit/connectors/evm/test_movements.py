"""Where a movement stands: its name in the block is what a payment is found by (ADR 7)."""

from __future__ import annotations

from connectors.evm.movements import Call, Calls, movements_of
from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.receipts import TRANSFER_TOPIC, Log, Receipt

POOL, MINER, TOKEN, OTHER = (to_checksum("0x" + f"{n:02x}" * 20) for n in (0x11, 0x22, 0x33, 0x44))
TRANSACTION = {"from": POOL.lower(), "to": MINER.lower(), "value": "0x5"}


def transfer(contract: str, value: int) -> Log:
    parties = [bytes(12) + bytes.fromhex(address[2:]) for address in (POOL, MINER)]
    return Log(contract, [TRANSFER_TOPIC, *parties], value.to_bytes(32, "big"))


def found(status: int | None, calls: Calls | None = None) -> list[tuple[str, int, str]]:
    receipt = Receipt(2, status, 90_000, bytes(256), [transfer(TOKEN, 7), transfer(TOKEN, 0), transfer(OTHER, 9)])
    moved = movements_of(TRANSACTION, receipt, 12, calls, created=None, asset="ETH", tokens={TOKEN: "USDT"})
    return [(movement.asset, movement.value, movement.ref) for movement in moved]


def test_logs_are_counted_through_the_block_and_nothing_that_moved_nothing_is_a_movement() -> None:
    assert found(1) == [("ETH", 5, "tx"), ("USDT", 7, "log:12"), (OTHER, 9, "log:14")]


def test_calls_stand_between_by_their_path() -> None:
    calls = Calls(is_failed=False, inner=[Call((0,), POOL, MINER, 3), Call((0, 2), MINER, OTHER, 0), Call((1, 4), POOL, OTHER, 2)])
    assert [ref for _, _, ref in found(1, calls)] == ["tx", "call:0", "call:1.4", "log:12", "log:14"]


def test_what_failed_moved_nothing_and_before_byzantium_only_a_trace_knows() -> None:
    assert found(0) == []
    assert found(None, Calls(is_failed=True, inner=[])) == []
    assert len(found(None)) == 3
