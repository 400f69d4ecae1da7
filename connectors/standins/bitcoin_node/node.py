"""A recorded Bitcoin Core node, alive again on the loopback: JSON-RPC (1.0 and 2.0, batches), REST, cookie file.

Enters a directory of the capture's shape; leaves a server that plays its sequence as clients look at the tip, and answers
every request as the node did at that place. Tests and people may play it by hand (`play`, `play_all`).
"""

from __future__ import annotations

import base64
import hmac
import secrets
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from connectors.transport.server import HttpServer, Request, Response
from pipeline.model.errors import SourceError

from .answers import Answers, hash_of, integer_of, positional
from .errors import INVALID_REQUEST, METHOD_NOT_FOUND, MISC_ERROR, PARSE_ERROR, RpcError
from .recording import load
from .rest import Rest
from .state import NodeState

_COOKIE_USER = "__cookie__"
_LOOKS_AT_TIP = {"getbestblockhash", "getblockchaininfo", "getblockcount", "waitfornewblock"}
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="jsonrpc"'),)
_WRONG_PASSWORD_PAUSE_S = 0.25
_JSON = "application/json"


class ReplayNode:
    """Serves the recording in `directory` between `with` and its end.

    Each time a client asks for the tip, up to `events_per_poll` further events are played (`NodeState.poll` says where it
    stops); 0 plays none: then only `play` and `play_all` do. `port` 0 takes a free one. The cookie file is written to
    `cookie_path`, or to a folder of its own that goes with the node. Raises SourceError for a recording that does not
    hold, or a port that is taken.
    """

    def __init__(self, directory: Path | str, *, events_per_poll: int = 16, port: int = 0, cookie_path: Path | None = None) -> None:
        if events_per_poll < 0:
            raise ValueError(f"events_per_poll is {events_per_poll}: it must be 0 or more")
        self._state = NodeState(load(Path(directory)))
        started = time.monotonic()
        self._answers = Answers(self._state, lambda: int(time.monotonic() - started))
        self._rest = Rest(self._state, self._answers)
        self._events_per_poll = events_per_poll
        self._has_changed = threading.Condition()  # its lock guards the state
        self._is_closed = False
        try:
            self._server = HttpServer("127.0.0.1", port, self._answer, name="replay-node")
        except OSError as error:
            raise SourceError(f"port {port} can't be opened on 127.0.0.1 ({error.strerror}): name another one, or 0") from error
        self._folder = tempfile.TemporaryDirectory(prefix="replay-node-") if cookie_path is None else None
        self.cookie_path = cookie_path or Path(self._folder.name if self._folder else ".") / ".cookie"
        self._authorization = self._write_cookie()

    def __enter__(self) -> ReplayNode:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def rpc_url(self) -> str:
        """Where it serves, JSON-RPC at `/` and REST at `/rest/`."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def progress(self) -> tuple[int, int]:
        """Events played, and events in all."""
        with self._has_changed:
            return self._state.played, self._state.total

    @property
    def tip(self) -> str:
        """Hash of the main chain's last block, as far as was played."""
        with self._has_changed:
            return self._state.tip.hash

    @property
    def is_finished(self) -> bool:
        with self._has_changed:
            return self._state.is_finished

    def play(self, count: int) -> int:
        """Play exactly `count` further events, fewer at the sequence's end; how many were played."""
        with self._has_changed:
            played = self._state.play(count)
            self._has_changed.notify_all()
        return played

    def play_all(self) -> int:
        """Play the sequence to its end; how many events were left."""
        return self.play(self._state.total)

    def close(self) -> None:
        """Stop serving and remove the cookie file."""
        with self._has_changed:
            self._is_closed = True
            self._has_changed.notify_all()
        self._server.close()
        self.cookie_path.unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.cleanup()

    def _write_cookie(self) -> bytes:
        credentials = f"{_COOKIE_USER}:{secrets.token_hex(32)}"
        self.cookie_path.unlink(missing_ok=True)
        self.cookie_path.touch(mode=0o600)
        self.cookie_path.write_text(credentials)
        return credentials.encode()

    def _answer(self, request: Request) -> Response:
        response = self._respond(request)
        return response._replace(at=self._state.clock)

    def _respond(self, request: Request) -> Response:
        if request.target.startswith("/rest/"):
            return self._respond_rest(request.target.removeprefix("/rest/"))
        if request.target.partition("?")[0] != "/":
            return Response(404, b"")
        if request.method != "POST":
            return Response(405, b"JSONRPC server handles only POST requests")
        if not self._is_authorized(request.headers.get("authorization")):
            return Response(401, b"", headers=_CHALLENGE)
        try:
            call = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _failed(RpcError(PARSE_ERROR, "Parse error"), {"id": None})
        if isinstance(call, list):
            return self._respond_batch(call)
        if not isinstance(call, dict):
            return _failed(RpcError(PARSE_ERROR, "Top-level object parse error"), {"id": None})
        return self._respond_single(call)

    def _respond_rest(self, target: str) -> Response:
        with self._has_changed:
            if target.startswith("chaininfo"):
                self._poll()
            reply = self._rest.answer(target)
        return Response(reply.status, reply.body, reply.content_type)

    def _respond_single(self, call: dict[str, Any]) -> Response:
        try:
            is_v2 = _is_version_2(call)
        except RpcError as error:
            return _failed(error, call)
        try:
            result = self._call(call)
        except RpcError as error:
            if not is_v2:
                return _failed(error, call)
            reply = _reply(call, is_v2=True, error=error)
        else:
            reply = _reply(call, is_v2=is_v2, result=result)
        if is_v2 and "id" not in call:
            return Response(204, b"")
        return Response(200, msgspec.json.encode(reply) + b"\n", _JSON)

    def _respond_batch(self, calls: list[Any]) -> Response:
        replies: list[dict[str, Any]] = []
        for call in calls:
            if not isinstance(call, dict):
                replies.append(_reply({"id": None}, is_v2=False, error=RpcError(INVALID_REQUEST, "Invalid Request object")))
                continue
            is_v2 = False
            try:
                is_v2 = _is_version_2(call)
                reply = _reply(call, is_v2=is_v2, result=self._call(call))
            except RpcError as error:
                reply = _reply(call, is_v2=is_v2, error=error)
            if not is_v2 or "id" in call:
                replies.append(reply)
        if calls and not replies:
            return Response(204, b"")
        return Response(200, msgspec.json.encode(replies) + b"\n", _JSON)

    def _is_authorized(self, header: str | None) -> bool:
        if header is None:
            return False
        try:
            given = base64.b64decode(header.removeprefix("Basic "), validate=True) if header.startswith("Basic ") else b""
        except ValueError:
            given = b""
        if hmac.compare_digest(given, self._authorization):
            return True
        time.sleep(_WRONG_PASSWORD_PAUSE_S)
        return False

    def _call(self, call: dict[str, Any]) -> Any:
        """The result of one call, as JSON. Raises RpcError."""
        method, parameters = call.get("method"), call.get("params")
        if method is None:
            raise RpcError(INVALID_REQUEST, "Missing method")
        if not isinstance(method, str):
            raise RpcError(INVALID_REQUEST, "Method must be a string")
        if not isinstance(parameters, list | dict | None):
            raise RpcError(INVALID_REQUEST, "Params must be an array or object")
        values = positional(method, parameters or [])
        with self._has_changed:
            if method == "waitfornewblock":
                return self._wait_for_new_block(*values)
            if method == "waitforblockheight":
                return self._wait_for_height(*values)
            if method in _LOOKS_AT_TIP:
                self._poll()
            # Encoded under the lock: what is answered must be of one place in the sequence.
            return msgspec.Raw(msgspec.json.encode(self._answers.call(method, values)))

    def _poll(self) -> None:
        if self._events_per_poll and self._state.poll(self._events_per_poll):
            self._has_changed.notify_all()

    def _wait_for_new_block(self, timeout_ms: Any = None, current_tip: str | None = None) -> dict[str, Any]:
        timeout_s = _timeout_s(timeout_ms)
        before = self._state.tip.hash if current_tip is None else hash_of(current_tip, "current_tip")
        self._poll()
        self._has_changed.wait_for(lambda: self._is_closed or self._state.tip.hash != before, timeout_s)
        return {"hash": self._state.tip.hash, "height": self._state.tip.height}

    def _wait_for_height(self, wanted: Any, timeout_ms: Any = None) -> dict[str, Any]:
        height = integer_of(wanted)
        timeout_s = _timeout_s(timeout_ms)
        while self._state.tip.height < height and self._events_per_poll and not self._state.is_finished:
            self._poll()
        self._has_changed.wait_for(lambda: self._is_closed or self._state.tip.height >= height, timeout_s)
        return {"hash": self._state.tip.hash, "height": self._state.tip.height}


