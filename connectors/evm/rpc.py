"""JSON-RPC to one node of an account chain: many calls in one request.

Enters: a URL, a user and password or custom headers. Leaves: each call's result as JSON, in the order asked; or a `SourceError` that
says what happened and what to do. A request that is too large for the node is halved until it succeeds, and that size is remembered; after some that
succeed, larger ones are tried again. Where the node asks to be asked more slowly, a batch shrinks and is waited with, as long as the node says, for a while.
Left out: connections, limits and transport errors (`connectors.transport`), retries over time (`pipeline.follow`), what the methods
mean (`node.py`).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from connectors.transport.client import AnswerTooLarge, NodeAddress, NodeClient, basic
from connectors.transport.json_rpc import Fault, Reply, Told, encode, read_replies, read_reply, read_result, read_results
from pipeline.model.errors import SourceError
from pipeline.model.message import message
from pipeline.model.typed import decoder

from .errors import RATE_LIMITED, AccessRefused, AnswerUnreadable, NodeBusy, RpcError, wait_in_answer_s

Call = tuple[str, Sequence[object]]
"""A method and its parameters."""

MAX_REPLY_BYTES = 256 << 20
"""A longer reply is refused; a hundred full blocks, or a traced one, are far smaller."""
BATCH = 100
"""Calls in one request, unless the settings say otherwise or the node accepts fewer."""
GROWS_AFTER = 8
"""Requests of the size in use that must succeed before one twice as large is tried."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
"""Seconds between two attempts at what a node's limit refused. A node that asks for more is left to the loop, which waits as long."""
PATIENCE = 3
"""Attempts in a row that may be refused before the loop is told."""


class Limited(NodeBusy):
    """The node limits how much we ask."""


class RecordedAnswers(NamedTuple):
    """Some calls with a digest of the node's answers."""

    calls: tuple[Call, ...]
    is_batch: bool
    digest: bytes | None
    """None where some answer was an error."""


def lacks_state(answer: msgspec.Raw | RpcError) -> bool:
    """Whether an answer about a new block that has transactions says that the node does not have it, or its state, now: by an error, null, an empty list."""
    if isinstance(answer, RpcError):
        return (answer.is_state_missing or answer.is_block_missing) and not answer.is_about_the_user
    return shows_nothing(answer)


def shows_nothing(answer: msgspec.Raw) -> bool:
    """Whether it is null or an empty list: no answer about a block that has transactions."""
    return _NOTHING.fullmatch(answer) is not None


