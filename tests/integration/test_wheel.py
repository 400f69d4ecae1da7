"""The wheel in an environment of its own (ADR 10): the example is carried through from any folder, and a taken name is told.

The environment borrows the packages that Esep needs from the one that runs the tests; Esep itself is the wheel's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "f5fed8388edefd70b4f7980884899e2be207ce1997a58c9f53e1d441ec3d84b7"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's `bin`."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.builders.wheel import WheelBuilder; print(next(WheelBuilder('.').build(directory=sys.argv[1])))"
    wheel = subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    made = folder / "environment"
    venv.create(made, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(made / "bin" / "python")]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True, cwd=folder)
    site = next((made / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return made / "bin"


def esep(programs: Path, folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ESEP"))}
    return subprocess.run(
        [programs / "esep", *arguments], cwd=folder, env={**clean, **environ}, capture_output=True, text=True, check=False, timeout=240
    )


def test_the_example_is_carried_through_from_any_folder(programs: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [programs / "python", "-c", "import pipeline; print(pipeline.__file__)"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(programs.parent)
    done = esep(programs, tmp_path, "demo", "--var", "kept", "--waive-all", "looked into", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bundle"]["digest"] == DIGEST
    assert told["checks"] and all(check["holds"] for check in told["checks"])
    assert esep(programs, tmp_path, "status", "--config", "kept/esep.toml").returncode == 0
    assert esep(programs, tmp_path, "init", "pool").returncode == 0


def test_a_name_that_is_taken_is_told(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "__init__.py").write_text("")
    done = esep(programs, tmp_path, "init", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert f"the package name 'connectors' is taken by {tmp_path / 'connectors'}" in " ".join(done.stderr.split())
    assert esep(programs, tmp_path, "init").returncode == 0, "a folder one works in stands in nobody's way"
