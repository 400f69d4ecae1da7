"""The programs of the EVM tests: anvil and the Solidity compiler from npm, geth and core-geth from their sources by the Go toolchain.

Enters: what `ESEP_ANVIL`, `ESEP_SOLC`, `ESEP_GETH` and `ESEP_CORE_GETH` name, what is on PATH in the pinned version, or else an installation of that into
the user's cache, once. Leaves: paths; or, where a program can't be had, the reason, with which its tests are skipped. core-geth is built only when asked for
(`python -m tests.live.evm.provision`, or `make core-geth`): it takes four minutes of a core, and CI has none to spare.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esep-tests"
ANVIL_VERSION = "1.7.1"
SOLC_VERSION = "0.8.37"
GETH_VERSION = "v1.17.10"
CORE_GETH, CORE_GETH_VERSION = "github.com/etclabscore/core-geth", "v1.12.20"
AS_ITS_TIME_LINKED = "-ldflags=-checklinkname=0"
"""core-geth names functions of Go's runtime that linkers since 1.23 refuse to name (fjl/memsize, a debugging page that is never opened here)."""
INSTALL_TIMEOUT_S = 600


class Missing(Exception):
    """A program can't be had on this machine; the message says why."""


def anvil() -> Path:
    """Foundry's development node."""
    return _given("anvil", "ESEP_ANVIL", ANVIL_VERSION) or _from_npm(f"@foundry-rs/anvil@{ANVIL_VERSION}", "anvil")


def solc() -> Path:
    """The Solidity compiler as JavaScript; the native one, which names its modes otherwise, is not looked for."""
    return _given("solcjs", "ESEP_SOLC", SOLC_VERSION) or _from_npm(f"solc@{SOLC_VERSION}", "solcjs")


def geth() -> Path:
    """Go Ethereum. Built from source: two to three minutes on two cores, once."""
    return _given("geth", "ESEP_GETH", GETH_VERSION.removeprefix("v")) or _from_go(
        f"github.com/ethereum/go-ethereum/cmd/geth@{GETH_VERSION}", "geth"
    )


def core_geth() -> Path:
    """Ethereum Classic's node: what was named, what is on PATH as `core-geth`, or what `make core-geth` has built."""
    built = _core_geth_folder() / "geth"
    if found := _given("core-geth", "ESEP_CORE_GETH", CORE_GETH_VERSION.removeprefix("v")):
        return found
    if built.exists():
        return built
    raise Missing(
        f"no core-geth {CORE_GETH_VERSION} on PATH, ESEP_CORE_GETH does not name one, and it is not built but by `make core-geth` (four minutes of a core)"
    )


def build_core_geth() -> Path:
    """core-geth in the cache, built when it is not there. Its module calls itself go-ethereum, which `go install` refuses: so it is downloaded, and built where it lies."""

    def install(fresh: Path) -> None:
        told = _run("go", "mod", "download", "-json", f"{CORE_GETH}@{CORE_GETH_VERSION}")
        _run("go", "build", "-C", json.loads(told)["Dir"], AS_ITS_TIME_LINKED, "-o", str(fresh / "geth"), "./cmd/geth")

    return _installed(_core_geth_folder(), install, "go", f"{CORE_GETH}@{CORE_GETH_VERSION}") / "geth"


def _core_geth_folder() -> Path:
    return CACHE / "go" / f"core-geth-{CORE_GETH_VERSION}"


def _given(program: str, variable: str, wanted: str) -> Path | None:
    """What the variable names, whatever its version; or what is on PATH, if it says that it is the version wanted."""
    named = os.environ.get(variable)
    if named:
        if not os.access(named, os.X_OK):
            raise Missing(f"{variable} names {named}, which can't be run")
        return Path(named)
    found = shutil.which(program)
    if found is None:
        return None
    try:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found) if wanted in said else None


def _from_npm(package: str, program: str) -> Path:
    folder = CACHE / "npm" / package.rpartition("@")[0].rpartition("/")[2] / package.rpartition("@")[2]

    def install(fresh: Path) -> None:
        _run("npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(fresh), package)

    return _installed(folder, install, "npm", package) / "node_modules" / ".bin" / program


def _from_go(package: str, program: str) -> Path:
    folder = CACHE / "go" / f"{program}-{package.rpartition('@')[2]}"

    def install(fresh: Path) -> None:
        _run("go", "install", package, environment={"GOBIN": str(fresh)})

    return _installed(folder, install, "go", package) / program


def _installed(folder: Path, install: Callable[[Path], None], tool: str, package: str) -> Path:
    """The folder, filled by `install` when it is not there yet: it appears whole or not at all, and one run at a time fills it."""
    if folder.is_dir():
        return folder
    if shutil.which(tool) is None:
        raise Missing(f"no {tool} on PATH to bring {package}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        fresh = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        install(fresh)
        fresh.rename(folder)
    return folder


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What it printed. Raises Missing when it fails."""
    try:
        return subprocess.run(
            command,
            check=True,
            timeout=INSTALL_TIMEOUT_S,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        raise Missing(f"{' '.join(command[:2])} could not bring {command[-1]}: {(error.stdout + error.stderr).strip()[-400:]}") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{' '.join(command[:2])} did not bring {command[-1]} within {INSTALL_TIMEOUT_S} s") from error


if __name__ == "__main__":
    try:
        print(f"core-geth: {build_core_geth()}")
    except Missing as missing:
        sys.exit(str(missing))
