"""JSON-RPC replies, single or in batches. Results stay undecoded until the caller gives their type.

Enters: the bytes that a node answered. Leaves: `Reply`s in the order asked; of a large batch whose results are all of one type `Told`s, so that its bytes are gone
over once. What is no JSON-RPC reply is an `AnswerUnreadable` with the method and the node's name. Leaves out: what a node's own error means (each family's `rpc.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from pipeline.follow.node_errors import AnswerUnreadable
from pipeline.model.message import message
from pipeline.model.typed import decoder

T = TypeVar("T")

DEEP_NESTING = 6_000
"""Levels of nested JSON that are decoded: a call on an account chain may be 1,024 calls deep, some levels each. At twenty thousand levels the
thread's stack would overflow and end the process."""
_NULL = msgspec.Raw(b"null")


class Fault(msgspec.Struct):
    """The error that the node returned for a call."""

    code: int = 0
    message: str = ""
    data: Any = None
    """What some nodes add, such as how long to wait."""


class Reply(msgspec.Struct):
    """A reply to one call; `result` is not decoded yet."""

    result: msgspec.Raw = _NULL
    error: Fault | None = None
    id: int | str | None = None


class _ReplyOf(msgspec.Struct, Generic[T]):
    """A reply to one call with its result decoded; null, or none at all, is None."""

    result: T | None = None
    error: Fault | None = None
    id: int | str | None = None


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """A result as decoded, and where its JSON is."""

    value: T | None
    """None: null."""
    content: bytes | msgspec.Raw
    """That JSON; or the replies to a batch, among which it is."""
    place: int | None = None
    """In a batch the call's id."""

    def raw(self, near: bytes) -> msgspec.Raw:
        """The result's JSON. `near`: bytes that it has, and nothing before it in the batch, or hardly anything.

        It is cut out there, and taken if it is the whole reply with that id and says the same; otherwise all of the batch is gone over again.
        """
        if isinstance(self.content, msgspec.Raw):
            return self.content
        found = _cut_out(self.content, near)
        if found is None or found.id != self.place or self.value != decoder(type(self.value)).decode(found.result):
            (found,) = (reply for reply in decode_deep(_replies.decode, self.content) if reply.id == self.place)
        return found.result


def _cut_out(content: bytes, near: bytes) -> Reply | None:
    """The reply around the first `near` in a batch whose replies begin alike; None where what is there is none."""
    begin, at = content.find(b"{"), content.find(near)
    between = b"," + content[begin : content.find(b":")]
    begin = max(begin, content.rfind(between, 0, at) + 1)
    end = content.find(between, at)
    try:
        return _reply.decode(content[begin : end if end >= 0 else content.rfind(b"]")])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_reply = decoder(Reply)
_replies = decoder(list[Reply])
encode = msgspec.json.Encoder().encode
"""A request's body."""


def read_reply(content: bytes, method: str, node: str) -> Reply:
    """The reply to one call. Raises AnswerUnreadable."""
    return _decoded(_reply, content, method, node)


def read_replies(content: bytes, method: str, node: str, n_calls: int) -> list[Reply] | Reply:
    """The replies to a batch of calls with the ids 0, 1, …, in that order; or the one error with which the node refuses the batch as a
    whole. Raises AnswerUnreadable."""
    if content.lstrip()[:1] != b"[":
        whole = read_reply(content, method, node)
        if whole.error is None:
            raise AnswerUnreadable(
                message("{method} at {node}: one answer to a batch of {n_calls}", method=method, node=node, n_calls=n_calls)
            )
        return whole
    by_id = {reply.id: reply for reply in _decoded(_replies, content, method, node)}
    if by_id.keys() == set(range(n_calls)):
        return [by_id[n] for n in range(n_calls)]
    if len(by_id) == 1 and n_calls > 1:
        (only,) = by_id.values()
        if only.error is not None:
            return only
    raise AnswerUnreadable(
        message("{method} at {node}: {count} answers to a batch of {n_calls}", method=method, node=node, count=len(by_id), n_calls=n_calls)
    )


def read_results(content: bytes, kind: Any, n_calls: int) -> list[Told[Any]] | None:
    """The results of a batch of calls with the ids 0, 1, …, in that order, each decoded as `kind`. None where the node answered anything else: an error among them, too many
    or too few, or of another type; `read_replies` tells which."""
    try:
        replies = decoder(list[_ReplyOf[kind]]).decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    by_id = {reply.id: reply for reply in replies if reply.error is None}
    if len(replies) != n_calls or by_id.keys() != set(range(n_calls)):
        return None
    return [Told(by_id[n].result, content, n) for n in range(n_calls)]


def read_result(result: msgspec.Raw, decoder: msgspec.json.Decoder[T], method: str, node: str) -> T:
    """A decoded result. Raises AnswerUnreadable when it is something else."""
    try:
        return decoder.decode(result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerUnreadable(
            message("{method} at {node} was answered with something unexpected: {error}", method=method, node=node, error=error)
        ) from error


def _decoded(decoder: msgspec.json.Decoder[T], content: bytes, method: str, node: str) -> T:
    try:
        return decode_deep(decoder.decode, content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerUnreadable(
            message(
                "{method} at {node} was answered with what is no JSON-RPC reply ({error}): {content}; is rpc_url the node's RPC port?",
                method=method,
                node=node,
                error=error,
                content=repr(content[:80]),
            )
        ) from error


def decode_deep(decode: Callable[[Any], T], content: Any) -> T:
    """Decode JSON that may be nested deeper than Python's default recursion limit allows."""
    try:
        return decode(content)
    except RecursionError:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, DEEP_NESTING))
        try:
            return decode(content)
        finally:
            sys.setrecursionlimit(usual)
