"""What a process that follows a chain last found, in a file that other commands read (`esep status`).

Enters: the connector's status and its trouble. Leaves: `var/chains/CHAIN.json`, replaced whole: at once when the trouble changes, else at most every
`EVERY_S` seconds. It is news, not truth: nothing is computed from it, and it may be deleted at any time. Where the process ended, `at` grows old.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.follow.nodes import PendingWay
from pipeline.model.durable import write_atomically
from pipeline.model.journal import Journal
from pipeline.model.message import as_plain, joined, message
from pipeline.model.typed import decoder

if TYPE_CHECKING:
    from pipeline.follow.connector import ChainStatus
    from pipeline.follow.nodes import NodeReport

_journal = Journal("esep")

EVERY_S = 30
MOST_UNPROVED = 20
"""Of what a node could not show, kept in words."""


class NodeNote(msgspec.Struct, frozen=True, kw_only=True):
    """The news of one node. Instants are Unix seconds."""

    node: str
    is_followed: bool
    is_in_trouble: bool
    version: str | None = None
    height: int | None = None
    ways: list[str] = []
    answers_in_ms: int | None = None
    trouble: str | None = None
    """The last one, whether it is over or not."""
    trouble_at: int | None = None
    pending: list[PendingWay] = []
    """The ways of reading that it may offer later."""
    unproved: list[str] = []
    """What of the blocks read the node could not show, and is not the pool's: the newest, each once, earlier processes' too."""
    n_unproved: int = 0
    """How many there were."""


class ChainNote(msgspec.Struct, frozen=True, kw_only=True):
    """The news of one chain. Instants are Unix seconds."""

    at: int
    """When it was written."""
    trouble: str | None = None
    """What keeps the chain from being followed; None when nothing does."""
    since: int | None = None
    """When that trouble began, as far as this process knows."""
    node: str | None = None
    node_version: str | None = None
    method: str | None = None
    height: int | None = None
    node_height: int | None = None
    nodes: list[NodeNote] = []
    witnessed_to_height: int | None = None
    """Up to here enough nodes stand behind every block; None where one is enough (ADR 20)."""


def node_notes(reports: Sequence[NodeReport], now: int) -> list[NodeNote]:
    """The nodes' reports with instants in place of ages."""
    return [
        NodeNote(
            node=each.node, is_followed=each.is_followed, is_in_trouble=each.is_in_trouble, version=each.version, height=each.height,
            ways=list(each.ways), answers_in_ms=each.answers_in_ms, trouble=each.trouble,
            trouble_at=None if each.trouble_ago_s is None else now - each.trouble_ago_s,
            pending=list(each.pending), unproved=list(each.unproved)[-MOST_UNPROVED:], n_unproved=len(each.unproved),
        )
        for each in reports
    ]  # fmt: skip


_WAY_WORDS = {
    "receipts of a block": message("receipts of a block"),
    "proofs of accounts": message("proofs of accounts"),
    "state by a block's hash": message("state by a block's hash"),
}
"""Ways of reading that go by words; the others by the names of methods and settings."""


def way_words(way: str) -> str:
    """A way of reading, in words that can be translated."""
    return _WAY_WORDS.get(way, way)


def pending_words(pending: Sequence[PendingWay]) -> list[str]:
    """The ways of reading that a node may offer later, and why not now: a line for those that could not be tried, and one for each index."""
    untried = [way_words(each.way) for each in pending if each.height is None]
    words = [message("{ways} could not be tried yet: the node lacks the data for it; tried again as blocks come", ways=joined(", ", untried))] if untried else []  # fmt: skip
    return words + [
        message("{way}: its index is being built, up to block {height} of {of_height}", way=way_words(each.way), height=each.height, of_height=each.of_height or "?")
        for each in pending
        if each.height is not None
    ]  # fmt: skip


def note_path(var: Path, chain: str) -> Path:
    """The file of that chain's news."""
    return var / "chains" / f"{chain}.json"


def read_note(var: Path, chain: str) -> ChainNote | None:
    """The last news of a chain; None where there is none, or none that can be read."""
    try:
        return decoder(ChainNote).decode(note_path(var, chain).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


class ChainNotes:
    """Writes the news of one chain. Not thread-safe."""

    def __init__(self, var: Path, chain: str, now: Callable[[], int]) -> None:
        """`now`: the clock, Unix seconds."""
        self._path, self._now = note_path(var, chain), now
        self._last: ChainNote | None = None
        before = read_note(var, chain)
        self._before = {node.node: node for node in before.nodes} if before is not None else {}
        """What earlier processes noted of each node."""

    def tell(self, trouble: str | None, status: ChainStatus | None) -> None:
        """The chain is in this trouble, or follows. A file that can't be written is logged, and stops nothing."""
        now, last = self._now(), self._last
        is_same = last is not None and (last.trouble is None) == (trouble is None)
        in_trouble = [each.is_in_trouble for each in status.nodes] if status is not None else []
        is_as_before = last is not None and last.trouble == trouble and [each.is_in_trouble for each in last.nodes] == in_trouble
        if last is not None and is_as_before and 0 <= now - last.at < EVERY_S:
            return
        since = None if trouble is None else (last.since if is_same and last is not None else now)
        note = ChainNote(at=now, trouble=trouble, since=since)
        if status is not None:
            note = msgspec.structs.replace(
                note, node=status.node, node_version=status.node_version, method=status.method,
                height=status.height, node_height=status.node_height,
                nodes=[with_earlier(each, self._before.get(each.node)) for each in node_notes(status.nodes, now)], witnessed_to_height=status.witnessed_to_height,
            )  # fmt: skip
        self._last = note
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, msgspec.json.format(msgspec.json.encode(note, enc_hook=as_plain)) + b"\n")
        except OSError as error:
            _journal.warning("not-noted", file=str(self._path), error=str(error))


def trouble_of(var: Path, chain: str, now: int) -> dict[str, object] | None:
    """What keeps the chain from being followed, by the process that follows it on this machine, and for how long; None where it told nothing."""
    note = read_note(var, chain)
    if note is None or note.trouble is None:
        return None
    return {"words": note.trouble, "since_s": max(0, now - (note.since or note.at)), "told_s": max(0, now - note.at)}


def span_words(seconds: int) -> str:
    """A length of time in its two greatest units."""
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3600, seconds % 3600 // 60
    return (
        message("{days} d {hours} h", days=days, hours=hours)
        if days
        else message("{hours} h {minutes} min", hours=hours, minutes=minutes)
        if hours
        else message("{minutes} min", minutes=minutes)
    )


def trouble_words(trouble: Mapping[str, Any]) -> str:
    """What `trouble_of` found, in words: for how long, when it was told, what it is."""
    since, told = span_words(trouble["since_s"]), span_words(trouble["told_s"])
    return message("trouble for {since}, last told {told} ago: {words}", since=since, told=told, words=trouble["words"])


def with_earlier(node: NodeNote, before: NodeNote | None) -> NodeNote:
    """With what an earlier note says that the node could not show."""
    if before is None or not before.n_unproved:
        return node
    n_again = len(set(before.unproved) & set(node.unproved))
    texts = list(dict.fromkeys([*before.unproved, *node.unproved]))
    return msgspec.structs.replace(node, unproved=texts[-MOST_UNPROVED:], n_unproved=before.n_unproved + node.n_unproved - n_again)
