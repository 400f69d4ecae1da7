"""Descriptors of the recorded month's wallets beside its bundle, and the forgeries of them: `honest_descriptors` gives what a freeze with `auditor_descriptors` lays there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.assess.wallets import DESCRIPTORS_JSONL, WalletDescriptors, encode_descriptors

from ..integration.example_month import RECORDED

Wallets = list[WalletDescriptors]
PRIVATE = "wpkh(tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK/0/*)"
"""The key of BIP 32's published test vector 1, as a test network writes it."""


def honest() -> Wallets:
    """What the recorded pool watches."""
    pool = json.loads((RECORDED / "pool.json").read_text(encoding="utf-8"))
    return [
        WalletDescriptors(chain="bitcoin", wallet=one["name"], descriptors=one["descriptors"], descriptor_range=1000, addresses=[])
        for one in pool["wallets"]
    ]


def honest_descriptors(bundle: Path) -> Path:
    return _laid(bundle, honest())


def _laid(bundle: Path, wallets: Wallets) -> Path:
    (bundle / DESCRIPTORS_JSONL).write_bytes(encode_descriptors(wallets))
    return bundle


def _with(change: Callable[[WalletDescriptors], WalletDescriptors]) -> Callable[[Path], object]:
    """The first wallet's line changed."""
    return lambda bundle: _laid(bundle, [change(honest()[0]), *honest()[1:]])


def _replaced(**values: object) -> Callable[[Path], object]:
    return _with(lambda one: msgspec.structs.replace(one, **values))


def _no_line(bundle: Path) -> None:
    (bundle / DESCRIPTORS_JSONL).write_text('{"chain": "bitcoin"}\n', encoding="utf-8")


NONE_OF_THEM = "and follows from none of its descriptors"
FORGED: list[tuple[str, Callable[[Path], object], str]] = [
    ("descriptors of another wallet", lambda bundle: _replaced(descriptors=honest()[1].descriptors)(bundle), NONE_OF_THEM),
    ("a descriptor left out", _with(lambda one: msgspec.structs.replace(one, descriptors=one.descriptors[:2])), NONE_OF_THEM),
    ("descriptors of too few indexes", _replaced(descriptor_range=1), NONE_OF_THEM),
    ("a descriptor of no script", _replaced(descriptors=["wpkh(nonsense)"]), "can't be read"),
    ("a private key", _replaced(descriptors=[PRIVATE]), "holds a private key"),
    ("a wallet's descriptors twice", lambda bundle: _laid(bundle, [honest()[0], *honest()]), "has its descriptors twice"),
    ("descriptors of another chain", _replaced(chain="ethereum"), "or is of no chain of coins"),
    ("more indexes than there may be", _replaced(descriptor_range=10**9), f"{DESCRIPTORS_JSONL}:1"),
    ("a line that is no wallet's", _no_line, f"{DESCRIPTORS_JSONL}:1"),
]
"""Name, what it does, what the check says."""
