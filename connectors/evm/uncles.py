"""The uncles that a block includes, held against its header (`commitments.py`)."""

from __future__ import annotations

from .answers import HeaderFields, raw_header
from .commitments import check_uncles
from .errors import AnswerUnreadable
from .node import Node, ReadBlock
from .rewards import Uncle


def uncles_of(node: Node, block: ReadBlock) -> list[Uncle]:
    """The uncles that a block includes, in order: those whose hash its header holds. Raises AnswerUnreadable where others are given."""
    named = block.light.uncles
    calls = [("eth_getUncleByBlockHashAndIndex", ("0x" + block.header.hash, hex(place))) for place in range(len(named))]
    found = node.connection.batch(calls, result=HeaderFields | None) if calls else []
    try:
        headers = []
        for name, fields in zip(named, found, strict=True):
            if fields is None or fields.hash.lower() != name.lower():
                raise ValueError(f"its uncle {name} is not given")
            headers.append(raw_header(fields))
        check_uncles(block.header.fields, headers)
    except ValueError as error:
        raise AnswerUnreadable(f"block {block.header.height} {block.header.hash} at {node.name}: {error}") from error
    return [Uncle(header.fields.miner, header.height) for header in headers]
