"""Headers since a network's checkpoint beside a bundle (ADR 4): with them its chain is tied to it, without them that is said and never exits 0. Their forgeries are in the catalogue."""

from __future__ import annotations

from pathlib import Path

from pipeline.model.errors import UndecidedError
from pipeline.verify.finding import WORK, Check, judge

from .filters import recorded
from .forger import came_to, check_of, resealed
from .headers import CHECKPOINT, FIRST, honest_headers, laid, named_easy, of_easy_network, real


def work_of(bundle: Path) -> Check:
    return check_of(bundle, WORK)


def exit_code(check: Check) -> int:
    return judge([check], is_test_network=True).exit_code


def test_headers_since_the_checkpoint_tie_the_chain_to_it_and_tip_and_total_work_are_told(bundle: Path) -> None:
    finding = work_of(honest_headers(bundle))
    tip = len(recorded().chain) - 1
    assert finding.holds and not finding.undecided and exit_code(finding) == 0
    assert f"{tip - CHECKPOINT} headers of easycoin from {CHECKPOINT + 1} to the tip {tip} {recorded().chain[-1].hash}" in finding.detail
    assert f"they are tied to the checkpoint {CHECKPOINT} {recorded().chain[CHECKPOINT].hash}" in finding.detail
    assert f"the chain has at least {2 * (tip + 1):x} hashes of work" in finding.detail, "two for each block of the recorded chain"


def test_they_join_the_bundle_without_a_change_of_its_manifest(bundle: Path) -> None:
    assert came_to(laid(bundle, real(1, 5)), "files") == (set(), "", 0)


def test_without_them_the_chain_is_said_to_be_tied_to_no_checkpoint_and_does_not_exit_0(bundle: Path) -> None:
    finding = work_of(of_easy_network(bundle))
    assert finding.holds and "bitcoin: not tied to a checkpoint: the headers begin at" in finding.undecided
    assert "they are tied to the checkpoint" not in finding.detail
    assert exit_code(finding) == UndecidedError.exit_code and not finding.is_test_only


def test_headers_that_begin_after_the_checkpoint_tie_to_nothing(bundle: Path) -> None:
    finding = work_of(laid(of_easy_network(bundle), real(CHECKPOINT + 2, FIRST - 1)))
    assert finding.holds and f"begin at {CHECKPOINT + 2}, after the checkpoint {CHECKPOINT}" in finding.undecided
    assert exit_code(finding) == UndecidedError.exit_code


def test_headers_that_reach_below_the_checkpoint_hold_too(bundle: Path) -> None:
    """As those that were laid by an earlier version of this program, which knew an earlier checkpoint."""
    finding = work_of(laid(of_easy_network(bundle), real(CHECKPOINT - 10, FIRST - 1)))
    assert finding.holds and not finding.undecided and "they are tied to the checkpoint" in finding.detail


def test_headers_of_its_own_that_reach_below_the_checkpoint_are_tied_to_it_by_its_hash(bundle: Path) -> None:
    """A pool that is older than the checkpoint: what lies below is what the checkpoint's hash commits to."""
    finding = work_of(resealed(bundle, named_easy))
    assert finding.holds and not finding.undecided and "they are tied to the checkpoint" in finding.detail


def test_what_is_tied_to_no_work_is_read_by_nothing_and_said(bundle: Path) -> None:
    finding = work_of(laid(bundle, real(1, 5)))
    assert finding.holds and "headers/bitcoin.bin: no work of this chain is judged" in finding.not_checked
