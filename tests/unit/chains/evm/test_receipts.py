"""Receipts: to bytes and back, and the tokens that their logs move."""

from __future__ import annotations

from typing import Any

import pytest
import rlp

from pipeline.chains.evm.receipts import Log, parse_receipt, read_receipt, receipt_rlp, token_movement, token_movements

USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
TO = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
FROM = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def topic(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def log(value: int = 5_000_000, **change: Any) -> dict[str, Any]:
    return {"address": USDT.lower(), "topics": [TRANSFER, topic(FROM), topic(TO)], "data": f"0x{value:064x}", "logIndex": "0x7"} | change


def receipt(**change: Any) -> dict[str, Any]:
    return {"type": "0x2", "status": "0x1", "cumulativeGasUsed": "0xf4240", "logsBloom": "0x" + "0" * 512, "logs": [log()]} | change


def test_a_typed_receipt_goes_to_bytes_and_back() -> None:
    raw = receipt_rlp(receipt())
    assert raw[0] == 2 and rlp.decode(raw[1:])[0] == b"\x01"
    parsed = parse_receipt(raw)
    assert (parsed.kind, parsed.status, parsed.cumulative_gas_used) == (2, 1, 1_000_000)
    (movement,) = token_movements(parsed)
    assert (movement.contract, movement.sender, movement.receiver, movement.value) == (USDT, FROM, TO, 5_000_000)


def test_a_failed_one_and_a_legacy_one_before_byzantium() -> None:
    failed = parse_receipt(receipt_rlp(receipt(type="0x0", status="0x0", logs=[])))
    assert (failed.kind, failed.status, failed.logs) == (0, 0, [])
    old = receipt(root="0x" + "ab" * 32)
    del old["type"], old["status"]
    assert parse_receipt(receipt_rlp(old)).status is None


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"type": None},
        {"type": "0x0", "status": "0x0", "logs": []},
        {"status": None, "root": "0x" + "ab" * 32},
        {"logs": [log(), log(0)]},
    ],
)
def test_what_is_read_of_an_answer_is_what_its_bytes_say(change: dict[str, Any]) -> None:
    raw = receipt_rlp(receipt(**change))
    assert read_receipt(receipt(**change)) == (raw, parse_receipt(raw))


def test_a_status_that_is_neither_success_nor_failure_is_refused() -> None:
    with pytest.raises(ValueError, match="status is 0 or 1"):
        read_receipt(receipt(status="0x2"))


@pytest.mark.parametrize(
    "change",
    [
        {"topics": [TRANSFER, topic(FROM)]},
        {"topics": [TRANSFER, topic(FROM), topic(TO), "0x" + "0" * 64]},
        {"topics": ["0x" + "12" * 32, topic(FROM), topic(TO)]},
        {"topics": [TRANSFER, "0x" + "ff" * 32, topic(TO)]},
        {"data": "0x"},
        {"data": "0x" + "00" * 64},
    ],
)
def test_what_only_looks_like_a_transfer_is_none(change: dict[str, Any]) -> None:
    (found,) = parse_receipt(receipt_rlp(receipt(logs=[log(**change)]))).logs
    assert token_movement(found) is None


def test_a_movement_of_nothing_is_none() -> None:
    assert token_movements(parse_receipt(receipt_rlp(receipt(logs=[log(0)])))) == []
    assert token_movement(Log(USDT, [], b"")) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"logsBloom": "0x00"}, "logsBloom has 1 bytes"),
        ({"logs": None}, "logs is None"),
        ({"status": None}, "root is None"),
        ({"logs": [log(topics=["0x12"])]}, "topics has 1 bytes"),
        ({"type": "0x7e"}, "type 126 is not known"),
    ],
)
def test_malformed_answers_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        receipt_rlp(receipt(**change))


@pytest.mark.parametrize(
    "raw", [b"", b"\xc0", b"\x02\xc0", b"\x7e\xc0", rlp.encode([b"\x02", b"", b"\0" * 256, []]), rlp.encode([b"", b"", b"", []])]
)
def test_bytes_that_are_no_receipt_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_receipt(raw)
