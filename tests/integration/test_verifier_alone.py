"""The verifier stands alone (ADR 16): what it loads, and the one file that it is packed as, run where nothing is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import msgspec
import pytest

from pipeline.verify.program import main
from pipeline.verify.receipts import open_receipts
from tests.forgery.conftest import bundle, honest  # noqa: F401 - fixtures
from tests.forgery.forger import resealed
from tests.reports import read_report_csv

from .example_month import DIGEST

ROOT = Path(__file__).resolve().parents[2]

FOREIGN = {
    "aiohttp", "anyio", "apscheduler", "bitcoinlib", "connectors", "duckdb", "holidays", "httpx", "jinja2", "kafka", "odf", "prometheus_client", "requests",
    "rich", "sqlite3", "structlog", "typer", "uvicorn", "urllib3", "web3", "websockets",
    "asyncio", "concurrent.futures.process", "http.client", "http.server", "smtplib", "socketserver", "urllib.request", "xmlrpc",
}  # fmt: skip
"""Brokers, nodes, webs, stores, schedulers, terminals, and the standard library's own ways to them."""
ROOMS = {
    "pipeline.app", "pipeline.capture", "pipeline.cli", "pipeline.closing", "pipeline.demo", "pipeline.follow", "pipeline.freeze", "pipeline.service",
    "pipeline.settings", "pipeline.store", "pipeline.validate", "pipeline.web",
}  # fmt: skip

LOADED = """
import json, sys
from pipeline.verify.program import main
code = main([sys.argv[1], "--test-network", "--json"])
# What proofs on account chains load, too.
from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.trie import check
to_checksum("0x" + "ab" * 20), keccak256(b"")
try: check(b"\\x00" * 32, 0, [])
except ValueError: pass
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_a_verify_loads_no_broker_node_web_or_scheduler_code(bundle: Path) -> None:  # noqa: F811 - the fixture
    done = subprocess.run([sys.executable, "-c", LOADED, str(bundle)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0 and "pipeline.verify.documents" in modules and "reportlab" in modules and "sha3" in modules
    assert not {name for name in modules if name in FOREIGN or name.partition(".")[0] in FOREIGN}
    assert not {name for name in modules if ".".join(name.split(".")[:2]) in ROOMS}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, made from this environment; or the one that `make verifier` has just made."""
    if made := os.environ.get("ESEP_VERIFIER"):
        return Path(made).resolve()
    path = tmp_path_factory.mktemp("packed") / "esep-verify.pyz"
    subprocess.run([sys.executable, ".ci/verifier.py", str(path), "--level", "0"], cwd=ROOT, check=True, capture_output=True, timeout=240)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in an environment in which nothing is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    found = subprocess.run([python, "-c", "import polars"], capture_output=True, text=True, check=False)
    assert "No module named 'polars'" in found.stderr
    return python


