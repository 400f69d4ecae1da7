"""Headers since a checkpoint beside the recorded month's bundle, whose chain is told to be a main network of easy blocks; and the forgeries of them.

The network is one that the verifier does not know, so that its facts stand in the manifest: no test can mine blocks of a main network that it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.chains.bitcoin.merkle import meets_target
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, double_sha256
from pipeline.verify.checkpoint import headers_path

from .filters import recorded
from .forger import resealed

CHAIN = "bitcoin"
CHECKPOINT = 40
"""Its height: below the bundle's own headers."""
FIRST = 600
"""Of the bundle's own headers."""
Headers = list[bytes]


def easy_network(spacing_s: int = 700) -> dict[str, Any]:
    """A main network with the recorded chain's blocks and rules: every hash in two is work enough."""
    return {
        **network("regtest").facts.to_json(),
        "chain": "main",
        "checkpoint": {"height": CHECKPOINT, "hash": recorded().chain[CHECKPOINT].hash, "chain_work": f"{2 * (CHECKPOINT + 1):x}"},
        "retarget": {"rule": "interval", "interval": 1_000_000, "spacing_s": spacing_s, "reaches_back": 1_000_000},
    }


def beginning_late(bundle: Path) -> Path:
    """The bundle with headers of its own from `FIRST` on alone, as where nothing older is needed."""
    path = bundle / "evidence" / "headers.csv"
    heading, *lines = path.read_text().splitlines()
    path.write_text("\n".join([heading, *(line for line in lines if int(line.split(",")[1]) >= FIRST)]) + "\n")
    return resealed(bundle)


def of_easy_network(bundle: Path, spacing_s: int = 700) -> Path:
    """The bundle with late headers, whose chain is said to be of that network."""
    return resealed(beginning_late(bundle), lambda manifest: named_easy(manifest, spacing_s))


def named_easy(manifest: dict[str, Any], spacing_s: int = 700) -> None:
    """The manifest says that its chain is of that network."""
    manifest["rules"]["network"] = {CHAIN: "easycoin"}
    manifest["rules"]["network_facts"] = {"easycoin": easy_network(spacing_s)}


def real(first: int, last: int) -> Headers:
    """The recorded chain's headers of these blocks."""
    return [recorded().chain[height].block.header_raw for height in range(first, last + 1)]


def laid(bundle: Path, headers: Headers, *, chain: str = CHAIN) -> Path:
    path = headers_path(bundle, chain)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(headers))
    return bundle


def honest_headers(bundle: Path) -> Path:
    """The bundle of that network, with the headers since the checkpoint beside it."""
    return laid(of_easy_network(bundle), real(CHECKPOINT + 1, FIRST - 1))


def mined(header: bytes, prev: bytes) -> bytes:
    """The header after another block, with the work that it claims."""
    easy = network("regtest")
    for nonce in range(1 << 16):
        made = header[:4] + prev + header[36:76] + nonce.to_bytes(4, "little")
        if meets_target(made, easy):
            return made
    raise AssertionError("no nonce does")


def invented() -> Headers:
    """As many headers as are needed, each with its work and following the one before, from a block that nobody had; the last is the real one, which does not follow."""
    made: Headers = []
    prev = double_sha256(b"an invented block")
    wanted = real(CHECKPOINT + 1, FIRST - 1)
    for header in wanted[:-1]:
        made.append(mined(header, prev))
        prev = double_sha256(made[-1])
    return [*made, wanted[-1]]


def _changed(change: Callable[[Headers], Headers]) -> Callable[[Path], object]:
    return lambda bundle: laid(of_easy_network(bundle), change(real(CHECKPOINT + 1, FIRST - 1)))


def _main_network(bundle: Path) -> None:
    """A chain of a laptop's is said to be the main network's, long after its checkpoint; headers that lead to it begin with an invented block."""
    path = beginning_late(bundle) / "evidence" / "headers.csv"
    heading, *lines = path.read_text().splitlines()
    checkpoint = network("bitcoin").checkpoint
    assert checkpoint is not None
    moved = checkpoint.height + 1 + 100 - FIRST
    cells = [line.split(",") for line in lines]
    path.write_text("\n".join([heading, *(",".join([c[0], str(int(c[1]) + moved), *c[2:]]) for c in cells)]) + "\n")
    laid(bundle, real(FIRST - 100, FIRST - 1))
    resealed(bundle, lambda manifest: manifest["rules"]["network"].update(bitcoin="bitcoin"))


