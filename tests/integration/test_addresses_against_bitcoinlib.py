"""Addresses beside bitcoinlib's, in a process and a home of its own: importing it writes into the home directory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from pipeline.chains.bitcoin.networks import NETWORKS, network
from pipeline.chains.bitcoin.script import address_of, script_of

PROGRAM = """
import json, sys
from bitcoinlib.encoding import addr_to_pubkeyhash, pubkeyhash_to_addr_base58, pubkeyhash_to_addr_bech32
answers = []
for kind, prefix, version, payload in json.load(sys.stdin):
    if kind == "base58":
        address = pubkeyhash_to_addr_base58(payload, bytes.fromhex(prefix))
    else:
        address = pubkeyhash_to_addr_bech32(bytes.fromhex(payload), prefix, version)
    answers.append([address, addr_to_pubkeyhash(address, as_hex=True, encoding=kind)])
json.dump(answers, sys.stdout)
"""


def test_every_network_and_kind(tmp_path: Path) -> None:
    chance = random.Random(2026)
    asked: list[tuple] = []
    expected: list[tuple[str, bytes]] = []
    for name in NETWORKS:
        of = network(name)
        for _ in range(8):
            digest, program = chance.randbytes(20), chance.randbytes(32)
            cases = [
                ("base58", of.p2pkh_prefix.hex(), 0, digest, b"\x76\xa9\x14" + digest + b"\x88\xac"),
                ("base58", of.p2sh_prefix.hex(), 0, digest, b"\xa9\x14" + digest + b"\x87"),
            ]
            if of.hrp is not None:
                cases += [
                    ("bech32", of.hrp, 0, digest, b"\x00\x14" + digest),
                    ("bech32", of.hrp, 0, program, b"\x00\x20" + program),
                    ("bech32", of.hrp, 1, program, b"\x51\x20" + program),
                    ("bech32", of.hrp, 16, program, b"\x60\x20" + program),
                ]
            for kind, prefix, version, payload, script in cases:
                asked.append((kind, prefix, version, payload.hex()))
                expected.append((name, script))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    answers = json.loads(run.stdout[run.stdout.index("[[") :])
    assert len(answers) == len(expected) == len(asked) > 300
    for (name, script), (_, _, _, payload), (address, read_back) in zip(expected, asked, answers, strict=True):
        if not network(name).cashaddr:  # printed as CashAddr, which bitcoinlib does not know; the older form is read all the same
            assert address_of(script, network(name)) == address
        assert script_of(address, network(name)) == script
        assert read_back == payload
