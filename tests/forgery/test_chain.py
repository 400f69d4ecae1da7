"""Chains that anybody can make, told to be a main network's (forgery 5)."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline.model.errors import UndecidedError
from pipeline.verify.finding import Check, judge

from .forger import check_of, resealed


def of_network(bundle: Path, name: str) -> Check:
    """The check of work, where the chain is told to be of the network."""
    return check_of(resealed(bundle, lambda manifest: manifest["rules"]["network"].update(bitcoin=name)), "work")


@pytest.mark.parametrize("name", ["bitcoin", "litecoin", "dogecoin", "bitcoincash"])
def test_headers_of_no_work_are_no_main_networks(bundle: Path, name: str) -> None:
    path = bundle / "evidence" / "headers.csv"
    low = of_network(bundle, name)
    assert "before the checkpoint" in low.undecided and not low.is_test_only, "--test-network excuses no main network"
    headers = pl.read_csv(path, infer_schema=False)
    headers.with_columns((pl.col("height").cast(pl.Int64) + 6_000_000).alias("height")).write_csv(path)
    finding = of_network(bundle, name)
    assert "not tied to a checkpoint" in finding.undecided and "claims the work of 2 hashes" in finding.detail and not finding.holds


@pytest.mark.parametrize("name", ["dogecoin", "evm:1"])
def test_a_chain_whose_work_headers_do_not_show_is_never_called_proved(bundle: Path, name: str) -> None:
    if name == "dogecoin":  # the version that says "merge-mined", without the proof
        path = bundle / "evidence" / "headers.csv"
        headers = pl.read_csv(path, infer_schema=False)
        headers.with_columns(pl.col("header").str.replace("^(..)..", "${1}01")).write_csv(path)
    finding = of_network(bundle, name)
    assert "no work: not checked" in finding.undecided and not finding.is_test_only
    assert judge([finding], is_test_network=True).exit_code == UndecidedError.exit_code


@pytest.mark.parametrize("name", ["regtest", "testnet4", "signet", "litecoin_regtest", "dogecoin_testnet"])
def test_a_test_network_passes_only_where_it_is_said_to_be_one(bundle: Path, name: str) -> None:
    finding = of_network(bundle, name)
    proofs = Check("proofs", True, "3 transactions lie in their blocks")
    assert judge([finding, proofs], is_test_network=True).exit_code == 0
    verdict = judge([finding, proofs])
    assert verdict.exit_code == UndecidedError.exit_code and verdict.proved == []
