"""A month on anvil and on geth as the connector tells it: every transaction, every fee, every balance, to the wei.

The node is followed as it lives: to the tip before 30 blocks are undone, and on from there. What is right comes from the script that
sent the transactions (`evm/`), and the node's own balances were asked by web3 beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.evm import EvmConnector, Idle, Reorganised
from connectors.evm.steps import Step
from connectors.log_memory import MemoryLog
from pipeline.errors import SourceError
from pipeline.events import AnyEvent, Balances, Disconnect, Watch, WatchedWallet, decode
from pipeline.log import advance

from .evm.cast import NATIVE, Stage
from .evm.last_night import DEPTH, LastNight
from .evm.nodes import CHAIN_ID
from .evm.played import NODES, Played, play
from .evm.provision import Missing
from .evm.told import faults

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

FINALITY = 12


def connector(log: MemoryLog, stage: Stage, **more: str) -> EvmConnector:
    return EvmConnector(
        log=log,
        pool_id="pool",
        chain="etc",
        asset=NATIVE,
        network=f"evm:{CHAIN_ID}",
        rpc_url=stage.chronicle.node.url,
        wallets=[WatchedWallet(name=name, addresses=addresses) for name, addresses in stage.wallets.items()],
        tokens={place: name for name, (_, place) in stage.chronicle.tokens.items()},
        start_height=stage.start_height,
        finality=FINALITY,
        **more,  # type: ignore[arg-type]
    )


def to_tip(followed: EvmConnector) -> list[Step]:
    steps: list[Step] = []
    while not (steps and isinstance(steps[-1], Idle)):
        steps.append(followed.step())
        assert len(steps) < 100, steps
    return steps


def events_of(log: MemoryLog) -> list[AnyEvent]:
    positions: dict[str, int] = {}
    events: list[AnyEvent] = []
    while records := log.read(positions, topics=["chain"]):
        positions = advance(positions, records)
        events += [decode(record.value) for record in records]
    return events


@pytest.fixture(scope="module", params=NODES)
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Played, MemoryLog, list[Step]]]:
    """The month played, followed up to the reorganisation and beyond it; the node still runs."""
    log, steps = MemoryLog(), []
    try:
        with play(request.param, tmp_path_factory.mktemp(request.param)) as played:
            night = LastNight(played.month)
            night.first_branch()
            with connector(log, played.stage) as at_night:
                steps += to_tip(at_night)
            night.second_branch()
            night.morning(blocks=20)
            with connector(log, played.stage) as next_day:
                steps += to_tip(next_day)
            yield played, log, steps
    except Missing as missing:
        pytest.skip(str(missing))


def test_the_node_holds_what_the_script_says_after_every_block(followed: tuple[Played, MemoryLog, list[Step]]) -> None:
    assert followed[0].stage.chronicle.check() > 200


def test_every_block_transaction_fee_and_balance_is_told_as_it_was(followed: tuple[Played, MemoryLog, list[Step]]) -> None:
    played, log, _ = followed
    assert faults(events_of(log), played.stage.chronicle) == []


def test_the_reorganisation_is_told_block_by_block_and_the_months_end_anew(followed: tuple[Played, MemoryLog, list[Step]]) -> None:
    played, log, steps = followed
    events = events_of(log)
    undone = played.stage.chronicle.undone
    assert [step.n_disconnected for step in steps if isinstance(step, Reorganised)] == [DEPTH]
    assert ["0x" + event.hash for event in events if isinstance(event, Disconnect)] == [mined.block.hash for mined in reversed(undone)]
    ends = [event.height for event in events if isinstance(event, Balances)]
    # The block before the first; September's end; October's end of one branch; October's end of the other.
    assert ends == [played.stage.start_height - 1, 6, undone[0].block.number + DEPTH - 2, undone[0].block.number + 25]


def test_the_way_internal_calls_are_seen_stands_in_the_log(followed: tuple[Played, MemoryLog, list[Step]]) -> None:
    played, log, _ = followed
    assert [event.internal_calls for event in events_of(log) if isinstance(event, Watch)] == [played.stage.chronicle.node.internal_calls]


def test_both_ways_of_seeing_calls_tell_the_same(followed: tuple[Played, MemoryLog, list[Step]]) -> None:
    """anvil offers both; on geth the one that it has is asked for by name, the other is refused by name."""
    played, _, _ = followed
    other = MemoryLog()
    with connector(other, played.stage, internal_calls="debug_trace") as asked:
        to_tip(asked)
    assert faults(events_of(other), played.stage.chronicle) == []
    if played.stage.chronicle.node.internal_calls == "debug_trace":
        with (
            connector(MemoryLog(), played.stage, internal_calls="trace_block") as refused,
            pytest.raises(SourceError, match="does not offer trace_block"),
        ):
            refused.step()
