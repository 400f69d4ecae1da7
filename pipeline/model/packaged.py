"""Finds the files of `config/` that travel with the program, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def packaged_path(name: str) -> Path:
    """`esep.toml`, `assets.toml` or `networks.toml` as they come with the program: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "config" / name
    return beside if beside.is_file() else package / "config" / name
