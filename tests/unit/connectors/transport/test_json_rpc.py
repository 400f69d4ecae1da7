"""A batch of large answers is gone over once, and the JSON of any of them is found in it again, however the node writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from connectors.transport.json_rpc import Told, read_results


class Block(msgspec.Struct):
    hash: str
    parent: str
    entries: list[msgspec.Raw] = []


def block(n: int, **more: Any) -> dict[str, Any]:
    """Blocks follow one another, so each names the one before."""
    return {"parent": f"0x{n - 1:064x}", "hash": f"0x{n:064x}", "entries": [{"of": f"0x{n:064x}", "text": '},{"jsonrpc"'}], **more}


def reply(place: int, result: Any, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": place, "result": result, **more}


def compact(replies: list[Any]) -> bytes:
    return json.dumps(replies, separators=(",", ":")).encode()


def id_last(replies: list[Any]) -> bytes:
    return compact([{"jsonrpc": "2.0", "result": one["result"], "id": one["id"]} for one in replies])


def result_first(replies: list[Any]) -> bytes:
    return compact([{"result": one["result"], "id": one["id"], "jsonrpc": "2.0"} for one in replies])


def backwards(replies: list[Any]) -> bytes:
    return compact(replies[::-1])


def spaced(replies: list[Any]) -> bytes:
    return b" \n" + json.dumps(replies, indent=2).encode() + b"\n"


def told(content: bytes, n_calls: int) -> list[Told[Any]]:
    found = read_results(content, Block, n_calls)
    assert found is not None
    return found


@pytest.mark.parametrize("write", [compact, id_last, result_first, backwards, spaced])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_results_json_is_found_again_however_the_batch_is_written(write: Callable[[list[Any]], bytes], count: int) -> None:
    blocks = [block(n) for n in range(1, count + 1)]
    found = told(write([reply(place, one) for place, one in enumerate(blocks)]), count)
    for one, result in zip(blocks, found, strict=True):
        assert result.value is not None and result.value.hash == one["hash"]
        for near in (one["hash"], one["parent"], '"', "nowhere"):
            assert msgspec.json.decode(result.raw(near.encode())) == one


def test_what_pretends_to_be_a_reply_inside_another_is_not_taken_for_it() -> None:
    forged = reply(1, block(2) | {"entries": []})
    found = told(compact([reply(0, block(1, more=[{}, forged, forged])), reply(1, block(2))]), 2)
    assert msgspec.json.decode(found[1].raw(near=f"0x{2:064x}".encode())) == block(2)


def test_null_is_none() -> None:
    assert [one.value for one in told(compact([reply(0, None), {"jsonrpc": "2.0", "id": 1}]), 2)] == [None, None]


@pytest.mark.parametrize(
    "replies",
    [
        [reply(0, block(1))],
        [reply(0, block(1)), reply(0, block(2))],
        [reply(0, block(1)), reply(2, block(2))],
        [reply(0, block(1)), reply(1, block(2)), reply(1, block(2))],
        [reply(0, block(1)), reply(1, None, error={"code": -32000, "message": "no"})],
        [reply(0, block(1)), reply(1, {"hash": 7})],
        {"error": {"code": -32005, "message": "too many"}},
    ],
)
def test_anything_but_all_the_results_is_left_to_be_told(replies: Any) -> None:
    assert read_results(compact(replies), Block, 2) is None


def test_half_an_answer_is_none() -> None:
    assert read_results(compact([reply(0, block(1)), reply(1, block(2))])[:-9], Block, 2) is None