def _timeout_s(timeout_ms: Any) -> float | None:
    """Seconds to wait; None for ever, which Core writes as 0."""
    milliseconds = 0 if timeout_ms is None else integer_of(timeout_ms)
    if milliseconds < 0:
        raise RpcError(MISC_ERROR, "Negative timeout")
    return milliseconds / 1000 if milliseconds else None


def _is_version_2(call: dict[str, Any]) -> bool:
    version = call.get("jsonrpc")
    if version is None or version == "1.0":
        return False
    if not isinstance(version, str):
        raise RpcError(INVALID_REQUEST, "jsonrpc field must be a string")
    if version != "2.0":
        raise RpcError(INVALID_REQUEST, "JSON-RPC version not supported")
    return True


def _reply(call: dict[str, Any], *, is_v2: bool, result: Any = None, error: RpcError | None = None) -> dict[str, Any]:
    """JSON-RPC's reply: 1.0 names both result and error, 2.0 only the one there is."""
    reply: dict[str, Any] = {"jsonrpc": "2.0"} if is_v2 else {}
    if error is None:
        reply["result"] = result
        if not is_v2:
            reply["error"] = None
    else:
        if not is_v2:
            reply["result"] = None
        reply["error"] = {"code": error.code, "message": error.message}
    return reply | {"id": call["id"]} if "id" in call else reply


def _failed(error: RpcError, call: dict[str, Any]) -> Response:
    """A refused single call of version 1: its error shows in the HTTP status too."""
    status = {INVALID_REQUEST: 400, METHOD_NOT_FOUND: 404}.get(error.code, 500)
    return Response(status, msgspec.json.encode(_reply(call, is_v2=False, error=error)) + b"\n", _JSON)
