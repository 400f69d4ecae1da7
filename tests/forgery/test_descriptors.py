"""The wallets' descriptors beside a bundle (ADR 15): listed addresses follow from them, and what no fact names is looked for at a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.chains.bitcoin.coins import Unspent, UnspentCoin
from pipeline.chains.bitcoin.descriptors import parse_descriptor
from pipeline.chains.bitcoin.networks import network
from pipeline.verify.finding import Check

from .descriptors import honest, honest_descriptors
from .filters import RecordedCoinNode, recorded
from .forger import verified


def checks_of(bundle: Path, node: RecordedCoinNode | None = None) -> dict[str, Check]:
    return {check.name: check for check in verified(bundle, left_out=["documents"], node=node)}


def test_every_listed_address_follows_from_the_honest_ones(bundle: Path) -> None:
    checks = checks_of(honest_descriptors(bundle))
    check = checks["descriptors"]
    assert (
        check.holds and "listed addresses of pool follow from its descriptors (indexes below 1000), 0 are named beside them" in check.detail
    )
    assert "its manifest does not name them" in check.on_word[0] and checks["files"].holds


def test_a_bundle_without_them_says_nothing_of_them(bundle: Path) -> None:
    check = checks_of(bundle)["descriptors"]
    assert check.holds and not (check.detail or check.not_checked or check.on_word or check.undecided)


class WithAnother(RecordedCoinNode):
    """The recorded node, with a coin besides on an address of the pool's that nothing else ever used."""

    txid = "ab" * 32

    def __init__(self) -> None:
        super().__init__()
        text = next(text for text in honest()[0].descriptors if text.startswith("wpkh("))
        ((_, self.script),) = parse_descriptor(text, network("regtest")).scripts(900, 901)

    def unspent(self, scripts: Any) -> Unspent:
        told = super().unspent(scripts)
        more = [UnspentCoin(self.txid, 0, 7_000, 4_000)] if self.script in scripts else []
        return Unspent(told.height, [*told.coins, *more])


def test_what_lies_on_an_address_that_no_fact_names_is_found_by_them_at_a_node(bundle: Path) -> None:
    """A deposit left out whole: without descriptors nobody looks there."""
    node = WithAnother()
    assert checks_of(bundle, node)["node"].holds
    found = checks_of(honest_descriptors(bundle), node)["node"]
    assert not found.holds and f"{node.txid}:0, created by block 4000, is unspent, and the closing set lacks it" in found.detail
    assert checks_of(bundle, recorded())["node"].holds, "the honest node has no such coin"
