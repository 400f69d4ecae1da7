"""A month on anvil and on geth: as the connector tells it, and as `esep` freezes it, to the wei.

The node is followed as it lives: to the tip before 30 blocks are undone, and on from there. What is right comes from the script that
sent the transactions (`evm/`), and the node's own balances were asked by web3 beside it. Both nodes are given the same signed
transactions at the same instants and show internal calls each in its own way, so both must come to the same report.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.evm import Reorganised
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import AnyEvent
from pipeline.log.events.chain import (
    Balances,
    Connect,
    Disconnect,
    Stretch,
    Watch,
)
from pipeline.model.errors import SourceError

from .evm import expected
from .evm.books import CHAIN, MISTYPED
from .evm.cast import ETHER, NATIVE, UNLABELLED
from .evm.chronicle import Move
from .evm.follow import Followed, connector, events_of, follow, to_tip, write_settings
from .evm.last_night import DEPTH
from .evm.played import NODES, Played, play
from .evm.provision import Missing
from .evm.told import faults

pytestmark = pytest.mark.live

REPORT = "b3888363fdbba5115685108071a5118dfa89472bd0981500e20e48b9a34a15a1"
"""Digest of the report, whichever node told the month."""
TRACED = 200 + 2 + 2 + 2 + 1 + 4
"""Transfers that no root proves: two batches, one with a refusal, the contract wallet, one by self-destruction, the delegated account."""


@pytest.fixture(scope="module", params=NODES)
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    try:
        with follow(request.param, tmp_path_factory.mktemp(request.param)) as found:
            yield found
    except Missing as missing:
        pytest.skip(str(missing))


# --- what the connector tells --------------------------------------------------------------------------------------


def test_the_node_holds_what_the_script_says_after_every_block(followed: Followed) -> None:
    assert followed.stage.chronicle.check() > 200


def test_every_block_transaction_fee_and_balance_is_told_as_it_was(followed: Followed) -> None:
    assert faults(events_of(followed.log), followed.stage.chronicle) == []


def test_the_reorganisation_is_told_block_by_block_and_the_months_end_anew(followed: Followed) -> None:
    events, undone = events_of(followed.log), followed.stage.chronicle.undone
    assert [step.n_disconnected for step in followed.steps if isinstance(step, Reorganised)] == [DEPTH]
    assert ["0x" + event.hash for event in events if isinstance(event, Disconnect)] == [mined.block.hash for mined in reversed(undone)]
    ends = [event.height for event in events if isinstance(event, Balances)]
    # The block before the first; September's end; October's end of one branch; October's end of the other.
    assert ends == [followed.stage.start_height - 1, 6, undone[0].block.number + DEPTH - 2, undone[0].block.number + 25]


def test_the_way_internal_calls_are_seen_stands_in_the_log(followed: Followed) -> None:
    told = [event.internal_calls for event in events_of(followed.log) if isinstance(event, Watch)]
    assert told == [followed.stage.chronicle.node.internal_calls]


def test_both_ways_of_seeing_calls_tell_the_same(followed: Followed) -> None:
    """anvil offers both; on geth the one that it has is asked for by name, the other is refused by name."""
    other = MemoryLog()
    with connector(other, followed.stage, internal_calls="debug_trace") as asked:
        to_tip(asked)
    assert faults(events_of(other), followed.stage.chronicle) == []
    if followed.stage.chronicle.node.internal_calls == "debug_trace":
        by_name = connector(MemoryLog(), followed.stage, internal_calls="trace_block")
        with by_name as refused, pytest.raises(SourceError, match="does not offer trace_block"):
            refused.step()


def test_plain_accounts_are_followed_by_their_balances_and_miss_nothing(followed: Followed) -> None:
    """Without a contract among the wallets no block is traced but those in which a balance says that something was paid inside. The treasury is given code for a
    while within what is read at once: then it is followed as a contract is."""
    wallets = followed.stage.wallets
    plain = {name: addresses for name, addresses in wallets.items() if name != "safe"}
    as_contract = {"trace_filter, balances compared", "every block traced: a watched address is a contract"}
    for some, ways in (({"hot": wallets["hot"]}, {"balances compared"}), (plain, as_contract)):
        log = MemoryLog()
        with connector(log, followed.stage, some) as followed_plainly:
            to_tip(followed_plainly)
            assert followed_plainly.describe().internal_transfers in ways
    assert faults(events_of(log), followed.stage.chronicle, [address for own in plain.values() for address in own]) == []


# --- what esep makes of it -----------------------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def frozen(followed: Followed) -> Followed:
    """The month frozen, after it was refused for what a person must look at."""
    assert followed.esep("freeze", "2025-10", "--by", "Operator") == 3
    assert not followed.bundle.exists()
    unknown = next(
        expected.plain(one.hash) for mined in followed.stage.chronicle.chain for one in mined.sent if UNLABELLED in _paid(one.pays)
    )
    for code, ref in (("unknown-outflow", f"{unknown}:0"), ("bad-address", MISTYPED)):
        assert followed.esep("waive", "2025-10", code, ref, "--by", "Operator", "--reason", "looked at, and known") == 0
    assert followed.esep("freeze", "2025-10", "--by", "Operator") == 0
    return followed


def _paid(moves: list[Move]) -> list[str]:
    return [move.address for move in moves]


def test_nothing_but_the_planted_lies_is_an_issue(frozen: Followed) -> None:
    found = Counter(row["code"] for row in rows(frozen.bundle / "issues.csv"))
    assert found == {"unknown-outflow": 1, "forged-transfers": 1, "bad-address": 1}
    (forged,) = (row for row in rows(frozen.bundle / "issues.csv") if row["code"] == "forged-transfers")
    assert (forged["ref"], forged["severity"]) == (CHAIN, "warning")
    assert forged["detail"].startswith("3 log(s) of 1 contract(s) claim to move tokens out of pool wallets")


def test_the_report_is_the_scripts_row_for_row_and_one_on_both_nodes(frozen: Followed) -> None:
    assert rows(frozen.bundle / "report.csv") == expected.report(frozen.played.books, frozen.stage.chronicle)
    assert hashlib.sha256((frozen.bundle / "report.csv").read_bytes()).hexdigest() == REPORT


def test_every_outflow_is_found_and_classed(frozen: Followed) -> None:
    told = Counter(
        (r["txid"], r["address"], r["asset"], int(r["amount_sat"]), r["class"], int(r["block_height"]), r["date"])
        for r in rows(frozen.bundle / "outflows.csv")
    )
    assert told == expected.outflows(frozen.stage.chronicle)


def test_every_transfer_is_the_scripts(frozen: Followed) -> None:
    told = {
        (r["txid"], r["address"], r["miner_id"], r["asset"], int(r["amount_sat"]), int(r["credited_sat"]), r["explanation"], r["date"])
        for r in rows(frozen.bundle / "transfers.csv")
    }
    assert told == expected.transfers(frozen.played.books, frozen.stage.chronicle)


def test_every_balance_closes_to_the_wei_and_is_what_the_node_holds(frozen: Followed) -> None:
    told = {
        row["wallet"]: tuple(int(row[f"{part}_sat"]) for part in ("opening", "in", "out", "fee", "closing", "unspent"))
        for row in rows(frozen.bundle / "balances.csv")
    }
    wanted = {
        f"{wallet}/{asset}": (b.opening, b.into, b.out, b.fee, b.closing, b.closing)
        for (wallet, asset), b in expected.balances(frozen.stage).items()
    }
    assert {name: sums for name, sums in told.items() if any(sums)} == {name: sums for name, sums in wanted.items() if any(sums)}


def test_the_bundle_verifies_and_is_built_again_from_the_log(frozen: Followed, capsys: pytest.CaptureFixture[str]) -> None:
    assert frozen.esep("replay", "2025-10") == 0
    capsys.readouterr()
    assert frozen.esep("verify", frozen.bundle) == 13  # an account chain's work can't be checked here
    said = " ".join(capsys.readouterr().out.split())
    assert f"{TRACED} transfer(s) of which the sum rests on the node's trace of calls" in said, said
    assert "balances lie under their headers' state roots" in said, said
    assert "held before and after a block that moved some of it" not in said, "every block that pays stands between two proved states"
    assert "2 numbers were used by authorizations of code (EIP-7702)" in said, (
        "a stranger carried the one that pays and the one that moves nothing"
    )
    assert "none is left out between them" in said and "used them up" not in said, said


def test_manifest_and_status_say_how_internal_calls_are_seen(frozen: Followed, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((frozen.bundle / "manifest.json").read_bytes())
    assert manifest["chains"][CHAIN]["internal_calls"] == frozen.stage.chronicle.node.internal_calls
    capsys.readouterr()
    assert frozen.esep("status") == 0
    assert f"calls inside transactions: {frozen.stage.chronicle.node.internal_calls}" in " ".join(capsys.readouterr().out.split())


# --- a node that shows no calls ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A contract wallet pays a miner, by a stranger's hand."""
    try:
        with play("geth that shows no calls", tmp_path_factory.mktemp("blind"), is_silent=True) as played:
            played.pay_from_the_contract_wallet()
            yield played
    except Missing as missing:
        pytest.skip(str(missing))


