"""Writes what proves a bundle's transfers and people's decisions (`decisions.jsonl`, where a root key is in force): `headers.csv`, `proofs.jsonl` and, of account chains, `account_proofs.jsonl`, in a fixed order. `verify.evidence` reads and checks them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.chains.evidence import HEADERS, Evidence
from pipeline.log.authenticity import SignedEvent
from pipeline.log.events import decode
from pipeline.log.events.months import Waived
from pipeline.model.months import Month


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """`headers.csv` and `proofs.jsonl` in `folder`, in a fixed order; `account_proofs.jsonl` where there are any."""
    evidence.headers.select(list(HEADERS)).sort("chain", "height").write_csv(folder / "headers.csv", line_terminator="\n")
    lines = [msgspec.json.encode(proof) for proof in sorted(evidence.proofs, key=lambda p: (p.chain, p.height, p.position))]
    (folder / "proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    if evidence.accounts:
        held = [msgspec.json.encode(proof) for proof in sorted(evidence.accounts, key=lambda p: (p.chain, p.height, p.address))]
        (folder / "account_proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in held))


def write_decisions(signed: Sequence[SignedEvent], month: Month, path: Path) -> None:
    """What proves the decisions that the month rests on: what the root key said of keys, labels, the month's waivers; an event and its signature a line, in the log's order."""
    lines = []
    for found in signed:
        event = decode(found.value)
        if not isinstance(event, Waived) or event.month == str(month):
            line = {"topic": found.topic, "key": found.key, "id": found.id, "value": found.value.decode()}
            lines.append(msgspec.json.encode(line | {"signature": b64encode(found.signature).decode()}))
    path.write_bytes(b"".join(line + b"\n" for line in lines))
