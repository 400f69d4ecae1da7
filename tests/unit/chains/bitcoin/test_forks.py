"""A fork that shares the first block is told from the network, and named where it is known."""

from __future__ import annotations

import pytest

from pipeline.chains.bitcoin.networks import network
from pipeline.chains.forks import fork_fault

BITCOIN = {
    478559: "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148",
    556767: "0" * 63 + "1",
    661648: "0" * 63 + "2",
    824000: "000000000000000000026811d149d4d261995ec5b3f64f439a0a10e1a464af9a",
}
UAHF = {478559: "000000000000000000651ef99cb9fcbe0dadde1d424bd9f15ff20136191a5eec"}
STAYED = {556767: "0000000000000000004626ff6e3b936941d341c5932ece4357eeccac44e6d56c"}
LATER = {824000: "0" * 63 + "3"}


def test_the_network_itself_is_no_fork() -> None:
    assert fork_fault(network("bitcoin"), BITCOIN) is None
    assert fork_fault(network("bitcoin"), {}) is None, "a node that is not there yet"
    assert network("regtest").marks == ()


@pytest.mark.parametrize(
    ("blocks", "named"),
    [
        (UAHF, "Bitcoin Cash, eCash or Bitcoin SV"),
        (UAHF | STAYED, "Bitcoin Cash or eCash"),
        (UAHF | {556767: "000000000000000001d956714215d96ffc00e0afda4cd0a96c96f8d802b1662b"} | LATER, "Bitcoin SV"),
        (UAHF | STAYED | {661648: "0000000000000000029e471c41818d24b8b74c911071c4ef0b4a0509f9b5a8ce"} | LATER, "Bitcoin Cash"),
        (UAHF | STAYED | {661648: "000000000000000004284c9d8b2c8ff731efeaec6be50729bdc9bd07f910757d"} | LATER, "eCash"),
        (BITCOIN | LATER, "a fork of bitcoin that is not known here"),
    ],
)
def test_a_fork_is_refused_by_name(blocks: dict[int, str], named: str) -> None:
    fault = fork_fault(network("bitcoin"), blocks)
    assert fault is not None and fault.endswith(f": it looks like a node of {named}")


def test_the_fault_names_both_blocks() -> None:
    assert fork_fault(network("bitcoin"), UAHF) == (
        f"has block {UAHF[478559]} at height 478559, where bitcoin has {BITCOIN[478559]}: it looks like a node of Bitcoin Cash, eCash or Bitcoin SV"
    )


def test_every_main_network_is_held_against_its_checkpoint() -> None:
    for name in ("bitcoin", "litecoin", "dogecoin"):
        last = network(name).marks[-1]
        assert last.hash is not None
        assert (
            fork_fault(network(name), {last.height: last.hash}) is None and fork_fault(network(name), {last.height: "0" * 64}) is not None
        )
