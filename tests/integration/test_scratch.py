"""Working folders: gone afterwards, and swept when their process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pipeline.model.folders import scratch_folder

HOLD = """
import sys
from pathlib import Path
from pipeline.model.folders import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "store.duckdb").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_there_for_the_block_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "var") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "inner").mkdir()
    assert not list((tmp_path / "var").iterdir())


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(tmp_path: Path) -> None:
    held = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None and held.stdin is not None
    left = Path(held.stdout.readline().strip())
    with scratch_folder(tmp_path):
        assert (left / "store.duckdb").exists()
    held.send_signal(signal.SIGKILL)
    held.wait()
    held.stdout.close()
    held.stdin.close()
    assert left.exists()
    with scratch_folder(tmp_path):
        assert not left.exists()
