"""A node that shows its own view of the chain: late, rolled back, restarting, half-answering, lying.

Enters: requests at the connection's lowest seam. Leaves: bytes, or the failure of a transport. Its lies are such as can be seen: cut,
damaged or foreign answers. A whole block's bytes stay whole, for real ones announce their length; damage within them is told by hashes.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from connectors.bitcoin.errors import NodeUnreachable

from ..bitcoin_world import SimBlock, SimulatedNode
from .chain import PoolChain
from .dice import Dice


class View:
    """The chain as the node knows it: the world's, with a tip of its own."""

    def __init__(self, world: PoolChain) -> None:
        self._world = world
        self.tip: SimBlock = world.tip
        self.blocks = world.blocks
        self.is_still = True
        self.counter = 0
        self._found: list[SimBlock] = []

    def chain(self) -> list[SimBlock]:
        if not self._found or self._found[-1] is not self.tip:
            found: list[SimBlock] = []
            block: SimBlock | None = self.tip
            while block is not None:
                found.append(block)
                block = block.parent
            self._found = found[::-1]
        return self._found


class TroubledNode(SimulatedNode):
    """Answers by its view, unless the dice say otherwise."""

    def __init__(self, world: PoolChain, dice: Dice, *, has_rest: bool) -> None:
        self._pool_chain, self._dice = world, dice
        self._view = View(world)
        self._down = 0
        self._lag = 0
        super().__init__(self._view, has_rest=has_rest)  # type: ignore[arg-type]

    def tick(self) -> None:
        """Time has passed: the view follows the world, or not."""
        if self._dice.happens("node-lags"):
            self._lag = 2
        self._lag = max(0, self._lag - 1) if not self._dice.is_calm else 0
        if not self._lag:
            self._view.tip = self._pool_chain.tip
        if self._dice.happens("node-rolls-back"):
            chain = self._view.chain()
            self._view.tip = chain[-1 - min(self._dice.stream("node").randint(1, 9), len(chain) - 14)] if len(chain) > 15 else chain[-1]
        if self._dice.happens("node-restarts"):
            self._down = self._dice.stream("node").randint(2, 6)

    def show(self, tip: SimBlock) -> None:
        """The node's tip, by hand."""
        self._view.tip = tip

    def _exchange(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        dice, whims = self._dice, self._dice.stream("node-whims")
        if self._down:
            self._down -= 1
            if self._down % 2:
                raise NodeUnreachable(f"nothing listens at {self.name}: the node is not running, or its RPC port is another one")
            if verb == "POST":
                return 500, b'{"result":null,"error":{"code":-28,"message":"Loading block index"},"id":1}'
            return 503, b"Service temporarily unavailable: Loading block index\r\n"
        if dice.happens("node-unreachable"):
            raise NodeUnreachable(f"the node at {self.name} did not answer within 60 s: it is busy, or unreachable")
        status, answer = super()._exchange(verb, path, body, timeout_s)
        is_body = path.startswith(("/rest/block", "/rest/spent"))
        if dice.happens("node-busy"):
            return 503, b"Work queue depth exceeded"
        if dice.happens("node-breaks-off"):
            if is_body:
                raise NodeUnreachable(f"the node at {self.name} broke off in the middle of an answer: it was stopped, or the line is bad")
            return status, answer[: whims.randrange(len(answer) + 1)]
        if dice.happens("node-garbage"):
            bodies = [b"", b"<html>", b"null", b"[]", b"{}", b"\xff", b'{"result":{}}']
            return whims.choice([200, 404, 429, 500, 503]), whims.choice(bodies)
        if dice.happens("node-lies") and not is_body:
            place = whims.randrange(len(answer) + 1)
            return status, answer[:place] + whims.randbytes(3) + answer[place:]
        return status, answer


class InLine:
    """An executor that does its work at once: one thread, one order, the same life for the same seed."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - the future carries it to whoever asks for the result
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None: ...