def _without_work(headers: Headers) -> Headers:
    """One of them claims more work than it has."""
    return [*headers[:-1], headers[-1][:72] + bytes.fromhex("ffff001d") + headers[-1][76:]]


def _another_last(headers: Headers) -> Headers:
    """The last of them is another block with its work, after the same one."""
    last = headers[-1]
    later = int.from_bytes(last[68:72], "little") + 1
    return [*headers[:-1], mined(last[:68] + later.to_bytes(4, "little") + last[72:], last[4:36])]


def _slow(headers: Headers) -> Headers:
    """Their times run a year ahead: each has its work, and so few blocks in so long a time are no main network's."""
    made: Headers = []
    prev = recorded().chain[CHECKPOINT].block.header.hash[::-1]
    for number, header in enumerate(headers):
        late = int.from_bytes(header[68:72], "little") - 86_400 * 365 * (number == 0)
        made.append(mined(header[:68] + late.to_bytes(4, "little") + header[72:], prev))
        prev = double_sha256(made[-1])
    return made


def _slow_month(bundle: Path) -> None:
    """The bundle's own blocks are fewer than a month has; those since the checkpoint came so fast that together they are enough."""
    path = of_easy_network(bundle, spacing_s=300) / "evidence" / "headers.csv"
    heading, *lines = path.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    begin = int.from_bytes(bytes.fromhex(cells[0][4])[68:72], "little")
    prev = recorded().chain[CHECKPOINT].block.header.hash[::-1]
    made: Headers = []
    for number, header in enumerate([*real(CHECKPOINT + 1, FIRST - 1), *(bytes.fromhex(c[4]) for c in cells)]):
        before = FIRST - 1 - CHECKPOINT - number
        at = header[68:72] if before <= 0 else (begin - before).to_bytes(4, "little")
        made.append(mined(header[:68] + at + header[72:], prev))
        prev = double_sha256(made[-1])
    own = made[FIRST - 1 - CHECKPOINT :]
    new = [",".join([*c[:2], double_sha256(header)[::-1].hex(), c[3], header.hex()]) for c, header in zip(cells, own, strict=True)]
    path.write_text("\n".join([heading, *new]) + "\n")
    laid(resealed(bundle), made[: FIRST - 1 - CHECKPOINT])


def _of_no_chain(bundle: Path) -> None:
    honest_headers(bundle)
    headers_path(bundle, CHAIN).rename(headers_path(bundle, "dogecoin"))


FORGED: list[tuple[str, Callable[[Path], object], str]] = [
    ("headers from an invented block on", lambda bundle: laid(of_easy_network(bundle), invented()), f"does not follow the checkpoint {CHECKPOINT}"),
    ("a main network's headers from an invented block on", _main_network, "does not follow the checkpoint 824000"),
    ("headers that do not lead to the bundle's", _changed(_another_last), "does not follow the last one"),
    ("a header since the checkpoint of another chain", lambda bundle: laid(of_easy_network(bundle), invented()), "does not follow block"),
    ("a header since the checkpoint without its work", _changed(_without_work), "does not meet the target of its proof of work"),
    ("headers since the checkpoint cut short", _changed(lambda headers: [*headers[:-1], headers[-1][: HEADER_SIZE - 1]]), "ends early"),
    ("headers since the checkpoint that are too many", lambda bundle: laid(of_easy_network(bundle), real(0, 5000)), "can't end at block"),
    ("headers before the checkpoint of another chain", lambda bundle: laid(of_easy_network(bundle), [*real(CHECKPOINT - 1, CHECKPOINT - 1), *invented()]), f"block {CHECKPOINT}: easycoin has block "),
    ("headers of a year that lacks its blocks", _changed(_slow), "days: easycoin has about"),
    ("a month that lacks its blocks after headers that came too fast", _slow_month, "4514 blocks in 33 days: easycoin has about"),
    ("headers of a chain that the month does not stand on", _of_no_chain, "headers/dogecoin.bin: the month stands on no chain of that name"),
]  # fmt: skip
"""Name, what it does, what the check says."""