class NodeConnection:
    """Connections to a node. Thread-safe: concurrent requests use separate connections, which are kept open."""

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        batch_size: int = BATCH,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`batch_size`: the most calls in one request. `pause`: waits for so many seconds."""
        address = NodeAddress.of(url, default_port=80, example="http://127.0.0.1:8545")
        if address.user is not None:
            user, password = address.user, address.password
        self.name = address.name
        """The node's address without secrets (providers put keys into the path), for messages."""
        self._path = address.path
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if user is not None:
            self._headers["Authorization"] = basic(f"{user}:{password or ''}".encode())
        self._http = NodeClient(address, timeout_s=timeout_s, limit_bytes=MAX_REPLY_BYTES)
        self.batch_size = self._largest = batch_size
        self._pause, self._good = pause, 0
        self._sizes = threading.Lock()
        self.n_pauses = 0
        """How often a limit of the node was waited for."""
        self.n_requests = 0
        """Requests sent so far."""
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"NodeConnection({self.name})"

    def close(self) -> None:
        self._http.close()

    # --- calls -----------------------------------------------------------------------------------------------------

    def call(self, method: str, *params: object, result: Any) -> Any:
        """The result of one call, decoded as `result`. Raises RpcError for the node's error."""
        return self.read(self._ask_one((method, params)), method, result)

    def batch(self, calls: Sequence[Call], *, result: Any) -> list[Any]:
        """The results of many calls in the order asked, each decoded as `result`. The first error is raised."""
        found = []
        for (method, _), answer in zip(calls, self.ask(calls), strict=True):
            if isinstance(answer, RpcError):
                raise answer
            found.append(self.read(answer, method, result))
        return found

    def ask(self, calls: Sequence[Call]) -> list[msgspec.Raw | RpcError]:
        """The node's answer to each of many calls, in the order asked: JSON, or its error."""
        answers: list[msgspec.Raw | RpcError] = self._ask_all(calls, None)
        self._note(tuple(calls), True, answers)
        return answers

    def tell(self, calls: Sequence[Call], kind: Any) -> list[Told[Any]]:
        """As `batch`, of large answers: each is gone over once, and its JSON is kept. Not recorded. The first error is raised."""
        found = []
        for (method, _), answer in zip(calls, self._ask_all(calls, kind), strict=True):
            if isinstance(answer, RpcError):
                raise answer
            found.append(answer if isinstance(answer, Told) else Told(self.read(answer, method, kind | None), answer))
        return found

    def _ask_all(self, calls: Sequence[Call], kind: Any) -> list[Any]:
        """An answer to each: JSON, or decoded as `kind` where one is given and the node answered all of a request so; or its error."""
        answers: list[Any] = []
        refused = 0
        while len(answers) < len(calls):
            some = calls[len(answers) : len(answers) + self.batch_size]
            try:
                found = self._ask_some(some, kind)
            except Limited as busy:
                refused += 1
                self._wait(busy, len(some), refused)
                continue
            answers += found
            refused = 0
            self._succeeded(len(found), len(some))
        return answers

    def _wait(self, busy: Limited, n_calls: int, refused: int) -> None:
        """Shrink the batch, and wait as long as the node asks, or longer each time. Raises `busy` when that is too long, or patience is at an end."""
        self._shrink(n_calls)
        pause_s = busy.retry_after_s if busy.retry_after_s is not None else FIRST_PAUSE_S * 2 ** (refused - 1)
        if refused > PATIENCE or (busy.retry_after_s or 0) > LONGEST_PAUSE_S:
            raise busy
        self.n_pauses += 1
        self._pause(min(pause_s, LONGEST_PAUSE_S))

    def _shrink(self, n_calls: int) -> None:
        """So many calls in one request were too many."""
        with self._sizes:
            self.batch_size, self._good = max(1, min(self.batch_size, n_calls // 2)), 0

    def _succeeded(self, n_answers: int, n_asked: int) -> None:
        """A request of the size in use was answered: after some, larger ones are tried again."""
        with self._sizes:
            if n_answers < n_asked or n_asked < self.batch_size or self.batch_size >= self._largest:
                return
            self._good += 1
            if self._good >= GROWS_AFTER:
                self.batch_size, self._good = min(self._largest, 2 * self.batch_size), 0

    @contextmanager
    def record_answers(self) -> Iterator[list[RecordedAnswers]]:
        """Record this thread's calls, and digests of their answers, until the end of the block."""
        recorded: list[RecordedAnswers] = []
        self._local.recorded = recorded
        try:
            yield recorded
        finally:
            self._local.recorded = None

    def gives_same_answers(self, recorded: RecordedAnswers) -> bool:
        """Repeat the calls; whether the answers are the same bytes."""
        if recorded.digest is None:
            return False
        answers = self.ask(recorded.calls) if recorded.is_batch else [self._ask_one(call) for call in recorded.calls]
        return _digest(answers) == recorded.digest

    def _note(self, calls: tuple[Call, ...], is_batch: bool, answers: Sequence[msgspec.Raw | RpcError]) -> None:
        recorded: list[RecordedAnswers] | None = getattr(self._local, "recorded", None)
        if recorded is not None:
            recorded.append(RecordedAnswers(calls, is_batch, _digest(answers)))

    def read(self, answer: msgspec.Raw, method: str, kind: Any) -> Any:
        """An answer decoded as `kind`. Raises AnswerUnreadable when it is something else."""
        return read_result(answer, decoder(kind), method, self.name)

    def _ask_some(self, calls: Sequence[Call], kind: Any) -> Sequence[msgspec.Raw | Told[Any] | RpcError]:
        """The answers to some calls, as `_ask_all`: to all, or to the first half if the node refuses so many."""
        first = calls[0][0]
        batch = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n, (method, params) in enumerate(calls)]
        try:
            content = self._post(encode(batch), first)
            if kind is not None and (told := read_results(content, kind, len(calls))) is not None:
                return told
            replies = read_replies(content, first, self.name, len(calls))
            if isinstance(replies, Reply):
                raise self._failure_of(replies.error or Fault(), first)
        except (RpcError, AnswerTooLarge):
            if len(calls) == 1:
                return self._one(calls[0])
            return self._halved(calls, kind)
        answers: list[msgspec.Raw | RpcError] = []
        for (method, _), reply in zip(calls, replies, strict=True):
            try:
                answers.append(self._result(reply, method))
            except Limited:  # the node counts each call of a batch: what it answered is kept
                if not answers:
                    raise
                self._shrink(2 * len(answers))
                return answers
            except RpcError as error:
                if error.is_too_large and method not in _RANGED and len(calls) > 1:  # the batch's reply was cut at the node's limit
                    return answers or self._halved(calls, kind)
                answers.append(error)
        return answers

    def _halved(self, calls: Sequence[Call], kind: Any) -> Sequence[msgspec.Raw | Told[Any] | RpcError]:
        self._shrink(len(calls))
        return self._ask_some(calls[: max(1, len(calls) // 2)], kind)

    def _ask_one(self, call: Call) -> msgspec.Raw:
        """The answer to one call, not sent as a batch. Raises RpcError for the node's error."""
        refused = 0
        while True:
            try:
                answer = self._alone(call)
            except Limited as busy:
                refused += 1
                self._wait(busy, self.batch_size * 2, refused)
            else:
                self._note((call,), False, [answer])
                return answer

    def _one(self, call: Call) -> list[msgspec.Raw | RpcError]:
        """One call, not sent as a batch: some nodes accept no batches."""
        try:
            return [self._alone(call)]
        except RpcError as error:
            return [error]

    def _alone(self, call: Call) -> msgspec.Raw:
        method, params = call
        content = self._post(encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}), method)
        return self._result(read_reply(content, method, self.name), method)

    def _result(self, reply: Reply, method: str) -> msgspec.Raw:
        if reply.error is not None:
            raise self._failure_of(reply.error, method)
        return reply.result

    def _failure_of(self, error: Fault, method: str) -> SourceError:
        text = error.message[:300]
        is_contracts = RpcError("", method=method, code=error.code, text=text).is_contracts_own  # its words are a stranger's
        if error.code in (429, -32029) or (RATE_LIMITED.search(text) and "range" not in text and not is_contracts):
            return Limited(
                message(
                    "the node at {name} asks to be asked more slowly ({method}: {text}): trying again later",
                    name=self.name,
                    method=method,
                    text=text,
                ),
                retry_after_s=wait_in_answer_s(text, error.data),
            )
        if RpcError("", method=method, code=error.code, text=text).is_method_missing:
            return RpcError(
                message("the node at {name} does not offer {method}: {text}", name=self.name, method=method, text=text),
                method=method,
                code=error.code,
                text=text,
            )
        return RpcError(
            message("{method} at {name}: {text} (code {code})", method=method, name=self.name, text=text, code=error.code),
            method=method,
            code=error.code,
            text=text,
        )

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def _post(self, body: bytes, method: str) -> bytes:
        status, content, retry_after = self._exchange(body)
        if status == 200:
            return content
        said = content[:200].decode(errors="replace").strip() or message("no reason given")
        if status in (401, 403):
            raise AccessRefused(
                message(
                    "the node at {name} does not let us in ({status}: {said}): check user, password and headers of the chain",
                    name=self.name,
                    status=status,
                    said=said,
                )
            )
        if status in (429, 502, 503, 504):
            wait_s = _seconds(retry_after)
            raise (Limited if status == 429 else NodeBusy)(
                message(
                    "the node at {name} is overloaded or limits us ({status}: {said}): trying again",
                    name=self.name,
                    status=status,
                    said=said,
                )
                + (message(" after {wait_s} s", wait_s=format(wait_s, "g")) if wait_s is not None else ""),
                retry_after_s=wait_s,
            )
        if status == 413:
            raise AnswerTooLarge(message("{method} at {name}: {said}", method=method, name=self.name, said=said))
        if content[:1] in (b"{", b"["):
            return content
        raise AnswerUnreadable(
            message(
                "{method} at {name} was answered with HTTP {status}: {said}; is rpc_url the node's RPC port?",
                method=method,
                name=self.name,
                status=status,
                said=said,
            )
        )

    def _exchange(self, body: bytes) -> tuple[int, bytes, str | None]:
        self.n_requests += 1
        return self._http.request("POST", self._path, body, self._headers)


def _digest(answers: Sequence[msgspec.Raw | RpcError]) -> bytes | None:
    """A 32-byte digest of the answers; None if one of them is an error."""
    found = hashlib.blake2b(digest_size=32)
    for answer in answers:
        if isinstance(answer, RpcError):
            return None
        found.update(len(memoryview(answer)).to_bytes(8, "big"))
        found.update(answer)
    return found.digest()


_NOTHING = re.compile(rb"\s*(null|\[\s*\])\s*")
_RANGED = ("eth_getLogs", "trace_filter")
"""Methods whose block range may be too large: their caller splits it."""


def _seconds(retry_after: str | None) -> float | None:
    """The Retry-After header in seconds; None where it is absent or a date (which would need a clock)."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return None