def test_a_contract_wallet_is_refused_where_the_node_shows_no_calls(blind: Played) -> None:
    log = MemoryLog()
    calls_are_needed = pytest.raises(SourceError, match=r"is a contract, and the node at .* shows no calls")
    with connector(log, blind.stage) as refused, calls_are_needed as said:
        to_tip(refused)
    assert not said.value.is_retryable and 'internal_calls = "ignore"' in str(said.value)
    assert not [event for event in events_of(log) if isinstance(event, Connect | Stretch)], "blocks were told all the same"


def test_esep_refuses_it_too_and_says_what_to_do(blind: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_settings(blind.stage, tmp_path / "refused")
    assert Followed(blind, config).esep("watch", CHAIN, "--once") == 5
    assert 'internal_calls = "ignore"' in capsys.readouterr().err
    config = write_settings(blind.stage, tmp_path / "accepted", internal_calls="ignore")
    assert Followed(blind, config).esep("watch", CHAIN, "--once") == 0


def test_who_accepts_blindness_has_it_written_down_and_the_balances_show_it(blind: Played) -> None:
    log = MemoryLog()
    with connector(log, blind.stage, internal_calls="ignore") as accepted:
        to_tip(accepted)
    events = events_of(log)
    assert [event.internal_calls for event in events if isinstance(event, Watch)] == ["ignored"]
    told = [transaction for event in events if isinstance(event, Connect) for transaction in event.transactions]
    assert not told, "a payment inside a stranger's transaction can't be seen"
    safe = blind.stage.at["safe"]
    first, last = (next(int(v or 0) for a, s, v in _balances(event) if (a, s) == (safe, NATIVE)) for event in _ends(events))
    assert first - last == 2 * ETHER, "the balance proof has nothing to notice"


def _ends(events: list[AnyEvent]) -> tuple[Balances, Balances]:
    told = [event for event in events if isinstance(event, Balances)]
    return told[0], told[-1]


def _balances(event: Balances) -> Iterator[tuple[str, str, str | None]]:
    return zip(event.rows.address, event.rows.asset, event.rows.value, strict=True)


def test_plain_accounts_need_no_trace(blind: Played) -> None:
    log, plain = MemoryLog(), {name: own for name, own in blind.stage.wallets.items() if name != "safe"}
    with connector(log, blind.stage, plain) as followed_plainly:
        to_tip(followed_plainly)
    assert faults(events_of(log), blind.stage.chronicle, [address for own in plain.values() for address in own]) == []
