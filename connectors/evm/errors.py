"""Errors of an account chain's node; each says whether the follower retries or stops.

What any node may do is in `pipeline.follow.node_errors`; here is what only this family's nodes do. Every one is a `SourceError`; `is_retryable`
says whether retrying can help.
"""

from __future__ import annotations

import re

from pipeline.follow.node_errors import AccessRefused as AccessRefused
from pipeline.follow.node_errors import AnswerUnreadable as AnswerUnreadable
from pipeline.follow.node_errors import ChainMoved as ChainMoved
from pipeline.follow.node_errors import NodeBusy as NodeBusy
from pipeline.follow.node_errors import NodeUnreachable as NodeUnreachable
from pipeline.follow.node_errors import WrongChain as WrongChain
from pipeline.model.errors import SourceError


class NotYetThere(SourceError):
    """The node has the block, but not yet its receipts, index or traces."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class RpcError(SourceError):
    """The node answered a call with an error. Retried, because it may be temporary."""

    def __init__(self, message: str, *, method: str, code: int, text: str) -> None:
        self.method, self.code, self.text = method, code, text
        super().__init__(message, is_retryable=True)

    METHOD_NOT_FOUND = -32601
    METHOD_NOT_SUPPORTED = -32004
    LIMIT_EXCEEDED = -32005

    @property
    def is_method_missing(self) -> bool:
        """Whether the node does not offer the method, or not to this user."""
        return self.code in (self.METHOD_NOT_FOUND, self.METHOD_NOT_SUPPORTED) or _MISSING.search(self.text) is not None

    @property
    def is_state_missing(self) -> bool:
        """Whether the node no longer has the state that the answer needs."""
        return _STATE.search(self.text) is not None

    @property
    def is_contracts_own(self) -> bool:
        """Whether a contract that was called failed, in whatever words it says so itself: the node answered."""
        return self.code == REVERTED or _REVERT.match(self.text) is not None or (_FAILED.search(self.text) is not None and not self.is_state_missing)  # fmt: skip

    @property
    def is_block_missing(self) -> bool:
        """Whether the node does not have the block: behind one address may be several machines, of which some are later than others."""
        return _BLOCK.search(self.text) is not None

    @property
    def is_about_the_user(self) -> bool:
        """Whether it is this user that the method, or a state, is refused to: by a plan, a price, a permission. That does not change from block to block."""
        return self.is_method_missing or _PLAN.search(self.text) is not None

    @property
    def is_too_large(self) -> bool:
        """Whether the request must be split."""
        return _LARGE.search(self.text) is not None


_MISSING = re.compile(
    r"method .*(not (found|exist|available|supported|whitelisted|allowed)|disabled)|does not exist/is not available|unsupported method",
    re.I,
)
REVERTED = 3
"""The code of an error of a contract that reverted (go-ethereum's, and others')."""
_REVERT = re.compile(r"(vm )?((exception|execution)[^:]{0,40} )?revert", re.I)
_FAILED = re.compile(r"revert|invalid (opcode|jump)|out of gas|stack (under|over)flow|undefined instruction", re.I)
_BLOCK = re.compile(
    r"\b(block|header)\b.*\bnot found\b|unknown block|\b(could|can)n[o']t find (the )?block|^\W*(resource )?not found\W*$", re.I
)
_STATE = re.compile(
    r"missing trie node|world ?state|state .*(not (found|present|retained)|gone|missing)|no longer (available|has|have|stored)|"
    r"(old|historical|history) (data|block|blocks|proofs?)? ?(is |are )?(not available|unavailable)|proof window|distance to target block|snapshot not|"
    r"state (is )?(not available|unavailable|pruned|recreation)|historical state|state histor|no state|"
    r"state at block|pruned|archive|ancient|too old|block_out_of_range|blockoutofrange|state for block|reexec",
    re.I,
)
_PLAN = re.compile(r"\b(plans?|tiers?|upgrade|premium|subscri\w+|paid|api[ -]key|permission|archive requests?|not enabled)\b", re.I)
_LARGE = re.compile(
    r"(response|result|reply|batch|payload|body).*(too (large|big|many)|size|exceed|limit)|too (large|many|big)|more than \d+|exceed|"
    r"limit(ed)? to|range|timed? ?out|timeout|deadline|larger than|up to a",
    re.I,
)
RATE_LIMITED = re.compile(
    r"rate.?limit|too many (requests|calls)|(requests?|calls?|queries) ?(per|/) ?s|per second|capacity|throttl|-32029|daily request|compute units|throughput|"
    r"quota|slow down|too fast|(try|retry)( again)? (in|after) \d|\b429\b|concurren|credits",
    re.I,
)
"""Error messages of nodes that limit the request rate."""
_WAIT = re.compile(
    r"(?:retry|try again|again|wait|backoff(?:_seconds)?|reset)\D{0,20}?(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec|seconds?|m|min|minutes?)?(?![\w.])",
    re.I,
)


def wait_in_answer_s(text: str, data: object) -> float | None:
    """The seconds that an error inside an answer asks to wait, by its words or its data; None where it does not say."""
    found = _WAIT.search(text) or (_WAIT.search(str(data)[:1000]) if data is not None else None)
    if found is None:
        return None
    unit = (found[2] or "s").lower()
    return float(found[1]) * (0.001 if unit.startswith(("ms", "milli")) else 60 if unit.startswith("m") else 1)


class StateMissing(SourceError):
    """The node no longer has the state of a block that still has to be traced."""


class NotShown(AnswerUnreadable):
    """A transaction whose calls have to be read is shown by none of the node's ways of tracing."""

    def __init__(self, message: str, txid: str) -> None:
        self.txid = txid
        super().__init__(message)


class TraceContradicted(SourceError):
    """What a node shows of the calls in a block is contradicted by its other way of tracing or by balances, and another node may show it right."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class NotOffered(SourceError):
    """The node does not show what exactness needs."""


class AnswerChanged(SourceError):
    """A block was read twice before anything of it was told, and the readings differ."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class AnswersDiffer(SourceError):
    """Repeated readings of a block keep giving different answers."""
