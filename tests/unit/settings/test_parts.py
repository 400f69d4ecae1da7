"""A block explorer's address is a web page with the transaction's place in it, and nothing else that could be filled in."""

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.settings.parts import Explorer

ADAPTER = TypeAdapter(Explorer)


@pytest.mark.parametrize("value", ["https://explorer.example/tx/{txid}", "http://127.0.0.1:3002/tx?id={txid}&net=main"])
def test_an_explorer_is_a_web_page_of_a_transaction(value: str) -> None:
    assert ADAPTER.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "https://explorer.example/tx/", "javascript:alert('{txid}')", "https://e.example/{txid}\" onclick=x", "https://e.example/{txid}/{address}",
        "//e.example/{txid}", "https://e.example/<{txid}>", "https://e.example/ {txid}",
    ],
)  # fmt: skip
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="is no page of a transaction"):
        ADAPTER.validate_python(value)
