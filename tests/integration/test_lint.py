"""The laws that `make lint` keeps: each tool sees what it is there to forbid, and nothing else in what is right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCSTRING = '"""A module."""\n'


def ruff(source: str, name: str) -> list[str]:
    """The codes of what ruff says of the source, were it the file of that name."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "--stdin-filename", name, "-"]
    done = subprocess.run(command, input=source, text=True, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(name)]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import time\n\nNOW = time.time()\n", "TID251"),
        ("from time import monotonic\n\nNOW = monotonic()\n", "TID251"),
        ("import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)\n", "TID251"),
        ("from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n", "TID251"),
        ("import os\n\nX = os.environ['X']\n", "TID251"),
        ("from os import environ\n\nX = environ['X']\n", "TID251"),
        ("from pathlib import Path\n\nX = Path.home()\n", "TID251"),
        ("import socket\n\nX = socket.socket()\n", "TID251"),
        ("import urllib.request\n\nX = urllib.request.urlopen('https://x')\n", "TID251"),
        ("try:\n    X = 1\nexcept Exception:\n    X = 2\n", "BLE001"),
        ("try:\n    X = 1\nexcept:\n    X = 2\n", "E722"),
        ("def f(a, b, c, d, e, f, g, h, i):\n    return a\n", "PLR0913"),
    ],
)
def test_ruff_keeps_the_core_from_the_world(source: str, code: str) -> None:
    assert code in ruff(DOCSTRING + "\n" + source, "pipeline/assess/never.py")


def test_ruff_wants_every_module_to_say_what_it_is() -> None:
    assert ruff("X = 1\n", "pipeline/store/never.py") == ["D100"]
    assert ruff(DOCSTRING + "\nX = 1\n", "pipeline/store/never.py") == []


def test_ruff_lets_the_edge_read_the_clock_and_put_words_to_what_a_library_throws() -> None:
    clock = DOCSTRING + "\nimport time\n\nNOW = time.time()\n"
    assert [ruff(clock, f"pipeline/{room}/never.py") for room in ("app", "cli", "demo", "service")] == [[], [], [], []]
    assert ruff(clock, "connectors/evm/never.py") == []
    assert (
        ruff(DOCSTRING + "\ntry:\n    X = 1\nexcept Exception as error:\n    raise ValueError from error\n", "pipeline/store/never.py")
        == []
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The sources and their contracts, to be spoilt."""
    return sources(tmp_path)


def sources(folder: Path) -> Path:
    for name in ("pipeline", "connectors", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests").mkdir()
    (folder / "tests/__init__.py").touch()
    return folder


def contracts(house: Path) -> str:
    """What import-linter says of the sources; empty when every contract is kept."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"], text=True, capture_output=True, cwd=house, check=False
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


FORBIDDEN = [
    ("pipeline/model/never.py", "import pipeline.log.protocol", "pipeline.model is not allowed to import pipeline.log"),
    ("pipeline/enrich/never.py", "import pipeline.render.form", "pipeline.enrich is not allowed to import pipeline.render"),
    ("pipeline/assess/never.py", "def f():\n    import pipeline.app.app", "pipeline.assess is not allowed to import pipeline.app"),
    ("pipeline/verify/never.py", "import pipeline.closing.life", "pipeline.verify is not allowed to import pipeline.closing"),
    ("pipeline/service/never.py", "import connectors.files", "pipeline.service.never -> connectors.files"),
    ("pipeline/unlisted/__init__.py", "", "unlisted"),
    ("connectors/bitcoin/never.py", "import connectors.files", "connectors.bitcoin is not allowed to import connectors.files"),
    ("connectors/bitcoin/nor.py", "from ..log_sqlite import log", "connectors.bitcoin is not allowed to import connectors.log_sqlite"),
    ("connectors/bitcoin/neither.py", "import pipeline.store.store", "connectors.bitcoin.neither -> pipeline.store.store"),
    ("pipeline/app/never.py", "import apscheduler.triggers.cron", "pipeline.app.never -> apscheduler"),
    ("pipeline/cli/never.py", "import connectors.files", "pipeline.cli.never -> connectors.files"),
    ("pipeline/service/nor.py", "import typer", "pipeline.service.nor -> typer"),
    ("pipeline/closing/never.py", "import httpx", "pipeline.closing.never -> httpx"),
]
"""A file of the sources, what it holds, and what only it makes the contracts say."""