def verify(packed: Path, bare: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The file's word on a bundle, from a folder that holds nothing else, with a home and an environment that know nothing of Esep."""
    home = packed.parent / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [str(bare), str(packed), str(folder), *map(str, arguments)], cwd=home, env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def test_the_file_alone_says_what_the_program_says(packed: Path, bare: Path, bundle: Path) -> None:  # noqa: F811 - the fixture
    done = verify(packed, bare, bundle, "--json", "--test-network")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    here = subprocess.run(
        [sys.executable, "-m", "pipeline.verify", str(bundle), "--json", "--test-network"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told == json.loads(here.stdout)
    assert any(DIGEST in line for line in told["proved"]) and not told["faults"]
    assert verify(packed, bare, bundle).returncode == 13, "a chain without work is not called proved"
    assert not [path for path in (packed.parent / "home").rglob("*") if path.is_file()], "nothing is left behind"


def test_the_file_alone_catches_a_forgery_and_names_it(packed: Path, bare: Path, bundle: Path) -> None:  # noqa: F811 - the fixture
    path = bundle / "report.csv"
    path.write_bytes(path.read_bytes().replace(b"0.00237505", b"9.00237505"))
    done = verify(packed, bare, resealed(bundle), "--test-network")
    assert done.returncode == 8
    assert "report.csv comes out different" in done.stdout and "does not hold" in done.stderr


def test_the_file_alone_says_in_a_sentence_what_is_wrong_with_its_arguments(packed: Path, bare: Path, tmp_path: Path) -> None:
    done = verify(packed, bare, tmp_path / "nowhere")
    assert done.returncode == 2 and "No such file or directory" in done.stderr and "Traceback" not in done.stderr
    done = verify(packed, bare, tmp_path, "--no-such-option")
    assert done.returncode == 2 and "--no-such-option" in done.stderr


def test_the_program_names_itself_once_before_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESEP_LANG", "en")
    assert main([]) == 2
    assert capsys.readouterr().err == "esep-verify: DIR is needed; --root goes with --receipt\n"
    assert main(["/nowhere", "--root-key", "zzz"]) == 2
    assert capsys.readouterr().err.startswith("esep-verify: --root-key: zzz: can't be read")


def test_the_file_names_the_machine_that_it_is_for(packed: Path, bare: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(packed) as whole, zipfile.ZipFile(other, "w") as copy:
        copy.writestr("__main__.py", whole.read("__main__.py"))
        copy.writestr("verifier.json", json.dumps(json.loads(whole.read("verifier.json")) | {"platform": "win-arm64"}))
    done = verify(other, bare, tmp_path)
    assert done.returncode == 1 and "this file is for Python 3" in done.stderr and "on win-arm64" in done.stderr
    told = json.loads(zipfile.ZipFile(packed).read("verifier.json"))
    assert {"polars", "cryptography", "reportlab"} <= told["packages"].keys() and not told["packages"].keys() & FOREIGN


def test_a_miner_checks_a_receipt_with_the_file_alone(packed: Path, bare: Path, honest: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    receipts = open_receipts(honest)
    assert receipts is not None
    receipt = receipts.of(read_report_csv((honest / "report.csv").read_bytes())["miner_id"][0])
    path = tmp_path / "mine.receipt.json"
    path.write_bytes(msgspec.json.encode(receipt))
    done = verify(packed, bare, honest / "manifest.json", "--receipt", path, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["holds"]
    changed = msgspec.json.decode(path.read_bytes())
    changed["rows"][0]["values"][8] = "9.99999999"
    path.write_text(json.dumps(changed))
    done = verify(packed, bare, honest / "manifest.json", "--receipt", path)
    assert done.returncode == 8 and "do not lead to the root" in done.stdout


def test_a_damaged_file_or_one_without_room_says_so_in_the_readers_language(packed: Path, bare: Path, tmp_path: Path) -> None:
    start, told = (zipfile.ZipFile(packed).read(name) for name in ("__main__.py", "verifier.json"))
    broken = tmp_path / "copied.pyz"
    with zipfile.ZipFile(broken, "w") as copy:
        for name, content in (("__main__.py", start), ("verifier.json", told), ("lib/one.py", b"content" * 100)):
            copy.writestr(name, content)
    raw = broken.read_bytes()
    broken.write_bytes(raw.replace(b"contentcontent", b"contentCONTENT", 1))
    assert broken.read_bytes() != raw
    for language, words in (("en", "damaged or cut off"), ("ru", "повреждён или обрезан"), ("kk", "бүлінген немесе кесілген")):
        done = start_alone(broken, bare, language, tmp_path)
        assert done.returncode == 12 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    done = start_alone(packed, bare, "ru_RU.UTF-8", tmp_path, largest=1000)
    assert done.returncode == 12 and "не может там распаковаться" in done.stderr and "TMPDIR" in done.stderr
    ended = tmp_path / "ended.pyz"
    with zipfile.ZipFile(ended, "w") as copy:
        copy.writestr(
            "__main__.py",
            start.replace(b"from pipeline.verify.program import main; sys.exit(main())", b"import os; os.kill(os.getpid(), 9)"),
        )
        copy.writestr("verifier.json", told)
    done = start_alone(ended, bare, "en", tmp_path)
    assert done.returncode == 137 and "nothing is said of the bundle: signal 9" in done.stderr


def start_alone(packed: Path, bare: Path, language: str, folder: Path, largest: int | None = None) -> subprocess.CompletedProcess[str]:
    """The file's word in a language, where no file may be larger than `largest` bytes."""
    limited = [] if largest is None else ["prlimit", f"--fsize={largest}"]
    return subprocess.run(
        [*limited, str(bare), "-B", str(packed), str(folder)], env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": language},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
