"""What importing the program must not do, each in a Python of its own."""

from __future__ import annotations

import subprocess
import sys


def test_bitcoinlib_is_never_imported() -> None:
    # Its import writes into the home directory.
    program = "import sys; from pipeline.chains.bitcoin.networks import network; network('bitcoin'); print('bitcoinlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_web3_does_not_take_the_guard_off_deep_nesting() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys; usual = sys.getrecursionlimit(); import connectors.evm; print(sys.getrecursionlimit() - usual)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "0"