@pytest.fixture(scope="module")
def said_of_all(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the contracts say of sources with every one of `FORBIDDEN` among them."""
    house = sources(tmp_path_factory.mktemp("house"))
    for name, source, _ in FORBIDDEN:
        (house / name).parent.mkdir(exist_ok=True)
        (house / name).write_text(DOCSTRING + source + "\n", encoding="utf-8")
    return contracts(house)


@pytest.mark.parametrize("said", [said for *_, said in FORBIDDEN])
def test_the_contracts_see_what_they_forbid(said_of_all: str, said: str) -> None:
    assert said in said_of_all


def own_check(house: Path) -> str:
    done = subprocess.run([sys.executable, ".ci/house.py"], text=True, capture_output=True, cwd=house, check=False)
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    return done.stderr


def test_the_house_as_it_stands_keeps_every_contract(house: Path) -> None:
    assert contracts(house) == ""


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("pipeline/model/never.py", "X = 1\n" * 400, "pipeline/model/never.py: 401 lines"),
        ("pipeline/model/never.py", "X = open('x')  # {}: SIM115\n".format("noqa"), "pipeline/model/never.py:2: an exception from a rule"),
        (
            "pipeline/store/never.py",
            "from pathlib import Path\n\nX = Path('~').expanduser()\n",
            "pipeline/store/never.py:4: the core is given",
        ),
    ],
)
def test_our_own_check_sees_what_it_forbids(house: Path, name: str, source: str, said: str) -> None:
    (house / name).write_text(DOCSTRING + source, encoding="utf-8")
    assert said in own_check(house)


def test_our_own_check_sees_a_circle_that_is_there_for_types_only(house: Path) -> None:
    (house / "pipeline/model/one.py").write_text(DOCSTRING + "from .two import X\n", encoding="utf-8")
    (house / "pipeline/model/two.py").write_text(
        DOCSTRING + "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from . import one\nX = 1\n", encoding="utf-8"
    )
    assert "circle: pipeline.model.one, pipeline.model.two" in own_check(house)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("pathlib.Path('x').write_text('')", "a unit test does no I/O: open"),
        ("pathlib.Path('x').mkdir()", "a unit test does no I/O: os.mkdir"),
        ("socket.create_connection(('127.0.0.1', 9))", "a unit test does no I/O: socket.connect"),
        ("subprocess.run(['true'])", "a unit test does no I/O: subprocess.Popen"),
        ("time.sleep(0)", "a unit test does not sleep"),
        ("tmp_path", "a unit test has no folder"),
        ("pathlib.Path(__file__).read_text()", None),
    ],
)
def test_unit_tests_do_no_input_or_output(tmp_path: Path, statement: str, said: str | None) -> None:
    shutil.copy(ROOT / "tests/unit/conftest.py", tmp_path)
    fixture = "tmp_path" if statement == "tmp_path" else ""
    program = f"import pathlib, socket, subprocess, time\n\ndef test_it({fixture}):\n    {statement}\n"
    (tmp_path / "test_it.py").write_text(program, encoding="utf-8")
    # None of the plugins that are installed here has a part in it, and each takes its time to start.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, env=alone, text=True, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == (0 if said is None else 1), done.stdout
    assert (said or "1 passed") in done.stdout


def links(folder: Path) -> str:
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    done = subprocess.run([sys.executable, ".ci/links.py"], text=True, capture_output=True, cwd=folder, check=False)
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    return done.stderr


def test_links_of_documents_lead_somewhere(house: Path) -> None:
    page = house / "README.md"
    page.write_text("# A heading, *here*\n[a](pyproject.toml) [b](#a-heading-here) `pipeline/model/errors.py` `tests/`\n", encoding="utf-8")
    assert links(house) == ""
    page.write_text("# A\n[a](not/there.md)\n[b](#b) [c](README.md#c)\n`pipeline/not_there.py`\n", encoding="utf-8")
    assert [line.partition("README.md: ")[2] for line in links(house).splitlines()] == [
        "the link not/there.md leads nowhere",
        "the link #b names a heading that is not there",
        "the link README.md#c names a heading that is not there",
        "names pipeline/not_there.py, which is not there",
    ]
