"""A month of an account chain followed at two nodes (ADR 20): whatever one of them does, the frozen report and its tables are those of one honest node, byte for
byte, and the operator sees which node said what."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.chains.evm.address import to_checksum
from pipeline.log.events.chain import Disagreed

from ..simulation.evm_world import Answer, NodeFault, World, address
from .raw_server import always, answer, hang_up
from .test_two_nodes import after
from .two_node_pool import HOT, MONTH, TABLES, A, AccountPool, B, october, tables_alone

ELSEWHERE = address(35)
"""Where a wrong trace says that the pool's money went."""
BOTH = ("trace_block", "debug_traceBlockByHash")


@pytest.fixture(scope="module")
def honest(brief: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is frozen where one honest node is followed."""
    with ExitStack() as held:
        pool = AccountPool(tmp_path_factory.mktemp("honest"), held, october(), n_nodes=1)
        assert pool.esep("watch", "--once") == 0
        pool.import_books()
        return pool.freeze()


@pytest.fixture(scope="module", autouse=True)
def brief() -> Iterator[None]:
    with tables_alone():
        yield


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[AccountPool]:
    with ExitStack() as held:
        yield AccountPool(tmp_path, held, october())


# --- what one node does ------------------------------------------------------------------------------------------------


def killed(pool: AccountPool, place: int) -> None:
    pool.behaves[place] = after(12, hang_up, pool.nodes[place].behave)


def limited(pool: AccountPool, place: int) -> None:
    pool.behaves[place] = after(12, always(answer(b"slow down", "429 Too Many Requests\r\nRetry-After: 600")), pool.nodes[place].behave)


def limited_inside(pool: AccountPool, place: int) -> None:
    """A limit inside every answer, from the block that pays through a contract on."""
    honest, left = pool.nodes[place].between, [300]

    def between(method: str, params: list[Any], answers: Answer) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise NodeFault(-32005, "daily request count exceeded, retry in 600s")
        return honest(method, params, answers)

    pool.nodes[place].between = between


def stale(pool: AccountPool, place: int) -> None:
    """A branch of its own from the month's middle on, with fewer blocks, in which nothing is paid."""
    branch = copy.copy(pool.world)
    branch.blocks = pool.world.blocks[:50]
    branch.now, branch.salt = branch.blocks[-1].time, 99
    while branch.height < 110:
        branch.mine(after_s=6 * 3600)
    pool.nodes[place].world = branch


def lagging(pool: AccountPool, place: int) -> None:
    behind: World = copy.copy(pool.world)
    behind.blocks = pool.world.blocks[:70]
    pool.nodes[place].world = behind


def changed(pool: AccountPool, place: int, method: str, change: Callable[[Any], Any]) -> None:
    """The node's answers to that question are others, on top of what was changed before."""
    before = pool.nodes[place].between
    pool.nodes[place].between = lambda asked, params, answers: (
        change(before(asked, params, answers)) if asked == method else before(asked, params, answers)
    )


def no_logs(receipts: Any) -> Any:
    return [{**receipt, "logs": []} for receipt in receipts] if receipts else receipts


def dearer(receipts: Any) -> Any:
    return (
        [{**receipt, "effectiveGasPrice": hex(int(receipt["effectiveGasPrice"], 16) + 1)} for receipt in receipts] if receipts else receipts
    )


def wrong_receipts(pool: AccountPool, place: int) -> None:
    changed(pool, place, "eth_getBlockReceipts", no_logs)


def wrong_prices(pool: AccountPool, place: int) -> None:
    changed(pool, place, "eth_getBlockReceipts", dearer)


def missing_transactions(pool: AccountPool, place: int) -> None:
    """The block's body without its last transaction."""
    changed(pool, place, "eth_getBlockByNumber", lambda found: {**found, "transactions": found["transactions"][:-1]} if found else found)
    changed(pool, place, "eth_getBlockByHash", lambda found: {**found, "transactions": found["transactions"][:-1]} if found else found)


def to_another(found: Any) -> Any:
    return json.loads(json.dumps(found).replace(B[2:], ELSEWHERE[2:]))


def wrong_trace(pool: AccountPool, place: int) -> None:
    changed(pool, place, "trace_block", to_another)


def wrong_traces(pool: AccountPool, place: int) -> None:
    for way in BOTH:
        changed(pool, place, way, to_another)


def without_state(pool: AccountPool, place: int) -> None:
    """No state of old blocks but the pool's own: recipients' balances can't tell which trace is right."""
    before = pool.nodes[place].between

    def between(method: str, params: list[Any], answers: Answer) -> Any:
        if method in ("eth_getBalance", "eth_getProof") and params[0].lower() != HOT:
            raise NodeFault(-32000, "missing trie node")
        return before(method, params, answers)

    pool.nodes[place].between = between


class Case(NamedTuple):
    does: Callable[[AccountPool, int], None]
    followed: str = ""
    """The blocking issue where the node is the first in the settings; none where empty."""
    other: str = ""
    """And where it is the second."""
    trouble: str = ""
    """What `esep nodes` says of it now."""
    said: str = ""
    """What the issue says of it, besides its address."""


ALONE = "one-node-only"
CASES = {
    "killed": Case(killed, ALONE, ALONE, "closed the connection"),
    "rate limit": Case(limited, ALONE, ALONE, "overloaded or limits us"),
    "rate limit inside the answers": Case(limited_inside, ALONE, ALONE, "asks to be asked more slowly"),
    "stale chain": Case(stale, ALONE, ALONE),
    "lags": Case(lagging, ALONE, ALONE),
    "wrong receipts": Case(wrong_receipts, ALONE, ALONE, said="its header commits to receipts"),
    "wrong prices": Case(wrong_prices, ALONE, ALONE, said="is said to have paid 31 for gas"),
    "missing transactions": Case(missing_transactions, ALONE, ALONE, said="its header commits to transactions"),
    "wrong trace in one way": Case(wrong_trace, "traces-differ"),
    "wrong trace in both ways": Case(wrong_traces, ALONE, ALONE, said="shows what balances contradict"),
}


@pytest.mark.parametrize("place", [0, 1], ids=["the first", "the second"])
@pytest.mark.parametrize("name", CASES)
def test_the_month_is_the_one_of_an_honest_node(
    pool: AccountPool, honest: dict[str, bytes], name: str, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    case.does(pool, place)
    for _ in range(2):  # quiet blocks are read from the second node an hour later, or by the next process
        assert pool.esep("watch", "--once") == 0
    pool.import_books()
    found = pool.issues(lambda: capsys.readouterr().out)
    expected = case.followed if place == 0 else case.other
    assert list(found) == [expected] * bool(expected), found
    for code, some in found.items():
        for issue in some:
            if code != "traces-differ":
                assert pool.urls[place] in issue["detail"] and case.said in issue["detail"], "the operator reads which node it was, and why"
            assert pool.esep("waive", MONTH, code, issue["ref"], "--by", "A. Person", "--reason", "compared with an explorer") == 0
    told = pool.nodes_told(lambda: capsys.readouterr().out)
    assert [node["node"] for node in told] == pool.urls and told[1 - place]["trouble"] is None
    if case.trouble:
        assert told[place]["is_in_trouble"] and case.trouble in told[place]["trouble"]
    if name in ("stale chain", "lags"):
        assert told[place]["lag_blocks"] == pool.world.height - pool.nodes[place].world.height > 0
    assert pool.freeze() == honest


def test_a_node_that_was_followed_on_a_stale_branch_while_the_other_was_away(
    pool: AccountPool, honest: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    stale(pool, 0)
    pool.behaves[1] = hang_up
    assert pool.esep("watch", "--once") == 0
    pool.behaves[1] = pool.nodes[1].behave
    pool.nodes[0].world = pool.world
    for _ in range(2):
        assert pool.esep("watch", "--once") == 0
    pool.import_books()
    assert pool.issues(lambda: capsys.readouterr().out) == {}
    assert pool.freeze() == honest


def test_a_wrong_trace_that_no_balance_contradicts_waits_for_a_person_who_names_the_right_node_first(
    pool: AccountPool, honest: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong_traces(pool, 0)
    for place in (0, 1):
        without_state(pool, place)
    for _ in range(2):
        assert pool.esep("watch", "--once") == 0
    pool.import_books()
    found = pool.issues(lambda: capsys.readouterr().out)
    wrong, right = to_checksum(ELSEWHERE), to_checksum(B)
    for issue in found["nodes-disagree"]:
        first, second = issue["detail"].split(f"; {pool.urls[1]} says ")
        assert f"{pool.urls[0]} says " in first and wrong in first and right not in first and right in second
    assert pool.esep("freeze", MONTH, "--by", "A. Person") == 3, "nothing is frozen on a disagreement"
    pool.name_nodes(pool.urls[::-1])
    for _ in range(3):
        assert pool.esep("watch", "--once") == 0
    found = pool.issues(lambda: capsys.readouterr().out)
    assert list(found) == ["nodes-disagree"]
    for issue in found["nodes-disagree"]:
        assert issue["detail"].index(right) < issue["detail"].index(wrong), "the followed node's answer is the right one now"
        assert pool.esep("waive", MONTH, "nodes-disagree", issue["ref"], "--by", "A. Person", "--reason", "the second node is wrong") == 0
    assert pool.freeze() == honest


def test_a_node_is_no_witness_of_its_own_words(pool: AccountPool, capsys: pytest.CaptureFixture[str]) -> None:
    """The first node tells a lie and is away then; the second is followed, and the first, back again, repeats what it said."""
    wrong_traces(pool, 0)
    for place in (0, 1):
        without_state(pool, place)
    pool.behaves[1] = hang_up
    assert pool.esep("watch", "--once") == 0, "the first node alone tells all of it"
    pool.behaves = [hang_up, pool.nodes[1].behave]
    assert pool.esep("watch", "--once") == 0, "the second one is followed"
    pool.behaves[0] = pool.nodes[0].behave
    pool.name_nodes(pool.urls[::-1])
    assert pool.esep("watch", "--once") == 0
    pool.import_books()
    assert "nodes-disagree" in pool.issues(lambda: capsys.readouterr().out)
    disputes = [event for event in pool.events() if isinstance(event, Disagreed)]
    assert {event.height for event in disputes} == {41, 90}


def test_the_tables_have_what_the_world_paid(honest: dict[str, bytes]) -> None:
    """So that equal bytes are not equally empty."""
    text = honest["report.csv"].decode()
    assert text.count("\n") == 1 + 7 and all(to_checksum(place) in text for place in (A, B)) and to_checksum(ELSEWHERE) not in text
    assert all(honest[name].count(b"\n") > 2 for name in TABLES)
