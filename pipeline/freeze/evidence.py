"""Writes what proves a bundle's transfers: `headers.csv` and `proofs.jsonl`, in a fixed order. `verify.evidence` reads and checks them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pipeline.chains.evidence import HEADERS, Evidence


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """`headers.csv` and `proofs.jsonl` in `folder`, in a fixed order."""
    evidence.headers.select(list(HEADERS)).sort("chain", "height").write_csv(folder / "headers.csv", line_terminator="\n")
    lines = [msgspec.json.encode(proof) for proof in sorted(evidence.proofs, key=lambda p: (p.chain, p.height, p.position))]
    (folder / "proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
