"""The packed verifier (ADR 16) asked of many bundles: the file is unpacked once, as it unpacks itself, and one process of its code answers.

Enters: the file that `make verifier` made, a bundle. Leaves: checks and the verdict, as that code says them. The process has no installed package, no environment and nothing
of this one: what it imports is what the file carries. That the file starts by itself, and what it prints, is shown in `tests/integration/test_verifier_alone.py`.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

WORKER = """
import json, os, sys, zoneinfo
sys.path.insert(0, sys.argv.pop(1)); zoneinfo.reset_tzpath(to=())
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
from dataclasses import asdict
from pathlib import Path
from pipeline.model.errors import EsepError
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import judge
from pipeline.verify.given import load_trusted
assert not {name.partition(".")[0] for name in sys.modules} & {"pytest", "duckdb", "typer"}
for line in sys.stdin:
    asked = json.loads(line)
    try:
        trusted = load_trusted(Path(asked["trusted"])) if asked["trusted"] else []
        checks = verify_bundle(Path(asked["bundle"]), trusted=trusted, left_out=asked["left_out"], root_key=asked["root_key"])
        told = {"checks": [asdict(check) for check in checks], "verdict": asdict(judge(checks, is_test_network=True))}
    except EsepError as error:
        told = {"refused": str(error)}
    answers.write(json.dumps(told) + "\\n"); answers.flush()
"""


class PackedVerifier:
    """One process of the file's code."""

    def __init__(self, file: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="esep-forgery-"))
        with zipfile.ZipFile(file) as packed:
            packed.extractall(self._folder, [name for name in packed.namelist() if name.startswith("lib/")])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", WORKER, str(self._folder / "lib")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env={}, cwd=self._folder,
        )  # fmt: skip
        atexit.register(self.close)

    def ask(
        self, bundle: Path, *, trusted: Sequence[x509.Certificate] = (), left_out: Collection[str] = (), root_key: str | None = None
    ) -> dict[str, Any]:
        """`checks` and `verdict` (with `--test-network`), or `refused` with the reason. Raises RuntimeError where the code of the file ends by itself."""
        pem = self._folder / "trusted.pem"
        pem.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in trusted))
        asked = {"bundle": str(bundle), "trusted": str(pem) if trusted else None, "left_out": list(left_out), "root_key": root_key}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the packed verifier ended with {self._process.wait()} at {bundle}: see above what it said")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process, and remove what was unpacked."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def packed_verifier(file: str) -> PackedVerifier:
    """The one of this process, started at its first question."""
    return PackedVerifier(Path(file))
