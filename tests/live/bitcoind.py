"""Bitcoin Core's daemon for the live tests, built once from the sources that a Rust crate carries: `python -m tests.live.bitcoind`, or `make bitcoind`.

Enters: `ESEP_BITCOIND`, PATH, else the crate `libbitcoinkernel-sys`, which cargo fetches and whose checksum is pinned here. Leaves: the daemon's path in
the user's cache, outside the tree; or one sentence that says why it can't be had, with which the tests are skipped. Built without optimising, six files
at a time to a compiler: compiling is what takes the time, most of it on headers that all files share, and the chains of the tests are short.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

CRATE, VERSION = "libbitcoinkernel-sys", "0.4.1"
CHECKSUM = "345d18a1ce19a1becfcaaa066e3a60e9c7813ef5c23ea8c20704ca4ba1a46339"
"""Of the crate's archive, SHA-256: cargo compares the archive with the registry's, this module the registry's with this one."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esep" / f"bitcoind-{VERSION}"
TOOLS = ("cargo", "cmake", "c++", "make")
LEFT_OUT = (
    "BUILD_BITCOIN_BIN", "BUILD_CLI", "BUILD_TESTS", "BUILD_TX", "BUILD_UTIL", "BUILD_BENCH", "ENABLE_WALLET", "ENABLE_EXTERNAL_SIGNER", "ENABLE_IPC",
    "WITH_EMBEDDED_ASMAP", "INSTALL_MAN",
)  # fmt: skip
PLAIN_CODE = "-w -fno-stack-protector -fcf-protection=none -fno-stack-clash-protection"
IN_BATCHES = """if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  cmake_language(DEFER CALL in_batches)
  function(in_batches)
    set_target_properties(bitcoin_common bitcoin_node bitcoin_util PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    set(src "${CMAKE_SOURCE_DIR}/src")
    set(alone "${src}/index/coinstatsindex.cpp" "${src}/node/chainstate.cpp")
    set_source_files_properties(${alone} DIRECTORY src PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endfunction()
endif()
"""
"""What cmake reads besides the sources' own lists. The two files alone give names a meaning of their own that another file of their batch gives another."""
STEP_TIMEOUT_S = 3600
WITHIN_S = 780
"""For which a build beside the other tests (`--unless-given`) may go on: 290 s on two quiet cores, 630 s file by file. A slower machine goes without, so that all checks stay within the hour."""
MANIFEST = f"""[package]
name = "bitcoin-core-sources"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
{CRATE} = "={VERSION}"
"""


class CannotBuild(Exception):
    """The daemon can't be built here; the message says why."""


def find_bitcoind() -> str | None:
    """The daemon's path: from `ESEP_BITCOIND`, PATH, or the cache that `make bitcoind` fills."""
    built = CACHE / "bitcoind"
    return os.environ.get("ESEP_BITCOIND") or shutil.which("bitcoind") or (str(built) if os.access(built, os.X_OK) else None)


def why_not() -> str:
    """Why there is none."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    need = (
        f"`make bitcoind` can't build one without {', '.join(absent)}" if absent else "`make bitcoind` builds one, and says what stops it"
    )
    return f"no bitcoind on PATH, ESEP_BITCOIND does not name one, and {need}"


def build(within_s: float = STEP_TIMEOUT_S) -> Path:
    """The daemon in the cache, built when it is not there. One build at a time; what is there is whole. Raises CannotBuild."""
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise CannotBuild(f"bitcoind is not built: {', '.join(absent)} is not on PATH")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with CACHE.with_name(f"{CACHE.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "bitcoind").exists():
            with tempfile.TemporaryDirectory(prefix=f".{CACHE.name}.", dir=CACHE.parent) as scratch:
                built = _compile(_sources(Path(scratch)), Path(scratch) / "build", within_s)
                ready = Path(scratch) / "ready"
                ready.mkdir()
                shutil.move(built, ready / "bitcoind")
                ready.rename(CACHE)
    return CACHE / "bitcoind"


def _sources(scratch: Path) -> Path:
    """Bitcoin Core's sources, from the crate of the pinned checksum."""
    package = scratch / "package"
    package.mkdir()
    (package / "Cargo.toml").write_text(MANIFEST)
    (package / "lib.rs").touch()
    _run(["cargo", "vendor", "--quiet", "vendor"], package)
    crate = package / "vendor" / CRATE
    found = json.loads((crate / ".cargo-checksum.json").read_text())["package"]
    if found != CHECKSUM:
        raise CannotBuild(f"bitcoind is not built: the crate {CRATE} {VERSION} has the checksum {found}, and {CHECKSUM} is pinned")
    return crate / "bitcoin"


def _compile(sources: Path, folder: Path, within_s: float) -> Path:
    (batches := folder.with_name("batches.cmake")).write_text(IN_BATCHES)
    options = [
        f"-DCMAKE_PROJECT_INCLUDE={batches}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
        f"-DAPPEND_CXXFLAGS={PLAIN_CODE}",
        "-DBUILD_DAEMON=ON",
    ]
    _run(["cmake", "-S", str(sources), "-B", str(folder), *options, *(f"-D{name}=OFF" for name in LEFT_OUT)], folder.parent)
    _run(["cmake", "--build", str(folder), "--parallel", str(os.cpu_count() or 1), "--target", "bitcoind"], folder.parent, within_s)
    return folder / "bin" / "bitcoind"


def _run(command: list[str], folder: Path, within_s: float = STEP_TIMEOUT_S) -> None:
    """A command, its compilers too, for at most `within_s`: all of them end with it."""
    with tempfile.TemporaryFile() as said:
        try:
            started = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        except OSError as error:
            raise CannotBuild(f"bitcoind is not built: {' '.join(command[:2])}: {error}") from error
        try:
            code = started.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise CannotBuild(f"bitcoind is not built: {' '.join(command[:2])} was given up after {within_s:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        said.seek(0)
        words = said.read().decode(errors="replace").strip()[-2000:]
    if code:
        raise CannotBuild(f"bitcoind is not built: {' '.join(command[:2])} ended with {code}:\n{words}")


if __name__ == "__main__":
    if "--unless-given" in sys.argv[1:] and (given := find_bitcoind()):
        print(f"bitcoind: {given}")
    else:
        try:
            print(f"bitcoind: {build(WITHIN_S if '--unless-given' in sys.argv[1:] else STEP_TIMEOUT_S)}")
        except CannotBuild as error:
            sys.exit(str(error))
