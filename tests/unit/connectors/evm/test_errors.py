"""What a node's words mean: its block, its state, its method or the user's plan is what it lacks."""

from __future__ import annotations

import msgspec
import pytest

from connectors.evm.errors import RpcError
from connectors.evm.rpc import lacks_state


def error(text: str, code: int = -32000) -> RpcError:
    return RpcError(text, method="eth_getBalance", code=code, text=text)


@pytest.mark.parametrize(
    "text",
    ["header not found", "header for hash not found", "block 0x12ab not found", "Block #7 was not found", "Unknown block", "cannot find block 7", "couldn't find the block", "not found", "Resource not found."],
)  # fmt: skip
def test_a_block_that_the_node_does_not_have(text: str) -> None:
    assert error(text).is_block_missing and lacks_state(error(text))


@pytest.mark.parametrize(
    "text", ["Method not found", "subscription not found", "transaction not found", "your key was not found", "project ID not found"]
)
def test_what_else_is_not_found_is_no_block(text: str) -> None:
    assert not error(text).is_block_missing and not lacks_state(error(text))


@pytest.mark.parametrize(
    ("answer", "is_nothing"),
    [(b"null", True), (b"[]", True), (b" [ ]\n", True), (b"[[]]", False), (b"[1]", False), (b'"0x"', False), (b"{}", False)],
)
def test_an_answer_without_anything(answer: bytes, is_nothing: bool) -> None:
    assert lacks_state(msgspec.Raw(answer)) == is_nothing
