"""Writes what proves a bundle's transfers: `headers.csv`, `proofs.jsonl` and, of account chains, `account_proofs.jsonl`, in a fixed order. `verify.evidence` reads and checks them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pipeline.chains.evidence import HEADERS, Evidence


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """`headers.csv` and `proofs.jsonl` in `folder`, in a fixed order; `account_proofs.jsonl` where there are any."""
    evidence.headers.select(list(HEADERS)).sort("chain", "height").write_csv(folder / "headers.csv", line_terminator="\n")
    lines = [msgspec.json.encode(proof) for proof in sorted(evidence.proofs, key=lambda p: (p.chain, p.height, p.position))]
    (folder / "proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    if evidence.accounts:
        held = [msgspec.json.encode(proof) for proof in sorted(evidence.accounts, key=lambda p: (p.chain, p.height, p.address))]
        (folder / "account_proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in held))
