"""Honest bundles that forgeries begin with, by name: the recorded month with its whole ledger and beginning with its opening line, an account chain's month with proved states, the recorded month under a root key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.app.open_keys import read_key
from pipeline.log.signatures import public_of
from pipeline.store import Store
from tests.integration.account_month import chain_events, freeze, log_of
from tests.integration.example_month import OUTFLOW, RECORDED, esep

ROOT = ("--by", "B. Head", "--reason", "as decided")
KEYS: dict[str, Ed25519PrivateKey] = {}
"""The private keys of the month under keys, where it was made in this process: what somebody has who left, or who means harm."""
LABELLED = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""An address that the month under keys labels, and that nothing pays."""


def recorded_month(folder: Path) -> Path:
    """The recorded month, frozen with its whole ledger."""
    return with_whole_ledger(blocked_month(folder)) / "months" / "2026-10" / "v1"


def month_from_its_line(folder: Path) -> Path:
    """The recorded month, its ledger beginning with its opening line; the month before lies beside it."""
    return with_month_before(blocked_month(folder)) / "months" / "2026-10" / "v1"


def with_whole_ledger(var: Path) -> Path:
    """The blocked month of `var` frozen there, so that its bundle carries all of the ledger; `var`."""
    config = var / "esep.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("[report]\n", "[report]\nwhole_ledger = true\n"), encoding="utf-8")
    return _frozen(var, "2026-10")


def with_month_before(var: Path) -> Path:
    """September and the blocked month of `var` frozen there; `var`."""
    return _frozen(var, "2026-09", "2026-10")


def _frozen(var: Path, *months: str) -> Path:
    config = ("--by", "A. Person", "--config", var / "esep.toml")
    waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending")
    if esep(*waive, *config) != 0 or any(esep("freeze", month, *config) != 0 for month in months):
        raise SystemExit("the recorded month could not be frozen: nothing was tried")
    return var


def blocked_month(folder: Path) -> Path:
    """The recorded month before it closes; its folder `var`."""
    esep("demo", RECORDED, "--var", folder / "var")
    return folder / "var"


def account_month(folder: Path) -> Path:
    """A month of an account chain in which states prove what the wallet held."""
    with Store.memory() as store:
        return freeze(log_of(chain_events(is_proved=True)), store, folder / "months")[0]


def month_under_keys(folder: Path) -> Path:
    """The recorded month under a root key, frozen."""
    return under_keys(blocked_month(folder), folder / "keys") / "months" / "2026-10" / "v1"


def under_keys(blocked: Path, folder: Path) -> Path:
    """The blocked month in a `var` of its own below `folder`: a root key begins, a person's key labels and waives, another one is revoked, and the month is frozen."""
    folder.mkdir(exist_ok=True)
    var = folder / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    assert esep("keys", "make", "root", "--config", config) == 0
    root = var / "keys" / "root.pem"
    config.write_text(f'{config.read_text(encoding="utf-8")}\n[keys]\nroot = "{public_of(read_key(root, None)).hex()}"\n', encoding="utf-8")
    held = root.rename(var.parent / "root.pem")
    assert esep("keys", "start", "--root-key", held, *ROOT, "--config", config) == 0
    for name in ("left", "person"):
        assert esep("keys", "make", name, "--config", config) == 0
        owner = {"left": "C. Left", "person": "A. Person"}[name]
        assert esep("keys", "grant", name, "--owner", owner, "--role", "decide", "--root-key", held, *ROOT, "--config", config) == 0
        KEYS[name] = read_key(var / "keys" / f"{name}.pem", None)
    assert esep("keys", "revoke", "left", "--root-key", held, *ROOT, "--config", config) == 0
    label = ("label", LABELLED, "vendor", "--name", "Power company", "--reason", "contract 17", "--by", "A. Person", "--config", config)
    waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config)
    assert esep(*label) == 0 and esep(*waive) == 0
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    return var


BASES: dict[str, Callable[[Path], Path]] = {
    "month": recorded_month, "line": month_from_its_line, "accounts": account_month, "keys": month_under_keys,
}  # fmt: skip
"""Each makes its bundle below a folder."""
