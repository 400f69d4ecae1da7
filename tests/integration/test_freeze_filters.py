"""A month frozen with `compact_filters = true` (ADR 19): the filters join its bundle by themselves, `verify` proves them by the node, and nothing that is frozen changes by them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.standins.bitcoin_node import ReplayNode
from pipeline.verify.bundle import verify_bundle

from ..forgery.filters import PATH, honest_filters, recorded
from ..forgery.forger import own_copy
from .example_month import DIGEST, OUTFLOW, RECORDED, esep

WAIVE = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")


@pytest.fixture(scope="module")
def node() -> Iterator[ReplayNode]:
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        yield node


def month_of(blocked: Path, var: Path, node: ReplayNode, *, url: str | None = None) -> Path:
    """The recorded month waived, its chain's node this one, its filters wanted; its settings."""
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    text = config.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^rpc_url = .*$", f'rpc_url = "{url or node.rpc_url}"\ncompact_filters = true', text)
    assert count == 1
    text = re.sub(r"(?m)^(cookie_file|user) = .*\n", "", text).replace(
        "compact_filters = true", f'compact_filters = true\ncookie_file = "{node.cookie_path}"'
    )
    config.write_text(text, encoding="utf-8")
    assert esep(*WAIVE, "--config", config) == 0
    return config


@pytest.fixture(scope="module")
def with_filters(blocked: Path, node: ReplayNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`var` of the month frozen with its filters. Nobody changes it: copy it."""
    config = month_of(blocked, tmp_path_factory.mktemp("filters") / "var", node)
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    return config.parent


def verified(capsys: pytest.CaptureFixture[str], bundle: Path, *more: object) -> tuple[int, dict[str, dict[str, Any]]]:
    capsys.readouterr()
    code = esep("verify", bundle, "--test-network", "--json", *more)
    return code, {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_a_freeze_lays_the_node_s_filters_beside_its_bundle(with_filters: Path, tmp_path: Path) -> None:
    bundle = with_filters / "months" / "2026-10" / "v1"
    laid = (bundle / PATH).read_bytes()
    assert (bundle / PATH).stat().st_mode & 0o077 == 0
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert manifest["digest"] == DIGEST and not [name for name in manifest["files"] if name.startswith("filters")]
    copy = own_copy(bundle, tmp_path)
    shutil.rmtree(copy / "filters")
    assert (honest_filters(copy) / PATH).read_bytes() == laid, "they are those of exactly the month's blocks"


def test_verify_reads_them_offline_and_proves_them_by_a_node(with_filters: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = with_filters / "months" / "2026-10" / "v1"
    code, checks = verified(capsys, bundle)
    assert code == 0 and all(check["holds"] for check in checks.values())
    assert any("--node asks a node" in word for word in checks["filters"]["on_word"]), "without a node they are somebody's word"
    asked = verify_bundle(bundle, node=recorded(), left_out=["documents"])  # by HTTP against Bitcoin Core: tests/live/test_coins.py
    (node,) = [check for check in asked if check.name == "node"]
    assert (
        all(check.holds for check in asked) and "the filters are the node's" in node.detail and not node.not_checked and not node.undecided
    )


def test_what_is_frozen_is_the_same_and_replays(with_filters: Path, frozen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert esep("replay", "2026-10", "--config", with_filters / "esep.toml") == 0
    plain, ours = (json.loads((var / "months" / "2026-10" / "v1" / "manifest.json").read_bytes()) for var in (frozen, with_filters))
    same = [name for name in plain["files"] if name.endswith((".csv", ".parquet")) or name == "evidence/proofs.jsonl"]
    assert {name: ours["files"][name] for name in same} == {name: plain["files"][name] for name in same}


def test_filters_changed_after_the_freeze_are_caught(with_filters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = own_copy(with_filters / "months" / "2026-10" / "v1", tmp_path)
    path = bundle / PATH
    path.chmod(0o600)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    code, checks = verified(capsys, bundle)
    assert code == 8 and [name for name, check in checks.items() if not check["holds"]] == ["filters"]


def test_a_node_that_does_not_answer_delays_no_freeze_and_the_command_fetches_them_later(
    blocked: Path, node: ReplayNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = month_of(blocked, tmp_path / "var", node, url="http://127.0.0.1:9")
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    bundle = config.parent / "months" / "2026-10" / "v1"
    assert not (bundle / PATH).exists()
    before = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    config.write_text(config.read_text(encoding="utf-8").replace("http://127.0.0.1:9", node.rpc_url), encoding="utf-8")
    assert esep("filters", "2026-10", "--config", config) == 0
    assert (bundle / PATH).exists() and hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest() == before
